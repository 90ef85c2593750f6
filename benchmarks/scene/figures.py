"""What scene networks bring, as rows of a table with intervals: pure arithmetic on what they said of photos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from orientd_training.evaluate.panel_fit import heard
from orientd_training.evaluate.panel_table import FALSE
from orientd_training.evaluate.panel_trial import SECOND_LOOKS, Heard, said_by_others
from orientd_training.evaluate.predictions import Logits, Shown, shown
from orientd_training.evaluate.score import QUARTERS, Judged, judged, right
from orientd_training.evaluate.statistics import Interval

from orientd.judge.policy import DEFAULT, Policy

DRAWS: Final = 2000
_SEED: Final = 0


@dataclass(frozen=True)
class Way:
    """One way to judge N photos: what a scan sees (`seen`), and the policy, of which only the confidence asked for is left open.

    `answers` (N, 4) are the probabilities of the turns by all that it asks, the right turn first.
    """

    name: str
    seen: Shown
    answers: Logits
    policy: Policy


class Figure(NamedTuple):
    """A share (0–1), its interval when whole owners are drawn anew, and that of its difference to the way compared with."""

    share: float
    interval: Interval
    difference: Interval


class Row(NamedTuple):
    """Figures of one way: right turns of 4 with one view, with eight, by all that it asks; fixed at 0, 1, 2, 4 false turns."""

    name: str
    figures: tuple[Figure, ...]


def alone(name: str, its: Heard) -> Way:
    """The scene network with nobody else, at the usual policy."""
    seen = shown(its.looks)
    return Way(name, seen, seen.second[:, 0], DEFAULT)


def together(name: str, its: Heard, part: NDArray[np.intp], usual: Policy, first: Heard | None = None) -> Way:
    """The scene network with the other witnesses, whose weights are fitted on other owners than they are judged on.

    SECOND_LOOKS of the upright photos get a second look. With `first` the first look is that of another network.
    """
    said = said_by_others(its, part)
    seen = heard(shown(its.looks), said)
    seen = seen._replace(first=shown(first.looks).first) if first else seen
    below = float(np.quantile(seen.first[:, 0, 0], SECOND_LOOKS))
    return Way(name, seen, said, replace(usual, second_look_below=below))


def rows(ways: Sequence[Way], eights: Mapping[str, Logits], owners: Sequence[str], compared: str) -> list[Row]:
    """Figures of all ways on the same photos; `eights` has by way the scene's own probabilities (N, 4) by eight views.

    The same libraries are drawn for all ways, so that a difference is one between the same photos.
    """
    weights = _drawn(owners)
    values = {way.name: _values(way, eights[way.name], weights) for way in ways}
    base = values[compared]
    return [Row(name, tuple(_figure(its[:, k], base[:, k]) for k in range(its.shape[1]))) for name, its in values.items()]


def _drawn(owners: Sequence[str]) -> NDArray[np.float64]:
    """(1 + DRAWS, N): how often each photo is in a library of owners drawn anew; first the photos as they are."""
    _, index = np.unique(np.array(owners, dtype=object).astype(str), return_inverse=True)
    number = int(index.max()) + 1
    counts = np.random.default_rng(_SEED).multinomial(number, np.full(number, 1 / number), DRAWS)
    return np.concatenate([np.ones((1, len(index))), counts[:, index]]).astype(np.float64)


def _values(way: Way, eight: Logits, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(1 + DRAWS, 7)."""
    shares = np.stack([right(way.seen, 0).mean(1), eight.argmax(1) == 0, way.answers.argmax(1) == 0], axis=1)
    accuracies = weights @ shares.astype(float) / weights.sum(1)[:, None]
    ladder = _ladders(judged(way.seen, replace(way.policy, min_confidence=0.0)), weights)
    return np.concatenate([accuracies, ladder], axis=1)


def _ladders(its: Judged, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(1 + DRAWS, 4): the share fixed when the confidence asked for lets 0, 1, 2, 4 upright photos be turned.

    It lies above that of the upright photo that would be the next, as `evaluate.panel_table.ladder` has it.
    """
    upright = np.where(its.fixed[:, 0], its.confidence[:, 0], -1.0)
    fixed = np.where(its.fixed & (its.found == QUARTERS), its.confidence, -2.0)[:, 1:]
    order = np.argsort(-upright, kind="stable")
    added = np.cumsum(weights[:, order], axis=1)
    made = np.empty((len(weights), len(FALSE)))
    for column, count in enumerate(FALSE):
        bars = upright[order][np.minimum((added <= count).sum(1), len(order) - 1)]
        for bar in np.unique(bars):
            which = bars == bar
            made[which, column] = weights[which] @ (fixed > bar).mean(1) / weights[which].sum(1)
    return made


def _figure(its: NDArray[np.float64], base: NDArray[np.float64]) -> Figure:
    return Figure(float(its[0]), _middle(its[1:]), _middle(its[1:] - base[1:]))


def _middle(values: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
