"""The CustomResourceDefinition without a cluster: what every one has to hold, and that the models fit it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import BaseModel

from mynatca_operator import crd
from mynatca_operator.resource import (
    CHANGEABLE,
    Audit,
    Brakes,
    Condition,
    ConditionType,
    ConfigMapKeyRef,
    ManualUpdate,
    Mapping,
    MappingsFrom,
    Mode,
    Phase,
    Progress,
    RunResult,
    Spec,
    Status,
    Undo,
    as_status,
    status_patch,
)

SCHEMA = crd.schema()
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())


def built(model: type[BaseModel], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Models of these fields; `st.builds` would make up those whose names in JSON differ."""
    return st.fixed_dictionaries(fields).map(lambda values: model(**values))


moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - as asked
counts = st.integers(0, 10**9)
short = st.text(st.characters(codec="ascii"), max_size=30)
contact_ids = st.text("0123456789abcdef", min_size=24, max_size=24)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
numbers = st.text("0123456789", min_size=1, max_size=20)
mappings = built(Mapping, contact_id=contact_ids, member_number=numbers)
optional = st.none() | st.integers(1, 604_800)
specs = built(
    Spec,
    mode=st.sampled_from(get_args(Mode)),
    dry_run=st.booleans(),
    limit=st.none() | st.integers(1, 10_000_000),
    brakes=st.none() | built(Brakes, release=st.lists(st.sampled_from(["create", "listing"]), unique=True)),
    audit=st.none() | built(Audit, leads_only=st.booleans(), archive=st.booleans()),
    manual_update=st.none()
    | built(ManualUpdate, mappings=st.lists(mappings, min_size=1, max_size=3))
    | st.just(ManualUpdate(mappings_from=MappingsFrom(config_map_key_ref=ConfigMapKeyRef(name="a", key="b")))),
    undo=st.none() | st.just(Undo(run_id="sync-1")),
    approval=st.sampled_from(["Automatic", "Manual"]),
    approved_plan=st.none() | digests,
    suspend=st.booleans(),
    active_deadline_seconds=optional,
    start_deadline_seconds=st.integers(1, 604_800),
    backoff_limit=st.integers(0, 10),
    ttl_seconds_after_finished=st.none() | st.integers(0, 31_536_000),
)
conditions = built(
    Condition,
    type=st.sampled_from(get_args(ConditionType)),
    status=st.sampled_from(["True", "False", "Unknown"]),
    reason=short,
    message=short,
    last_transition_time=moments,
    observed_generation=counts,
)
results = built(
    RunResult,
    outcome=short,
    exit_code=counts,
    seen=counts,
    changed=counts,
    failed=counts,
    counts=st.dictionaries(st.sampled_from(["created", "updated", "failed"]), counts),
    brakes=st.lists(short, max_size=2),
    source=short,
)
statuses = built(
    Status,
    observed_generation=st.none() | counts,
    phase=st.none() | st.sampled_from(get_args(Phase)),
    conditions=st.lists(conditions, max_size=3, unique_by=lambda each: each.type),
    run_id=st.none() | short,
    plan_run_id=st.none() | short,
    job_name=st.none() | short,
    attempt=counts,
    start_time=st.none() | moments,
    launch_time=st.none() | moments,
    completion_time=st.none() | moments,
    progress=st.none() | built(Progress, total=counts, done=counts, last_moved=st.none() | moments),
    result=st.none() | results,
    plan_digest=st.none() | digests,
    plan_config_map=st.none() | short,
    message=st.none() | short,
)


def parts(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """A schema and all that are in it, with their paths."""
    yield path, schema
    for name, each in schema.get("properties", {}).items():
        yield from parts(each, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield from parts(schema[name], f"{path}.{name}")


def test_every_field_is_described() -> None:
    fields = [(path, each) for path, each in parts(SCHEMA) if not path.endswith((".items", ".additionalProperties"))]

    assert len(fields) >= 60
    assert [path for path, each in fields if not each.get("description")] == []


def test_the_schema_is_structural() -> None:
    """Kubernetes refuses one that is not; these are the rules that pydantic's own schemas break."""
    for path, part in parts(SCHEMA):
        assert part["type"] in ("object", "array", "string", "integer", "boolean"), path
        forbidden = {"$ref", "$defs", "anyOf", "allOf", "oneOf", "not", "const", "title", "uniqueItems"}
        assert not forbidden & set(part), path
        assert part.get("default", ...) is not None, path
        assert part["type"] != "integer" or part["format"] == "int64", path
        assert part["type"] != "array" or part["items"], path


def test_defaults_and_what_is_required_come_from_the_models() -> None:
    spec = SCHEMA["properties"]["spec"]

    defaults = {name: each["default"] for name, each in spec["properties"].items() if "default" in each}
    assert defaults == {
        "dryRun": False,
        "approval": "Automatic",
        "suspend": False,
        "startDeadlineSeconds": 600,
        "backoffLimit": 2,
    }
    assert spec["required"] == ["mode"]
    assert SCHEMA["required"] == ["spec"]


def test_the_rule_of_immutability_knows_every_field() -> None:
    spec = SCHEMA["properties"]["spec"]
    rule = spec["x-kubernetes-validations"][-1]

    compared = {name for name in spec["properties"] if f"self.{name} == oldSelf.{name}" in rule["rule"]}
    assert compared == set(spec["properties"]) - set(CHANGEABLE)
    assert rule["message"].startswith("spec is immutable but for suspend, ttlSecondsAfterFinished and approvedPlan:")


def test_every_rule_has_a_sentence() -> None:
    rules = [rule for _, part in parts(SCHEMA) for rule in part.get("x-kubernetes-validations", [])]

    assert len(rules) >= 7
    assert all(" " in rule["message"] for rule in rules)


def test_columns_show_fields_that_are_there() -> None:
    version = crd.manifest()["spec"]["versions"][0]
    paths = {path for path, _ in parts(SCHEMA)} | {".metadata.creationTimestamp"}

    assert [column["name"] for column in version["additionalPrinterColumns"]] == [
        *("Mode", "DryRun", "Phase", "Done", "Changed", "Failed", "Age")
    ]
    assert {column["jsonPath"] for column in version["additionalPrinterColumns"]} <= paths
    assert version["subresources"] == {"status": {}}


@given(specs)
def test_what_the_models_write_the_schema_takes(spec: Spec) -> None:
    written = spec.model_dump(mode="json", by_alias=True, exclude_none=True)

    VALIDATOR.validate({"spec": written})
    assert Spec.model_validate(written) == spec


@given(statuses)
def test_what_the_operator_writes_the_schema_takes(status: Status) -> None:
    VALIDATOR.validate({"spec": {"mode": "Audit"}, "status": as_status(status)})
    assert Status.model_validate(as_status(status)) == status


@given(statuses, statuses)
def test_a_patch_turns_one_status_into_the_other(old: Status, new: Status) -> None:
    """The API server merges maps: counts of a plan must not stay among those of the run."""
    assert merged(as_status(old), status_patch(old, new)) == as_status(new)
    assert status_patch(new, new) == {}


def merged(target: Any, patch: Any) -> Any:
    """The algorithm of RFC 7396, section 2, as it stands there."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result
