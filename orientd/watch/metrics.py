"""What a service has done so far, and how it says so: a file in the state directory, and Prometheus' text format by HTTP.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, ParamSpec, TypeVar

from orientd.state.lock import is_locked

_FILE: Final = "watch.json"
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
