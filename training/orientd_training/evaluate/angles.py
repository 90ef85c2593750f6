"""How far found skews are off: shares within bounds, errors, and F1 over the classes of half a degree. Pure.

Angles are degrees clockwise, and a half turn more or less is the same skew.
"""

from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from orientd_training.config import SKEW_STEP
from orientd_training.evaluate import classes
from orientd_training.evaluate.statistics import wilson

BOUNDS: Final = (0.1, 0.25, 0.5, 1.0)
"""Degrees; the share of answers within each of them is reported."""
SECTOR: Final = 15
"""Degrees of a row of the confusion matrix, which by half degrees would have 360."""
_ROUNDING: Final = 1e-4

Angles = NDArray[np.float64]


def errors(wanted: Angles, found: Angles) -> Angles:
    """found − wanted, −90 to 90."""
    return np.asarray((found - wanted + 90) % 180 - 90)


def measured(wanted: Angles, found: Angles) -> dict[str, Any]:
    """The figures of N answers; `f1` and its like are weighted by how often a class was shown, shares are 0–1.

    `mean_error_within_half` is that of those within half a degree: what is left once gross mistakes are counted elsewhere.
    """
    off = np.abs(errors(wanted, found))
    shares = {f"{bound:g}": float((off <= bound + _ROUNDING).mean()) for bound in BOUNDS}
    number = round(180 / SKEW_STEP)
    table = classes.confusion(_class(wanted), _class(found), number)
    its = classes.each(table, [f"{SKEW_STEP * k - 90:g}°" for k in range(number)])
    close = off[off <= 0.5 + _ROUNDING]
    return {
        "within": shares,
        "within_interval": {bound: list(wilson(share, len(off))) for bound, share in shares.items()},
        "mean_error": float(off.mean()),
        "median_error": float(np.median(off)),
        "worst_error": float(off.max()),
        "mean_error_within_half": float(close.mean()) if len(close) else None,
        **classes.mean(its, weighted=True),
        "classes": [asdict(one) for one in its if one.shown],
        "sectors": _sectors(wanted, found).tolist(),
    }


def _class(angles: Angles) -> NDArray[np.int64]:
    return np.asarray(np.rint((angles + 90) / SKEW_STEP).astype(np.int64) % round(180 / SKEW_STEP))


def _sectors(wanted: Angles, found: Angles) -> classes.Table:
    """(12, 12) counts by sectors of SECTOR degrees around −90, −75, …; the row is the sector wanted."""
    places = [np.rint((angles + 90) / SECTOR).astype(np.int64) % (180 // SECTOR) for angles in (wanted, found)]
    return classes.confusion(places[0], places[1], 180 // SECTOR)
