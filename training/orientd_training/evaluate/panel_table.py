"""What each witness brings to a panel, and what its absence costs, on photos of owners that it was not fitted on. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orientd.judge.policy import DEFAULT, Policy
from orientd_training.evaluate import curves
from orientd_training.evaluate.panel_fit import heard
from orientd_training.evaluate.panel_trial import Heard, said_by_others
from orientd_training.evaluate.predictions import Logits, Shown, shown
from orientd_training.evaluate.score import QUARTERS, Judged, Score, judged

FALSE: Final = (0, 1, 2, 4)


class Line(NamedTuple):
    """One set of witnesses, fitted on other owners than it is judged on.

    `right` (0–1): the share of the turned photos that the scene network alone leaves unsure for which the right turn is named.
    `mended` (0–1): the share of all turned photos fixed, at 0, 1, 2 and 4 false turns. `score` is that of the policy given. By
    this policy all witnesses fix `lacking` turned photos that this set does not, and this set fixes `more` that all do not.
    """

    witnesses: tuple[str, ...]
    right: float
    mended: tuple[float, ...]
    score: Score
    lacking: int
    more: int


def lines(heard_of: Heard, part: NDArray[np.intp], policy: Policy) -> Iterator[Line]:
    """The scene alone, with each witness, with all, and with all but each."""
    seen, everybody = shown(heard_of.looks), tuple(heard_of.scores)
    unsure = left_unsure(seen)
    said = {names: said_by_others(heard_of.of(names), part) for names in sets(everybody)}
    done = {names: judged(heard(seen, probabilities), policy) for names, probabilities in said.items()}
    by_all = _mended(done[everybody])
    for names, probabilities in said.items():
        its = _mended(done[names])
        yield Line(
            names,
            _right(probabilities, unsure),
            ladder(heard(seen, probabilities), policy),
            done[names].score(),
            int((by_all & ~its).sum()),
            int((its & ~by_all).sum()),
        )


def sets(everybody: Sequence[str]) -> list[tuple[str, ...]]:
    """No witness besides the scene, each alone, all, and all but each."""
    alone = [(name,) for name in everybody]
    without = [tuple(other for other in everybody if other != name) for name in everybody]
    found = [(), *alone, tuple(everybody), *without]
    return list(dict.fromkeys(found))


def left_unsure(seen: Shown, policy: Policy = DEFAULT) -> NDArray[np.bool_]:
    """(N, 4): a turned photo that gets a second look by the scene network alone, and is not turned."""
    its = judged(seen, policy)
    return np.asarray(its.second & ~its.fixed & (QUARTERS > 0))


def ladder(seen: Shown, base: Policy, counts: Sequence[int] = FALSE) -> tuple[float, ...]:
    """The share fixed (0–1) when the required confidence lets so many upright photos be turned."""
    points = curves.false_mended(seen, replace(base, min_confidence=0.0))
    return tuple(points[min(count, len(points) - 1)][1] for count in counts)


def _mended(its: Judged) -> NDArray[np.bool_]:
    return np.asarray(its.fixed & (its.found == QUARTERS))


def _right(probabilities: Logits, unsure: NDArray[np.bool_]) -> float:
    return float(((probabilities.argmax(1) == 0) * unsure.sum(1)).sum() / max(unsure.sum(), 1))
