"""The points of a report's curves: risk against coverage, and false turns against the share fixed."""

from dataclasses import replace
from typing import Final

import numpy as np

from orientd.judge.policy import Policy
from orientd_training.evaluate.predictions import Logits, Shown
from orientd_training.evaluate.score import QUARTERS, Judged, judged, right

_POINTS: Final = 240

Points = list[tuple[float, float]]


def risk_coverage(seen: Shown, look: int) -> Points:
    """(coverage, risk), both 0–1: of the answers given when only the most confident ones are, the share that is wrong.

    All four turns count alike (Geifman & El-Yaniv 2017, arXiv:1705.08500); `look` is 0 for one view, 1 for eight.
    """
    order = np.argsort(-seen[look].max(-1), axis=None, kind="stable")
    wrong = np.cumsum(~right(seen, look).ravel()[order])
    places = np.unique(np.linspace(1, len(wrong), min(_POINTS, len(wrong))).astype(int))
    return [(float(k / len(wrong)), float(wrong[k - 1] / k)) for k in places]


def decided(found: Judged) -> tuple[float, float]:
    """(coverage, risk) of a policy on the same scale: what it keeps or turns is covered, what it leaves unsure is not."""
    covered = found.fixed | (found.found == 0)
    wrong = covered & (found.found != QUARTERS)
    return float(covered.mean()), float(wrong.sum() / max(covered.sum(), 1))


def false_mended(seen: Shown, policy: Policy) -> Points:
    """(false turns per 1,000 upright photos, share fixed 0–1): for each number of false turns the most that can be fixed.

    Only the required confidence varies, everything else is as in `policy`; the last point requires none.
    """
    return _sweep(judged(seen, replace(policy, min_confidence=0.0)))


def false_mended_by_one_view(seen: Shown, policy: Policy) -> Points:
    """The same if the first look alone decided."""
    alone = replace(policy, min_confidence=0.0, min_agreement=1, second_look_below=0.0)
    return _sweep(judged(seen, alone))


def _sweep(found: Judged) -> Points:
    upright = np.sort(found.confidence[:, 0][found.fixed[:, 0]])[::-1]
    mended = np.sort(_mended_confidences(found))
    # With k false turns the threshold lies above the confidence of the one that would be the next.
    beaten = np.searchsorted(mended, np.append(upright, -1.0), side="right")
    n = len(found.found)
    return [(1000 * k / n, float((len(mended) - below) / (3 * n))) for k, below in enumerate(beaten)]


def _mended_confidences(found: Judged) -> Logits:
    values: Logits = found.confidence[found.fixed & (found.found == QUARTERS) & (QUARTERS > 0)]
    return values
