"""Says that the watcher is alive and what it does: to systemd, to /healthz, and to `orientd status`."""

from collections.abc import Callable
from typing import Final

from orientd.watch import metrics
from orientd.watch.metrics import Metrics
from orientd.watch.sd_notify import Systemd

_SAVE_SECONDS: Final = 5.0
_STUCK_SECONDS: Final = 300.0  # without a sign of life, as WatchdogSec= of the units


class StatusReporter:
    """Reports for the loop, which calls it at every step; `clock` gives seconds and must not jump."""

    def __init__(self, counted: Metrics, state_dir: str, systemd: Systemd, clock: Callable[[], float]) -> None:
        self._metrics, self._state_dir, self._systemd, self._clock = counted, state_dir, systemd, clock
        self._alive_at, self._save_at = clock(), 0.0
        self._saved: dict[str, object] = {}

    def is_well(self) -> bool:
        """True as long as there are signs of life; may be called by any thread."""
        return self._clock() - self._alive_at < _STUCK_SECONDS

    def alive(self) -> None:
        """Give a sign of life."""
        self._alive_at = self._clock()
        self._systemd.alive()

    def working(self) -> None:
        """Give a sign of life amid work that may take hours, and report the state every few seconds."""
        self.alive()
        if self._clock() >= self._save_at:
            self.save()

    def save(self) -> None:
        """Leave a note for `orientd status`, and for systemd, when there is something new to say."""
        self._save_at = self._clock() + _SAVE_SECONDS
        facts = self._metrics.facts()
        saved = {name: value for name, value in facts.items() if name != "updated"}
        if saved != self._saved:
            self._saved = saved
            metrics.save(facts, self._state_dir)
            photos = facts["photos"]
            judged = sum(photos.get(name, 0) for name in ("keep", "fix", "unsure", "skip", "error"))
            done = f"{judged:,} judged, {photos.get('fixed', 0):,} fixed, {facts['waiting']:,} waiting"
            self._systemd.status(f"{facts['state']}: {done}")
