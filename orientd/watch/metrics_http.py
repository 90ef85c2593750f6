"""Metrics over HTTP, for Prometheus; and whether the watcher works, for any client."""

import hmac
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from types import MappingProxyType
from typing import Any, Final

from orientd.config import token as tokens
from orientd.config.address import split_address
from orientd.errors import ConfigError

_CLIENTS: Final = 8  # served at the same time; others wait until one of them ends
_HEARD: Final = 5.0  # seconds that a client may take in all
_TEXT: Final = "text/plain; charset=utf-8"
_METRICS: Final = "text/plain; version=0.0.4; charset=utf-8"


@contextmanager
def served(address: str, text: Callable[[], str], is_well: Callable[[], bool] = lambda: True, token: str = "") -> Iterator[int]:
    """Answer GET /metrics, to who knows the token if there is one, and /healthz to all, at HOST:PORT from other threads, as long
    as this lasts; gives the port (that of port 0 is chosen).

    /healthz answers 200 as long as all `is_well`, else 503. However slow a client is, it keeps nobody waiting but itself, and is
    cut off after a while.

    Raises:
        ConfigError: the address cannot be used.
    """
    host, port = split_address(address)
    kind = _Server6 if ":" in host else _Server
    try:
        server = kind((host, int(port)), _handler(text, is_well, token))
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


def read_token(file: str) -> str:
    """The line in a file that who asks must know; "" if no file is named.

    Raises:
        ConfigError: it cannot be read, or holds anything else.
    """
    return tokens.read(file, "metrics_token_file") if file else ""


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


class _Server6(_Server):
    address_family = socket.AF_INET6


def _handler(text: Callable[[], str], is_well: Callable[[], bool], token: str) -> type[BaseHTTPRequestHandler]:
    wanted = f"Bearer {token}".encode()

    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # a client that went away is no fault of this program
                super().handle()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/healthz":
                well = is_well()
                self._answer(200 if well else 503, "ok\n" if well else "it does not go on with its work\n", _TEXT)
            elif path != "/metrics":
                self.send_error(404)
            elif token and not hmac.compare_digest(self._said(), wanted):
                self._answer(401, "a token is needed\n", _TEXT, {"WWW-Authenticate": "Bearer"})
            else:
                self._answer(200, text(), _METRICS)

        def _said(self) -> bytes:
            return (self.headers["Authorization"] or "").encode("utf-8", "surrogateescape")

        def _answer(self, status: int, answer: str, kind: str, more: Mapping[str, str] = MappingProxyType({})) -> None:
            body = answer.encode()
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
