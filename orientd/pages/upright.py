"""Which of four ways a straight page is up: by what is printed on it, whole and, where that is not certain, in parts.

The network sees 224 pixels a side, so that of a whole page it sees the layout and hardly a letter. Hence the quarters, and then
small squares where most is printed, in which letters are large. On 116 turned pages of 3 to 120 words, by which this was chosen,
97.4 % were right by the whole alone, three of them wrong with some confidence; with all parts 98.3 %, and none of these.
"""

from collections.abc import Callable, Iterator
from math import exp, fsum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from orientd.decode.boxes import box_sums
from orientd.orientation import TURNS
from orientd.records import Probabilities, Scores

Pixels = NDArray[np.uint8]
Ask = Callable[[Pixels], tuple[Scores, float]]
"""The logarithms of the probabilities that each turn makes a picture (height, width) of gray levels upright, and how much it
looks like a page, from about −8 to 8."""

_CERTAIN: Final = 0.995
"""A page that is so certain is not asked in more parts."""
_SHARPNESS: Final = 2.0  # the network's own probabilities, learned from smoothed labels, never exceed 0.93
_SHARE: Final = 0.6  # of the width and of the height of the ink: the four crops overlap
_MARGIN: Final = 12  # pixels around the ink
_LEAST_CONTRAST: Final = 24  # levels between paper and ink
_FEWEST: Final = 0.002  # share of a row or column that ink covers
_SLIMMEST: Final = 0.5  # of the sides of what is shown, as it is squeezed to a square
_SQUARE, _SQUARES = 112, 6  # pixels a side; how many


def which_way(ink: Pixels, whole: Scores, ask: Ask) -> Probabilities:
    """That each turn makes a page upright whose lines are level or plumb.

    ink: its gray levels (height, width) within its `ink_box`. whole: what `ask` says of these.
    """
    said = [whole]
    for parts in (_quarters, _squares):
        if max(_shares(said)) >= _CERTAIN:
            break
        said += [ask(part)[0] for part in parts(ink)]
    return _shares(said)


def _shares(said: list[Scores]) -> Probabilities:
    """The mean of the logarithms as probabilities."""
    means = [fsum(one[place] for one in said) / len(said) for place in range(len(TURNS))]
    odds = [exp(_SHARPNESS * (mean - max(means))) for mean in means]
    upright, right, down, left = (one / sum(odds) for one in odds)
    return upright, right, down, left


def ink_box(straight: Pixels) -> tuple[slice, slice]:
    """The rows and columns of a page that are not its paper alone, with a margin; all of a page that has nothing.

    straight: gray levels (height, width), without a border that is not part of the page but for one of its own paper.
    """
    height, width = straight.shape
    ink = _ink(straight)
    rows = np.flatnonzero(np.count_nonzero(ink, axis=1) > _FEWEST * width)
    columns = np.flatnonzero(np.count_nonzero(ink, axis=0) > _FEWEST * height)
    if not len(rows) or not len(columns):
        return slice(0, height), slice(0, width)
    tall, wide = rows[-1] - rows[0], columns[-1] - columns[0]
    return _span(rows, _SLIMMEST * wide, height), _span(columns, _SLIMMEST * tall, width)


def _ink(levels: Pixels) -> NDArray[np.bool_]:
    """Where print begins and ends within a row: a letter has many such places, a dark corner behind the page one."""
    some = levels[::4, ::4]
    paper = int(np.median(some))
    contrast = max(paper - int(some.min()), int(some.max()) - paper)
    far = max(_LEAST_CONTRAST, contrast // 4)
    edges = np.zeros(levels.shape, np.bool_)
    edges[:, 2:] = np.abs(levels[:, 2:].astype(np.int16) - levels[:, :-2]) > far
    return edges


def _span(places: NDArray[np.intp], least: float, end: int) -> slice:
    """From the first to the last place with a margin, at least `least` long, within 0 and `end`."""
    spare = max(_MARGIN, int(least - (places[-1] - places[0])) // 2)
    return slice(max(0, int(places[0]) - spare), min(end, int(places[-1]) + spare))


def _quarters(picture: Pixels) -> Iterator[Pixels]:
    height, width = (max(1, int(side * _SHARE)) for side in picture.shape)
    for rows in (slice(height), slice(-height, None)):
        for columns in (slice(width), slice(-width, None)):
            yield picture[rows, columns]


def _squares(picture: Pixels) -> Iterator[Pixels]:
    """Where most is printed, one after the other; they share less than half of their sides."""
    height, width = (min(_SQUARE, side) for side in picture.shape)
    inside = box_sums(_ink(picture).astype(np.uint16), height, width)
    for _ in range(_SQUARES):
        row, column = divmod(int(inside.argmax()), inside.shape[1])
        if inside[row, column] <= 0:
            return
        yield picture[row : row + height, column : column + width]
        inside[max(0, row - height // 2) : row + height // 2, max(0, column - width // 2) : column + width // 2] = 0
