"""What a service has done so far, and how it says so: a file in the state directory, and numbers for Prometheus."""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, ParamSpec, TypeVar

from orientd.report import prometheus
from orientd.report.prometheus import Family
from orientd.state.lock import is_locked

_FILE: Final = "watch.json"
_ABOUT: Final = {
    "proposals": "Photos added to the plan.",
    "stage": "Time spent, summed over threads.",
    "queue": "Files that wait to settle or to be judged.",
    "start": "When the service started, since the epoch.",
    "success": "When the service last found nothing that kept it from its work, since the epoch; 0 for never.",
    "pass": "How long the last pass took in which photos were judged.",
}
P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Metrics:
    """Counted since the start, by any thread. `state` is what the service is doing, in words.

    worked: when all was well the last time, in seconds since the epoch; 0 for never. pass_seconds: how long the last pass took
    in which photos were judged. model: the name of the one in use.
    """

    started: float = field(default_factory=time.time)
    state: str = "starting"
    waiting: int = 0
    worked: float = 0.0
    pass_seconds: float = 0.0
    model: str = ""
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
        photos, about = facts["photos"], _ABOUT
        return prometheus.text(
            [
                prometheus.by_decision("orientd_photos_total", "counter", photos),
                prometheus.by_outcome("orientd_fixes_total", "counter", photos),
                Family.single("orientd_proposals_total", "counter", about["proposals"], photos.get("proposed", 0)),
                Family.by("stage", "orientd_stage_seconds_total", "counter", about["stage"], facts["seconds"]),
                Family.single("orientd_queue_depth", "gauge", about["queue"], facts["waiting"]),
                Family.single("orientd_start_time_seconds", "gauge", about["start"], facts["started"]),
                Family.single("orientd_last_success_timestamp_seconds", "gauge", about["success"], round(self.worked, 3)),
                Family.single("orientd_last_pass_duration_seconds", "gauge", about["pass"], round(self.pass_seconds, 3)),
                prometheus.build(self.model),
            ]
        )


def save(facts: dict[str, Any], state_dir: str) -> None:
    """Leave the facts, and this process' number, in the state directory for `orientd status`; never an error."""
    path = os.path.join(state_dir, _FILE)
    with suppress(OSError):  # a full disk must not stop the service that reports it
        with open(path + ".tmp", "w", encoding="utf-8") as file:
            json.dump({"pid": os.getpid(), **facts}, file)
        os.replace(path + ".tmp", path)


def watcher(state_dir: str) -> dict[str, Any]:
    """What the last watcher left by `save`, and whether it is `running` still."""
    known: dict[str, Any] = {"pid": None, **Metrics(started=0.0, state="").facts(), "updated": 0}
    with suppress(OSError, ValueError, TypeError), open(os.path.join(state_dir, _FILE), encoding="utf-8") as file:
        known |= json.load(file)
    return known | {"running": is_locked(state_dir, "watching")}
