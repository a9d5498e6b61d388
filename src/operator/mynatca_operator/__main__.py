"""`mynatca-operator`: runs IntercomAudits of one namespace until SIGTERM.

kopf watches and wakes; `sweep` looks and decides. So nothing rests on an event, and kopf writes nothing of its own.
"""

import argparse
import asyncio
import logging
import math
import os
import ssl
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import kopf
import yaml
from kubernetes.aio.client import ApiClient, Configuration, V1Job
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from mynatca_intercom import logs
from mynatca_intercom.settings import SettingsError, load
from mynatca_operator.cluster import TROUBLE, Cluster, told
from mynatca_operator.definition import DefinitionUnfit, ensure_current, ensure_served
from mynatca_operator.exporter import Exporter
from mynatca_operator.job import KIND_LABEL
from mynatca_operator.resource import GROUP, PLURAL, VERSION
from mynatca_operator.server import serving
from mynatca_operator.settings import OperatorSettings
from mynatca_operator.sweep import Sweeper

EXIT_CODES = "exit codes: 0 stopped, 1 the API server refuses or a part failed, 2 wrong settings, or no such resource"

log = logging.getLogger(__name__)


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:], os.environ))


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run until SIGTERM; returns the exit code."""
    argparse.ArgumentParser(prog="mynatca-operator", description=__doc__, epilog=EXIT_CODES).parse_args(arguments)
    try:
        settings = load(OperatorSettings, environment)
        template = read_template(settings)
    except SettingsError as error:
        return _refused(error, 2)
    set_up_logs(settings)
    try:
        return asyncio.run(_operate(settings, template))
    except (DefinitionUnfit, ConfigException) as error:
        return _refused(error, 2)
    except TROUBLE as error:
        log.error("the operator ends: %s", told(error))  # noqa: TRY400 - the reason is in the lines before
        return 1


def set_up_logs(settings: OperatorSettings) -> None:
    """JSON lines like those of the other programs; kopf tells of each event only when something is wrong with it."""
    logs.set_up(settings.log_level, "operator")
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLogger().level))
    for handler in logging.getLogger().handlers:
        handler.addFilter(_without_kopf_settings)


def _without_kopf_settings(record: logging.LogRecord) -> bool:
    """Take away what kopf hangs on its lines for itself, and what is no JSON."""
    record.__dict__.pop("settings", None)
    return True


def _refused(error: Exception, code: int) -> int:
    print(error, file=sys.stderr)  # noqa: T201 - a person reads it
    return code


def read_template(settings: OperatorSettings) -> dict[str, Any]:
    """The Job that runs are made of.

    Raises:
        SettingsError: it cannot be read, or is no Job with a container; or the namespace is not known.
    """
    if not settings.namespace:
        raise SettingsError("OPERATOR_NAMESPACE is not set, and this is no pod: name one, OPERATOR_NAMESPACE=default.")
    try:
        read = yaml.safe_load(settings.job_template.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise _unfit(settings, f"it cannot be read ({type(error).__name__})") from None
    if not isinstance(read, dict) or (read.get("apiVersion"), read.get("kind")) != ("batch/v1", "Job"):
        raise _unfit(settings, "it is no Job of batch/v1")
    try:
        template = V1Job.model_validate(read)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _unfit(settings, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    pod = template.spec.template.spec if template.spec else None
    if not pod or not pod.containers:
        raise _unfit(settings, "spec.template.spec.containers has none")
    if not pod.containers[0].image:
        raise _unfit(settings, "spec.template.spec.containers.0.image is missing")
    return template.model_dump(mode="json", by_alias=True, exclude_none=True)


def _unfit(settings: OperatorSettings, why: str) -> SettingsError:
    return SettingsError(f"JOB_TEMPLATE cannot be {str(settings.job_template)!r}: {why}.")


async def _operate(settings: OperatorSettings, template: dict[str, Any]) -> int:
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(ApiClient(await _configuration()))
        await ensure_served(api)
        await ensure_current(api)
        pods = await stack.enter_async_context(aiohttp.ClientSession())
        exporter = Exporter(template["spec"].get("activeDeadlineSeconds", math.inf))
        registry = CollectorRegistry()
        registry.register(exporter)
        cluster = Cluster(api, pods, settings, template)
        sweeper = Sweeper(cluster, settings, exporter, lambda: ensure_served(api))
        await stack.enter_async_context(serving(sweeper, registry, settings.http_port))
        watching = asyncio.create_task(
            kopf.operator(
                registry=watches(sweeper),
                settings=kopf_settings(),
                clusterwide=settings.all_namespaces,
                namespaces=[] if settings.all_namespaces else [settings.namespace],
                standalone=True,
                # Or kopf asks for the user's name, which one that is a mere number lacks.
                identity="mynatca-operator",  # type: ignore[arg-type]
            )
        )
        sweeping = asyncio.create_task(sweeper.run())
        try:
            await asyncio.wait({watching, sweeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sweeping.cancel()
            watching.cancel()
            await asyncio.wait({watching, sweeping})
        for task in (sweeping, watching):
            if not task.cancelled() and task.exception():
                task.result()
    return 0


async def _configuration() -> Configuration:
    """How the API server is reached: as the pod's service account, or by the kubeconfig."""
    try:
        load_incluster_config()  # type: ignore[no-untyped-call]
    except ConfigException:
        await load_kube_config()  # type: ignore[no-untyped-call]
    configuration = Configuration.get_default_copy()
    configuration.disable_strict_ssl_verification = True
    return configuration


class _Connection(kopf.ConnectionInfo):
    """Kopf's connection, which trusts the certificates that kubectl trusts.

    From 3.13 on, Python asks for extensions that the authorities of many clusters leave out (VERIFY_X509_STRICT).
    """

    def as_ssl_context(self) -> ssl.SSLContext:
        """Kopf's own, but for that."""
        context = super().as_ssl_context()
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


def watches(sweeper: Sweeper) -> kopf.OperatorRegistry:
    """Kopf's part: to say that something has happened."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        found = kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
        return _Connection(**vars(found)) if found else None

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    @kopf.on.event("batch", "v1", "jobs", registry=registry, labels={KIND_LABEL: kopf.PRESENT})
    async def happened(**_: Any) -> None:
        sweeper.wake()

    return registry


def kopf_settings() -> kopf.OperatorSettings:
    """Kopf without anything that writes or that needs more than the namespace."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.watching.label_selectors["batch", "v1", "jobs"] = KIND_LABEL
    return settings


if __name__ == "__main__":
    main()
