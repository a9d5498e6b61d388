"""The copy of all members: it answers what the source told, only when no source answers, and only while it is young."""

import fcntl
import math
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings

from mynatca_intercom import metrics
from mynatca_intercom.members.cache import MemberCache
from mynatca_intercom.members.directory import Directory, open_directory
from mynatca_intercom.members.member import UNKNOWN, Member
from mynatca_intercom.members.source import SourceRefused, SourceUnavailable
from mynatca_intercom.metrics import REGISTRY
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import World
from support.canned import Answer, Request, canned
from support.mariadb import MariaDB
from support.worlds import NUMBERS, member_row, world_of, worlds

DOWN = Answer(500, b'{"code":"XX000","message":"row ada@union.example"}')
DAY = 86_400.0
T = TypeVar("T")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(world_of([])) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def down() -> Iterator[str]:
    """The address of a Supabase that is out of order."""
    with canned(lambda _request: DOWN) as server:
        yield server.url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "members.db"


def supabase(url: str, **more: str) -> dict[str, str]:
    return {"SUPABASE_URL": url, "SUPABASE_KEY": "sandbox-key", **more}


def refreshed(cache: MemberCache, url: str, refresh_seconds: float = 1e-9) -> None:
    with open_directory(supabase(url)) as directory:
        cache.refresh(directory, refresh_seconds)


def filled(file: Path, sandbox: Sandbox, *numbers: str) -> MemberCache:
    """A copy of members with these numbers; the address of each is m<number>@union.example."""
    sandbox.reset(world_of([member_row(number, f"m{number}@union.example") for number in numbers]))
    cache = MemberCache(file, DAY)
    refreshed(cache, sandbox.url)
    return cache


def number_found(cache: MemberCache, url: str, number: str) -> str | None:
    """What a directory with the cache behind this Supabase says."""
    with open_directory(supabase(url)) as directory:
        member = directory.followed_by(cache).member_with_number(number)
        return member.number if member else None


def told(look_up: Callable[[str], T], value: str) -> T | None:
    """What is found; None where the copy does not tell."""
    try:
        return look_up(value)
    except SourceUnavailable:
        return None


def aged(file: Path, seconds: float) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE listing SET listed_at = ?", [time.time() - seconds])


def answered() -> float:
    return REGISTRY.get_sample_value("mynatca_intercom_member_cache_answers_total") or 0


class TestAnswers:
    """Look-ups while no source answers."""

    @settings(max_examples=25, deadline=None)
    @given(world=worlds())
    def test_they_are_the_sources_own_or_none(
        self, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, world: World
    ) -> None:
        """Known, known empty and unknown values come back as they were; a region may well be called `unknown`."""
        world.tables["regions"][0]["code"] = "unknown"
        sandbox.reset(world)
        cache = MemberCache(tmp_path_factory.mktemp("cache") / "members.db", DAY)
        with open_directory(supabase(sandbox.url)) as directory:
            cache.refresh(directory, 1)
            emails = {str(row["email"]) for row in world.tables["members"]} | {" ANN@example.com ", "x"}
            for number in (*NUMBERS, "nobody's", " "):
                assert told(cache.member_with_number, number) == directory.member_with_number(number)
            for email in emails:
                assert (told(cache.members_with_email, email) or ()) == directory.members_with_email(email)

    def test_what_mysql_does_not_know_stays_unknown(self, mysql: MariaDB, file: Path, down: str) -> None:
        cache = MemberCache(file, DAY)
        variables = supabase(down, **mysql.environment())
        with open_directory(variables) as directory:
            cache.refresh(directory, 1)
            ada = directory.member_with_number("1001")
        assert isinstance(ada, Member)
        assert (ada.region, ada.positions) == (UNKNOWN, UNKNOWN)
        assert cache.member_with_number("1001") == ada
        assert cache.members_with_email("ada@union.example")[0].region is UNKNOWN

    def test_they_are_counted_and_marked_as_a_fallbacks(self, sandbox: Sandbox, file: Path, down: str) -> None:
        cache = filled(file, sandbox, "1")
        before = answered()
        with open_directory(supabase(down)) as without_it:
            directory = without_it.followed_by(cache)
            answer = directory.ask(lambda source: source.members_with_email("m1@union.example"))
        assert directory.name == "supabase,cache"
        assert ([member.number for member in answer.value], answer.from_fallback) == (["1"], True)
        assert answered() == before + 1

    def test_a_source_that_answers_is_the_only_one_asked(self, sandbox: Sandbox, file: Path) -> None:
        """Also when it says that there is nobody."""
        cache = filled(file, sandbox, "1")
        sandbox.reset(world_of([member_row("2", "m2@union.example")]))
        with open_directory(supabase(sandbox.url)) as up:
            answer = up.followed_by(cache).ask(lambda source: source.member_with_number("1"))
        assert (answer.value, answer.from_fallback) == (None, False)

    def test_refused_credentials_are_not_hidden(self, sandbox: Sandbox, file: Path) -> None:
        cache = filled(file, sandbox, "1")
        with open_directory(supabase(sandbox.url, SUPABASE_KEY="wrong")) as directory, pytest.raises(SourceRefused):
            directory.followed_by(cache).member_with_number("1")

    def test_whoever_is_not_in_it_may_be_a_member_all_the_same(self, sandbox: Sandbox, file: Path, down: str) -> None:
        cache = filled(file, sandbox, "1")
        with pytest.raises(SourceUnavailable, match=r"Supabase .*; the member cache does not have this member"):
            number_found(cache, down, "2")

    def test_one_that_is_too_old_does_not_answer(self, sandbox: Sandbox, file: Path, down: str) -> None:
        cache = filled(file, sandbox, "1")
        aged(file, DAY - 60)
        assert number_found(cache, down, "1") == "1"
        aged(file, DAY + 60)
        with pytest.raises(SourceUnavailable, match=r"; the member cache is 864\d\d s old"):
            number_found(cache, down, "1")

    def test_it_never_gives_a_listing(self, sandbox: Sandbox, file: Path, down: str) -> None:
        cache = filled(file, sandbox, "1")
        with open_directory(supabase(down)) as without_it:
            directory = without_it.followed_by(cache)
            for listing in (directory.all_members, directory.synced_members):
                with pytest.raises(SourceUnavailable, match="gives no listings"):
                    listing()

    @pytest.mark.parametrize("content", [None, b"", b"no database", b"SQLite format 3\0" + b"\xff" * 4096])
    def test_no_file_or_a_broken_one_is_as_none(self, sandbox: Sandbox, file: Path, content: bytes | None) -> None:
        cache = MemberCache(file, DAY)
        if content is not None:
            file.parent.mkdir()
            file.write_bytes(content)
        assert cache.age_seconds() == math.inf
        with pytest.raises(SourceUnavailable, match="cannot be read"):
            cache.member_with_number("1")
        assert filled(file, sandbox, "1").member_with_number("1").number == "1"

    def test_one_of_another_version_is_as_none(self, sandbox: Sandbox, file: Path) -> None:
        cache = filled(file, sandbox, "1")
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("UPDATE members SET fields = json_remove(json_set(fields, '$.star', 1), '$.name')")
        with pytest.raises(SourceUnavailable, match="cannot be read"):
            cache.member_with_number("1")


