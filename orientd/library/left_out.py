"""What a walk left out, counted by why, with the names of a few."""

from collections import Counter
from typing import Final

from orientd.records import LeftOut

_NAMED: Final = 3


class Tally:
    """Memory stays flat however much is left out."""

    def __init__(self) -> None:
        self._counts: Counter[LeftOut] = Counter()
        self._names: dict[LeftOut, dict[str, None]] = {}

    def add(self, why: LeftOut, name: str) -> None:
        self._counts[why] += 1
        names = self._names.setdefault(why, {})
        if len(names) <= _NAMED:
            names[name] = None

    def found(self) -> dict[LeftOut, tuple[int, list[str]]]:
        """Number of files and folders, and the names of the first of them: at most four, of which one is too many to show."""
        return {why: (self._counts[why], list(self._names[why])) for why in LeftOut if self._counts[why]}
