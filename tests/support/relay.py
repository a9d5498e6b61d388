"""A line between a client and a server that a test can cut, or on which it can change what the server says."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Change = Callable[[int, bytes], bytes]
"""What becomes of bytes from the server, given how many came before; if they become fewer, the line is then cut."""


class Relay(socketserver.ThreadingTCPServer):
    """Keeps what clients said."""

    daemon_threads = True

    def __init__(self, server_port: int, change: Change) -> None:
        super().__init__(("127.0.0.1", 0), _Line)
        self.server_port = server_port
        self.change = change
        self.said = b""

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


class _Line(socketserver.BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.server_port)) as server:
            upwards = threading.Thread(target=self._upwards, args=(server,))
            upwards.start()
            with suppress(OSError):
                self._downwards(server)
            for end in (self.request, server):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            upwards.join()

    def _downwards(self, server: socket.socket) -> None:
        position = 0
        while data := server.recv(65536):
            passed = self.server.change(position, data)
            self.request.sendall(passed)
            if len(passed) < len(data):
                return
            position += len(data)

    def _upwards(self, server: socket.socket) -> None:
        with suppress(OSError):
            while data := self.request.recv(65536):
                self.server.said += data
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay(server_port: int, change: Change) -> Iterator[Relay]:
    """Relay to a server on 127.0.0.1 while the context lasts."""
    with Relay(server_port, change) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()


def cut_after(length: int) -> Change:
    """Let so many bytes pass, and then cut the line."""
    return lambda position, data: data[: max(length - position, 0)]
