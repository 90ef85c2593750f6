"""The filters of PNG rows, undone and applied for whole pictures at once (PNG specification, third edition, 9 and 12.7).

Each byte is predicted from the pixel to its left, the one above, and the one left of that. So the pixels of a diagonal, from the
lower left to the upper right, need only those of the two diagonals before it: they are had together.
"""

from typing import Final, TypeVar

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from orientd.errors import Refused
from orientd.reasons import Reason

_NONE, _SUB, _UP, _AVERAGE, _PAETH = range(5)
_ROWS_AT_ONCE: Final = 1024

Bytes = NDArray[np.uint8]
_Number = TypeVar("_Number", np.uint8, np.int16)


def undo(lines: Bytes, unit: int) -> Bytes:
    """Rows of shape (height, width, unit) from filtered ones of shape (height, 1 + width · unit), the filter's number first.

    `unit` is the distance in bytes to the pixel on the left, at least 1.

    Raises:
        Refused: a row has a filter that does not exist.
    """
    kinds, filtered = lines[:, 0], lines[:, 1:].reshape(len(lines), -1, unit)
    if kinds.max(initial=0) > _PAETH:
        raise Refused(Reason.DAMAGED, "damaged: a row of its picture has a filter that does not exist")
    rows = np.empty_like(filtered)
    above = np.zeros_like(filtered[:1])
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        known = np.concatenate([above, filtered[part]])  # the row above is one more, which has no filter
        rows[part] = _swept(np.concatenate([[_NONE], kinds[part]]), known)[1:]
        above = rows[part][-1:]
    return rows


def apply(rows: Bytes) -> Bytes:
    """Filtered rows of shape (height, 1 + width · unit) from rows of shape (height, width, unit).

    Each gets the filter whose bytes, taken as signed, have the least sum: for photos that is close to the best.
    """
    height, width, unit = rows.shape
    lines = np.empty((height, 1 + width * unit), np.uint8)
    above = np.zeros_like(rows[:1])
    for start in range(0, height, _ROWS_AT_ONCE // 8):
        part = slice(start, start + _ROWS_AT_ONCE // 8)
        here = rows[part]
        up = np.concatenate([above, here[:-1]])
        left, corner = _from_the_left(here), _from_the_left(up)
        guesses = (left * np.uint8(0), left, up, _mean(left, up), _paeth(*(side.astype(np.int16) for side in (left, up, corner))))
        filtered = np.stack([here - guess.astype(np.uint8) for guess in guesses]).reshape(5, len(here), -1)
        best = np.abs(filtered.view(np.int8).astype(np.int16)).sum(2, dtype=np.int64).argmin(0)
        lines[part, 0], lines[part, 1:] = best, filtered[best, np.arange(len(here))]
        above = here[-1:]
    return lines


def unfiltered(rows: Bytes) -> Bytes:
    """As `apply`, with no filter, which is best for palettes and for pixels of less than a byte."""
    return np.pad(rows.reshape(len(rows), -1), ((0, 0), (1, 0)))


def _swept(kinds: Bytes, filtered: Bytes) -> Bytes:
    """The rows; the first has no filter. Sub and Up are Paeth where only the left, or the upper, pixel is seen."""
    height, width, unit = filtered.shape
    diagonals = np.zeros((width + height - 1, height, unit), np.uint8)
    upright = as_strided(diagonals, filtered.shape, ((height + 1) * unit, height * unit, 1))
    upright[...] = filtered
    sees_left, sees_up, sees_corner, halves = (
        np.isin(kinds, seeing)[:, None].astype(np.int16)
        for seeing in ([_SUB, _AVERAGE, _PAETH], [_UP, _AVERAGE, _PAETH], [_PAETH], [_AVERAGE])
    )
    last = before = np.zeros((height + 1, unit), np.int16)
    for number, diagonal in enumerate(diagonals):
        part = slice(max(0, number - width + 1), min(height, number + 1))
        below = slice(part.start + 1, part.stop + 1)
        left, up = last[below] * sees_left[part], last[part] * sees_up[part]
        guess = _paeth(left, up, before[part] * sees_corner[part])
        guess += halves[part] * (_mean(left, up) - guess)
        diagonal[part] += guess.astype(np.uint8)
        last, before = np.zeros_like(last), last
        last[below] = diagonal[part]
    return upright


def _paeth(left: NDArray[np.int16], up: NDArray[np.int16], corner: NDArray[np.int16]) -> NDArray[np.int16]:
    from_left, from_up = up - corner, left - corner
    from_corner = np.abs(from_left + from_up)
    np.abs(from_left, out=from_left)
    np.abs(from_up, out=from_up)
    nearest = np.where(from_up <= from_corner, up, corner)
    chosen: NDArray[np.int16] = np.where((from_left <= from_up) & (from_left <= from_corner), left, nearest)
    return chosen


def _mean(one: NDArray[_Number], other: NDArray[_Number]) -> NDArray[_Number]:
    """Half the sum, rounded down and never overflowing."""
    return (one & other) + ((one ^ other) >> 1)


def _from_the_left(rows: Bytes) -> Bytes:
    return np.pad(rows[:, :-1], ((0, 0), (1, 0), (0, 0)))
