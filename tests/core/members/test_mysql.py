"""Members from a real MariaDB: old tables read as they are, nothing written, and errors that name no person."""

import logging
import re
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pymysql
import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mynatca_intercom.members.member import UNKNOWN, Member
from mynatca_intercom.members.mysql import MySQLSource
from mynatca_intercom.members.source import SourceError, SourceRefused, SourceUnavailable
from mynatca_intercom.settings import MemberSettings, MySQLSettings, SettingsError, load
from support.mariadb import MariaDB
from support.relay import cut_after, relay

LEGACY = {
    "MYSQL_MEMBERS_TABLE": "legacy-members",
    "MYSQL_COLUMNS": "membernumber=member no,firstname=first_name,lastname=last_name,email=e_mail,phone=telephone,"
    "status=state,membertypeid=type$id",
}
CLIENT_SSL = 0x0800


def source_of(server: MariaDB, **variables: str) -> MySQLSource:
    environment = server.environment(**variables)
    return MySQLSource(load(MySQLSettings, environment), load(MemberSettings, environment))


@pytest.fixture
def source(mysql: MariaDB) -> Iterator[MySQLSource]:
    with source_of(mysql) as source:
        yield source


def member(number: str, name: str | None, email: str | None, phone: str | None, member_type: Any) -> Member:
    return Member(number, name, email, phone, member_type, UNKNOWN, UNKNOWN, UNKNOWN)


ADA = member("1001", "Ada Byron", "ada@union.example", "+12025550143", "Current Member")
JOSE = member("1002", "José Núñez-Øre", "ada@union.example", "+12025550144", UNKNOWN)
QUOTES = member("1003", "李 小龍 🛩", "o'brien+x@union.example", "+12025550145", "Retired Member")
BLANK = member("1005", None, None, None, None)
BOBBY = member(
    "1006", 'Robert\'); DROP TABLE members;-- "Q" \\ `B` %s', "x'or'1'='1@union.example", None, "Current Member"
)
CENT = member("1007", "Per Cent", r"a_b%c*d|e\f@union.example", None, UNKNOWN)
TAB = member("1008", "Tab Line", "tab@union.example", "+13125550142", None)
WILD = member("1009", "Like Wild", r"axb%c*d|e\f@union.example", None, "Current Member")
TWO = member('ab"c', "Two Addresses", None, None, "Current Member")
ALL = (ADA, JOSE, QUOTES, member("1004", None, None, None, None), BLANK, BOBBY, CENT, TAB, WILD, TWO)


def test_all_rows_are_members_but_those_without_a_number(source: MySQLSource) -> None:
    listing = source.all_members()
    assert listing.members == ALL
    assert (listing.source, listing.counted, listing.complete, listing.from_fallback) == ("mysql", 10, True, False)
    assert listing.left_out == {
        "number_empty": 2,
        "name_empty": 2,
        "email_unusable": 2,
        "phone_unparsable": 3,
        "member_type_unknown": 2,
        "region_unknown": 10,
        "facility_unknown": 10,
        "positions_unknown": 10,
    }


def test_active_and_retired_members_with_an_email_are_synced(source: MySQLSource) -> None:
    """In the spelling that Supabase has, too."""
    listing = source.synced_members()
    assert listing.members == (ADA, JOSE, QUOTES, BLANK, TAB, WILD)
    assert (listing.counted, listing.complete) == (6, True)


def test_columns_have_other_names_and_types(mysql: MariaDB) -> None:
    """Numbers and bytes where text belongs, in a table without transactions and in another character set."""
    source = source_of(mysql, **LEGACY)
    jose = member("1001", "José Núñez", "jose@union.example", "+12025550143", "Current Member")
    nobody = member("1002", None, None, None, UNKNOWN)
    ada = member("7", "Ada Byron", None, None, "Retired Member")
    assert source.all_members().members == (jose, nobody, ada)
    assert source.synced_members().members == (jose,)
    assert source.members_with_email("JOSE@union.example") == (jose,)
    assert source.member_with_number("7") == ada


