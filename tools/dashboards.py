"""The Grafana dashboards, as typed code. `make docs` writes them into the chart.

Colours of figures are the thresholds of the alerts. Every series bears `namespace`, `release` and `component` from the
chart's PodMonitors; what is kube-state-metrics' or the kubelet's says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from grafana_foundation_sdk.builders import common, heatmap, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.builders import prometheus as prom
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from mynatca_intercom.summary import UNCHANGED
from mynatca_operator.exporter import COUNTS

ALERTS: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parent.parent / "charts/mynatca-intercom/files/alerts.yaml").read_text(encoding="utf-8")
)
Kind = Literal["stat", "lines", "stack", "heatmap", "table"]
Panel = stat.Panel | timeseries.Panel | heatmap.Panel | table.Panel
Steps = tuple[tuple[float | None, str], ...]

DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
NEUTRAL: Steps = ((None, "blue"),)
GOOD_OR_BAD: Steps = ((None, "red"), (1, "green"))
ANY_IS_BAD: Steps = ((None, "green"), (1, "red"))
WIDTH = 24


@dataclass(frozen=True)
class View:
    """One panel.

    Attributes:
        title, description: What it shows, and how it is read.
        unit: Grafana's word for it.
        queries: Legend -> expression; SCOPE stands for the release's matchers.
        kind: How it is shown.
        width: Of 24.
        colours: From which value on which colour; for figures only.
        words: What values are called.
    """

    title: str
    description: str
    unit: str
    queries: Mapping[str, str]
    kind: Kind = "lines"
    width: int = 8
    colours: Steps = NEUTRAL
    words: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Row:
    """A row of panels; what is folded is opened by a click."""

    title: str
    views: Sequence[View]
    folded: bool = False


def alert_colours(*alerts: str) -> Steps:
    """Green, then orange or red from the thresholds of these alerts on."""
    colours = {"warning": "orange", "critical": "red"}
    return ((None, "green"), *((ALERTS[name]["threshold"], colours[ALERTS[name]["severity"]]) for name in alerts))


CHANGED = "|".join(name for name in COUNTS if name not in UNCHANGED)
NIGHT = 'SCOPE,kind="NightlySync"'
EVENTS = "mynatca_intercom_webhook_events_total"
REAL = 'SCOPE,topic!="unknown"'
ALLOWED = ALERTS["WebhookErrorBudgetBurnFast"]["threshold"]

NOW = Row(
    "Is it right now",
    [
        View(
            "Last good night",
            "Time since a nightly sync last succeeded; orange after a night, red after two.",
            "s",
            {"": f"time() - max(mynatca_intercom_operator_last_success_timestamp_seconds{{{NIGHT}}})"},
            "stat",
            4,
            alert_colours("SyncStale", "SyncVeryStale"),
        ),
        View(
            "Last night",
            "How the last nightly sync ended.",
            "none",
            {"": f"min(mynatca_intercom_operator_last_run_succeeded{{{NIGHT}}})"},
            "stat",
            3,
            GOOD_OR_BAD,
            {"0": "failed", "1": "succeeded"},
        ),
        View(
            "Changed",
            "Members that the last nightly sync changed in Intercom.",
            "short",
            {"": f'sum(mynatca_intercom_operator_last_run_rows{{{NIGHT},result=~"{CHANGED}"}})'},
            "stat",
            3,
        ),
        View(
            "Failed",
            "Share of the members that failed in the last nightly sync.",
            "percentunit",
            {
                "": f'sum(mynatca_intercom_operator_last_run_rows{{{NIGHT},result="failed"}})'
                f" / clamp_min(sum(mynatca_intercom_operator_last_run_rows{{{NIGHT}}}), 1)"
            },
            "stat",
            3,
            alert_colours("SyncPartialFailure"),
        ),
        View(
            "Error budget left",
            f"Of the {ALLOWED:.0%} of a month's notifications that may be refused; below 0 it is spent.",
            "percentunit",
            {
                "": f'1 - sum(increase({EVENTS}{{SCOPE,outcome="not_stored"}}[30d]))'
                f" / clamp_min(sum(increase({EVENTS}{{{REAL}}}[30d])), 1) / {ALLOWED}"
            },
            "stat",
            4,
            ((None, "red"), (0, "orange"), (0.5, "green")),
        ),
        View(
            "Firing alerts",
            "Alerts of this release that fire now.",
            "short",
            {"": 'count(ALERTS{alertstate="firing",SCOPE}) or vector(0)'},
            "stat",
            3,
            ANY_IS_BAD,
        ),
        View(
            "Pods that answer",
            "Pods that Prometheus reaches, by part; pods of runs come and go.",
            "short",
            {"{{component}}": "sum by (component) (up{SCOPE})"},
            "stat",
            4,
            GOOD_OR_BAD,
        ),
    ],
)
SYNC = Row(
    "Nightly sync",
    [
        View(
            "Duration",
            "How long the last nightly sync took, and the deadline at which it is ended (kube-state-metrics).",
            "s",
            {
                "duration": f"max(mynatca_intercom_operator_last_run_duration_seconds{{{NIGHT}}})",
                "deadline": "max(kube_job_spec_active_deadline_seconds"
                '{namespace="$namespace",job_name=~".*-nightly-.*"})',
            },
        ),
        View(
            "Members by what became of them",
            "Counts of the last nightly sync; those that agreed already are left out, as they are nearly all.",
            "short",
            {"{{result}}": f'max by (result) (mynatca_intercom_operator_last_run_rows{{{NIGHT},result!="unchanged"}})'},
            "stack",
        ),
        View(
            "Members and contacts read",
            "What a run that goes on now has read from the members' source and from Intercom.",
            "short",
            {
                "members": "max(mynatca_intercom_run_source_members{SCOPE})",
                "contacts": "max(mynatca_intercom_run_contacts_listed{SCOPE})",
            },
        ),
        View(
            "Brakes",
            "Brakes that stopped the last run of each kind: 1 is stopped.",
            "short",
            {"{{kind}} {{brake}}": "max by (kind, brake) (mynatca_intercom_operator_last_run_braked{SCOPE})"},
        ),
        View(
            "Sources that failed",
            "How often a source of members failed and the next one was asked.",
            "ops",
            {"{{source}}": "sum by (source) (rate(mynatca_intercom_source_fallbacks_total{SCOPE}[$__rate_interval]))"},
        ),
        View(
            "Runs that go on",
            "Nightly syncs, and the time that each run has been going on.",
            "s",
            {
                "nights running": "max(mynatca_intercom_operator_nightly_running{SCOPE})",
                "{{kind}} {{pod}}": "time() - max by (kind, pod) (mynatca_intercom_run_start_timestamp_seconds{SCOPE})",
            },
        ),
    ],
)
WEBHOOK = Row(
    "Webhook",
    [
        View(
            "Notifications by topic",
            "What Intercom sends.",
            "reqps",
            {"{{topic}}": f"sum by (topic) (rate({EVENTS}{{SCOPE}}[$__rate_interval]))"},
            "stack",
        ),
        View(
            "Errors",
            "Share of the notifications that were answered 503, and the share that may be.",
            "percentunit",
            {
                "refused": f'sum(rate({EVENTS}{{SCOPE,outcome="not_stored"}}[$__rate_interval]))'
                f" / (sum(rate({EVENTS}{{{REAL}}}[$__rate_interval])) > 0)",
                "allowed": f"vector({ALLOWED})",
            },
        ),
        View(
            "Refused as not ours",
            "Notifications with a wrong signature, or that are none.",
            "reqps",
            {"{{outcome}}": f'sum by (outcome) (rate({EVENTS}{{SCOPE,topic="unknown"}}[$__rate_interval]))'},
        ),
        View(
            "From an event to the end of its work",
            "By Intercom's clock, so that waiting counts; the alert is on p99.",
            "s",
            {
                f"p{round(share * 100)}": f"histogram_quantile({share}, sum by (le) "
                "(rate(mynatca_intercom_webhook_event_seconds_bucket{SCOPE}[$__rate_interval])))"
                for share in (0.5, 0.95, 0.99)
            },
        ),
        View(
            "From an event to the end of its work, spread",
            "How many events took how long.",
            "s",
            {
                "{{le}}": "sum by (le) "
                "(increase(mynatca_intercom_webhook_event_seconds_bucket{SCOPE}[$__rate_interval]))"
            },
            "heatmap",
        ),
        View(
            "Work on a job",
            "Without waiting: how long 95 of 100 jobs are worked at most.",
            "s",
            {
                "p95": "histogram_quantile(0.95, sum by (le) "
                "(rate(mynatca_intercom_webhook_job_seconds_bucket{SCOPE}[$__rate_interval])))"
            },
        ),
        View(
            "Backlog",
            "Events that wait or are being worked, and those that were given up.",
            "short",
            {
                "waiting": "max(mynatca_intercom_webhook_waiting_events{SCOPE})",
                "dead letters": "max(mynatca_intercom_webhook_dead_letters{SCOPE})",
            },
        ),
        View(
            "Age of the oldest event, and of the last look at the store",
            "The first says how late work is, the second that the store answers.",
            "s",
            {
                "oldest event": "max(mynatca_intercom_webhook_oldest_event_seconds{SCOPE})",
                "store": "time() - max(mynatca_intercom_webhook_store_measured_timestamp_seconds{SCOPE})",
            },
        ),
        View(
            "Jobs",
            "By what became of them.",
            "ops",
            {"{{outcome}}": "sum by (outcome) (rate(mynatca_intercom_webhook_jobs_total{SCOPE}[$__rate_interval]))"},
            "stack",
        ),
        View(
            "Look-ups by email",
            "By what they were answered with.",
            "reqps",
            {"{{outcome}}": "sum by (outcome) (rate(mynatca_intercom_webhook_lookups_total{SCOPE}[$__rate_interval]))"},
        ),
        View(
            "Inbox app",
            "Requests by what they were answered with.",
            "reqps",
            {
                "{{outcome}}": "sum by (outcome) "
                "(rate(mynatca_intercom_webhook_canvases_total{SCOPE}[$__rate_interval]))"
            },
        ),
        View(
            "Member cache",
            "Age of the copy of all members, and how often it answers as no database does.",
            "s",
            {
                "age": "min(mynatca_intercom_member_cache_age_seconds{SCOPE})",
                "answers a second": "sum(rate(mynatca_intercom_member_cache_answers_total{SCOPE}[$__rate_interval]))",
            },
        ),
    ],
)
CALLS = "mynatca_intercom_api_calls_total"


def intercom(scope: str) -> Row:
    """Calls to Intercom of all pods, or of one."""
    return Row(
        "Intercom",
        [
            View(
                "Calls by operation",
                "What we ask of Intercom.",
                "reqps",
                {"{{operation}}": f"sum by (operation) (rate({CALLS}{{{scope}}}[$__rate_interval]))"},
                "stack",
            ),
            View(
                "Calls by answer",
                "HTTP status; none: no answer came.",
                "reqps",
                {"{{status}}": f"sum by (status) (rate({CALLS}{{{scope}}}[$__rate_interval]))"},
                "stack",
            ),
            View(
                "Refused for the rate limit, and sent again",
                "429 is harmless while it is rare: the call is sent again.",
                "reqps",
                {
                    "429": f'sum(rate({CALLS}{{{scope},status="429"}}[$__rate_interval]))',
                    "sent again": f"sum(rate(mynatca_intercom_api_retries_total{{{scope}}}[$__rate_interval]))",
                },
            ),
            View(
                "Calls left in the window",
                "Of those that Intercom allows in ten seconds, as its last answer said.",
                "short",
                {
                    "left": f"min(mynatca_intercom_api_rate_limit_remaining_calls{{{scope}}})",
                    "allowed": f"max(mynatca_intercom_api_rate_limit_calls{{{scope}}})",
                },
            ),
            View(
                "Waiting for the next window",
                "Seconds a second that calls wait, so that none is refused.",
                "short",
                {"{{pod}}": f"rate(mynatca_intercom_api_rate_limit_wait_seconds_total{{{scope}}}[$__rate_interval])"},
            ),
            View(
                "How long calls take",
                "95 of 100 at most.",
                "s",
                {
                    "{{operation}}": "histogram_quantile(0.95, sum by (operation, le) "
                    f"(rate(mynatca_intercom_api_call_seconds_bucket{{{scope}}}[$__rate_interval])))"
                },
            ),
        ],
    )


OPERATOR = Row(
    "Operator",
    [
        View(
            "IntercomAudits",
            "By phase.",
            "short",
            {"{{phase}}": "sum by (phase) (mynatca_intercom_operator_audits{SCOPE})"},
            "stack",
        ),
        View(
            "Runs that ended",
            "In the time that is shown, by kind and outcome.",
            "short",
            {
                "{{kind}} {{outcome}}": "sum by (kind, outcome) "
                "(increase(mynatca_intercom_operator_runs_total{SCOPE}[$__range]))"
            },
            "table",
        ),
        View(
            "Last runs",
            "Time since the last run of each kind ended, and whether another one wrote at the same time (1).",
            "s",
            {
                "{{kind}}": "time() - max by (kind) (mynatca_intercom_operator_last_run_end_timestamp_seconds{SCOPE})",
                "{{kind}}, beside another": "max by (kind) (mynatca_intercom_operator_last_run_concurrent{SCOPE})",
            },
        ),
        View(
            "What it could not do",
            "IntercomAudits left to the next look as a call failed, and those of another version that it cannot read.",
            "short",
            {
                "left to the next look": "max(mynatca_intercom_operator_put_off{SCOPE})",
                "unfit": "max(mynatca_intercom_operator_unfit_audits{SCOPE})",
            },
        ),
        View(
            "Age of its last look",
            "At most half a minute when all is well.",
            "s",
            {"age": "time() - max(mynatca_intercom_operator_last_sweep_timestamp_seconds{SCOPE})"},
        ),
        View(
            "Longest run",
            "Since the launch of the run of an IntercomAudit that goes on the longest.",
            "s",
            {"run": "max(mynatca_intercom_operator_longest_run_seconds{SCOPE})"},
        ),
    ],
)
PODS = Row(
    "Pods",
    [
        View(
            "CPU",
            "Cores that containers use (kubelet).",
            "short",
            {
                "{{pod}}": "sum by (pod) (rate(container_cpu_usage_seconds_total"
                '{namespace="$namespace",pod=~"$pod",container!=""}[$__rate_interval]))'
            },
            width=6,
        ),
        View(
            "Memory",
            "Memory that cannot be taken back, which the limit is on (kubelet).",
            "bytes",
            {
                "{{pod}}": "sum by (pod) (container_memory_working_set_bytes"
                '{namespace="$namespace",pod=~"$pod",container!=""})'
            },
            width=6,
        ),
        View(
            "Restarts",
            "In the time that is shown (kube-state-metrics).",
            "short",
            {
                "{{pod}}": "sum by (pod) (increase(kube_pod_container_status_restarts_total"
                '{namespace="$namespace",pod=~"$pod"}[$__range]))'
            },
            "table",
            6,
        ),
        View(
            "Version",
            "Images that run (kube-state-metrics).",
            "short",
            {"{{image}}": 'count by (image) (kube_pod_container_info{namespace="$namespace",pod=~"$pod"})'},
            "table",
            6,
        ),
    ],
    folded=True,
)

ONE = 'SCOPE,pod="$pod"'
RUN = Row(
    "How far it is",
    [
        View(
            "Going on for",
            "Time since this attempt of the run began.",
            "s",
            {"{{kind}}": f"time() - max by (kind) (mynatca_intercom_run_start_timestamp_seconds{{{ONE}}})"},
            "stat",
            4,
        ),
        View(
            "Done",
            "Share of the actions of the plan that are behind it; no plan, no share.",
            "percentunit",
            {
                "": f"max(mynatca_intercom_run_actions_done{{{ONE}}})"
                f" / (max(mynatca_intercom_run_actions_planned{{{ONE}}}) > 0)"
            },
            "stat",
            4,
        ),
        View(
            "Planned",
            "Actions that it plans to take.",
            "short",
            {"": f"max(mynatca_intercom_run_actions_planned{{{ONE}}})"},
            "stat",
            4,
        ),
        View(
            "Members",
            "Members that it read from the source.",
            "short",
            {"": f"max(mynatca_intercom_run_source_members{{{ONE}}})"},
            "stat",
            4,
        ),
        View(
            "Contacts",
            "Contacts that it listed in Intercom.",
            "short",
            {"": f"max(mynatca_intercom_run_contacts_listed{{{ONE}}})"},
            "stat",
            4,
        ),
        View(
            "Since the last action",
            "Long, and it does not move: see what it waits for below.",
            "s",
            {"": f"time() - (max(mynatca_intercom_run_last_action_timestamp_seconds{{{ONE}}}) > 0)"},
            "stat",
            4,
            ((None, "green"), (300, "orange"), (1800, "red")),
        ),
        View(
            "Actions",
            "By what became of them.",
            "ops",
            {"{{outcome}}": f"sum by (outcome) (rate(mynatca_intercom_run_actions_total{{{ONE}}}[$__rate_interval]))"},
            "stack",
            12,
        ),
        View(
            "Sources that failed, contacts brought back",
            "A source of members that did not answer; contacts that were unarchived, as open work came in meanwhile.",
            "ops",
            {
                "{{source}} failed": "sum by (source) "
                f"(rate(mynatca_intercom_source_fallbacks_total{{{ONE}}}[$__rate_interval]))",
                "brought back": f"sum(rate(mynatca_intercom_run_brought_back_total{{{ONE}}}[$__rate_interval]))",
            },
            width=12,
        ),
    ],
)


def dashboards() -> dict[str, str]:
    """File name -> the dashboard's JSON."""
    service = _dashboard("mynatca-intercom", "mynatca-intercom", "Nightly sync, webhook, Intercom, operator.", "7d")
    service.with_variable(_pods("pod", hidden=True)).annotation(_nights()).link(
        _link("One run", "mynatca-intercom-run")
    )
    run = _dashboard("mynatca-intercom-run", "mynatca-intercom: one run", "A run, while its pod lives.", "3h")
    run.with_variable(_pods("pod", hidden=False)).link(_link("The service", "mynatca-intercom"))
    _fill(service, [NOW, SYNC, WEBHOOK, intercom("SCOPE"), OPERATOR, PODS])
    _fill(run, [RUN, intercom(ONE)])
    return {"service.json": _text(service), "run.json": _text(run)}


