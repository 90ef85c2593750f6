"""Precision, recall and F1 of each class from what was wanted and what was found. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.int64]


@dataclass(frozen=True)
class Its:
    """One class: of the pictures it was found for, the share it was right for (`precision`); of the `shown` pictures of it, the
    share it was found for (`recall`); `f1` is their harmonic mean. Shares are 0–1, and 0 of nothing.
    """

    name: str
    precision: float
    recall: float
    f1: float
    shown: int


def confusion(wanted: NDArray[np.int64], found: NDArray[np.int64], number: int) -> Table:
    """(number, number) counts: the row is the class wanted, the column the class found."""
    table = np.zeros((number, number), np.int64)
    np.add.at(table, (wanted, found), 1)
    return table


def each(table: Table, names: Sequence[str]) -> list[Its]:
    """Every class of a confusion matrix, in its order."""
    right, shown, said = np.diag(table), table.sum(1), table.sum(0)
    return [
        Its(
            name,
            float(hit / max(claimed, 1)),
            float(hit / max(number, 1)),
            float(2 * hit / max(number + claimed, 1)),
            int(number),
        )
        for name, hit, number, claimed in zip(names, right, shown, said, strict=True)
    ]


def mean(classes: Sequence[Its], *, weighted: bool) -> dict[str, float]:
    """Mean precision, recall and F1: every class that was shown alike, or `weighted` by how often it was."""
    there = [its for its in classes if its.shown]
    weights = np.array([its.shown if weighted else 1 for its in there], float)
    weights /= max(weights.sum(), 1)
    return {
        key: float(sum(getattr(its, key) * w for its, w in zip(there, weights, strict=True)))
        for key in ("precision", "recall", "f1")
    }
