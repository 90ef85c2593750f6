"""Two models on the same photos: what one does better, and whether that may be chance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orientd.errors import ConfigError
from orientd.judge.policy import Policy
from orientd_training.evaluate.predictions import Looks, shown
from orientd_training.evaluate.score import judged, right
from orientd_training.evaluate.statistics import Interval, bootstrap, sign_test


@dataclass(frozen=True)
class Paired:
    """A figure of A and of B; `higher` and `lower` count the photos for which A's is higher or lower than B's.

    `interval` is that of `difference`, A − B, when whole groups are drawn anew (95 %; None of one group); `p` is that of the
    exact sign test on the photos that differ, which for right and wrong answers is McNemar's: photos are counted, not turns.
    """

    a: float
    b: float
    interval: Interval | None
    higher: int
    lower: int
    p: float

    @property
    def difference(self) -> float:
        return self.a - self.b


@dataclass(frozen=True)
class Comparison:
    """A against B on `photos` photos at one policy; shares are 0–1.

    `worse` is the share of wrongly shown photos turned to another wrong side, `by_turn` the accuracy of one view by turn needed.
    """

    photos: int
    accuracy_one_view: Paired
    accuracy_eight_views: Paired
    by_turn: tuple[Paired, ...]
    false_per_1000: Paired
    mended: Paired
    worse: Paired


def compare(looks_a: Looks, looks_b: Looks, policy: Policy, seed: int = 0) -> Comparison:
    """Compare two models, each at its own temperatures.

    Raises:
        ConfigError: they did not look at the same photos.
    """
    looks_b = _aligned(looks_a, looks_b)
    groups = looks_a.groups
    seen_a, seen_b = shown(looks_a), shown(looks_b)
    of_a, of_b = judged(seen_a, policy), judged(seen_b, policy)

    def accuracy(look: int) -> Paired:
        return paired(right(seen_a, look), right(seen_b, look), groups, seed=seed)

    turns = zip(right(seen_a, 0).T[..., None], right(seen_b, 0).T[..., None], strict=True)
    return Comparison(
        len(looks_a),
        accuracy(0),
        accuracy(1),
        tuple(paired(a, b, groups, seed=seed) for a, b in turns),
        paired(of_a.false[:, None], of_b.false[:, None], groups, 1000, seed),
        paired(of_a.mended[:, None], of_b.mended[:, None], groups, 1 / 3, seed),
        paired(of_a.worse[:, None], of_b.worse[:, None], groups, 1 / 3, seed),
    )


def paired(a: NDArray[np.generic], b: NDArray[np.generic], groups: tuple[str, ...], scale: float = 1.0, seed: int = 0) -> Paired:
    """Compare two (N, K) arrays of the same photos: the figure is the mean of all values, times `scale`."""
    one, two = a.astype(float).mean(1), b.astype(float).mean(1)
    higher, lower = int((one > two).sum()), int((one < two).sum())
    tallies = np.stack([one - two, np.ones(len(one))], axis=1)
    interval = bootstrap(tallies, groups, lambda sums: scale * sums[:, 0] / sums[:, 1], seed)
    return Paired(scale * float(one.mean()), scale * float(two.mean()), interval, higher, lower, sign_test(higher, lower))


def _aligned(looks_a: Looks, looks_b: Looks) -> Looks:
    """B's looks in A's order: models of different sizes look at photos prepared apart."""
    places = {name: i for i, name in enumerate(looks_b.names)}
    if not looks_a.names or set(places) != set(looks_a.names):
        raise ConfigError(
            f"the models looked at different photos ({len(looks_a)} and {len(looks_b)}): only the same photos can be compared"
        )
    return looks_b.pick([places[name] for name in looks_a.names])
