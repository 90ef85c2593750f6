"""Which of four ways a straight page is up: by what is printed on it, whole and, where that is not certain, in its quarters."""

from collections.abc import Callable, Iterator
from math import exp, fsum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from orientd.orientation import TURNS
from orientd.records import Probabilities, Scores

Pixels = NDArray[np.uint8]
Ask = Callable[[Pixels], tuple[Scores, float]]
"""The logarithms of the probabilities that each turn makes a picture (height, width) of gray levels upright, and how much it
looks like a page, from about −8 to 8."""

_CERTAIN: Final = 0.85
"""A page whose whole says so much is not asked in parts."""
_SHARE: Final = 0.6  # of the width and of the height of the ink: the four crops overlap
_MARGIN: Final = 12  # pixels around the ink
_LEAST_CONTRAST: Final = 24  # levels between paper and ink
_FEWEST: Final = 0.002  # share of a row or column that ink covers
_SLIMMEST: Final = 0.5  # of the sides of what is shown, as it is squeezed to a square


def which_way(straight: Pixels, ask: Ask) -> tuple[Probabilities, float]:
    """That each turn makes a page upright whose lines are level or plumb; and how much it looks like a page.

    straight: gray levels (height, width), without a border that is not part of the page but for one of its own paper.
    """
    ink = straight[ink_box(straight)]
    whole, likeness = ask(ink)
    said = _shares([whole])
    if max(said) < _CERTAIN:
        said = _shares([whole, *(ask(part)[0] for part in _quarters(ink))])
    return said, likeness


def _shares(said: list[Scores]) -> Probabilities:
    """The mean of the logarithms as probabilities."""
    means = [fsum(one[place] for one in said) / len(said) for place in range(len(TURNS))]
    odds = [exp(mean - max(means)) for mean in means]
    upright, right, down, left = (one / sum(odds) for one in odds)
    return upright, right, down, left


def ink_box(straight: Pixels) -> tuple[slice, slice]:
    """The rows and columns of a page that are not its paper alone, with a margin; all of a page that has nothing."""
    height, width = straight.shape
    paper = int(np.median(straight[::4, ::4]))
    contrast = max(paper - int(straight.min()), int(straight.max()) - paper) // 4
    far = max(_LEAST_CONTRAST, contrast)
    ink = (straight < paper - far) | (straight > paper + far)
    rows = np.flatnonzero(np.count_nonzero(ink, axis=1) > _FEWEST * width)
    columns = np.flatnonzero(np.count_nonzero(ink, axis=0) > _FEWEST * height)
    if not len(rows) or not len(columns):
        return slice(0, height), slice(0, width)
    tall, wide = rows[-1] - rows[0], columns[-1] - columns[0]
    return _span(rows, _SLIMMEST * wide, height), _span(columns, _SLIMMEST * tall, width)


def _span(places: NDArray[np.intp], least: float, end: int) -> slice:
    """From the first to the last place with a margin, at least `least` long, within 0 and `end`."""
    spare = max(_MARGIN, int(least - (places[-1] - places[0])) // 2)
    return slice(max(0, int(places[0]) - spare), min(end, int(places[-1]) + spare))


def _quarters(picture: Pixels) -> Iterator[Pixels]:
    height, width = (max(1, int(side * _SHARE)) for side in picture.shape)
    for rows in (slice(height), slice(-height, None)):
        for columns in (slice(width), slice(-width, None)):
            yield picture[rows, columns]
