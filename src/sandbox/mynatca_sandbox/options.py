"""What a sandbox can be told: how fast, limited and unreliable it is, and which undocumented ways it has.

The defaults are a healthy workspace as Intercom describes it. Each field is a command-line flag
(`--index-lag`), an environment variable (`SANDBOX_INDEX_LAG`) and a key of `PATCH /_sandbox/options`.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter

Rate = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Address = Annotated[str, Field(pattern="^(https?://.+)?$")]
Suspended = Literal["listed", "hidden"]


def _none_by_name(value: Any) -> Any:
    return None if value == "none" else value


@dataclass(slots=True)
class Options:
    """The switches of one sandbox. Rates are shares of the Intercom calls, from 0 to 1."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    latency: Annotated[
        Seconds, Field(description="seconds from an Intercom call's arrival before which no answer is sent")
    ] = 0
    limit: Annotated[
        Annotated[int, Field(ge=1)] | None,
        BeforeValidator(_none_by_name),
        Field(description="Intercom calls per window; none: no limit and no rate headers"),
    ] = 1666
    window_seconds: Annotated[int, Field(ge=1, description="length of a rate window in seconds")] = 10
    rate_headers: Annotated[bool, Field(description="whether answers carry X-RateLimit-* headers")] = True
    index_lag: Annotated[Seconds, Field(description="seconds until contact search sees a change")] = 60
    taken_email: Annotated[
        Literal["second_user", "conflict"],
        Field(
            description="a user with a new external id and another user's email: second_user allows it "
            "unless that user has no external id; conflict answers 409"
        ),
    ] = "second_user"
    clear_external_id: Annotated[
        Literal["accept", "refuse", "ignore"],
        Field(description='what an update of a user\'s external id to "" or null does; refuse answers 400'),
    ] = "accept"
    suspended: Annotated[
        Suspended,
        Field(
            description="whether lists and searches of conversations and tickets show those whose contacts are all "
            "archived"
        ),
    ] = "listed"
    access_token: Annotated[str, Field(description="the Bearer token that Intercom accepts")] = "sandbox-token"  # noqa: S105  - made up
    supabase_key: Annotated[str, Field(description="the API key that Supabase accepts")] = "sandbox-key"
    webhook_url: Annotated[
        Address, Field(description="where the notifications of changes go; empty: nowhere, and none is made")
    ] = ""
    client_secret: Annotated[
        str, Field(description="the app's secret, by which notifications and canvas calls are signed")
    ] = "sandbox-secret"  # noqa: S105  - made up
    webhook_retry_seconds: Annotated[
        Seconds, Field(description="time until a notification that was not taken is sent once more")
    ] = 60
    webhook_duplicates: Annotated[Rate, Field(description="rate of notifications that are sent twice")] = 0
    webhook_delay: Annotated[Seconds, Field(description="time from a change until its notification is sent")] = 0
    canvas_url: Annotated[
        Address,
        Field(description="the inbox app that /_sandbox/inbox shows: its URL without /initialize; empty: none"),
    ] = ""
    fault_429: Annotated[Rate, Field(description="rate of calls refused as if the window were used up")] = 0
    fault_5xx: Annotated[Rate, Field(description="rate of calls answered 500, 502, 503 or 504 without effect")] = 0
    fault_drop_before: Annotated[Rate, Field(description="rate of connections cut before the call took effect")] = 0
    fault_drop_after: Annotated[Rate, Field(description="rate of connections cut after the call took effect")] = 0
    fault_slow: Annotated[Rate, Field(description="rate of answers that come slow_seconds late")] = 0
    slow_seconds: Annotated[Seconds, Field(description="delay of a slow answer in seconds")] = 1
    fault_seed: Annotated[int, Field(description="seed of the faults' random numbers")] = 1

    def changed(self, changes: dict[str, Any]) -> "Options":
        """Return a validated copy with `changes`.

        Raises:
            pydantic.ValidationError: an unknown name or a value out of range.
        """
        return OPTIONS.validate_python(asdict(self) | changes)


OPTIONS: TypeAdapter[Options] = TypeAdapter(Options)
