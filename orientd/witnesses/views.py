"""A picture as networks want to see it: turned and mirrored, in a size of theirs; and what they find, without doubles.

Each turned picture is made smaller on its own, and sums are exact (`math.fsum`), so that whoever looks at a turned picture looks
at the very same arrays in another order, and comes to the same scores in other places, to the bit.
"""

from collections.abc import Iterable, Iterator
from math import fsum

import numpy as np
from numpy.typing import NDArray

from orientd import orientation
from orientd.decode.resize import resized
from orientd.records import Scores

Pixels = NDArray[np.uint8]
Boxes = NDArray[np.float32]


def turned(picture: Pixels) -> Iterator[tuple[int, Pixels]]:
    """The picture at all four turns, and by how many degrees clockwise each was turned."""
    for turn in orientation.TURNS:
        yield turn, orientation.apply(picture, orientation.from_turn(turn))


def squashed(picture: Pixels, side: int) -> Pixels:
    """The whole picture squeezed to a square, (side, side, 3)."""
    return resized(picture, side, side)


def scaled(picture: Pixels, side: int) -> Pixels:
    """The picture at its own aspect, its longer side `side` pixels."""
    height, width = picture.shape[:2]
    longer = max(height, width)
    return resized(picture, max(1, round(width * side / longer)), max(1, round(height * side / longer)))


def padded(picture: Pixels, height: int, width: int, fill: int, *, centered: bool = False) -> Pixels:
    """The picture in the upper left corner, or in the middle, of a canvas (height, width, 3) of gray level `fill`."""
    canvas = np.full((height, width, 3), fill, np.uint8)
    rows, columns = picture.shape[:2]
    top, left = ((height - rows) // 2, (width - columns) // 2) if centered else (0, 0)
    canvas[top : top + rows, left : left + columns] = picture
    return canvas


def planes(picture: Pixels) -> NDArray[np.float32]:
    """Blue, green, red of 0–255 as networks of OpenCV's tradition take them, (1, 3, height, width)."""
    return np.ascontiguousarray(picture[..., ::-1].transpose(2, 0, 1)[None], np.float32)


def by_turn(found: Iterable[tuple[int, float]]) -> Scores:
    """The exact sums of amounts that speak for a turn each, in whatever order they come."""
    amounts: dict[int, list[float]] = {turn: [] for turn in orientation.TURNS}
    for turn, amount in found:
        amounts[turn].append(amount)
    upright, right, down, left = (fsum(amounts[turn]) for turn in orientation.TURNS)
    return upright, right, down, left


def distinct(boxes: Boxes, scores: NDArray[np.float32], overlap: float) -> NDArray[np.intp]:
    """Which boxes are left when each that overlaps a surer one by more is dropped, the surest first.

    boxes: (N, 4), left, top, right, bottom. overlap: the area of both by that of either (intersection over union).
    """
    left, areas = np.argsort(-scores, kind="stable"), (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        near = np.maximum(boxes[best, :2], boxes[left, :2])
        far = np.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = np.prod(np.clip(far - near, 0, None), axis=1)
        left = left[shared <= overlap * (areas[best] + areas[left] - shared)]
    return np.array(kept, np.intp)


def cells(columns: int, rows: int) -> NDArray[np.float32]:
    """(column, row) of each cell, row by row."""
    down, across = np.mgrid[0:rows, 0:columns]
    return np.stack([across.ravel(), down.ravel()], axis=1).astype(np.float32)
