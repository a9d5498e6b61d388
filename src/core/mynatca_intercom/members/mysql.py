"""Members from the legacy MySQL (or MariaDB) database, which is only ever read.

Its `members` is the source of truth, but regions, facilities, positions and the names of types are not there: such
values are UNKNOWN. Every call has a connection of its own: a listing needs a transaction for itself, look-ups come
from several threads at once, and a connection that has been kept is one that may have been dropped.
"""

import ssl
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import TracebackType
from typing import Any, Self

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CR, ER
from pymysql.converters import encoders
from pymysql.cursors import SSCursor

from mynatca_intercom.members.member import Member, MemberListing, usable_email
from mynatca_intercom.members.rows import (
    MemberBuilder,
    References,
    Row,
    Wanted,
    has_email,
    has_number,
    is_any,
    is_synced,
    like_pattern,
    usable_number,
)
from mynatca_intercom.members.source import SourceError, SourceRefused, SourceUnavailable
from mynatca_intercom.settings import MemberSettings, MySQLSettings, SettingsError

_ONE_SNAPSHOT_READ_ONLY = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_TEXT_ONLY: dict[int | type[Any], Any] = dict(encoders.items())  # without decoders, every column comes as text
_ESCAPE = "|"  # unlike the backslash it means the same in every sql_mode

_ACCESS_DENIED = frozenset(
    {
        ER.DBACCESS_DENIED_ERROR,
        ER.ACCESS_DENIED_ERROR,
        ER.HOST_NOT_PRIVILEGED,
        ER.TABLEACCESS_DENIED_ERROR,
        ER.COLUMNACCESS_DENIED_ERROR,
        1698,  # denied without a password check (auth_socket)
        1820,  # the password has to be changed first
        1862,  # the password has expired
        3118,  # the account is locked (MySQL)
        4151,  # the account is locked (MariaDB)
    }
)
_NO_TLS_NO_ENTRY = 3159
_NONSENSE = (ValueError, LookupError, TypeError, AttributeError, AssertionError, RuntimeError, struct.error)
"""What pymysql raises, beside its own errors, on bytes that are not the protocol's."""


