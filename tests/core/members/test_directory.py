"""Members from the first source that has them: a Supabase of the sandbox and a real MariaDB."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from mynatca_intercom.members.directory import Directory, open_directory
from mynatca_intercom.members.member import UNKNOWN
from mynatca_intercom.members.source import SourceRefused, SourceUnavailable
from mynatca_intercom.metrics import REGISTRY
from mynatca_intercom.settings import SettingsError
from mynatca_sandbox.server import Sandbox
from support.canned import Answer, Request, canned
from support.mariadb import MariaDB
from support.worlds import member_row, world_of

SUPABASE_MEMBERS = ("9001", "9002")
MYSQL_MEMBERS = ("1001", "1002", "1003", "1005", "1008", "1009")
DOWN = Answer(500, b'{"code":"XX000","message":"row ada@union.example"}', {})


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(world_of([member_row(number, f"m{number}@union.example") for number in SUPABASE_MEMBERS])) as sandbox:
        yield sandbox


def supabase_alone(url: str, **variables: str) -> dict[str, str]:
    return {"SUPABASE_URL": url, "SUPABASE_KEY": "sandbox-key", **variables}


def both(url: str, mysql: MariaDB, **variables: str) -> dict[str, str]:
    return supabase_alone(url, **mysql.environment(**variables))


def numbers(listing: Any) -> tuple[str, ...]:
    return tuple(member.number for member in listing.members)


def fallbacks(source: str) -> float:
    return REGISTRY.get_sample_value("mynatca_intercom_source_fallbacks_total", {"source": source}) or 0


def test_the_first_source_that_answers_is_the_only_one_asked(sandbox: Sandbox) -> None:
    with open_directory(supabase_alone(sandbox.url, MYSQL_HOST="127.0.0.1", **NOWHERE)) as directory:
        listing = directory.synced_members()
        assert directory.name == "supabase,mysql"
    assert numbers(listing) == SUPABASE_MEMBERS
    assert (listing.source, listing.failed, listing.from_fallback) == ("supabase", (), False)


NOWHERE = {"MYSQL_PORT": "1", "MYSQL_USER": "reader", "MYSQL_PASS": "none", "MYSQL_DB": "natca"}


def test_mysql_tells_what_supabase_cannot(mysql: MariaDB, caplog: pytest.LogCaptureFixture) -> None:
    """The listing says so, the metric counts it, and the log tells nothing of a person."""
    caplog.set_level(logging.DEBUG, "mynatca_intercom")
    before = fallbacks("supabase"), fallbacks("mysql")
    with canned(lambda _request: DOWN) as server, open_directory(both(server.url, mysql)) as directory:
        synced, everybody = directory.synced_members(), directory.all_members()
        found = directory.members_with_email(" ADA@union.example")
        one = directory.member_with_number("1003")
    assert (synced.source, synced.failed, synced.from_fallback) == ("mysql", (SENTENCE,), True)
    assert numbers(synced) == MYSQL_MEMBERS
    assert (len(everybody.members), everybody.failed) == (10, (SENTENCE,))
    assert [member.number for member in found] == ["1001", "1002"]
    assert one is not None
    assert one.region is UNKNOWN
    assert (fallbacks("supabase"), fallbacks("mysql")) == (before[0] + 4, before[1])
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [f"{SENTENCE}; asking mysql"] * 4
    assert "ada" not in caplog.text.lower()


SENTENCE = "Supabase answers with error XX000"


def test_two_sources_are_never_mixed(mysql: MariaDB) -> None:
    """Supabase breaks down when it has given a page already."""
    page = [member_row(str(number), f"m{number}@union.example") for number in range(1000)]

    def half(request: Request) -> Answer:
        if "/members?" not in request.path:
            return Answer(200, b"[]", {"Content-Range": "*/0"})
        if "membernumber=gt." in request.path:
            return DOWN
        return Answer(200, json.dumps(page).encode(), {"Content-Range": "0-999/1500"})

    with canned(half) as server, open_directory(both(server.url, mysql)) as directory:
        listing = directory.synced_members()
    assert (listing.source, numbers(listing)) == ("mysql", MYSQL_MEMBERS)


def test_nobody_found_is_an_answer_and_no_reason_to_ask_on(sandbox: Sandbox, mysql: MariaDB) -> None:
    with open_directory(both(sandbox.url, mysql)) as directory:
        assert directory.member_with_number("1001") is None
        assert directory.members_with_email("ada@union.example") == ()


def test_the_order_is_a_setting(sandbox: Sandbox, mysql: MariaDB) -> None:
    variables = both(sandbox.url, mysql, MEMBER_SOURCES="mysql, supabase")
    with open_directory(variables) as directory:
        assert directory.synced_members().source == "mysql"
    with open_directory(variables | {"MYSQL_MEMBERS_TABLE": "nowhere"}) as directory:
        listing = directory.synced_members()
    assert (listing.source, numbers(listing), listing.from_fallback) == ("supabase", SUPABASE_MEMBERS, True)
    assert "MYSQL_MEMBERS_TABLE" in listing.failed[0]


def test_refused_credentials_are_mended_and_not_passed_over(sandbox: Sandbox, mysql: MariaDB) -> None:
    before = fallbacks("supabase")
    with (
        open_directory(both(sandbox.url, mysql, SUPABASE_KEY="wrong")) as directory,
        pytest.raises(SourceRefused, match="SUPABASE_KEY"),
    ):
        directory.synced_members()
    assert fallbacks("supabase") == before


@pytest.mark.parametrize(
    ("variables", "kind", "sentence"),
    [
        ({"MYSQL_MEMBERS_TABLE": "nowhere"}, SourceUnavailable, "MySQL has no table nowhere"),
        ({"MYSQL_PASS": "wrong"}, SourceRefused, "MySQL refuses access (1045)"),
    ],
)
def test_when_all_fail_the_last_ones_error_names_each(
    mysql: MariaDB, variables: dict[str, str], kind: type[Exception], sentence: str
) -> None:
    before = fallbacks("mysql")
    with (
        canned(lambda _request: DOWN) as server,
        open_directory(both(server.url, mysql, **variables)) as directory,
        pytest.raises(kind) as caught,
    ):
        directory.synced_members()
    assert str(caught.value).startswith(f"{SENTENCE}; {sentence}")
    assert fallbacks("mysql") == before


def sources_of(variables: dict[str, str]) -> str:
    with open_directory(variables) as directory:
        return directory.name


@pytest.mark.parametrize(
    ("variables", "sources"),
    [
        ({}, "supabase"),
        ({"MYSQL_HOST": "  "}, "supabase"),
        ({"MYSQL_USER": "reader"}, "supabase"),
        ({"MYSQL_HOST": "127.0.0.1", **NOWHERE}, "supabase,mysql"),
        ({"MYSQL_HOST": "127.0.0.1", **NOWHERE, "MEMBER_SOURCES": "supabase"}, "supabase"),
        ({"MYSQL_HOST": "127.0.0.1", **NOWHERE, "MEMBER_SOURCES": "mysql", "SUPABASE_URL": ""}, "mysql"),
        ({"MYSQL_HOST": "127.0.0.1", **NOWHERE, "MEMBER_SOURCES": "mysql,supabase"}, "mysql,supabase"),
    ],
)
def test_the_sources_are_those_that_are_named_or_set_up(variables: dict[str, str], sources: str) -> None:
    """Nothing is connected yet, so a source that is down keeps no program from its start."""
    assert sources_of(supabase_alone("http://127.0.0.1:1", **variables)) == sources


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        ({"SUPABASE_URL": ""}, "SUPABASE_URL"),
        ({"SUPABASE_URL": "", "MYSQL_HOST": "127.0.0.1", **NOWHERE}, "SUPABASE_URL"),
        ({"MEMBER_SOURCES": "supabase,mysql"}, "MYSQL_HOST"),
        ({"MEMBER_SOURCES": "mysql"}, "MYSQL_HOST"),
        ({"MYSQL_HOST": "127.0.0.1"}, "MYSQL_USER"),
    ],
)
def test_a_source_that_is_named_or_half_set_up_has_to_be_set_up(variables: dict[str, str], missing: str) -> None:
    with pytest.raises(SettingsError, match=f"^{missing} is not set"):
        sources_of(supabase_alone("http://127.0.0.1:1", **variables))


def test_the_sources_are_closed_at_the_end(sandbox: Sandbox) -> None:
    with open_directory(supabase_alone(sandbox.url)) as directory:
        directory.synced_members()
    with pytest.raises(RuntimeError, match="closed"):
        directory.synced_members()


def test_a_directory_needs_a_source() -> None:
    with pytest.raises(ValueError, match="needs a source"):
        Directory([])


def test_the_metric_has_every_source_at_zero_from_the_start() -> None:
    program = (
        "import mynatca_intercom.members.directory; from prometheus_client import generate_latest; "
        "from mynatca_intercom.metrics import REGISTRY; print(generate_latest(REGISTRY).decode())"
    )
    exported = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    for source in ("supabase", "mysql"):
        assert f'mynatca_intercom_source_fallbacks_total{{source="{source}"}} 0.0\n' in exported