def _text(dashboard: board.Dashboard) -> str:
    return JSONEncoder(sort_keys=True, indent=2).encode(dashboard.build()) + "\n"


def _dashboard(uid: str, title: str, description: str, span: str) -> board.Dashboard:
    parts = 'up{component=~"webhook|operator|run"}'
    return (
        board.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["mynatca-intercom"])
        .readonly()
        .timezone("browser")
        .time(f"now-{span}", "now")
        .refresh("1m")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(board.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(_variable("namespace", "Namespace", f"label_values({parts}, namespace)"))
        .with_variable(_variable("release", "Release", f'label_values({parts[:-1]},namespace="$namespace"}}, release)'))
    )


def _variable(name: str, label: str, query: str) -> board.QueryVariable:
    return (
        board.QueryVariable(name)
        .label(label)
        .query(query)
        .datasource(DATASOURCE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )


def _pods(name: str, *, hidden: bool) -> board.QueryVariable:
    if hidden:
        query = _scoped("label_values(up{SCOPE}, pod)")
        every = _variable(name, "Pod", query).hide(models.VariableHide.HIDE_VARIABLE)
        return (
            every.multi(multi=True)
            .include_all(include_all=True)
            .current(models.VariableOption(text="All", value="$__all"))
        )
    return _variable(name, "Run", _scoped("label_values(mynatca_intercom_run_start_timestamp_seconds{SCOPE}, pod)"))


def _nights() -> board.AnnotationQuery:
    expression = _scoped("max(mynatca_intercom_operator_nightly_running{SCOPE}) > 0")
    night = board.AnnotationQuery().name("Nightly sync").datasource(DATASOURCE)
    return night.enable(enable=True).icon_color("blue").expr(expression)


def _link(title: str, uid: str) -> board.DashboardLink:
    link = board.DashboardLink(title).type(models.DashboardLinkType.LINK).url(f"/d/{uid}")
    return link.keep_time(keep_time=True).include_vars(include_vars=True)


def _fill(dashboard: board.Dashboard, rows: Sequence[Row]) -> None:
    number = 0
    for row in rows:
        made = board.Row(row.title)
        panels = []
        for view in row.views:
            number += 1
            panels.append(_panel(view).id(number))
        if row.folded:
            for panel in panels:
                made.with_panel(panel)
            dashboard.with_row(made.collapsed(collapsed=True))
            continue
        dashboard.with_row(made)
        for panel in panels:
            dashboard.with_panel(panel)


def _scoped(expression: str) -> str:
    return expression.replace("SCOPE", 'namespace="$namespace",release="$release"')


def _panel(view: View) -> Panel:
    panel = _of_kind(view.kind)
    panel.title(view.title).description(view.description).unit(view.unit).datasource(DATASOURCE)
    panel.height(4 if view.kind == "stat" else 8).span(view.width)
    if isinstance(panel, stat.Panel):
        steps = [models.Threshold(value=value, color=colour) for value, colour in view.colours]
        panel.thresholds(board.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
    if view.words:
        options = {value: models.ValueMappingResult(text=word) for value, word in view.words.items()}
        panel.mappings([models.ValueMap(options=options)])
    for number, (legend, expression) in enumerate(view.queries.items()):
        query = prom.Dataquery().expr(_scoped(expression)).ref_id(chr(ord("A") + number)).legend_format(legend)
        if view.kind == "heatmap":
            query = query.format(PromQueryFormat.HEATMAP)
        if view.kind == "table":
            query = query.instant().format(PromQueryFormat.TABLE)
        panel.with_target(query)
    return panel


def _of_kind(kind: Kind) -> Panel:
    if kind == "stat":
        reduced = common.ReduceDataOptions().calcs(["lastNotNull"])
        return stat.Panel().reduce_options(reduced).graph_mode(common_models.BigValueGraphMode.NONE)
    if kind == "heatmap":
        return heatmap.Panel()
    if kind == "table":
        return table.Panel()
    lines = timeseries.Panel().min(0).tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
    if kind == "stack":
        lines.fill_opacity(30).stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    return lines