@pytest.mark.parametrize(
    ("email", "members"),
    [
        ("ada@union.example", (ADA, JOSE)),
        ("  Ada@UNION.example\t", (ADA, JOSE)),
        ("tab@union.example", (TAB,)),
        ("O'Brien+X@union.example", (QUOTES,)),
        ("x'or'1'='1@union.example", (BOBBY,)),
        ("y'or'1'='1@union.example", ()),
        (r"a_b%c*d|e\f@union.example", (CENT,)),
        (r"axb%c*d|e\f@union.example", (WILD,)),
        ("%@union.example", ()),
        ("___@union.example", ()),
        ("nobody@union.example", ()),
        ("bob@union.example", ()),
        ("ada@union.exampl", ()),
        ("' OR 1=1 --", ()),
        ("none", ()),
        ("", ()),
        ("  ", ()),
        ("a\ud800\x00@union.example", ()),
    ],
)
def test_members_are_found_by_their_address_alone(source: MySQLSource, email: str, members: tuple[Member, ...]) -> None:
    assert source.members_with_email(email) == members


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("1001", ADA),
        (" 1001\n", ADA),
        ("1008", TAB),
        ('ab"c', TWO),
        ('AB"C', None),
        ("1004", ALL[3]),
        ("1001abc", None),
        ("01001", None),
        ("1001.0", None),
        ("0", None),
        ("' OR '1'='1", None),
        ("1001' -- ", None),
        ("%", None),
        ("", None),
        (" ", None),
        ("1001\x00", None),
        ("\ud800", None),
    ],
)
def test_a_member_is_found_by_the_number_alone(source: MySQLSource, number: str, found: Member | None) -> None:
    assert source.member_with_number(number) == found


@pytest.mark.parametrize("number", ["7abc", "7.0", "0x7", "7e0", "007", "' OR 1=1 -- ", "%", "七"])
def test_a_number_of_a_numeric_column_is_compared_as_text(mysql: MariaDB, number: str) -> None:
    """To MySQL, 7 = '7abc'."""
    assert source_of(mysql, **LEGACY).member_with_number(number) is None


def test_a_write_through_its_connection_is_refused(mysql: MariaDB, source: MySQLSource) -> None:
    """Although the user may write, and in tables without transactions too."""
    with source._connection() as connection, connection.cursor() as cursor:
        for statement in ("DELETE FROM members", "INSERT INTO `legacy-members` VALUES ()", "DROP TABLE narrow"):
            with pytest.raises(pymysql.Error, match="READ ONLY"):
                cursor.execute(statement)
    assert mysql.run("SELECT COUNT(*) FROM natca.members") == [(12,)]


def test_count_and_rows_are_of_one_moment(mysql: MariaDB) -> None:
    """While members vanish one by one, no listing misses one that it has counted."""
    values = ",".join(f"('{i}', 'm{i}@union.example', 'Active')" for i in range(20_000))
    mysql.run(f"INSERT INTO natca.many (membernumber, email, status) VALUES {values}")  # noqa: S608 - made up here
    source, over = source_of(mysql, MYSQL_MEMBERS_TABLE="many"), threading.Event()

    def vanish() -> None:
        with closing(mysql.connect(database="natca")) as connection, connection.cursor() as cursor:
            while not over.is_set():
                cursor.execute("DELETE FROM many LIMIT 1")

    with ThreadPoolExecutor(1) as pool:
        vanishing = pool.submit(vanish)
        listings = [source.all_members() for _ in range(10)]
        over.set()
        vanishing.result()
    assert len({listing.counted for listing in listings}) > 1
    assert all(listing.complete for listing in listings)


