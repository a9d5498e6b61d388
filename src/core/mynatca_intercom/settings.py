"""Every setting that the programs read from the environment: meaning, unit, default and an example.

Settings are grouped by subject; a program loads the groups that it needs once, at its start. Values are checked
here; what they are good for is decided where they are used. `docs/settings.md` is generated from this module.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args

import phonenumbers
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

INTERCOM_HOSTS = {
    "us": "https://api.intercom.io",
    "eu": "https://api.eu.intercom.io",
    "au": "https://api.au.intercom.io",
}


def _without_trailing_slash(value: object) -> object:
    return value.rstrip("/") if isinstance(value, str) else value


def _as_header(secret: SecretStr) -> SecretStr:
    """Refuse what no HTTP header can hold, such as the dots of a masked copy."""
    text = secret.get_secret_value()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise PydanticCustomError("secret", "It has spaces, or letters that no key has")
    return secret


Secret = Annotated[SecretStr, AfterValidator(_as_header)]


def _known_phone_region(value: str) -> str:
    if value not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("Value should be a country with phone numbers, as two capital letters")
    return value


Url = Annotated[str, BeforeValidator(_without_trailing_slash), StringConstraints(pattern=r"^https?://[^\s/]+[^\s]*$")]


MEMBER_SOURCES = ("supabase", "mysql")
"""Every source of members, in the order in which they are tried by default."""

MEMBER_COLUMNS = ("membernumber", "firstname", "lastname", "email", "phone", "status", "membertypeid")
"""The columns of MySQL's `members` that are read, by the names that they have here."""

_IDENTIFIER = re.compile(r"[\w$ -]{1,64}")


def _identifier(value: str) -> str:
    if not _IDENTIFIER.fullmatch(value):
        raise PydanticCustomError("identifier", "It should be a name of letters, digits, _, $, - and spaces")
    return value


def _known_sources(value: str) -> str:
    names = [name.strip() for name in value.split(",")]
    if len(set(names)) < len(names) or not set(names) <= set(MEMBER_SOURCES):
        raise PydanticCustomError("sources", f"It should be some of {', '.join(MEMBER_SOURCES)}, each once")
    return ",".join(names)


def _column_names(value: str) -> str:
    pairs = [[part.strip() for part in pair.split("=")] for pair in value.split(",")]
    names = [pair[0] for pair in pairs]
    if any(len(pair) != 2 for pair in pairs) or len(set(names)) < len(names) or not set(names) <= set(MEMBER_COLUMNS):
        raise PydanticCustomError("columns", "It should be pairs of ours=yours, with each of ours once")
    return ",".join(f"{ours}={_identifier(yours)}" for ours, yours in pairs)


Identifier = Annotated[str, AfterValidator(_identifier)]

_KEY_NAME = re.compile(r"[A-Za-z][\w-]{0,63}", re.ASCII)
_KEY = re.compile(r"[\w.~+/-]{32,256}={0,2}", re.ASCII)
"""A key that is hard to guess, of letters that `Authorization: Bearer` can hold (RFC 6750, 2.1)."""


def _named_keys(text: str) -> list[tuple[str, str]]:
    pairs = [pair.strip().partition("=") for pair in text.split(",")]
    return [(name, key) for name, _, key in pairs]


def _usable_keys(secret: SecretStr) -> SecretStr:
    pairs = _named_keys(secret.get_secret_value())
    distinct = {name for name, _ in pairs}, {key for _, key in pairs}
    if any(len(each) < len(pairs) for each in distinct):
        raise PydanticCustomError("keys", "A name or a key is there twice")
    if not all(_KEY_NAME.fullmatch(name) and _KEY.fullmatch(key) for name, key in pairs):
        raise PydanticCustomError(
            "keys", "It should be pairs of name=key, with keys of 32 to 256 letters, digits and -._~+/"
        )
    return secret


class SettingsError(Exception):
    """The environment lacks a setting or holds a bad one; the text names variable, rule and an example."""


