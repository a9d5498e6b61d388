"""Serves the metrics of all processes together, on a port of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from mynatca_intercom import metrics
from mynatca_intercom.members.cache import MemberCache
from mynatca_intercom.settings import MemberCacheSettings


@contextmanager
def exported(port: int | None, cache: MemberCacheSettings) -> Iterator[Path | None]:
    """A private folder into which processes write their metrics, served while the context lasts; None without a port.

    A process does so if PROMETHEUS_MULTIPROC_DIR names the folder before prometheus_client is imported. The age of the
    member cache is that of a file, and so this process adds it.

    Raises:
        OSError: somebody else listens there, or there is no place for temporary files.
    """
    if port is None:
        yield None
        return
    with TemporaryDirectory(prefix="mynatca-webhook-") as folder:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]  # the library's
        if cache.file:
            metrics.CACHE_AGE.set_source(MemberCache(cache.file, cache.max_age_seconds).age_seconds)
        registry.register(metrics.CACHE_AGE)
        try:
            server, thread = start_http_server(port, registry=registry)
        except OSError as error:
            raise OSError(f"METRICS_PORT {port}: {error.strerror}.") from None
        try:
            yield Path(folder)
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
