"""What a service has done so far, and how it says so: a file in the state directory, and Prometheus' text format by HTTP.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

import json
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Final, ParamSpec, TypeVar

from orientd.errors import ConfigError
from orientd.state.lock import is_locked

_FILE: Final = "watch.json"
_CLIENTS: Final = 8  # that are heard at the same time; no more are answered until one of them ends
_HEARD: Final = 5.0  # seconds that a client may take in all
P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Metrics:
    """Counted since the start, by any thread. `state` is what the service is doing, in words."""

    started: float = field(default_factory=time.time)
    state: str = "starting"
    waiting: int = 0
    _photos: Counter[str] = field(default_factory=Counter)
    _seconds: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, name: str) -> None:
        with self._lock:
            self._photos[name] += 1

    def timed(self, stage: str, function: Callable[P, T]) -> Callable[P, T]:
        """The same function; the time it takes is added to that of the stage."""

        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            begun = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                with self._lock:
                    self._seconds[stage] += time.perf_counter() - begun  # type: ignore[assignment]

        return call

    def facts(self) -> dict[str, Any]:
        with self._lock:
            photos, seconds = dict(self._photos), {stage: round(spent, 3) for stage, spent in self._seconds.items()}
        return {
            "state": self.state,
            "started": int(self.started),
            "updated": int(time.time()),
            "waiting": self.waiting,
            "photos": photos,
            "seconds": seconds,
        }

    def text(self) -> str:
        """Prometheus' text format."""
        facts = self.facts()
        return "\n".join(
            [
                "# HELP orientd_photos_total Photos judged (keep, fix, unsure, skip, error), and what came of a fix.",
                "# TYPE orientd_photos_total counter",
                *(f'orientd_photos_total{{result="{name}"}} {number}' for name, number in sorted(facts["photos"].items())),
                "# HELP orientd_stage_seconds_total Time spent, summed over threads.",
                "# TYPE orientd_stage_seconds_total counter",
                *(f'orientd_stage_seconds_total{{stage="{name}"}} {spent}' for name, spent in sorted(facts["seconds"].items())),
                "# HELP orientd_queue_depth Files that wait to settle or to be judged.",
                "# TYPE orientd_queue_depth gauge",
                f"orientd_queue_depth {facts['waiting']}",
                "# HELP orientd_start_time_seconds When the service started, since the epoch.",
                "# TYPE orientd_start_time_seconds gauge",
                f"orientd_start_time_seconds {facts['started']}",
                "",
            ]
        )


def save(facts: dict[str, Any], state_dir: str) -> None:
    """Leave the facts, and this process' number, in the state directory for `orientd status`; never an error."""
    path = os.path.join(state_dir, _FILE)
    with suppress(OSError):  # a full disk must not stop the service that tells of it
        with open(path + ".tmp", "w", encoding="utf-8") as file:
            json.dump({"pid": os.getpid(), **facts}, file)
        os.replace(path + ".tmp", path)


def watcher(state_dir: str) -> dict[str, Any]:
    """What the last watcher left by `save`, and whether it is `running` still."""
    known: dict[str, Any] = {"pid": None, **Metrics(started=0.0, state="").facts(), "updated": 0}
    with suppress(OSError, ValueError, TypeError), open(os.path.join(state_dir, _FILE), encoding="utf-8") as file:
        known |= json.load(file)
    return known | {"running": is_locked(state_dir, "watching")}


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
