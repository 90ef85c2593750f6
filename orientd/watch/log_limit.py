"""Limits the log lines about photos that were left as they are: one for each photo, trouble once a day, and of many that are
alike only a few and their number.

Photos are alike if their reasons have the same code, whatever the words.
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
    """Writes to `log`; `clock` gives monotonic seconds. Remembers the last 10,000 photos."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float]) -> None:
        self._log, self._clock = log, clock
        self._logged: dict[str, tuple[Reason | None, float]] = {}
        self._alike: Counter[tuple[int, str, Reason | None]] = Counter()

    def add(self, level: int, what: str, path: str, reason: str, code: Reason | None) -> None:
        """Log the outcome of a photo and its reason, unless it, or enough others since the last `sum_up`, are logged already."""
        if self._is_known(level, path, code):
            return
        self._alike[level, what, code] += 1
        if self._alike[level, what, code] <= _NAMED:
            self._log.log(level, "%s: %s: %s", what, path, reason, extra={"path": path})

    def sum_up(self) -> None:
        """Log how many more photos each line applies to."""
        for (level, what, code), number in self._alike.items():
            if number > _NAMED:
                self._log.log(level, "%s: %s more: %s", what, f"{number - _NAMED:,}", words(code))
        self._alike.clear()

    def _is_known(self, level: int, path: str, code: Reason | None) -> bool:
        known, (logged, when) = path in self._logged, self._logged.get(path, (None, 0.0))
        now = self._clock()
        if known and logged is code and (level < logging.WARNING or now - when < _DAY):
            return True
        self._logged.pop(path, None)
        self._logged[path] = code, now
        if len(self._logged) > _KEPT:
            del self._logged[next(iter(self._logged))]
        return False
