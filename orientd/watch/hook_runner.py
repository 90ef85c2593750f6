"""The hooks of a watcher: run in a thread of their own, one at a time, and not for every photo.

The first photos found are reported at once, later ones together, at most once in ten minutes.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from orientd.config import Config
from orientd.errors import OrientdError
from orientd.hooks.facts import Event, Facts
from orientd.hooks.run import LIMIT, run
from orientd.records import Notify, Row, Verdict
from orientd.report.tally import Tally

_PAUSE: Final = 600.0
_AT_THE_END: Final = 10.0  # seconds for a hook while the service stops: the manager waits for 30
_MOST: Final = 10


class HookRunner:
    """Used by the loop only. `wake` is called when a hook has ended; `clock` is monotonic, `wall` is since the epoch."""

    def __init__(
        self,
        config: Config,
        roots: Sequence[str],
        notify: Notify,
        wake: Callable[[], object],
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.config = config
        self._roots, self._notify, self._wake, self._clock, self._wall = roots, notify, wake, clock, wall
        self._errors: deque[Facts] = deque(maxlen=_MOST)
        self._again, self._running = clock(), threading.Thread()
        self._stop = threading.Event()
        self._begin()

    def add(self, row: Row, run: int | None) -> None:
        """Note a photo that was judged or fixed just now; `run` is the run that fixed it, if any."""
        self._tally.add(row)
        self._run = run or self._run

    def trouble(self, error: OrientdError) -> None:
        """Report, at the next turn, an error that keeps the watcher from its work."""
        if self.config.on_error:
            self._errors.append(self._facts(Tally(), error=str(error)))

    def turn(self) -> None:
        """Run a hook if something is due to be reported."""
        if self._running.is_alive():
            return
        if self._errors:
            self._start(Event.ERROR, self._errors.popleft())
        elif self._has_found() and self._clock() >= self._again:
            self._again = self._clock() + _PAUSE
            self._start(Event.FOUND, self._found())

    def next(self) -> float | None:
        """When the next turn has something to do; None if nothing waits, or while a hook runs, which calls `wake` at its end."""
        if self._running.is_alive():
            return None
        return self._clock() if self._errors else self._again if self._has_found() else None

    def ended(self, error: OrientdError, begun: float) -> None:
        """Report at once the error that ended the watcher; `begun` is when the watcher began."""
        facts = Facts("watch", self._roots, begun, self._wall() - begun, exit_code=error.exit_code, error=str(error))
        run(self.config, Event.ERROR, facts, self._notify, _AT_THE_END)

    def close(self) -> None:
        """Wait a little for the hook that runs, and report what is not reported yet."""
        if self._running.is_alive():
            self._running.join(_AT_THE_END)
            self._stop.set()
            self._running.join()
        if self._has_found():
            run(self.config, Event.FOUND, self._found(), self._notify, _AT_THE_END)

    def _begin(self) -> None:
        self._tally, self._run, self._since, self._since_by_clock = Tally(), None, self._wall(), self._clock()

    _run: int | None

    def _has_found(self) -> bool:
        return bool(self.config.on_found) and self._tally.count(Verdict.FIX) > 0

    def _found(self) -> Facts:
        facts = self._facts(self._tally, self._run)
        self._begin()
        return facts

    def _facts(self, tally: Tally, run: int | None = None, error: str = "") -> Facts:
        duration = self._clock() - self._since_by_clock
        return Facts("watch", self._roots, self._since, duration, tally, self.config.plan, run, error=error)

    def _start(self, event: Event, facts: Facts) -> None:
        def work() -> None:
            run(self.config, event, facts, self._notify, LIMIT, self._stop.is_set)
            self._wake()

        self._running = threading.Thread(target=work, name="orientd-hook")
        self._running.start()