class MySQLSource:
    """A table of members in MySQL; a context manager, as other sources are, that holds nothing between calls."""

    def __init__(self, settings: MySQLSettings, rules: MemberSettings) -> None:
        """Does not connect yet.

        Raises:
            SettingsError: the file of `MYSQL_TLS_CA` cannot be read, or holds no certificate.
        """
        self._settings = settings
        self._rules = rules
        self._tls = _tls_context(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is open."""

    @property
    def name(self) -> str:
        """`mysql`."""
        return "mysql"

    def synced_members(self) -> MemberListing:
        """Every Active and Retired member with an email, ordered by number.

        Raises:
            SourceRefused: user, password or grants are not accepted.
            SourceUnavailable: MySQL does not answer, or with an error.
        """
        return self._listing(is_synced)

    def all_members(self) -> MemberListing:
        """Every row of the table, ordered by number.

        Raises:
            SourceError: as `synced_members`.
        """
        return self._listing(is_any)

    def members_with_email(self, email: str) -> tuple[Member, ...]:
        """Every member with this address, ordered by number.

        Raises:
            SourceError: as `synced_members`.
        """
        address = usable_email(email)
        if address is None:
            return ()
        condition = f"LOWER({self._as_text('email')}) LIKE %s ESCAPE '{_ESCAPE}'"
        return self._found(condition, like_pattern(address, _ESCAPE), has_email(address))

    def member_with_number(self, number: str) -> Member | None:
        """The member with this number, whatever the status.

        Raises:
            SourceError: as `synced_members`.
        """
        wanted = usable_number(number)
        if wanted is None:
            return None
        found = self._found(f"TRIM({self._as_text('membernumber')}) = %s", wanted, has_number(wanted))
        return next(iter(found), None)

    def _listing(self, wanted: Wanted) -> MemberListing:
        builder = MemberBuilder(References(), self._rules)
        with self._connection() as connection:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT COUNT(*) FROM {self._table}")  # noqa: S608 - a quoted identifier
                ((counted,),) = cursor.fetchall()
            return builder.listing(self.name, self._rows(connection), int(counted), wanted)

    def _found(self, condition: str, value: str, wanted: Wanted) -> tuple[Member, ...]:
        """The wanted ones of the rows that meet the condition, which may find some more."""
        with self._connection() as connection:
            rows = filter(wanted, self._rows(connection, f"WHERE {condition}", value))
            return MemberBuilder(References(), self._rules).members(rows)

    def _rows(self, connection: "Connection[Any]", condition: str = "", *values: str) -> Iterator[Row]:
        """Rows as they come from the server, so that not all of them are in memory."""
        names = self._settings.columns
        columns = ", ".join(_quoted(column) for column in names.values())
        with connection.cursor(SSCursor) as cursor:
            try:
                cursor.execute(f"SELECT {columns} FROM {self._table} {condition}", values)  # noqa: S608 - same
                for row in cursor:
                    yield dict(zip(names, row, strict=True))
            finally:
                _abandon(cursor)

    @property
    def _table(self) -> str:
        return _quoted(self._settings.table)

    def _as_text(self, name: str) -> str:
        """A column as text: compared with a text, a number would be equal to all that begins with it."""
        return f"CONVERT({_quoted(self._settings.columns[name])} USING utf8mb4)"

    @contextmanager
    def _connection(self) -> Iterator["Connection[Any]"]:
        try:
            with closing(self._connect()) as connection:
                yield connection
        except pymysql.Error as error:  # its text may quote a row
            raise _told(error, self._settings) from None
        except _NONSENSE as error:
            raise SourceUnavailable(f"MySQL does not answer as it should: {type(error).__name__}") from None

    def _connect(self) -> "Connection[Any]":
        settings = self._settings
        return pymysql.connect(
            host=settings.host,
            port=settings.port,
            user=settings.user,
            password=settings.password.get_secret_value().encode(),  # a text would have to be latin-1
            database=settings.database,
            charset="utf8mb4",
            conv=_TEXT_ONLY,
            init_command=_ONE_SNAPSHOT_READ_ONLY,
            autocommit=False,  # count and rows of a listing are read in one transaction
            connect_timeout=settings.timeout_seconds,
            read_timeout=settings.timeout_seconds,
            write_timeout=settings.timeout_seconds,
            ssl=self._tls,
            ssl_disabled=settings.tls == "disabled",
        )


def _quoted(identifier: str) -> str:
    """An identifier of the settings, which hold none with a backtick or a percent sign."""
    return f"`{identifier}`"


def _abandon(cursor: SSCursor) -> None:
    """Let pymysql not read the rest of an answer at its own clean-up, as the connection may be dead."""
    result: Any = getattr(cursor, "_result", None)  # there is no public way
    if result is not None:
        result.unbuffered_active = False


def _tls_context(settings: MySQLSettings) -> ssl.SSLContext | None:
    """What checks the server's certificate; None where that is not asked for."""
    if settings.tls == "disabled" or (settings.tls == "preferred" and settings.tls_ca is None):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca)
    except OSError as error:
        raise SettingsError(
            f"MYSQL_TLS_CA cannot be '{settings.tls_ca}': {error.strerror or type(error).__name__}. "
            "Name a PEM file with the authority's certificate, for example MYSQL_TLS_CA=/etc/ssl/mysql-ca.pem."
        ) from None
    # Certificates that MySQL made for itself lack extensions that Python 3.13 began to ask for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _told(error: pymysql.Error, settings: MySQLSettings) -> SourceError:
    """The error as a sentence of ours."""
    code = error.args[0] if error.args else 0
    cause = getattr(error, "original_exception", None)
    if code in _ACCESS_DENIED:
        return SourceRefused(f"MySQL refuses access ({code}): check MYSQL_USER, MYSQL_PASS, MYSQL_DB and the grants")
    if code in {CR.CR_SSL_CONNECTION_ERROR, _NO_TLS_NO_ENTRY} or isinstance(cause, ssl.SSLError):
        return SourceUnavailable("MySQL's TLS is not the one asked for: check MYSQL_TLS, MYSQL_TLS_CA and MYSQL_HOST")
    if code == ER.BAD_DB_ERROR:
        return SourceUnavailable("MySQL has no such database (1049): check MYSQL_DB")
    if code == ER.NO_SUCH_TABLE:
        return SourceUnavailable(f"MySQL has no table {settings.table} (1146): check MYSQL_MEMBERS_TABLE and MYSQL_DB")
    if code == ER.BAD_FIELD_ERROR:
        missing = [column for column in settings.columns.values() if f"'{column}'" in str(error)]
        return SourceUnavailable(f"MySQL's table has no column {missing[0] if missing else '?'}: check MYSQL_COLUMNS")
    detail = f" ({type(cause).__name__})" if cause else ""
    return SourceUnavailable(f"MySQL does not answer as it should: error {code}{detail}")
