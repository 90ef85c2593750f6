"""A proxy on loopback before a server: it notes every call, and something may happen before or after any of them."""

import http.client
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

_OF_THE_WIRE = ("connection", "content-length", "keep-alive", "transfer-encoding")

Deed = Callable[[int, str], None]
"""Gets how many calls there were, with this one, and its method and path. If it raises OSError, the caller gets no answer."""


def _nothing(number: int, call: str) -> None:
    pass


class Gate:
    """Runs as a context at `url`; by https if `tls` holds a certificate."""

    def __init__(self, server: str, tls: ssl.SSLContext | None = None) -> None:
        self.calls: list[str] = []
        self.before: Deed = _nothing
        self.after: Deed = _nothing
        self._parts, self._lock = urlsplit(server), threading.Lock()
        self._listening = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"gate": self}))
        if tls:
            self._listening.socket = tls.wrap_socket(self._listening.socket, server_side=True)
        self.url = f"http{'s' * bool(tls)}://127.0.0.1:{self._listening.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._listening.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown()
        self._listening.server_close()

    def forget(self) -> None:
        """Reset: no calls yet, and no fault at any."""
        self.calls, self.before, self.after = [], _nothing, _nothing

    def passed(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, list[tuple[str, str]], bytes]:
        call = f"{method} {path}"
        with self._lock:
            self.calls.append(call)
            number = len(self.calls)
        self.before(number, call)
        asked = http.client.HTTPConnection(self._parts.hostname or "", self._parts.port, timeout=60)
        try:
            asked.request(method, path, body or None, headers)
            answer = asked.getresponse()
            held = answer.read()
        finally:
            asked.close()
        self.after(number, call)
        return answer.status, answer.getheaders(), held


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gate: Gate

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_THE_WIRE}
        try:
            status, answered, held = self.gate.passed(self.command, self.path, body, headers)
        except (OSError, http.client.HTTPException):
            self.close_connection = True
            return
        self.send_response_only(status)
        for name, value in answered:
            if name.lower() not in _OF_THE_WIRE:
                self.send_header(name, value)
        self.send_header("content-length", str(len(held)))
        self.end_headers()
        self.wfile.write(held)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass

    def finish(self) -> None:
        with suppress(OSError):  # who asked was killed
            super().finish()