class Settings(BaseModel):
    """A group of settings; each field's alias is its environment variable."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class IntercomSettings(Settings):
    """How to reach the Intercom workspace and how hard to press it."""

    access_token: Secret = Field(
        alias="INTERCOM_ACCESS_TOKEN",
        description="Access token of the private app, from Intercom's Developer Hub.",
        examples=["dG9rOjEyMzQ="],
    )
    region: Literal["us", "eu", "au"] = Field(
        "us", alias="INTERCOM_REGION", description="Region that hosts the workspace.", examples=["eu"]
    )
    url: Url | None = Field(
        None,
        alias="INTERCOM_URL",
        description="API address in place of the region's own, for the sandbox or a proxy.",
        examples=["http://127.0.0.1:8080"],
    )
    reserve: float = Field(
        0.05,
        alias="INTERCOM_RESERVE",
        ge=0,
        lt=1,
        description="Share of each rate-limit window that runs leave to others, the webhook first of all, "
        "which itself leaves none.",
        examples=["0.05"],
    )
    concurrency: int = Field(
        50,
        alias="INTERCOM_CONCURRENCY",
        ge=1,
        le=200,
        description="Calls in flight at once. 50 reach 10,000 calls a minute even at 0.3 s a call.",
        examples=["50"],
    )
    timeout_seconds: float = Field(
        30,
        alias="INTERCOM_TIMEOUT_SECONDS",
        gt=0,
        description="Seconds to wait for a connection and for each part of an answer.",
        examples=["30"],
    )
    max_attempts: int = Field(
        6,
        alias="INTERCOM_MAX_ATTEMPTS",
        ge=1,
        le=20,
        description="Times that one call is sent at most (after 429, 5xx or no answer). "
        "The waits of six attempts outlast a rate-limit window.",
        examples=["6"],
    )
    create_attributes: bool = Field(
        default=True,
        alias="INTERCOM_CREATE_ATTRIBUTES",
        description="Create missing contact attributes before the first write; false: stop with exit code 2.",
        examples=["false"],
    )
    admin_id: str | None = Field(
        None,
        alias="INTERCOM_ADMIN_ID",
        pattern=r"^\d+$",
        description="Teammate in whose name conversations are written to; default: the one that the token belongs to.",
        examples=["7000003"],
    )
    search_lag_seconds: int = Field(
        300,
        alias="INTERCOM_SEARCH_LAG_SECONDS",
        ge=0,
        le=3600,
        description="Seconds by which Intercom's search may be late. So long a run waits after its last archive before "
        "it looks once more whether somebody wrote in meanwhile.",
        examples=["300"],
    )

    @property
    def base_url(self) -> str:
        """The API's address: `INTERCOM_URL`, else the region's host."""
        return self.url or INTERCOM_HOSTS[self.region]


class SupabaseSettings(Settings):
    """Where the members are."""

    url: Url = Field(alias="SUPABASE_URL", description="Project address.", examples=["https://abcd.supabase.co"])
    key: Secret = Field(alias="SUPABASE_KEY", description="Key that may read the tables.", examples=["sb_secret_..."])
    schema_name: str = Field("public", alias="SUPABASE_SCHEMA", description="Database schema.", examples=["dev"])
    timeout_seconds: float = Field(
        20,
        alias="SUPABASE_TIMEOUT_SECONDS",
        gt=0,
        description="Seconds to wait for one page.",
        examples=["20"],
    )


class MySQLSettings(Settings):
    """The legacy database, where members are looked for when Supabase fails."""

    host: str = Field(alias="MYSQL_HOST", description="Server's name or address.", examples=["mysql.example.org"])
    port: int = Field(3306, alias="MYSQL_PORT", ge=1, le=65535, description="Server's port.", examples=["3306"])
    user: str = Field(alias="MYSQL_USER", description="User who may read the table.", examples=["reader"])
    password: SecretStr = Field(alias="MYSQL_PASS", description="The user's password.", examples=["s3cret"])
    database: str = Field(alias="MYSQL_DB", description="Database with the table.", examples=["natca"])
    timeout_seconds: float = Field(
        20,
        alias="MYSQL_TIMEOUT_SECONDS",
        gt=0,
        le=86400,
        description="Seconds to wait for a connection and for each part of an answer.",
        examples=["20"],
    )
    tls: Literal["required", "preferred", "disabled"] = Field(
        "preferred",
        alias="MYSQL_TLS",
        description="`required`: encrypted, and the server's certificate and name are checked; "
        "`preferred`: encrypted if the server can, but unchecked; `disabled`: in the clear.",
        examples=["required"],
    )
    tls_ca: Path | None = Field(
        None,
        alias="MYSQL_TLS_CA",
        description="PEM file of the authority that vouches for the server, in place of the system's own; "
        "makes `preferred` mean `required`.",
        examples=["/etc/mynatca-intercom/mysql-ca.pem"],
    )
    table: Identifier = Field(
        "members", alias="MYSQL_MEMBERS_TABLE", description="Table of members.", examples=["members"]
    )
    column_names: Annotated[str, AfterValidator(_column_names)] | None = Field(
        None,
        alias="MYSQL_COLUMNS",
        description="Columns that have other names there, as pairs of ours=yours. "
        f"Ours are {', '.join(MEMBER_COLUMNS)}.",
        examples=["email=e_mail,membernumber=member_no"],
    )

    @property
    def columns(self) -> dict[str, str]:
        """The name in the database of each of `MEMBER_COLUMNS`."""
        pairs = self.column_names.split(",") if self.column_names else []
        renamed = dict(pair.split("=") for pair in pairs)
        return {name: renamed.get(name, name) for name in MEMBER_COLUMNS}


class DirectorySettings(Settings):
    """In which order members are looked for."""

    sources: Annotated[str, AfterValidator(_known_sources)] = Field(
        ",".join(MEMBER_SOURCES),
        alias="MEMBER_SOURCES",
        description="Sources of members; each is the fallback of those before it. By default `mysql` is left out "
        "where `MYSQL_HOST` is not set.",
        examples=["supabase"],
    )

    @property
    def names(self) -> tuple[str, ...]:
        """The sources in their order."""
        return tuple(self.sources.split(","))

    @property
    def chosen(self) -> bool:
        """Whether somebody named them, so that each must be set up."""
        return "sources" in self.model_fields_set


class MemberSettings(Settings):
    """How rows of the source become members."""

    phone_region: Annotated[str, AfterValidator(_known_phone_region)] = Field(
        "US",
        alias="PHONE_REGION",
        description="Country of phone numbers without a country code (ISO 3166-1).",
        examples=["US"],
    )
    current_type_id: int = Field(
        6,
        alias="CURRENT_MEMBER_TYPE_ID",
        description="`membertypeid` of a current member.",
        examples=["6"],
    )
    current_type_name: str = Field(
        "Current Member",
        alias="CURRENT_MEMBER_TYPE_NAME",
        description="`member_type` of Active members of that type.",
        examples=["Current Member"],
    )
    retired_type_name: str = Field(
        "Retired Member",
        alias="RETIRED_MEMBER_TYPE_NAME",
        description="`member_type` of Retired members.",
        examples=["Retired Member"],
    )


class MemberCacheSettings(Settings):
    """What the webhook service knows of members while no source answers."""

    file: Path | None = Field(
        None,
        alias="MEMBER_CACHE",
        description="File for a copy of all members, which processes of one machine may share; it holds personal data. "
        "Not set: no copy is kept.",
        examples=["/var/lib/mynatca-intercom/members.db"],
    )
    refresh_seconds: float = Field(
        3600,
        alias="MEMBER_CACHE_REFRESH_SECONDS",
        gt=0,
        le=86400,
        description="Age in seconds at which the copy is replaced.",
        examples=["3600"],
    )
    max_age_seconds: float = Field(
        86400,
        alias="MEMBER_CACHE_MAX_AGE_SECONDS",
        gt=0,
        le=604800,
        description="Age in seconds from which on the copy answers nothing.",
        examples=["86400"],
    )


class TagSettings(Settings):
    """How a teammate asks for a contact to be synced again."""

    tag: str = Field(
        "mynatca-sync",
        alias="SYNC_TAG",
        description="Tag on a conversation that asks for its contact to be synced.",
        examples=["mynatca-sync"],
    )
    attribute: str = Field(
        "Member Number Verification",
        alias="SYNC_NUMBER_ATTRIBUTE",
        description="Conversation attribute in which the teammate notes the member number.",
        examples=["Member Number Verification"],
    )


class WebhookSettings(Settings):
    """The webhook service: where it listens, what it keeps, how hard it works."""

    client_secret: SecretStr = Field(
        alias="INTERCOM_CLIENT_SECRET",
        description="The app's client secret, which Intercom signs notifications with.",
        examples=["a1b2c3d4"],
    )
    store: SecretStr = Field(
        SecretStr("sqlite:///webhook.db"),
        alias="WEBHOOK_STORE",
        description="Where events wait: a SQLite file for one replica, PostgreSQL for several.",
        examples=["postgresql://user:password@host/database"],
    )
    host: str = Field("127.0.0.1", alias="WEBHOOK_HOST", description="Address to listen on.", examples=["::"])
    port: int = Field(8000, alias="WEBHOOK_PORT", ge=0, le=65535, description="Port to listen on.", examples=["8000"])
    workers: int = Field(
        1, alias="WEBHOOK_WORKERS", ge=1, le=32, description="Processes that answer; one more works.", examples=["2"]
    )
    grace_seconds: float = Field(
        30,
        alias="WEBHOOK_GRACE_SECONDS",
        ge=1,
        le=3600,
        description="Seconds after SIGTERM in which what is in work is finished; what is not by then, somebody else "
        "does anew. Kubernetes' terminationGracePeriodSeconds must be at least 15 s longer.",
        examples=["30"],
    )
    concurrency: int = Field(
        10,
        alias="WEBHOOK_CONCURRENCY",
        ge=1,
        le=100,
        description="Contacts that each process works at once.",
        examples=["10"],
    )
    max_attempts: int = Field(
        16,
        alias="WEBHOOK_MAX_ATTEMPTS",
        ge=1,
        le=100,
        description="Times that an event is tried before it becomes a dead letter. The waits of 16 outlast an hour.",
        examples=["16"],
    )
    keep_days: int = Field(
        90,
        alias="WEBHOOK_KEEP_DAYS",
        ge=1,
        description="Days for which dead letters can be replayed, and writes exported to be undone.",
        examples=["90"],
    )
    named_lookup_keys: Annotated[SecretStr, AfterValidator(_usable_keys)] | None = Field(
        None,
        alias="LOOKUP_KEYS",
        description="Keys of those who may look people up, as pairs of name=key; the names show in the log. "
        "Not set: nobody may.",
        examples=["helpdesk=replace-this-by-32-random-letters"],
    )
    lookup_limit: int = Field(
        60,
        alias="LOOKUP_LIMIT_PER_MINUTE",
        ge=1,
        le=100_000,
        description="Look-ups that one key may make in a minute, over all replicas.",
        examples=["60"],
    )

    @property
    def lookup_keys(self) -> dict[str, str]:
        """The keys of `LOOKUP_KEYS` by name."""
        return dict(_named_keys(self.named_lookup_keys.get_secret_value())) if self.named_lookup_keys else {}


class RunSettings(Settings):
    """Where a run leaves its traces."""

    runs_dir: Path = Field(
        Path("runs"),
        alias="RUNS_DIR",
        description="Folder with one folder per run: journal, plan, result, report.",
        examples=["/var/lib/mynatca-intercom/runs"],
    )
    keep_days: int = Field(
        90,
        alias="RUNS_KEEP_DAYS",
        ge=1,
        description="Days for which run folders are kept; older ones can no longer be undone.",
        examples=["90"],
    )
    run_id: str | None = Field(
        None,
        alias="RUN_ID",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
        description="Name of the run, for a retry under the same name; default: kind and start time.",
        examples=["sync-20261123t023000z"],
    )
    metrics_port: int | None = Field(
        None,
        alias="METRICS_PORT",
        ge=0,
        le=65535,
        description="Serve metrics, and the plan's beginning, on this port while the run lasts; 0 takes a free one.",
        examples=["9090"],
    )
    plan_handover_seconds: int = Field(
        0,
        alias="PLAN_HANDOVER_SECONDS",
        ge=0,
        description="Seconds that a dry run waits at its end for its plan's beginning to be fetched from METRICS_PORT.",
        examples=["120"],
    )
    termination_log: Path | None = Field(
        None,
        alias="TERMINATION_LOG",
        description="File for the summary that Kubernetes shows as the container's termination message.",
        examples=["/dev/termination-log"],
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", alias="LOG_LEVEL", description="Least severe log lines to write.", examples=["DEBUG"]
    )


GROUPS: tuple[type[Settings], ...] = (
    IntercomSettings,
    SupabaseSettings,
    MySQLSettings,
    DirectorySettings,
    MemberSettings,
    MemberCacheSettings,
    TagSettings,
    WebhookSettings,
    RunSettings,
)

Group = TypeVar("Group", bound=Settings)


def load(group: type[Group], environment: Mapping[str, str]) -> Group:
    """Read one group of settings; values are trimmed, and an empty one counts as not set.

    Raises:
        SettingsError: with one sentence for each missing or malformed variable.
    """
    given = {variable: value.strip() for variable, value in environment.items() if value.strip()}
    try:
        return group.model_validate(given)
    except ValidationError as error:
        faults = [_sentence(group, fault["loc"][0], fault["msg"], given) for fault in error.errors()]
        raise SettingsError("\n".join(faults)) from None


def _sentence(group: type[Settings], variable: int | str, rule: str, given: Mapping[str, str]) -> str:
    field = next(field for field in group.model_fields.values() if field.alias == variable)
    example = f"for example {variable}={field.examples[0]}" if field.examples else ""
    value = given.get(str(variable))
    if not value:
        return f"{variable} is not set: {field.description} Set it, {example}."
    shown = "its value (not shown)" if is_secret(field) else f"{value!r}"
    return f"{variable} cannot be {shown}: {rule}. {field.description} Correct it, {example}."


def is_secret(field: FieldInfo) -> bool:
    """Whether a setting's value must never be shown."""
    return _may_be_secret(field.annotation)


def _may_be_secret(kind: object) -> bool:
    return kind is SecretStr or any(map(_may_be_secret, get_args(kind)))