@contextmanager
def silent_server() -> Iterator[int]:
    """Let clients in and say nothing; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_silent_server_is_waited_for_only_so_long(mysql: MariaDB) -> None:
    started = time.monotonic()
    with silent_server() as port, pytest.raises(SourceUnavailable, match="error 2013"):
        source_of(mysql, MYSQL_PORT=str(port), MYSQL_TIMEOUT_SECONDS="0.2").synced_members()
    assert time.monotonic() - started < 5


def test_a_server_that_falls_silent_is_waited_for_only_so_long(mysql: MariaDB) -> None:
    with closing(mysql.connect(database="natca")) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLES `legacy-members` WRITE")
        with pytest.raises(SourceUnavailable, match="error 2013"):
            source_of(mysql, **LEGACY, MYSQL_TIMEOUT_SECONDS="0.2").all_members()


def test_a_server_that_is_down_is_unavailable(mysql: MariaDB) -> None:
    with silent_server() as port:
        pass
    with pytest.raises(SourceUnavailable, match="ConnectionRefusedError"):
        source_of(mysql, MYSQL_PORT=str(port)).synced_members()


def test_a_line_that_is_cut_anywhere_is_an_unavailable_source_and_the_next_call_goes_on(mysql: MariaDB) -> None:
    """Never half a listing, and pymysql reads no more from the dead connection when it cleans up."""
    length = bytes_of_a_listing(mysql)
    for end in range(0, length, max(length // 40, 1)):
        with relay(mysql.port, cut_after(end)) as line:
            source = source_of(mysql, MYSQL_PORT=str(line.port), MYSQL_TLS="disabled")
            with pytest.raises(SourceUnavailable, match="error 2013"):
                source.all_members()
            line.change = lambda _position, data: data
            assert source.member_with_number("1001") == ADA


def bytes_of_a_listing(mysql: MariaDB) -> int:
    """How much the server says until all rows are there."""
    said: list[bytes] = []

    def keep(_position: int, data: bytes) -> bytes:
        said.append(data)
        return data

    with relay(mysql.port, keep) as line:
        source_of(mysql, MYSQL_PORT=str(line.port), MYSQL_TLS="disabled").all_members()
    return len(b"".join(said))


def test_a_call_whose_connection_is_killed_fails_alone(mysql: MariaDB, source: MySQLSource) -> None:
    def killed() -> None:
        with source._connection() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT CONNECTION_ID()")
            ((number,),) = cursor.fetchall()
            mysql.run(f"KILL {number}")
            cursor.execute("SELECT 1")

    with pytest.raises(SourceUnavailable, match="error"):
        killed()
    assert source.member_with_number("1001") == ADA


def test_several_threads_may_ask_at_once(mysql: MariaDB, source: MySQLSource) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(source.member_with_number, ["1001", "1003", "9"] * 20))
    assert found == [ADA, QUOTES, None] * 20
    with pytest.raises(SourceRefused):
        source_of(mysql, MYSQL_PASS="wrong").all_members()
    with pytest.raises(SourceUnavailable):
        source_of(mysql, MYSQL_MEMBERS_TABLE="nowhere").all_members()
    deadline = time.monotonic() + 10
    while mysql.run("SELECT id FROM information_schema.processlist WHERE user = 'reader'"):
        assert time.monotonic() < deadline, "connections are left open"


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"MYSQL_PASS": "wrong"}, "(1045)"),
        ({"MYSQL_USER": "nobody"}, "(1045)"),
        ({"MYSQL_USER": "encrypted", "MYSQL_TLS": "disabled"}, "(1045)"),
        ({"MYSQL_USER": "stranger"}, "(1044)"),
        ({"MYSQL_USER": "half"}, "(1143)"),
        ({"MYSQL_USER": "half", "MYSQL_MEMBERS_TABLE": "narrow"}, "(1142)"),
        ({"MYSQL_DB": "mysql"}, "(1044)"),
    ],
)
def test_refused_credentials_are_told_from_a_failing_source(
    mysql: MariaDB, variables: dict[str, str], sentence: str
) -> None:
    with pytest.raises(SourceRefused, match=re.escape(sentence)) as caught:
        source_of(mysql, **variables).synced_members()
    assert str(caught.value).startswith("MySQL ")
    assert "MYSQL_PASS" in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"MYSQL_MEMBERS_TABLE": "people"}, "MySQL has no table people (1146): check MYSQL_MEMBERS_TABLE and MYSQL_DB"),
        ({"MYSQL_COLUMNS": "email=mail"}, "MySQL's table has no column mail: check MYSQL_COLUMNS"),
        ({"MYSQL_MEMBERS_TABLE": "narrow"}, "MySQL's table has no column lastname: check MYSQL_COLUMNS"),
    ],
)
def test_what_is_not_there_is_named_with_its_setting(mysql: MariaDB, variables: dict[str, str], sentence: str) -> None:
    with pytest.raises(SourceUnavailable, match=f"^{re.escape(sentence)}$"):
        source_of(mysql, **variables).synced_members()


def test_a_database_that_is_not_there_is_named_with_its_setting(mysql: MariaDB) -> None:
    """Whoever may not see every database is refused instead."""
    mysql.run("CREATE USER allmighty@'%' IDENTIFIED BY 'pass wörd €'; GRANT SELECT ON *.* TO allmighty@'%'")
    with pytest.raises(SourceUnavailable, match=r"no such database .* MYSQL_DB"):
        source_of(mysql, MYSQL_USER="allmighty", MYSQL_DB="elsewhere").synced_members()


def cipher(source: MySQLSource) -> str:
    """What the connection is encrypted with; nothing if it is not."""
    with source._connection() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        ((_, name),) = cursor.fetchall()
    return str(name)


def test_tls_is_used_as_asked_for(mysql: MariaDB) -> None:
    assert cipher(source_of(mysql, MYSQL_TLS="disabled")) == ""
    assert cipher(source_of(mysql)).startswith("TLS_")
    assert cipher(source_of(mysql, MYSQL_TLS_CA=str(mysql.ca_file))).startswith("TLS_")
    assert cipher(source_of(mysql, MYSQL_TLS="required", MYSQL_TLS_CA=str(mysql.ca_file))).startswith("TLS_")
    assert source_of(mysql, MYSQL_USER="encrypted").member_with_number("1001") == ADA


@pytest.mark.parametrize("tls", ["required", "preferred"])
def test_a_server_that_somebody_else_vouches_for_is_refused(mysql: MariaDB, tmp_path: Path, tls: str) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    with pytest.raises(SourceUnavailable, match="check MYSQL_TLS, MYSQL_TLS_CA"):
        source_of(mysql, MYSQL_TLS=tls, MYSQL_TLS_CA=str(tmp_path / "other.pem")).synced_members()


def test_a_server_of_another_name_is_refused(mysql: MariaDB) -> None:
    with pytest.raises(SourceUnavailable, match="check MYSQL_TLS"):
        source_of(mysql, MYSQL_HOST="localhost", MYSQL_TLS_CA=str(mysql.ca_file)).synced_members()


def test_without_a_file_the_systems_authorities_have_to_vouch(mysql: MariaDB) -> None:
    with pytest.raises(SourceUnavailable, match="check MYSQL_TLS"):
        source_of(mysql, MYSQL_TLS="required").synced_members()


@pytest.mark.parametrize(("name", "content"), [("missing.pem", None), ("junk.pem", "junk"), ("", None)])
def test_a_file_without_an_authority_is_a_mistake_in_the_settings(
    mysql: MariaDB, tmp_path: Path, name: str, content: str | None
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match=r"^MYSQL_TLS_CA cannot be .*for example MYSQL_TLS_CA="):
        source_of(mysql, MYSQL_TLS_CA=str(file))


def without_tls(position: int, data: bytes) -> bytes:
    """The server's greeting as somebody on the line changes it, so that all goes in the clear."""
    if position:
        return data
    at = data.index(0, 5) + 1 + 4 + 8 + 1
    flags = int.from_bytes(data[at : at + 2], "little") & ~CLIENT_SSL
    return data[:at] + flags.to_bytes(2, "little") + data[at + 2 :]


