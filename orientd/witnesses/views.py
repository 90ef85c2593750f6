"""A picture as networks want to see it: turned and mirrored, in a size of theirs; and what they find, without doubles.

However a picture is turned, it is made smaller in the same one of its forms, the first of them by its bytes, and turned
afterwards; sums are exact (`math.fsum`). So whoever looks at a turned picture looks at the very same arrays in another order, and
comes to the same scores in other places, to the bit.
"""

from collections.abc import Callable, Iterable, Iterator
from math import fsum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orientd.decode.resize import resized
from orientd.orientation import TURNS, apply, from_turn, inverse, then
from orientd.records import Frame, Scores

Pixels = NDArray[np.uint8]
Boxes = NDArray[np.float32]
Resize = Callable[[Pixels], Pixels]

_MIRROR: Final = 2
_TURNED: Final = tuple(from_turn(turn) for turn in TURNS)
_MIRRORED: Final = tuple(then(_MIRROR, turned) for turned in _TURNED)


class Look(NamedTuple):
    """A picture turned by `turn` degrees clockwise or, if `mirrored`, the mirror image of that."""

    turn: int
    pixels: Pixels
    mirrored: bool

    def turned_by(self, more: int) -> int:
        """The turn of the picture that shows it as a turn of this look by `more` degrees clockwise does, mirrors aside."""
        return (self.turn - more if self.mirrored else self.turn + more) % 360

    def frame(self, what: str, box: NDArray[np.float32], sure: float) -> Frame:
        """Where in the picture, as it was before it was turned, a box is: left, top, right, bottom in pixels of this look."""
        height, width = self.pixels.shape[:2]
        left, top, right, bottom = (float(np.clip(at, 0, side) / side) for at, side in zip(box, (width, height) * 2, strict=True))
        if self.mirrored:
            left, right = 1 - right, 1 - left
        for _ in range(self.turn // 90):
            left, top, right, bottom = top, 1 - right, bottom, 1 - left
        return Frame(what, left, top, right, bottom, sure)


def turned(picture: Pixels, resize: Resize, *, mirrors: bool = True) -> Iterator[Look]:
    """The picture at all four turns, or with `mirrors` perhaps the mirror images of these, made smaller by `resize`.

    With them a mirrored picture, unless it is its own mirror image, gets mirrored scores to the bit.
    """
    small, back = _first(picture, (*_TURNED, *_MIRRORED) if mirrors else _TURNED)
    small = resize(small)
    for turn in TURNS:
        seen = then(back, from_turn(turn))
        mirrored = seen in _MIRRORED
        yield Look(turn, apply(small, then(seen, _MIRROR) if mirrored else seen), mirrored)


def _first(picture: Pixels, forms: tuple[int, ...]) -> tuple[Pixels, int]:
    """The form of a picture whose size and bytes come first, and the orientation that leads from there back to the picture.

    The first row mostly tells; of forms that are equal the first counts.
    """
    shown = {form: apply(picture, form) for form in forms}
    rows = {form: (pixels.shape, pixels[0].tobytes()) for form, pixels in shown.items()}
    least = min(rows.values())
    best = [form for form in forms if rows[form] == least]
    chosen = best[0] if len(best) == 1 else min(best, key=lambda form: shown[form].tobytes())
    return shown[chosen], inverse(chosen)


def squashed(picture: Pixels, side: int) -> Pixels:
    """The whole picture squeezed to a square, (side, side, 3)."""
    return resized(picture, side, side)


def scaled(picture: Pixels, side: int) -> Pixels:
    """The picture at its own aspect, its longer side `side` pixels."""
    height, width = picture.shape[:2]
    longer = max(height, width)
    return resized(picture, max(1, round(width * side / longer)), max(1, round(height * side / longer)))


def within(picture: Pixels, side: int) -> Pixels:
    """The picture at its own aspect, its longer side at most `side` pixels."""
    return scaled(picture, side) if max(picture.shape[:2]) > side else picture


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
    amounts: dict[int, list[float]] = {turn: [] for turn in TURNS}
    for turn, amount in found:
        amounts[turn].append(amount)
    upright, right, down, left = (fsum(amounts[turn]) for turn in TURNS)
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
