"""How pages stand, by their text: PP-LCNet x1.0 as PaddlePaddle trained it on documents (Cui et al. 2021, arXiv:2109.15099)."""

from math import fsum, log
from typing import Final

import numpy as np

from orientd.infer.session import Graph
from orientd.orientation import TURNS
from orientd.records import Evidence
from orientd.witnesses.views import Pixels, squashed, turned

SIDE: Final = 224
_MEAN: Final = np.array((0.485, 0.456, 0.406), np.float32)
_STD: Final = np.array((0.229, 0.224, 0.225), np.float32)
_LEAST: Final = 1e-6  # of a probability: none is excluded for ever


class Pages:
    """See `Witness`. The network is never shown mirror images: a mirrored page has other scores than the page."""

    name: str = "pages"

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def look(self, picture: Pixels) -> Evidence:
        """The mean of the logarithms of each turn's probability, from four looks."""
        looks = turned(picture, lambda pixels: squashed(pixels, SIDE), mirrors=False)
        said = {look.turn: self._said(look.pixels) for look in looks}
        # Class j stands at j degrees clockwise, so that 360 − j mends it: what was turned by t needs t + 360 − j in all.
        upright, right, down, left = (fsum(said[t][(t - turn) % 360] for t in TURNS) / len(TURNS) for turn in TURNS)
        return Evidence(self.name, (upright, right, down, left))

    def _said(self, shown: Pixels) -> dict[int, float]:
        """The logarithms of the probabilities that a page stands at 0, 90, 180, 270 degrees clockwise."""
        given = (shown / np.float32(255) - _MEAN) / _STD
        (answer,) = self._graph(np.ascontiguousarray(given.transpose(2, 0, 1)[None], np.float32)).values()
        return {turn: log(max(float(value), _LEAST)) for turn, value in zip(TURNS, answer[0], strict=True)}
