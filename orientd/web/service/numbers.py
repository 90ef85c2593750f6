"""What the service counts, for Prometheus, and what it logs about requests that it turned away."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from orientd.report import prometheus
from orientd.report.prometheus import Family
from orientd.web.service.workers import Load

_MINUTE: Final = 60.0


class Left(StrEnum):
    """What was going on when the connection of a client ended too early."""

    UPLOADING = "uploading"
    WAITING = "waiting"
    READING = "reading"


_LEFT: Final = {
    Left.UPLOADING: "before its request was here",
    Left.WAITING: "before it was answered, so its pictures are dropped",
    Left.READING: "before it had read its answer",
}


class Numbers:
    """Counted since the start, by any thread. `log` is called for requests turned away, for each kind at most once a minute."""

    def __init__(self, model: str, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._model, self._log, self._clock = model, log, clock
        self._started, self._lock = time.time(), threading.Lock()
        self._requests: Counter[str] = Counter()
        self._images: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._left: Counter[str] = Counter()
        self._logged: dict[str, tuple[float, int]] = {}
        self._seconds = {"waited": 0.0, "took": 0.0}

    def answered(self, status: int) -> None:
        """A request was answered with that status."""
        with self._lock:
            self._requests[str(status)] += 1

    def judged(self, outcome: str, waited: float = 0.0, took: float = 0.0) -> None:
        """A picture was answered: a decision, or "error"; it waited and took so many seconds."""
        with self._lock:
            self._images[outcome] += 1
            self._seconds["waited"] += waited
            self._seconds["took"] += took

    def refused(self, kind: str, message: str) -> None:
        """Somebody was turned away."""
        with self._lock:
            self._refused[kind] += 1
        if more := self._unlogged(kind):
            self._log.warning("turned away (%s%s): %s", kind, f", {more:,} times" if more > 1 else "", message)

    def left(self, when: Left) -> None:
        """The connection of a client ended too early. One that has only said that it sends no more counts as gone, too."""
        with self._lock:
            self._left[when] += 1
        if more := self._unlogged(when):
            times = f", {more:,} times" if more > 1 else ""
            self._log.info("a client ended its connection (%s%s) %s", when, times, _LEFT[when])

    def fault(self, error: BaseException) -> None:
        """A picture met a fault of orientd."""
        if more := self._unlogged("fault"):
            self._log.error("a picture met a fault of orientd (%s in all since the last message)", f"{more:,}", exc_info=error)

    def _unlogged(self, kind: str) -> int:
        """How many of a kind are to be reported, this one included; 0 if the last report is less than a minute ago."""
        with self._lock:
            now = self._clock()
            logged, unlogged = self._logged.get(kind, (now - _MINUTE, 0))
            due = now - logged >= _MINUTE
            self._logged[kind] = (now, 0) if due else (logged, unlogged + 1)
            return unlogged + 1 if due else 0

    def text(self, load: Load, connections: int) -> str:
        """Prometheus' text format."""
        with self._lock:
            requests, images, refused = dict(self._requests), dict(self._images), dict(self._refused)
            left = dict(self._left)
            seconds = {name: round(value, 3) for name, value in self._seconds.items()}
        return prometheus.text(
            [
                Family.by("status", "orientd_serve_requests_total", "counter", "Requests answered.", requests),
                Family.by("decision", "orientd_serve_images_total", "counter", "Pictures answered, by what came of it.", images),
                Family.by("reason", "orientd_serve_refused_total", "counter", "Requests and connections turned away.", refused),
                Family.by("when", "orientd_serve_left_total", "counter", "Connections that ended too early.", left),
                Family.by("stage", "orientd_serve_seconds_total", "counter", "Time of pictures, summed over them.", seconds),
                Family.single("orientd_serve_waiting", "gauge", "Pictures in the queue.", load.waiting),
                Family.single("orientd_serve_working", "gauge", "Pictures being judged.", load.working),
                Family.single("orientd_serve_connections", "gauge", "Open connections.", connections),
                Family.single(
                    "orientd_serve_start_time_seconds", "gauge", "When it started, since the epoch.", int(self._started)
                ),
                prometheus.build(self._model),
            ]
        )
