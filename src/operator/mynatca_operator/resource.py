"""The custom resource `IntercomAudit`, typed: the one source of its CRD, of its defaults and of what is read back.

Fields without a default may be left out. Rules across fields are CEL (Kubernetes: CRD validation rules); their messages
are what `kubectl apply` prints.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

GROUP = "intercom.natca.org"
VERSION = "v1alpha1"
PLURAL = "intercomaudits"
KIND = "IntercomAudit"

Mode = Literal["Audit", "ManualUpdate", "Sync", "Undo"]
Step = Literal["plan", "run"]
"""The dry run whose plan a person approves, or the run itself."""
Phase = Literal["Pending", "Waiting", "Planning", "AwaitingApproval", "Running", "Suspended", "Complete", "Failed"]
ConditionType = Literal[
    "Complete", "Failed", "Suspended", "JobCreated", "Waiting", "PlanReady", "ResultAvailable", "ConcurrentRun"
]

CHANGEABLE = ("suspend", "ttlSecondsAfterFinished", "approvedPlan")
"""Fields of a spec that may change; everything else asks for a new object."""

ContactId = Annotated[str, Field(pattern=r"^[0-9a-f]{24}$", max_length=24)]
MemberNumber = Annotated[str, Field(pattern=r"^[0-9]{1,20}$", max_length=20)]


def _rules(*rules: tuple[str, str]) -> JsonDict:
    """Validation rules in CEL, each with the sentence for whoever breaks it."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in rules]}


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class Audit(_Part):
    """What an audit may do."""

    leads_only: bool = Field(default=False, description="Touch leads only, and users by merges alone.")
    archive: bool = Field(
        default=True, description="Archive duplicates and contacts of nobody that have no open conversation or ticket."
    )


class Mapping(_Part):
    """A person's decision: this contact is that member."""

    contact_id: ContactId = Field(description="Intercom's id of the contact, 24 hexadecimal digits.")
    member_number: MemberNumber = Field(description="The member's number.")


class ConfigMapKeyRef(_Part):
    """A key of a ConfigMap in the same namespace."""

    name: str = Field(min_length=1, max_length=253, description="The ConfigMap's name.")
    key: str = Field(min_length=1, max_length=253, description="The key that holds the mappings file, JSON or CSV.")


class MappingsFrom(_Part):
    """Where mappings lie that are too many to be written here."""

    config_map_key_ref: ConfigMapKeyRef = Field(description="A key of a ConfigMap in the same namespace.")


class ManualUpdate(_Part):
    """Decisions of a person that are to be carried out; given here, or in a ConfigMap."""

    model_config = ConfigDict(
        json_schema_extra=_rules(
            ("has(self.mappings) != has(self.mappingsFrom)", "give mappings or mappingsFrom, and not both")
        )
    )

    mappings: list[Mapping] | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        description="The decisions themselves; each contact once.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["contactId"]},
    )
    mappings_from: MappingsFrom | None = Field(
        default=None, description="Where the mappings file lies, for more of them than fit here."
    )


class Undo(_Part):
    """Which run is taken back."""

    run_id: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
        max_length=63,
        description="The id of the run whose writes are taken back: status.runId of its IntercomAudit, or the run id "
        "that its log lines bear.",
    )


class Brakes(_Part):
    """Brakes that a person releases for this run."""

    release: list[Literal["create", "update", "archive", "source", "listing"]] = Field(
        default_factory=list,
        max_length=5,
        description="Classes of brakes that do not stop this run, because somebody has looked and found it right.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )


class Spec(_Part):
    """What is to be run. Immutable but for `suspend`, `ttlSecondsAfterFinished` and `approvedPlan`."""

    model_config = ConfigDict(
        json_schema_extra=_rules(
            ("self.mode == 'Audit' || !has(self.audit)", "audit is for mode Audit only"),
            (
                "(self.mode == 'ManualUpdate') == has(self.manualUpdate)",
                "mode ManualUpdate needs manualUpdate, and no other mode takes it",
            ),
            (
                "(self.mode == 'Undo') == has(self.undo)",
                "mode Undo needs undo.runId, and no other mode takes it",
            ),
            (
                "!(self.dryRun && self.approval == 'Manual')",
                "a dry run writes nothing and needs no approval: leave out dryRun or approval",
            ),
            ("!has(self.approvedPlan) || self.approval == 'Manual'", "approvedPlan is for approval Manual only"),
        )
    )

    mode: Mode = Field(
        description="What is run: Audit enriches and cleans what is in Intercom; ManualUpdate carries out a person's "
        "decisions; Sync is the nightly sync, now; Undo takes a run back."
    )
    dry_run: bool = Field(default=False, description="Decide everything and write nothing.")
    limit: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Write for at most so many members, or contacts that are no member's.",
    )
    brakes: Brakes | None = Field(
        default=None, description="Brakes that are released for this run, for example after a braked nightly sync."
    )
    audit: Audit | None = Field(default=None, description="What an audit may do; for mode Audit.")
    manual_update: ManualUpdate | None = Field(default=None, description="A person's decisions; for mode ManualUpdate.")
    undo: Undo | None = Field(default=None, description="Which run is taken back; for mode Undo.")
    approval: Literal["Automatic", "Manual"] = Field(
        default="Automatic",
        description="Manual: a dry run comes first, its counts and the digest of its plan appear in status, and "
        "nothing is written until approvedPlan is that digest.",
    )
    approved_plan: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        max_length=64,
        description="The digest of the plan that may be carried out, as status.planDigest shows it.",
    )
    suspend: bool = Field(
        default=False,
        description="Hold: nothing is started, and a run that is going on stops between two members. It goes on where "
        "it stopped once this is false again.",
    )
    active_deadline_seconds: int | None = Field(
        default=None, ge=1, le=604_800, description="Seconds after which a run that is going on is stopped and failed."
    )
    start_deadline_seconds: int = Field(
        default=600,
        ge=1,
        le=604_800,
        description="Seconds that a run may take from its launch until its pod runs; then it has failed. Waiting for "
        "another run does not count.",
    )
    backoff_limit: int = Field(
        default=2, ge=0, le=10, description="How often a run that failed in a way that may pass is started again."
    )
    ttl_seconds_after_finished: int | None = Field(
        default=None,
        ge=0,
        le=31_536_000,
        description="Seconds after its end when this object and its Job are removed; not given: the operator's limits "
        "for kept objects decide.",
    )


