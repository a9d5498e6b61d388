"""An nginx that does what an installed Ingress says, as the cluster of a test may have no ingress controller."""

import os
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from support.cluster import Namespace, Object
from support.ports import free_port
from support.webhook_service import wait_until

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"
CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl default_server;
        ssl_reject_handshake on;
    }}
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name {host};
        ssl_certificate {folder}/tls.crt;
        ssl_certificate_key {folder}/tls.key;
        location / {{ return 404; }}
        {locations}
    }}
}}
"""


@contextmanager
def nginx(namespace: Namespace, ingress: Object, folder: Path) -> Iterator[int]:
    """Serve an Ingress of one host while the context lasts; yields the port, which is TLS only.

    Services are reached by the API server's own proxy, so that it does not matter where the cluster is.
    """
    (rule,) = ingress["spec"]["rules"]
    (tls,) = ingress["spec"]["tls"]
    assert tls["hosts"] == [rule["host"]]
    secret = namespace.get("secrets", tls["secretName"])
    assert secret is not None, f"no Secret {tls['secretName']}"
    for name in ("tls.crt", "tls.key"):
        (folder / name).write_bytes(b64decode(secret["data"][name]))
    port = free_port()
    locations = "\n".join(_location(namespace, path) for path in rule["http"]["paths"])
    text = CONFIGURATION.format(folder=folder, port=port, host=rule["host"], locations=locations)
    (folder / "nginx.conf").write_text(text)
    with subprocess.Popen([NGINX, "-c", folder / "nginx.conf", "-e", folder / "error.log"]) as process:
        try:
            wait_until(_listens(process, port))
            yield port
        finally:
            process.terminate()


def _location(namespace: Namespace, path: Object) -> str:
    assert path["pathType"] == "Prefix"
    service = path["backend"]["service"]
    target = namespace.service_url(service["name"], service["port"]["name"])
    # A prefix is one of whole elements: /a is one of /a and /a/b, not of /ab.
    proxy = f"{{ proxy_pass {target}$request_uri; }}"
    return f"location = {path['path']} {proxy} location ^~ {path['path']}/ {proxy}"


def _listens(process: "subprocess.Popen[bytes]", port: int) -> Callable[[], bool]:
    def listens() -> bool:
        assert process.poll() is None, "nginx has ended"
        try:
            httpx.get(f"http://127.0.0.1:{port}")  # 400, as it is not TLS
        except httpx.TransportError:
            return False
        return True

    return listens