class TestRefresh:
    """When the copy is replaced, and when not."""

    def test_it_is_its_owners_alone(self, sandbox: Sandbox, file: Path) -> None:
        filled(file, sandbox, "1")
        files = {each.name: each.stat().st_mode & 0o777 for each in file.parent.iterdir()}
        assert files == {"members.db": 0o600, "members.db.lock": 0o600}
        assert file.parent.stat().st_mode & 0o777 == 0o700

    def test_a_folder_that_is_there_keeps_its_mode(self, sandbox: Sandbox, file: Path) -> None:
        file.parent.mkdir(mode=0o755)
        filled(file, sandbox, "1")
        assert file.parent.stat().st_mode & 0o777 == 0o755

    def test_a_young_one_costs_the_source_nothing(self, sandbox: Sandbox, file: Path, down: str) -> None:
        cache = filled(file, sandbox, "1")
        refreshed(cache, down, refresh_seconds=3600)
        aged(file, 3601)
        with pytest.raises(SourceUnavailable):
            refreshed(cache, down, refresh_seconds=3600)

    def test_a_member_who_left_is_gone_with_the_next_one(self, sandbox: Sandbox, file: Path) -> None:
        numbers = [str(number) for number in range(10)]
        filled(file, sandbox, *numbers)
        cache = filled(file, sandbox, *numbers[1:])
        assert cache.member_with_number("9").number == "9"
        with pytest.raises(SourceUnavailable):
            cache.member_with_number("0")

    def test_a_far_shorter_listing_does_not_replace_it(self, sandbox: Sandbox, file: Path) -> None:
        """A person who knows better removes the file that the sentence names."""
        numbers = [str(number) for number in range(10)]
        cache = filled(file, sandbox, *numbers)
        with pytest.raises(SourceUnavailable, match=f"8 members, and the member cache has 10.*remove {file}"):
            filled(file, sandbox, *numbers[:8])
        assert cache.member_with_number("9").number == "9"
        file.unlink()
        filled(file, sandbox, *numbers[:8])
        assert cache.member_with_number("7").number == "7"

    def test_an_empty_or_half_a_listing_does_not_replace_it(self, sandbox: Sandbox, file: Path) -> None:
        cache = filled(file, sandbox, "1")
        with pytest.raises(SourceUnavailable, match="gave 0 of 0"):
            filled(file, sandbox)

        def half(request: Request) -> Answer:
            counted = 3 if "/members?" in request.path else 0
            rows = b'[{"membernumber":"7"}]' if counted and "gt." not in request.path else b"[]"
            return Answer(200, rows.replace(b'"7"', COLUMNS), {"Content-Range": f"*/{counted}"})

        with canned(half) as server, pytest.raises(SourceUnavailable, match="gave 1 of "):
            refreshed(cache, server.url)
        assert cache.member_with_number("1").number == "1"

    def test_a_full_disk_leaves_it_as_it_was(self, sandbox: Sandbox, file: Path) -> None:
        """A process that may write 20 KiB a file cannot copy a thousand members."""
        cache = filled(file, sandbox, "1")
        numbers = [str(number) for number in range(1000)]
        sandbox.reset(world_of([member_row(number, f"m{number}@union.example") for number in numbers]))
        told = in_another_process(REFRESH, str(file), sandbox.url, file_kib=20).communicate(timeout=60)[1]
        assert "OSError: the member cache cannot be written" in told
        assert cache.member_with_number("1").number == "1"
        assert {each.name for each in file.parent.iterdir()} == {"members.db", "members.db.lock"}

    def test_what_a_killed_process_left_is_no_hindrance(self, sandbox: Sandbox, file: Path) -> None:
        file.parent.mkdir()
        file.with_name("members.db.part").write_bytes(b"half")
        assert filled(file, sandbox, "1").member_with_number("1").number == "1"

    def test_one_process_is_enough(self, sandbox: Sandbox, file: Path, down: str) -> None:
        """Who finds another one at it leaves it alone."""
        cache = filled(file, sandbox, "1")
        with file.with_name("members.db.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            refreshed(cache, down)
        with pytest.raises(SourceUnavailable):
            refreshed(cache, down)

    def test_readers_in_other_processes_always_find_a_whole_one(self, sandbox: Sandbox, file: Path) -> None:
        cache = filled(file, sandbox, *map(str, range(50)))
        reader = in_another_process(READ_UNTIL_TOLD, str(file))
        assert reader.stdout
        try:
            assert reader.stdout.readline() == "49\n"
            for _ in range(20):
                refreshed(cache, sandbox.url)
        finally:
            found, errors = reader.communicate("enough\n", timeout=60)
        assert (errors, reader.returncode) == ("", 0)
        assert int(found) > 20


COLUMNS = (
    b'"7","firstname":null,"lastname":null,"email":null,"phone":null,"status":null,"membertypeid":null,'
    b'"region_id":null,"facility_id":null'
)


READ_UNTIL_TOLD = """
import select, sys
from pathlib import Path
from mynatca_intercom.members.cache import MemberCache
cache, found = MemberCache(Path(sys.argv[1]), 86400), 0
print(cache.member_with_number("49").number, flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    found += cache.member_with_number("49").number == "49"
print(found)
"""

REFRESH = """
import signal, sys
from pathlib import Path
from mynatca_intercom.members.cache import MemberCache
from mynatca_intercom.members.directory import open_directory
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with open_directory({"SUPABASE_URL": sys.argv[2], "SUPABASE_KEY": "sandbox-key"}) as directory:
    MemberCache(Path(sys.argv[1]), 1).refresh(directory, 1e-9)
"""


def in_another_process(program: str, *arguments: str, file_kib: int | None = None) -> "subprocess.Popen[str]":
    """Start a program, which may write no file longer than `file_kib`."""
    limit = ["bash", "-c", f'ulimit -f {file_kib}; exec "$@"', "limit"] if file_kib else []
    return subprocess.Popen(
        [*limit, sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestAge:
    """What the metric says."""

    @pytest.fixture(autouse=True)
    def unset(self) -> Iterator[None]:
        yield
        metrics.CACHE_AGE._read = None

    def exported(self) -> float | None:
        return REGISTRY.get_sample_value("mynatca_intercom_member_cache_age_seconds")

    def test_without_a_cache_there_is_no_sample(self) -> None:
        assert self.exported() is None

    def test_it_is_that_of_the_listing_and_not_of_the_process(self, sandbox: Sandbox, file: Path) -> None:
        """So it is right in every process, and after a restart; without a copy it is infinite."""
        metrics.CACHE_AGE.set_source(MemberCache(file, DAY).age_seconds)
        assert self.exported() == math.inf
        filled(file, sandbox, "1")
        assert 0 <= (self.exported() or math.inf) < 60
        aged(file, 7200)
        assert 7200 <= (self.exported() or math.inf) < 7260


def test_a_directory_that_is_followed_stays_as_it_was(sandbox: Sandbox, file: Path) -> None:
    """What refreshes the copy must not read the copy."""
    with open_directory(supabase(sandbox.url)) as directory:
        directory.followed_by(MemberCache(file, DAY))
        assert isinstance(directory, Directory)
        assert directory.name == "supabase"
