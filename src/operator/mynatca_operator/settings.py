"""The operator's settings, from environment variables."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mynatca_intercom.settings import Settings


def _namespace(value: str) -> str:
    if value or not SERVICE_ACCOUNT_NAMESPACE.is_file():
        return value
    return SERVICE_ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip()


SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class OperatorSettings(Settings):
    """What the operator looks after, and what it makes Jobs of."""

    namespace: Annotated[str, AfterValidator(_namespace)] = Field(
        "",
        alias="OPERATOR_NAMESPACE",
        validate_default=True,
        description="Namespace whose IntercomAudits are run; default: that of the operator's pod.",
        examples=["mynatca-intercom"],
    )
    all_namespaces: bool = Field(
        default=False,
        alias="ALL_NAMESPACES",
        description="Run IntercomAudits of all namespaces, which needs a ClusterRole; OPERATOR_NAMESPACE is then where "
        "the record of last runs and the nightly sync are.",
        examples=["true"],
    )
    job_template: Path = Field(
        alias="JOB_TEMPLATE",
        description="File with the Job (batch/v1, YAML) that every run is made of; its first container gets the "
        "arguments.",
        examples=["/etc/mynatca-operator/job.yaml"],
    )
    sync_cronjob: str = Field(
        "",
        alias="SYNC_CRONJOB",
        description="Name of the nightly sync's CronJob, whose Jobs are watched; not set: none is.",
        examples=["mynatca-intercom-sync"],
    )
    sweep_seconds: float = Field(
        30,
        alias="SWEEP_SECONDS",
        gt=0,
        le=600,
        description="Seconds after which everything is looked at again, whatever the watches say.",
        examples=["30"],
    )
    http_port: int = Field(
        8080,
        alias="HTTP_PORT",
        ge=0,
        le=65535,
        description="Port of /healthz, /readyz and /metrics.",
        examples=["8080"],
    )
    record: str = Field(
        "mynatca-intercom-runs",
        alias="RUNS_CONFIG_MAP",
        description="ConfigMap that keeps what became of the last runs.",
        examples=["mynatca-intercom-runs"],
    )
    max_failed_rows: str = Field(
        "1%",
        alias="MAX_FAILED_ROWS",
        pattern=r"^(\d+|\d{1,2}(\.\d+)?%)$",
        description="Rows that may fail in a run, as a number or a share, before it counts as failed.",
        examples=["1%"],
    )
    kept_complete: int = Field(
        20,
        alias="KEPT_COMPLETE",
        ge=0,
        description="Completed IntercomAudits that are kept; older ones are removed.",
        examples=["20"],
    )
    kept_failed: int = Field(
        20,
        alias="KEPT_FAILED",
        ge=0,
        description="Failed IntercomAudits that are kept; older ones are removed.",
        examples=["20"],
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", alias="LOG_LEVEL", description="Least severe log lines to write.", examples=["DEBUG"]
    )
