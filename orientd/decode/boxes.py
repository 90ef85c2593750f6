"""Sums over all boxes of an array, each from sums of half as many rows or columns: faster than running totals, and as exact."""

from typing import Any

from numpy.typing import NDArray


def box_sums(values: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """The sum of every box (height, width) of `values`, (rows − height + 1, columns − width + 1), in their own type."""
    return _row_sums(_row_sums(values, height).T, width).T


def _row_sums(values: NDArray[Any], number: int) -> NDArray[Any]:
    """The sums of each `number` rows that follow each other."""
    if number == 1:
        return values
    half = number // 2
    few = _row_sums(values, half)
    sums: NDArray[Any] = few[:-half] + few[half:]
    if number % 2:
        sums = sums[:-1] + values[number - 1 :]
    return sums