class Condition(_Part):
    """A condition (Kubernetes: API conventions, typical status properties)."""

    type: ConditionType = Field(description="What it is about.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(max_length=64, description="Why, in one word.")
    message: str = Field(default="", max_length=1024, description="Why, in a sentence.")
    last_transition_time: datetime = Field(description="When `status` last changed.")
    observed_generation: int = Field(description="The generation of the spec that this is about.")


class Progress(_Part):
    """How far a run is."""

    total: int = Field(description="Actions that the run plans to take.")
    done: int = Field(description="Actions that are behind it, whatever came of them.")
    last_moved: datetime | None = Field(default=None, description="When the run last finished an action.")


class RunResult(_Part):
    """What a run saw and did."""

    outcome: str = Field(max_length=64, description="How it ended: done, failed_rows, brake, stopped, ...")
    exit_code: int = Field(description="Exit code of mynatca-syncjob.")
    seen: int = Field(description="Members, contacts, rows or writes that the counts add up to.")
    changed: int = Field(description="How many of them were changed, or would be by a dry run.")
    failed: int = Field(description="How many of them failed.")
    counts: dict[str, int] = Field(default_factory=dict, description="What became of them.")
    brakes: list[str] = Field(default_factory=list, description="Brakes that stopped the run.")
    source: str = Field(default="", max_length=64, description="Where the members were read.")


class Status(_Part):
    """What is known of the run; written by the operator alone."""

    observed_generation: int | None = Field(default=None, description="The generation of the spec that this is about.")
    phase: Phase | None = Field(default=None, description="Where the run stands.")
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=16,
        description="Complete or Failed is True at the end, never both.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    run_id: str | None = Field(default=None, description="The run's id, the name of its run folder.")
    plan_run_id: str | None = Field(default=None, description="The id of the dry run whose plan is to be approved.")
    job_name: str | None = Field(default=None, description="The Job that was launched last, or is about to be.")
    attempt: int = Field(default=0, description="How often a Job was to be launched for this run; suspending ends one.")
    start_time: datetime | None = Field(default=None, description="When the run was launched.")
    launch_time: datetime | None = Field(default=None, description="When the present Job was launched.")
    completion_time: datetime | None = Field(default=None, description="When the run ended.")
    progress: Progress | None = Field(default=None, description="How far the run is; at most half a minute old.")
    result: RunResult | None = Field(default=None, description="What the run, or the dry run before it, saw and did.")
    plan_digest: str | None = Field(default=None, description="The digest of the plan that waits for approval.")
    plan_config_map: str | None = Field(default=None, description="The ConfigMap with the plan's first actions.")
    message: str | None = Field(default=None, max_length=1024, description="How it stands, in a sentence.")

    def condition(self, type_: ConditionType) -> Condition | None:
        """The condition of a type, by type and never by position."""
        return next((each for each in self.conditions if each.type == type_), None)

    def is_true(self, type_: ConditionType) -> bool:
        """Whether a condition is there and holds."""
        found = self.condition(type_)
        return found is not None and found.status == "True"

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended; such a status never changes again."""
        return self.is_true("Complete") or self.is_true("Failed")


class Metadata(_Part):
    """What the operator reads of an object's metadata."""

    name: str
    namespace: str
    uid: str
    generation: int = 1
    resource_version: str = ""
    creation_timestamp: datetime
    deletion_timestamp: datetime | None = None


class IntercomAudit(_Part):
    """An object as the API server stores it."""

    metadata: Metadata
    spec: Spec
    status: Status = Field(default_factory=Status)

    @property
    def step(self) -> Step:
        """The present step; a run that was launched stays one, whatever becomes of its approval."""
        if self.spec.approval == "Automatic" or self._has_launched("run"):
            return "run"
        return "run" if self.status.plan_digest and self.spec.approved_plan == self.status.plan_digest else "plan"

    @property
    def is_launched(self) -> bool:
        """Whether the Job of the present step has its intent recorded."""
        return self._has_launched(self.step)

    @property
    def writes(self) -> bool:
        """Whether the present step may write to Intercom; a dry run and a planning step never do."""
        return not self.spec.dry_run and not self.plans

    @property
    def plans(self) -> bool:
        """Whether the present step is the dry run that somebody is to approve."""
        return self.step == "plan"

    def _has_launched(self, step: Step) -> bool:
        planned = self.status.run_id == self.status.plan_run_id
        return self.status.job_name is not None and planned == (step == "plan")


def as_status(status: Status) -> dict[str, Any]:
    """A status as the API server stores it: without what is not known."""
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


def status_patch(old: Status, new: Status) -> dict[str, Any]:
    """What turns one status into the other, as a JSON merge patch (RFC 7396): it has to name what goes."""
    return _merge_patch(as_status(old), as_status(new))


def _merge_patch(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    patch: dict[str, Any] = dict.fromkeys(old.keys() - new.keys())
    for name, value in new.items():
        before = old.get(name)
        if isinstance(before, dict) and isinstance(value, dict) and before != value:
            patch[name] = _merge_patch(before, value)
        elif before != value:
            patch[name] = value
    return patch
