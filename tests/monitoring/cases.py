"""Series that make each alert fire, and those of a release that is well.

Series are in promtool's notation, a sample a step: "0x60" is 0 for 61 steps, "0+30x60" grows by 30 each, `_` is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

OPERATOR = "mynatca_intercom_operator_"
WEBHOOK = "mynatca_intercom_webhook_"
API = "mynatca_intercom_api_"
NIGHT = '{kind="NightlySync"}'
TAKEN = '{topic="contact.merged",outcome="stored"}'
REFUSED = '{topic="contact.merged",outcome="not_stored"}'
UNSIGNED = '{topic="unknown",outcome="unsigned"}'

Series = Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """How an alert comes and goes.

    Attributes:
        guilty: Series of the release that it is about: well, then not, then well again.
        innocent: The same series of a release that stays well.
        quiet, fires, clears: Steps at which nothing is wrong, at which it fires, and at which it is over.
        labels: What it bears besides severity, namespace and release.
        step: Length of a step.
        covered: Which alert fires in its place when its series are not there; empty: nobody of ours can tell.
    """

    guilty: Series
    innocent: Series
    quiet: int
    fires: int
    clears: int
    covered: str
    labels: Mapping[str, str] = field(default_factory=dict)
    step: str = "1m"


SUCCESS = f"{OPERATOR}last_success_timestamp_seconds{NIGHT}"
END = f"{OPERATOR}last_run_end_timestamp_seconds{NIGHT}"
DURATION = f"{OPERATOR}last_run_duration_seconds{NIGHT}"
OUTCOME = f"{OPERATOR}last_run_succeeded{NIGHT}"
CONCURRENT = f"{OPERATOR}last_run_concurrent{NIGHT}"
RUNNING = f"{OPERATOR}nightly_running"
CRON = "kube_cronjob_"
RUN_START = "mynatca_intercom_run_start_timestamp_seconds"

CASES: dict[str, Case] = {
    # Steps of ten minutes: a success at 0, the next one after 40 hours, and an operator that is away in between.
    "SyncStale": Case(
        guilty={SUCCESS: "0x200 _x20 0x19 144000x60"},
        innocent={SUCCESS: "0x120 72000x120 144000x60"},
        quiet=155,
        fires=210,
        clears=250,
        covered="SyncNeverSucceeded",
        step="10m",
    ),
    "SyncVeryStale": Case(
        guilty={SUCCESS: "0x350 210000x60"},
        innocent={SUCCESS: "0x200 120000x210"},
        quiet=299,
        fires=303,
        clears=360,
        covered="SyncNeverSucceeded",
        step="10m",
    ),
    "SyncNeverSucceeded": Case(
        guilty={CONCURRENT: "0x300", SUCCESS: "_x220 132000x80"},
        # The operator is away.
        innocent={CONCURRENT: "0x150", SUCCESS: "0x150"},
        quiet=150,
        fires=165,
        clears=240,
        covered="SyncNeverSucceeded",
        step="10m",
    ),
    "SyncLastRunFailed": Case(
        guilty={
            END: "0x60 3600x60 7200x60",
            OUTCOME: "1x60 0x60 1x60",
            f'{OPERATOR}last_run_braked{{kind="NightlySync",brake="update"}}': "0x200",
        },
        # It stopped itself.
        innocent={
            END: "0x200",
            OUTCOME: "0x200",
            f'{OPERATOR}last_run_braked{{kind="NightlySync",brake="update"}}': "1x200",
        },
        quiet=64,
        fires=70,
        clears=125,
        covered="OperatorDown",
    ),
    "SyncSafetyStop": Case(
        guilty={f'{OPERATOR}last_run_braked{{kind="NightlySync",brake="archive"}}': "0x60 1x60 0x60"},
        innocent={f'{OPERATOR}last_run_braked{{kind="Audit",brake="archive"}}': "1x200"},
        quiet=60,
        fires=64,
        clears=125,
        covered="OperatorDown",
        labels={"brake": "archive"},
    ),
    "SyncPartialFailure": Case(
        guilty={
            f'{OPERATOR}last_run_rows{{kind="NightlySync",result="failed"}}': "0x60 11x60 0x60",
            f'{OPERATOR}last_run_rows{{kind="NightlySync",result="unchanged"}}': "1000x200",
        },
        # Too few to say anything.
        innocent={
            f'{OPERATOR}last_run_rows{{kind="NightlySync",result="failed"}}': "9x200",
            f'{OPERATOR}last_run_rows{{kind="NightlySync",result="unchanged"}}': "100x200",
        },
        quiet=62,
        fires=70,
        clears=125,
        covered="OperatorDown",
    ),
    "SyncSlow": Case(
        # The operator's pod is replaced in the meantime.
        guilty={
            f'{OPERATOR}last_run_duration_seconds{{kind="NightlySync",pod="a"}}': "1000x140 stale",
            f'{OPERATOR}last_run_duration_seconds{{kind="NightlySync",pod="b"}}': "_x141 1000x8 2100x50 1000x20",
        },
        # Twice as long as usual, and still short.
        innocent={DURATION: "500x150 1500x50 500x20"},
        quiet=150,
        fires=160,
        clears=210,
        covered="OperatorDown",
        step="1h",
    ),
    "SyncOverrunning": Case(
        guilty={f'{RUN_START}{{kind="sync",pod="FULLNAME-nightly-29401-x"}}': "0x320 stale"},
        # An IntercomAudit's has a deadline of its own.
        innocent={
            f'{RUN_START}{{kind="sync",pod="FULLNAME-nightly-29401-x"}}': "_x60 3600x60 stale",
            f'{RUN_START}{{kind="sync",pod="late-run-1-x"}}': "0x320 stale",
        },
        quiet=285,
        fires=292,
        clears=330,
        covered="SyncNeverSucceeded",
    ),
    "SyncNotScheduled": Case(
        guilty={END: "3600x199 120000x60", DURATION: "3600x260", RUNNING: "0x260"},
        # A night that has begun, and lasts.
        innocent={END: "3600x260", DURATION: "3600x260", RUNNING: "0x100 1x160"},
        quiet=149,
        fires=155,
        clears=205,
        covered="OperatorDown",
        step="10m",
    ),
    "SyncSuspended": Case(
        guilty={f'{CRON}spec_suspend{{cronjob="FULLNAME-nightly"}}': "0x10 1x50 0x20"},
        innocent={
            f'{CRON}spec_suspend{{cronjob="FULLNAME-nightly"}}': "0x10 1x20 0x50",
            f'{CRON}spec_suspend{{cronjob="other-nightly"}}': "1x80",
        },
        quiet=30,
        fires=38,
        clears=65,
        covered="",
        labels={"cronjob": "FULLNAME-nightly"},
        step="1h",
    ),
    "SweepStale": Case(
        # It never succeeds, and then does.
        guilty={
            f'{CRON}created{{cronjob="FULLNAME-sweep"}}': "0x200",
            f'{CRON}status_last_successful_time{{cronjob="FULLNAME-sweep"}}': "_x150 9000x50",
            f'{CRON}spec_suspend{{cronjob="FULLNAME-sweep"}}': "0x200",
        },
        # It was at rest from its installation on.
        innocent={
            f'{CRON}created{{cronjob="FULLNAME-sweep"}}': "0x200",
            f'{CRON}status_last_successful_time{{cronjob="FULLNAME-sweep"}}': "_x140 8400x59",
            f'{CRON}spec_suspend{{cronjob="FULLNAME-sweep"}}': "1x115 0x84",
        },
        quiet=119,
        fires=128,
        clears=155,
        covered="",
        labels={"cronjob": "FULLNAME-sweep"},
    ),
    "WebhookDown": Case(
        guilty={'up{component="webhook",pod="a"}': "1x60 0x20 _x40 1x60"},
        # One of two.
        innocent={'up{component="webhook",pod="a"}': "1x200", 'up{component="webhook",pod="b"}': "0x200"},
        quiet=62,
        fires=100,
        clears=130,
        covered="WebhookDown",
    ),
    "WebhookStoreDown": Case(
        guilty={f"{WEBHOOK}store_measured_timestamp_seconds": "0+60x60 3600x30 5400+60x60"},
        innocent={f"{WEBHOOK}store_measured_timestamp_seconds": "0+60x160"},
        quiet=61,
        fires=66,
        clears=100,
        covered="WebhookDown",
    ),
    "WebhookErrorBudgetBurnFast": Case(
        guilty={f"{WEBHOOK}events_total{TAKEN}": "0+1x300", f"{WEBHOOK}events_total{REFUSED}": "0x60 0+1x30 30x250"},
        # All that comes is refused, and that is little.
        innocent={
            f"{WEBHOOK}events_total{TAKEN}": "0x300",
            f"{WEBHOOK}events_total{REFUSED}": "0x60 0+0.3x30 9x250",
            f"{WEBHOOK}events_total{UNSIGNED}": "0+10x300",
        },
        quiet=60,
        fires=85,
        clears=130,
        covered="WebhookDown",
    ),
    # Steps of ten minutes: 1.5 % for two days.
    "WebhookErrorBudgetBurnSlow": Case(
        guilty={
            f"{WEBHOOK}events_total{TAKEN}": "0+20x900",
            f"{WEBHOOK}events_total{REFUSED}": "0x250 0+0.3x400 120x300",
        },
        innocent={
            f"{WEBHOOK}events_total{TAKEN}": "0+1x900",
            f"{WEBHOOK}events_total{REFUSED}": "0x250 0+1x400 400x300",
        },
        quiet=260,
        fires=640,
        clears=720,
        covered="WebhookDown",
        step="10m",
    ),
    "WebhookSlow": Case(
        guilty={
            f'{WEBHOOK}event_seconds_bucket{{le="60"}}': "0+2x60 120x60 120+2x120",
            f'{WEBHOOK}event_seconds_bucket{{le="300"}}': "0+2x240",
            f'{WEBHOOK}event_seconds_bucket{{le="+Inf"}}': "0+2x240",
            f"{WEBHOOK}event_seconds_count": "0+2x240",
        },
        # Slow, and few.
        innocent={
            f'{WEBHOOK}event_seconds_bucket{{le="60"}}': "0x240",
            f'{WEBHOOK}event_seconds_bucket{{le="300"}}': "0+0.5x240",
            f'{WEBHOOK}event_seconds_bucket{{le="+Inf"}}': "0+0.5x240",
            f"{WEBHOOK}event_seconds_count": "0+0.5x240",
        },
        quiet=60,
        fires=85,
        clears=200,
        covered="WebhookDown",
    ),
    "WebhookRejected": Case(
        guilty={f"{WEBHOOK}events_total{TAKEN}": "0+1x200", f"{WEBHOOK}events_total{UNSIGNED}": "0x60 0+1x60 60x80"},
        innocent={f"{WEBHOOK}events_total{TAKEN}": "0+1x200", f"{WEBHOOK}events_total{UNSIGNED}": "0+0.1x200"},
        quiet=60,
        fires=95,
        clears=140,
        covered="WebhookDown",
    ),
    "BacklogOld": Case(
        guilty={f"{WEBHOOK}oldest_event_seconds": "0x20 0+60x30 0x30"},
        innocent={f"{WEBHOOK}oldest_event_seconds": "0+60x15 0x65"},
        quiet=36,
        fires=45,
        clears=55,
        covered="WebhookDown",
    ),
    "BacklogGrowing": Case(
        guilty={f"{WEBHOOK}waiting_events": "30x60 30+2x60 30x60"},
        # Many, and no more than before.
        innocent={f"{WEBHOOK}waiting_events": "500x200"},
        quiet=60,
        fires=115,
        clears=160,
        covered="WebhookDown",
    ),
    "WebhookDeadLetters": Case(
        guilty={f"{WEBHOOK}dead_letters": "0x20 3x20 0x20"},
        innocent={f"{WEBHOOK}dead_letters": "0x80"},
        quiet=22,
        fires=30,
        clears=45,
        covered="WebhookDown",
    ),
    "IntercomRateLimitLow": Case(
        guilty={
            f'{API}rate_limit_calls{{pod="a"}}': "1000x100",
            f'{API}rate_limit_remaining_calls{{pod="a"}}': "900x20 50x40 900x40",
            f'{API}calls_total{{operation="get_contact",status="200",pod="a"}}': "0+10x100",
        },
        # The last answer said so, and no call has been sent since.
        innocent={
            f'{API}rate_limit_calls{{pod="a"}}': "1000x100",
            f'{API}rate_limit_remaining_calls{{pod="a"}}': "50x100",
            f'{API}calls_total{{operation="get_contact",status="200",pod="a"}}': "10x100",
        },
        quiet=29,
        fires=45,
        clears=65,
        covered="WebhookDown",
    ),
    "IntercomRateLimited": Case(
        guilty={
            f'{API}calls_total{{operation="get_contact",status="200"}}': "0+100x200",
            f'{API}calls_total{{operation="get_contact",status="429"}}': "0x60 0+5x60 300x80",
        },
        innocent={
            f'{API}calls_total{{operation="get_contact",status="200"}}': "0+1x200",
            f'{API}calls_total{{operation="get_contact",status="429"}}': "0+1x200",
        },
        quiet=60,
        fires=90,
        clears=140,
        covered="WebhookDown",
    ),
    "IntercomAuthRejected": Case(
        guilty={
            f'{API}calls_total{{operation="get_contact",status="401"}}': "0x300",
            # A night that is refused ends before it is scraped.
            f'{OPERATOR}runs_total{{kind="NightlySync",outcome="CredentialsRefused"}}': "0x60 1x240",
        },
        innocent={
            f'{API}calls_total{{operation="get_contact",status="404"}}': "0+1x300",
            f'{OPERATOR}runs_total{{kind="NightlySync",outcome="RowsFailed"}}': "0x60 1x240",
        },
        quiet=62,
        fires=70,
        clears=100,
        covered="WebhookDown",
    ),
    "OperatorDown": Case(
        guilty={'up{component="operator",pod="a"}': "1x60 0x20 _x40 1x60"},
        innocent={'up{component="operator",pod="a"}': "1x200"},
        quiet=62,
        fires=100,
        clears=130,
        covered="OperatorDown",
    ),
    "OperatorBlind": Case(
        guilty={
            'up{component="operator"}': "1x120",
            f"{OPERATOR}last_sweep_timestamp_seconds": "0+60x30 1800x30 3660+60x60",
        },
        innocent={'up{component="operator"}': "1x120", f"{OPERATOR}last_sweep_timestamp_seconds": "0+60x120"},
        quiet=34,
        fires=45,
        clears=70,
        covered="OperatorDown",
    ),
    "OperatorReconcileErrors": Case(
        guilty={
            f"{OPERATOR}put_off": "0x20 2x40 0x40",
            f'{OPERATOR}audits{{mode="Audit",phase="Running"}}': "10x100",
            f'{OPERATOR}audits{{mode="Sync",phase="Complete"}}': "0x100",
        },
        innocent={f"{OPERATOR}put_off": "1x100", f'{OPERATOR}audits{{mode="Audit",phase="Running"}}': "10x100"},
        quiet=30,
        fires=40,
        clears=65,
        covered="OperatorDown",
    ),
    "AuditStuck": Case(
        guilty={f"{OPERATOR}overdue_seconds": "0x20 0+600x40 0x20"},
        innocent={f"{OPERATOR}overdue_seconds": "0x20 0+600x3 0x60"},
        quiet=24,
        fires=30,
        clears=65,
        covered="OperatorDown",
        step="10m",
    ),
    "AuditFailed": Case(
        guilty={
            f'{OPERATOR}last_run_end_timestamp_seconds{{kind="Undo"}}': "_x6 3600x170",
            f'{OPERATOR}last_run_succeeded{{kind="Undo"}}': "_x6 0x170",
        },
        # It has become good since.
        innocent={
            f'{OPERATOR}last_run_end_timestamp_seconds{{kind="Undo"}}': "3600x180",
            f'{OPERATOR}last_run_succeeded{{kind="Undo"}}': "1x180",
        },
        quiet=5,
        fires=60,
        clears=152,
        covered="OperatorDown",
        labels={"kind": "Undo"},
        step="10m",
    ),
}
