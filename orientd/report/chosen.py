"""Which photos of a run a person is to look at: a bounded number of each kind, those first that matter most."""

from collections.abc import Callable
from typing import Final

from orientd.orientation import TURNS
from orientd.records import Row, Status, Verdict

MOST: Final = 200
"""Photos of each kind on a page, where nobody names another number."""


class Kind:
    """The first `most` rows of a kind, the one of the least `key` first, and how many there are of it."""

    def __init__(self, most: int, key: Callable[[Row], float] = lambda _: 0.0) -> None:
        self.number = 0
        self._most, self._key = most, key
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        self.number += 1
        self._rows.append(row)
        if len(self._rows) > 2 * self._most:
            self._cut()

    @property
    def rows(self) -> list[Row]:
        self._cut()
        return self._rows

    def _cut(self) -> None:
        self._rows = sorted(self._rows, key=self._key)[: self._most]


class Chosen:
    """Of what a run has met: what needs a turn, by rising confidence; what orientd is not sure of, by falling probability of
    its best turn; and what could not be judged or written."""

    def __init__(self, most: int = MOST) -> None:
        self.wrong, self.unsure, self.failed = Kind(most, _confidence), Kind(most, _doubt), Kind(most)

    def add(self, row: Row) -> None:
        if row.decision is Verdict.ERROR or row.outcome is Status.FAILED or row.beyond_reach:
            self.failed.add(row)
        elif row.decision is Verdict.FIX:
            self.wrong.add(row)
        elif row.decision is Verdict.UNSURE:
            self.unsure.add(row)


def _confidence(row: Row) -> float:
    return 1.0 if row.confidence is None else row.confidence


def _doubt(row: Row) -> float:
    if row.probabilities is None:
        return 1.0
    return 1.0 - max(row.probabilities[TURNS.index(turn)] for turn in TURNS[1:])
