"""Ports for the servers that tests start."""

import secrets
import socket

FIRST, LAST = 10_000, 29_999
"""Below the ports that Linux gives to outgoing connections (32768 and above) and Kubernetes to services.

A port of the system's own choice is free when asked for, and can be a connection's by the time its server starts."""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    while True:
        port = FIRST + secrets.randbelow(LAST - FIRST + 1)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
