"""The suite of planted trouble: an audit of 20,000 members' workspace, then a sync, judged by labels they never see."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.commands import Run, commands
from benchmarks.conflicts import Cases, Latecomers, Refusals
from benchmarks.duplicates import Duplicates
from benchmarks.figures import Figures, share
from benchmarks.judgement import found, to_be_reviewed, wrongly_written
from benchmarks.labels import Labels
from benchmarks.open_work import PLANTED, WRITING_IN, WritingIn, archived_with_open_work
from mynatca_sandbox.options import Options, Suspended
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.generate import WorldOptions, generate
from mynatca_sandbox.world.model import World
from mynatca_sandbox.world.suite import AMBIGUOUS_KINDS

MEMBERS = 20_000


def quality() -> Figures:
    """An audit and a sync where Intercom lists suspended conversations, and an audit where it hides them."""
    refusals = Refusals()
    with _suite("listed", refusals) as (sandbox, labels), commands(sandbox.url) as syncjob:
        audit = syncjob.run("audit", "--release=archive").well_ended()
        figures = _of_audit(labels, sandbox.world, audit)
        sandbox.before = Latecomers(sandbox, labels)
        sync = syncjob.run("sync").well_ended()
        cases = Cases(labels, sandbox.world, sync)
        wrong = wrongly_written(labels, sandbox.world, [audit, sync])
    classes = cases.classes_as_defined(refusals.holders)
    return {
        "quality.wrong_person_writes": (len(wrong), "contacts", "0"),
        **figures,
        "quality.conflict_cases": (cases.count, "cases", "≥ 500"),
        "quality.conflict_classes": (classes, "classes", "5"),
        "quality.archived_with_open_work_if_hidden": (_archived_if_hidden(), "contacts", ""),
    }


@contextmanager
def _suite(suspended: Suspended, refusals: Refusals | None = None) -> Iterator[tuple[Sandbox, Labels]]:
    """The world in a sandbox, some of whose idle strangers write in as soon as an audit runs, and its labels."""
    world = generate(WorldOptions(members=MEMBERS, contacts="suite"))
    labels = Labels(copy.deepcopy(world))
    with Sandbox(world, Options(limit=None, suspended=suspended), observe=refusals) as sandbox:
        sandbox.before = WritingIn(sandbox, labels.of_kind("stranger_idle"))
        yield sandbox, labels


def _of_audit(labels: Labels, after: World, audit: Run) -> Figures:
    matched = found(labels, after, audit)
    to_review = to_be_reviewed(labels, matched)
    reviewed = audit.reviewed("contact_id")
    true = len(labels.of_members())
    return {
        "quality.true_matches_found": (share(len(matched), true), "share", "≥ 0.95"),
        "quality.true_matches_decided": (share(len(matched - reviewed), true), "share", ""),
        "quality.review_listed": (share(len(to_review & reviewed), len(to_review)), "share", "1"),
        "quality.ambiguous_cases": (len(labels.of_kind(*AMBIGUOUS_KINDS)), "cases", "≥ 1000"),
        "quality.open_work_cases": (len(labels.of_kind(*PLANTED)) + WRITING_IN, "cases", "≥ 500"),
        "quality.archived_with_open_work": (archived_with_open_work(labels, after), "contacts", "0"),
        "quality.duplicates_lost": (Duplicates(labels, after, audit).lost(), "things", "0"),
    }


def _archived_if_hidden() -> int:
    """What the closing pass cannot see, where archiving hides what it looks for."""
    with _suite("hidden") as (sandbox, labels), commands(sandbox.url) as syncjob:
        syncjob.run("audit", "--release=archive").well_ended()
        return archived_with_open_work(labels, sandbox.world)
