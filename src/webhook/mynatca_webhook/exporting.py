"""Serves metrics on a port of their own: those of this process, or those of all server processes together."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from mynatca_intercom import metrics


@contextmanager
def exported(port: int | None, registry: CollectorRegistry) -> Iterator[None]:
    """Serve a registry while the context lasts; without a port nothing is served.

    Raises:
        OSError: somebody else listens there.
    """
    if port is None:
        yield
        return
    try:
        server, thread = start_http_server(port, registry=registry)
    except OSError as error:
        raise OSError(f"METRICS_PORT {port}: {error.strerror}.") from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def gathered(port: int | None) -> Iterator[Path | None]:
    """A private folder into which server processes write their metrics, served together; None without a port.

    A process does so if PROMETHEUS_MULTIPROC_DIR names the folder before prometheus_client is imported.

    Raises:
        OSError: as `exported`, or there is no place for temporary files.
    """
    if port is None:
        yield None
        return
    with TemporaryDirectory(prefix="mynatca-webhook-") as folder:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]  # the library's
        registry.register(metrics.CACHE_AGE)
        with exported(port, registry):
            yield Path(folder)
