"""The CronJobs: when they start, what happens when they could not, and what is left of them."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from helm_python import HelmError

from support.chart_cases import EVERYTHING_ON, EXISTING_SECRET, merged
from support.helm import render
from support.manifests import find, of_kind

CLOCK_CHANGES = [datetime(2027, 3, 14, tzinfo=UTC), datetime(2027, 11, 7, tzinfo=UTC)]
"""Of the United States; the night before and the night after are looked at, too."""
EVERY_DAY = timedelta(days=1)


def cronjob(name: str, **values: Any) -> dict[str, Any]:
    spec: dict[str, Any] = find(render(merged(EXISTING_SECRET, values)), "CronJob", f"-{name}")["spec"]
    return spec


def starts(spec: dict[str, Any], after: datetime, count: int) -> list[datetime]:
    zone = ZoneInfo(spec["timeZone"])
    return list(itertools.islice(CronSim(spec["schedule"], after.astimezone(zone)), count))


@pytest.mark.parametrize("change", CLOCK_CHANGES)
def test_every_night_has_one_start(change: datetime) -> None:
    begin = change - 2 * EVERY_DAY
    made = [each.astimezone(UTC) for each in starts(cronjob("nightly"), begin, 5)]
    assert made == [begin.replace(hour=2, minute=30) + EVERY_DAY * day for day in range(5)]


@pytest.mark.parametrize("change", CLOCK_CHANGES)
def test_a_sweep_starts_every_quarter_of_an_hour(change: datetime) -> None:
    made = starts(cronjob("sweep"), change, 100)
    assert {later - earlier for earlier, later in itertools.pairwise(made)} == {timedelta(minutes=15)}


@pytest.mark.parametrize("name", ["nightly", "sweep"])
def test_a_cronjob_is_complete(name: str) -> None:
    spec = cronjob(name)
    job = spec["jobTemplate"]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["timeZone"] == "Etc/UTC"
    assert spec["suspend"] is False
    assert spec["successfulJobsHistoryLimit"] == spec["failedJobsHistoryLimit"] > 0
    assert job["backoffLimit"] == 2
    # A finished Job outlasts the nights that are kept, and goes even if nobody makes new ones.
    assert job["ttlSecondsAfterFinished"] >= timedelta(days=7).total_seconds()
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_a_late_night_does_not_run_into_the_next_one() -> None:
    spec = cronjob("nightly")
    late = spec["startingDeadlineSeconds"]
    # Hours, as an outage of a cluster lasts hours.
    assert late >= timedelta(hours=1).total_seconds()
    assert late + spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] <= EVERY_DAY.total_seconds()
    with pytest.raises(HelmError, match="a late night would run into the next one"):
        cronjob("nightly", nightly={"startingDeadlineSeconds": 43200, "activeDeadlineSeconds": 43201})


def test_a_sweep_is_not_made_up_for_when_the_next_one_is_due() -> None:
    spec = cronjob("sweep")
    first, second = starts(spec, CLOCK_CHANGES[0], 2)
    assert spec["startingDeadlineSeconds"] < (second - first).total_seconds()


def test_only_nightly_runs_are_looked_after_by_the_operator() -> None:
    """It lists Jobs by a label with the run's mode; a sweep is none of them."""
    objects = render(EVERYTHING_ON)
    modes = {}
    for each in of_kind(objects, "CronJob"):
        template = each["spec"]["jobTemplate"]
        pod = template["spec"]["template"]["metadata"]["labels"]
        assert pod.items() >= template["metadata"]["labels"].items()
        modes[each["metadata"]["name"]] = pod.get("intercom.natca.org/run")
    assert modes == {"natca-mynatca-intercom-nightly": "Nightly", "natca-mynatca-intercom-sweep": None}


def test_what_can_be_set_is_set() -> None:
    given = {
        "schedule": "0 4 * * 1-5",
        "suspend": True,
        "startingDeadlineSeconds": 3600,
        "activeDeadlineSeconds": 7200,
        "history": 3,
    }
    spec = cronjob(
        "nightly", nightly=given, runs={"timeZone": "America/New_York", "backoffLimit": 0, "maxFailedRows": 5}
    )
    job = spec["jobTemplate"]["spec"]
    assert [spec["schedule"], spec["suspend"], spec["startingDeadlineSeconds"]] == ["0 4 * * 1-5", True, 3600]
    assert [job["activeDeadlineSeconds"], job["backoffLimit"], spec["timeZone"]] == [7200, 0, "America/New_York"]
    assert job["template"]["spec"]["containers"][0]["args"] == ["sync", "--max-failed-rows", "5"]
