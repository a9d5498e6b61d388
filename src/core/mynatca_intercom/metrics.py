"""Every metric that the programs export. `docs/metrics.md` is generated from this module.

Label values are bounded sets and never hold an id; the series of a known set start at zero, so that an alert can tell
"nothing happened" from "nothing is known" (Prometheus: instrumentation, "avoid missing metrics").
"""

from collections.abc import Callable, Iterator
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

REGISTRY = CollectorRegistry()
_PREFIX = "mynatca_intercom"

# Moments of start, which nothing asks for, and which several processes do not have in common.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's

_gauge = partial(Gauge, multiprocess_mode="livemostrecent")
"""Of several processes that export together the one that knew it last tells it: ours are of the whole, not of each."""


class ScrapedGauge(Collector):
    """A gauge whose value is read at each scrape, so that no process has to keep it right; without a source no sample.

    A registry that gathers several processes' metrics does not know of it, and has to register it, too.
    """

    def __init__(self, name: str, documentation: str) -> None:
        self._name = f"{_PREFIX}_{name}"
        self._documentation = documentation
        self._read: Callable[[], float] | None = None
        REGISTRY.register(self)

    def set_source(self, read: Callable[[], float]) -> None:
        """Let every scrape of this process call `read`."""
        self._read = read

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The family without a sample."""
        yield GaugeMetricFamily(self._name, self._documentation)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The family as it is now."""
        yield GaugeMetricFamily(self._name, self._documentation, self._read() if self._read else None)


CALLS = Counter(
    "api_calls",
    "Calls to Intercom's API, by operation and answer (HTTP status, or none when no answer came).",
    ["operation", "status"],
    namespace=_PREFIX,
    registry=REGISTRY,
)
CALL_SECONDS = Histogram(
    "api_call_seconds",
    "Time from sending a call to Intercom to its whole answer.",
    ["operation"],
    namespace=_PREFIX,
    registry=REGISTRY,
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
RETRIES = Counter(
    "api_retries",
    "Calls to Intercom that were sent again.",
    namespace=_PREFIX,
    registry=REGISTRY,
)
RATE_LIMIT = _gauge(
    "api_rate_limit_calls",
    "Calls that Intercom allows in one window, as its last answer said.",
    namespace=_PREFIX,
    registry=REGISTRY,
)
RATE_LIMIT_REMAINING = _gauge(
    "api_rate_limit_remaining_calls",
    "Calls that were left in the window of Intercom's last answer.",
    namespace=_PREFIX,
    registry=REGISTRY,
)
RATE_LIMIT_WAIT = Counter(
    "api_rate_limit_wait_seconds",
    "Time that calls waited for the next rate-limit window.",
    namespace=_PREFIX,
    registry=REGISTRY,
)
RUN_START = _gauge(
    "run_start_timestamp_seconds", "When this run began.", ["kind"], namespace=_PREFIX, registry=REGISTRY
)
SOURCE_FALLBACKS = Counter(
    "source_fallbacks",
    "Times that a source of members failed and the next one was asked.",
    ["source"],
    namespace=_PREFIX,
    registry=REGISTRY,
)
CACHE_AGE = ScrapedGauge(
    "member_cache_age_seconds",
    "Age of the copy of all members that answers when no source does; +Inf while there is none, "
    "no sample where none is to be kept.",
)
CACHE_ANSWERS = Counter(
    "member_cache_answers",
    "Look-ups that the copy of all members answered, as no source did.",
    namespace=_PREFIX,
    registry=REGISTRY,
)
SOURCE_MEMBERS = _gauge(
    "run_source_members", "Members that this run read from the source.", namespace=_PREFIX, registry=REGISTRY
)
CONTACTS_LISTED = _gauge(
    "run_contacts_listed", "Contacts that this run listed in Intercom.", namespace=_PREFIX, registry=REGISTRY
)
ACTIONS_PLANNED = _gauge(
    "run_actions_planned", "Actions that this run plans to take.", namespace=_PREFIX, registry=REGISTRY
)
ACTIONS_DONE = _gauge(
    "run_actions_done",
    "Actions of the plan that are behind this run, whatever came of them.",
    namespace=_PREFIX,
    registry=REGISTRY,
)
LAST_ACTION = _gauge(
    "run_last_action_timestamp_seconds",
    "When this run last finished an action.",
    namespace=_PREFIX,
    registry=REGISTRY,
)
ACTIONS = Counter(
    "run_actions",
    "Actions by what became of them.",
    ["outcome"],
    namespace=_PREFIX,
    registry=REGISTRY,
)
BROUGHT_BACK = Counter(
    "run_brought_back",
    "Contacts that were unarchived, as open work came in while they were archived.",
    namespace=_PREFIX,
    registry=REGISTRY,
)
RECEIVED = Counter(
    "webhook_events",
    "Notifications of Intercom by topic (other: nothing is done about it; unknown: unsigned or malformed) and by what "
    "became of them on arrival.",
    ["topic", "outcome"],
    namespace=_PREFIX,
    registry=REGISTRY,
)
WORKED = Counter(
    "webhook_jobs",
    "Jobs of the webhook by what became of them.",
    ["outcome"],
    namespace=_PREFIX,
    registry=REGISTRY,
)
JOB_SECONDS = Histogram(
    "webhook_job_seconds",
    "Time that a job was worked, whatever became of it.",
    namespace=_PREFIX,
    registry=REGISTRY,
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
EVENT_SECONDS = Histogram(
    "webhook_event_seconds",
    "Time from an event, by Intercom's clock, to the end of its work.",
    namespace=_PREFIX,
    registry=REGISTRY,
    buckets=(0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600),
)
CANVASES = Counter(
    "webhook_canvases",
    "Requests of the inbox app by what they were answered with.",
    ["outcome"],
    namespace=_PREFIX,
    registry=REGISTRY,
)
LOOKUPS = Counter(
    "webhook_lookups",
    "Look-ups by email by what they were answered with.",
    ["outcome"],
    namespace=_PREFIX,
    registry=REGISTRY,
)
WAITING = _gauge(
    "webhook_waiting_events", "Events that wait or are being worked.", namespace=_PREFIX, registry=REGISTRY
)
OLDEST = _gauge(
    "webhook_oldest_event_seconds",
    "Age of the oldest event that waits or is being worked.",
    namespace=_PREFIX,
    registry=REGISTRY,
)
MEASURED = _gauge(
    "webhook_store_measured_timestamp_seconds",
    "When the store was last measured; it stands still while the store does not answer.",
    namespace=_PREFIX,
    registry=REGISTRY,
)
DEAD = _gauge("webhook_dead_letters", "Events that were given up.", namespace=_PREFIX, registry=REGISTRY)
BRAKES = Counter("run_brakes", "Brakes that stopped a run, by class.", ["brake"], namespace=_PREFIX, registry=REGISTRY)