def test_nothing_is_said_to_a_server_that_cannot_encrypt_when_it_must(mysql: MariaDB) -> None:
    with relay(mysql.port, without_tls) as line:
        source = source_of(mysql, MYSQL_PORT=str(line.port), MYSQL_TLS_CA=str(mysql.ca_file))
        with pytest.raises(SourceUnavailable, match="check MYSQL_TLS"):
            source.member_with_number("1001")
        assert line.said == b""
        assert source_of(mysql, MYSQL_PORT=str(line.port)).member_with_number("1001") == ADA
        assert b"reader" in line.said


def error_of(source: MySQLSource) -> SourceError | None:
    try:
        source.all_members()
    except SourceError as error:
        return error
    return None


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 2500), junk=st.binary(min_size=1, max_size=30))
def test_nonsense_is_an_unavailable_source(mysql: MariaDB, at: int, junk: bytes) -> None:
    """Whatever the server says in place of what it should, an error is one of a source, or nothing was amiss."""

    def spoil(position: int, data: bytes) -> bytes:
        place = at - position
        return data[:place] + junk + data[place + len(junk) :] if 0 <= place < len(data) else data

    with relay(mysql.port, spoil) as line:
        variables = {"MYSQL_PORT": str(line.port), "MYSQL_TLS": "disabled", "MYSQL_TIMEOUT_SECONDS": "0.3"}
        error = error_of(source_of(mysql, **variables))
    assert error is None or str(error).startswith("MySQL")
    assert "@" not in "".join(traceback.format_exception(error))


FAULTS: dict[str, dict[str, str]] = {
    "password": {"MYSQL_PASS": "s3cret-word"},
    "table": {"MYSQL_MEMBERS_TABLE": "people"},
    "column": {"MYSQL_COLUMNS": "email=mail"},
    "certificate": {"MYSQL_TLS": "required"},
    "port": {"MYSQL_PORT": "1"},
    "name": {"MYSQL_HOST": "no-such-host.invalid"},
    "grants": {"MYSQL_USER": "stranger"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_error_and_no_log_line_tells_who_was_looked_for_or_the_password(
    mysql: MariaDB, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    source, email = source_of(mysql, **FAULTS[fault]), "ada@union.example"
    for look_up in (source.members_with_email, source.member_with_number):
        with pytest.raises(SourceError) as caught:
            look_up(email)
        told = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(source._settings)
        for secret in ("ada@", "union.example", "s3cret", "wörd"):
            assert secret not in told
