"""How far a figure can be trusted: intervals, a paired test, a bootstrap over groups; and a regression. Pure numbers."""

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import binomtest, chi2

_Z: Final = 1.959964
_TAIL: Final = 0.025
_RESAMPLED: Final = 4000

Interval = tuple[float, float]
Values = NDArray[Any]


def wilson(share: float, n: int) -> Interval:
    """95 % confidence interval of a share (0–1) of n (Wilson 1927, J. Am. Stat. Assoc. 22); (0, 1) of nothing.

    Not scipy's: that takes a whole number of n, and a share may be a mean over the turns of a photo.
    """
    if n == 0:
        return 0.0, 1.0
    z2 = _Z**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def poisson(count: int) -> Interval:
    """Exact 95 % confidence interval of the mean behind a count of rare events (Garwood 1936, Biometrika 28)."""
    low = chi2.ppf(_TAIL, 2 * count) / 2 if count else 0.0
    return float(low), float(chi2.ppf(1 - _TAIL, 2 * count + 2) / 2)


def sign_test(better: int, worse: int) -> float:
    """Two-sided p of so uneven a split of differing pairs if both were equally likely; 1 if no pair differs.

    On pairs of right and wrong answers it is the exact test of McNemar (1947, Psychometrika 12).
    """
    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0


def bootstrap(tallies: Values, groups: Sequence[str], figure: Callable[[Values], Values], seed: int = 0) -> Interval | None:
    """95 % percentile interval of a figure when whole groups are drawn anew: photos of one album are not independent.

    `tallies` (N, K) are counts by photo; `figure` makes R figures (R,) of the sums over R libraries (R, K). None of a single
    group, which says nothing of others. The same seed gives the same interval (Efron & Tibshirani 1993, ch. 13).
    """
    _, index = np.unique(np.array(groups, dtype=object).astype(str), return_inverse=True)
    count = int(index.max()) + 1 if len(index) else 0
    if count < 2:
        return None
    sums = np.zeros((count, tallies.shape[1]))
    np.add.at(sums, index, tallies)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), _RESAMPLED)
    low, high = np.nanpercentile(figure(drawn @ sums), [100 * _TAIL, 100 * (1 - _TAIL)])
    return float(low), float(high)


def telling_apart(those: Values, these: Values, ridge: float, threshold: float = 0.0) -> Values:
    """Weights of features and a constant, by which these are above 0 and those below; both count alike, however many.

    A logistic regression.

    Args:
        those, these: (N, F) and (M, F), features.
        ridge: how strongly large weights of standardized features are held down.
        threshold: log odds that these must reach.
    """
    everything = np.concatenate([those, these])
    middle, spread = everything.mean(0), everything.std(0) + 1e-6
    x, sign = (everything - middle) / spread, np.repeat([-1.0, 1.0], [len(those), len(these)])
    share = np.repeat([0.5 / len(those), 0.5 / len(these)], [len(those), len(these)])

    def loss(weights: Values) -> tuple[float, Values]:
        margin = sign * (x @ weights[:-1] + weights[-1])
        slope = -share * sign / (1 + np.exp(np.clip(margin, -500, 500)))
        held = ridge * weights[:-1]
        return float(share @ np.logaddexp(0, -margin) + held @ weights[:-1] / 2), np.append(slope @ x + held, slope.sum())

    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x
    weights = found[:-1] / spread
    return np.append(weights, found[-1] - weights @ middle - threshold)
