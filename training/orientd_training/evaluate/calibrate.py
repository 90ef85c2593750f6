"""Temperatures and thresholds, fitted on photos that trained nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from orientd.errors import ConfigError
from orientd.judge.policy import Policy
from orientd_training.evaluate.predictions import Logits, Looks, Shown, shown
from orientd_training.evaluate.score import QUARTERS, Score, judged

# Bounded below: few photos and no error among them would make a model infinitely sure.
_TEMPERATURES = np.geomspace(0.2, 25, 241)
CONFIDENCES = np.round(np.concatenate([np.linspace(0.5, 0.95, 46), 1 - np.geomspace(0.04, 1e-4, 12)]), 4)
PRIORS: Final = (0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.997)
SECOND_LOOKS: Final = (0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99)


@dataclass(frozen=True)
class Search:
    """What `policies` tries; nothing given for `priors` or `second_looks` keeps those of the policy it starts from."""

    agreements: Sequence[int] = (5, 6, 7, 8)
    confidences: Sequence[float] = tuple(CONFIDENCES.tolist())
    priors: Sequence[float] = ()
    second_looks: Sequence[float] = ()


def temperatures(looks: Looks) -> tuple[float, float]:
    """The temperatures of one view and of the mean of eight (temperature scaling: Guo et al. 2017, arXiv:1706.04599)."""
    return _fit(looks.logits.reshape(-1, 4)), _fit(looks.logits.mean(1))


def calibrated(looks: Looks) -> Looks:
    """The same looks at the temperatures that fit them."""
    one, views = temperatures(looks)
    return replace(looks, temperature=one, temperature_views=views)


def policies(seen: Shown, start: Policy, search: Search) -> Iterator[tuple[Policy, Score]]:
    """Every policy of a search with its score: the same as `evaluate.score` gives, in a thousandth of the time."""
    priors, second_looks = search.priors or (start.prior_upright,), search.second_looks or (start.second_look_below,)
    confidences = np.array(search.confidences)
    for prior, second_look, agreement in product(priors, second_looks, search.agreements):
        base = Policy(prior, 0.0, agreement, second_look)
        found = judged(seen, base)
        upright, right = found.fixed & (QUARTERS == 0), found.fixed & (found.found == QUARTERS) & (QUARTERS > 0)
        wrong = found.fixed & (found.found != QUARTERS) & (QUARTERS > 0)
        counts = [_at_least(found.confidence[which], confidences) for which in (upright, right, wrong)]
        n, second = len(found.found), float(found.second[:, 0].mean())
        for confidence, false, mended, worse in zip(confidences.tolist(), *counts, strict=True):
            score = Score(n, int(false), float(mended) / (3 * n), int(worse), second)
            yield replace(base, min_confidence=confidence), score


def policy(looks: Looks, start: Policy, false_per_1000: float, search: Search | None = None) -> tuple[Policy, Score]:
    """The policy that fixes most with at most `false_per_1000` false turns, after fitting the temperatures.

    Raises:
        ConfigError: no policy that was tried makes so few.
    """
    return best(policies(shown(calibrated(looks)), start, search or Search()), false_per_1000)


def best(tried: Iterator[tuple[Policy, Score]] | Sequence[tuple[Policy, Score]], false_per_1000: float) -> tuple[Policy, Score]:
    """The one that fixes most with at most `false_per_1000` false turns; of equal ones the most cautious, then the fastest.

    Raises:
        ConfigError: there is none.
    """
    allowed = [(p, s) for p, s in tried if s.false_per_1000 <= false_per_1000]
    if not allowed:
        raise ConfigError(f"no policy keeps to {false_per_1000:g} false turns per 1,000 photos: allow more, or train better")
    return max(allowed, key=_rank)


def frontier(tried: Sequence[tuple[Policy, Score]]) -> list[tuple[Policy, Score]]:
    """The Pareto-optimal policies: none fixes as many with fewer false turns, or more with as many; from careful to bold."""
    kept: list[tuple[Policy, Score]] = []
    for count in sorted({score.false for _, score in tried}):
        most = max((pair for pair in tried if pair[1].false == count), key=_rank)
        if not kept or most[1].mended > kept[-1][1].mended:
            kept.append(most)
    return kept


def expected_calibration_error(probabilities: Logits, right: Logits, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, weighted by count (Guo et al. 2017); 0–1."""
    gaps = [abs(confidence - share) * count for confidence, share, count in reliability(probabilities, right, bins)]
    return sum(gaps) / len(probabilities)


def reliability(probabilities: Logits, right: Logits, bins: int = 15) -> list[tuple[float, float, int]]:
    """(mean confidence, share right, count) of every equal-width bin that is not empty."""
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    members = [index == b for b in np.unique(index)]
    return [(float(probabilities[its].mean()), float(right[its].mean()), int(its.sum())) for its in members]


def _rank(pair: tuple[Policy, Score]) -> tuple[float, ...]:
    its, score = pair
    return score.mended, its.min_confidence, its.min_agreement, -score.second


def _at_least(values: Logits, thresholds: Logits) -> NDArray[np.intp]:
    """How many values reach each threshold."""
    return np.asarray(len(values) - np.searchsorted(np.sort(values), thresholds, side="left"))


def _fit(logits: Logits) -> float:
    below = logits - logits.max(-1, keepdims=True)  # whose logarithms no temperature can make infinite
    losses = [(np.log(np.exp(below / t).sum(-1)) - below[:, 0] / t).mean() for t in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])
