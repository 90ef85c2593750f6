"""Where something is printed on a straight page, and the parts of it in which letters are large enough to be recognized."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from orientd.decode.boxes import box_sums

Pixels = NDArray[np.uint8]

SQUARE: Final = 112
"""Pixels a side of the close-ups."""
_SQUARES: Final = 6
_SHARE: Final = 0.6  # of the width and of the height of the ink: the four crops overlap
_MARGIN: Final = 12  # pixels around the ink
_LEAST_CONTRAST: Final = 24  # levels between paper and ink
_FEWEST: Final = 0.002  # share of a row or column that ink covers
_SLIMMEST: Final = 0.5  # of the sides of what is shown, as it is squeezed to a square


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


def quarters(picture: Pixels) -> Iterator[Pixels]:
    """Four parts that overlap, from the upper left one to the lower right one."""
    height, width = (max(1, int(side * _SHARE)) for side in picture.shape)
    for rows in (slice(height), slice(-height, None)):
        for columns in (slice(width), slice(-width, None)):
            yield picture[rows, columns]


def closeups(picture: Pixels) -> Iterator[Pixels]:
    """Where most is printed, one after the other; they share less than half of their sides."""
    height, width = (min(SQUARE, side) for side in picture.shape)
    inside = box_sums(_ink(picture).astype(np.uint16), height, width)
    for _ in range(_SQUARES):
        row, column = divmod(int(inside.argmax()), inside.shape[1])
        if inside[row, column] <= 0:
            return
        yield picture[row : row + height, column : column + width]
        inside[max(0, row - height // 2) : row + height // 2, max(0, column - width // 2) : column + width // 2] = 0
