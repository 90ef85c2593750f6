"""Metrics over HTTP, for Prometheus."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Final

from orientd.errors import ConfigError

_CLIENTS: Final = 8  # that are heard at the same time; no more are answered until one of them ends


_HEARD: Final = 5.0  # seconds that a client may take in all


@contextmanager
def served(address: str, text: Callable[[], str]) -> Iterator[int]:
    """Answer GET /metrics at HOST:PORT from other threads, as long as this lasts; gives the port (that of port 0 is chosen).

    However slow a client is, it keeps nobody waiting but itself, and is cut off after a while.

    Raises:
        ConfigError: the address cannot be used.
    """
    host, _, port = address.rpartition(":")
    try:
        server = _Server((host, int(port)), _handler(text))
    except (OSError, OverflowError, ValueError) as error:
        raise ConfigError(f"metrics: {address} cannot be used: {getattr(error, 'strerror', None) or error}") from error
    thread = threading.Thread(target=server.serve_forever, name="orientd-metrics")
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.cut()
        server.server_close()


class _Server(ThreadingTCPServer):
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._until: dict[socket.socket, float] = {}
        super().__init__(address, handler)

    def verify_request(self, *_: object) -> bool:
        return len(self._until) < _CLIENTS

    def process_request(self, request: Any, client_address: Any) -> None:
        self._until[request] = time.monotonic() + _HEARD
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._until.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        super().service_actions()
        self.cut(time.monotonic())

    def cut(self, now: float = float("inf")) -> None:
        """Cut off the clients whose time is over by `now`; their threads come to their ends."""
        for request, until in list(self._until.items()):
            if until < now:
                with suppress(OSError):  # it has just been closed
                    request.shutdown(socket.SHUT_RDWR)


def _handler(text: Callable[[], str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # a client that went away is no fault of this program
                super().handle()

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404)
                return
            body = text().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
