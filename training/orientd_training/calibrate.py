"""Temperatures and thresholds, fitted on photos that trained nothing."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from orientd.decide import Policy
from orientd_training.evaluate import Score, score
from orientd_training.looks import Logits, Looks, predictions, softmax

_TEMPERATURES = np.geomspace(0.2, 5, 161)
CONFIDENCES = np.round(np.concatenate([np.linspace(0.5, 0.95, 46), 1 - np.geomspace(0.04, 1e-4, 12)]), 4)


def temperatures(looks: Looks) -> tuple[float, float]:
    """The temperatures of one view and of the mean of eight (temperature scaling: Guo et al. 2017, arXiv:1706.04599)."""
    return _fit(looks.logits.reshape(-1, 4)), _fit(looks.logits.mean(1))


def policy(looks: Looks, start: Policy, false_per_1000: float, agreements: Iterable[int] = (5, 6, 7, 8)) -> tuple[Policy, Score]:
    """The policy that mends most at no more than `false_per_1000` false turns, over confidences and numbers of agreeing views."""
    seen = predictions(looks, *temperatures(looks))
    tried = (
        (candidate, score(seen, looks.groups, candidate))
        for candidate in (
            replace(start, min_agreement=agreement, min_confidence=float(confidence))
            for agreement in agreements
            for confidence in CONFIDENCES
        )
    )
    allowed = [(p, s) for p, s in tried if s.false_per_1000 <= false_per_1000]
    return max(allowed, key=lambda pair: (pair[1].mended, pair[0].min_confidence))


def expected_calibration_error(probabilities: Logits, right: Logits, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, weighted by count (Guo et al. 2017); 0–1."""
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = [abs(probabilities[index == b].mean() - right[index == b].mean()) * (index == b).mean() for b in np.unique(index)]
    return float(sum(gaps))


def _fit(logits: Logits) -> float:
    losses = [-np.log(softmax(logits / temperature)[:, 0]).mean() for temperature in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])
