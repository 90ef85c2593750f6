"""What lies above and what below, by what the detector of things computes on its way to them: skies, walls, floors, hair, grass.

A small network, trained by `orientd_training.fit.layout`, says of one such description how much it is that of an upright photo.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

THIRDS: Final = 3
MAPS: Final[Mapping[str, int]] = {"maps8": 8, "maps16": 16, "maps32": 32}
"""The outputs of the detector that hold a number for each channel and cell, and the sides of their cells in pixels."""

Numbers = NDArray[np.float32]


def features(seen: Mapping[str, Numbers], height: int, width: int) -> Numbers:
    """(1, F): the mean over the upper, the middle and the lower third of a picture, channel by channel of map after map.

    seen: the `MAPS` of a canvas in whose upper left corner the picture of that many pixels is, (1, channels, rows, columns) each.
    """
    thirds = [_thirds(seen[name][0], side, height, width).ravel() for name, side in MAPS.items()]
    return np.concatenate(thirds)[None]


def _thirds(cells: Numbers, side: int, height: int, width: int) -> Numbers:
    """(channels, 3): the means of each channel of one map, (channels, rows, columns) with cells of `side` pixels."""
    _, rows, columns = cells.shape
    across, down = _shares(columns, side, width, 1)[0], _shares(rows, side, height, THIRDS)
    lines = np.einsum("crx,x->cr", cells, across)  # not by BLAS, whose sums may depend on its threads
    thirds: Numbers = np.einsum("cr,tr->ct", lines, down)
    return thirds


def _shares(cells: int, side: int, length: int, parts: int) -> Numbers:
    """(parts, cells): how much each cell counts in the mean over each of so many equal parts of a length in pixels."""
    edges, starts = np.linspace(0, length, parts + 1), side * np.arange(cells)
    within = np.minimum(edges[1:, None], starts + side) - np.maximum(edges[:-1, None], starts)
    shares = np.maximum(within, 0)
    return np.asarray(shares / shares.sum(1, keepdims=True), np.float32)
