"""Whether letters stand upright or upside down, whatever their script: close-ups of level lines, read by a network of their own.

It is a MobileNetV2 trained by `configs/train/letters.yaml` on drawn letters of 24 scripts. The layout of a page, by which the
networks of `pages` go as well, it never sees: that of a page written from right to left is the one of a Latin page upside down.
"""

from collections.abc import Sequence
from math import fsum
from typing import Final

import numpy as np

from orientd.infer.session import Graph
from orientd.witnesses.views import Pixels

SIDE: Final = 112
_UPRIGHT, _UPSIDE_DOWN = 0, 2  # of the four turns that the network has numbers for; the two others it did not learn


class Letters:
    """May be used from several threads at once."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def read(self, pictures: Sequence[Pixels]) -> float:
        """The mean log odds that pictures stand upright and not upside down, about −8 to 8.

        pictures: one or more (`SIDE`, `SIDE`, 3), uint8. Every second one is shown upside down, so that what the network likes
        of the two ways evens out.
        """
        return fsum(-self._shown(one[::-1, ::-1]) if place % 2 else self._shown(one) for place, one in enumerate(pictures)) / len(
            pictures
        )

    def _shown(self, picture: Pixels) -> float:
        logits = self._graph(np.ascontiguousarray(picture)[None])["logits"][0]
        return float(logits[_UPRIGHT] - logits[_UPSIDE_DOWN])
