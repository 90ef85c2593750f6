"""What is told of photos that were left as they are: each once, trouble once a day, and of many alike a few and their number.

Alike are those whose reasons are of the same kind, in whatever words.
"""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from orientd.reasons import Reason, words

_NAMED: Final = 3
_DAY: Final = 86_400.0
_KEPT: Final = 10_000


class LogLimiter:
    """Tells them to `log`; `clock` gives seconds and does not jump. Remembers the last 10,000."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float]) -> None:
        self._log, self._clock = log, clock
        self._told: dict[str, tuple[Reason | None, float]] = {}
        self._alike: Counter[tuple[int, str, Reason | None]] = Counter()

    def add(self, level: int, what: str, path: str, reason: str, code: Reason | None) -> None:
        """Tell what came of a photo and why, unless that was told already, or of enough others since the last `sum_up`."""
        if self._is_known(level, path, code):
            return
        self._alike[level, what, code] += 1
        if self._alike[level, what, code] <= _NAMED:
            self._log.log(level, "%s: %s: %s", what, path, reason, extra={"path": path})

    def sum_up(self) -> None:
        """Tell of how many more that can be said."""
        for (level, what, code), number in self._alike.items():
            if number > _NAMED:
                self._log.log(level, "%s: %s more: %s", what, f"{number - _NAMED:,}", words(code))
        self._alike.clear()

    def _is_known(self, level: int, path: str, code: Reason | None) -> bool:
        known, (told, when) = path in self._told, self._told.get(path, (None, 0.0))
        now = self._clock()
        if known and told is code and (level < logging.WARNING or now - when < _DAY):
            return True
        self._told.pop(path, None)
        self._told[path] = code, now
        if len(self._told) > _KEPT:
            del self._told[next(iter(self._told))]
        return False
