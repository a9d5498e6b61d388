"""Every setting that the programs read from the environment: meaning, unit, default and an example.

Settings are grouped by subject; a program loads the groups that it needs once, at its start. Values are checked
here; what they are good for is decided where they are used. `docs/settings.md` is generated from this module.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar

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
        description="Share of each rate-limit window that is left to others, the webhook first of all.",
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


class RunSettings(Settings):
    """Where a run leaves its traces."""

    runs_dir: Path = Field(
        Path("runs"),
        alias="RUNS_DIR",
        description="Folder with one folder per run: journal, plan, result.",
        examples=["/var/lib/mynatca-intercom/runs"],
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
        description="Serve Prometheus metrics on this port while the run lasts; 0 takes a free one.",
        examples=["9090"],
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


GROUPS: tuple[type[Settings], ...] = (IntercomSettings, SupabaseSettings, MemberSettings, RunSettings)

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
    return field.annotation is SecretStr
