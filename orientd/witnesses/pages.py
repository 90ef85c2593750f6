"""How pages stand, by their text: PP-LCNet x1.0 as PaddlePaddle trained it on documents (Cui et al. 2021, arXiv:2109.15099).

It answers with as much confidence about photos, where it knows nothing. So it is heard only about what looks like a page, which a
second answer of its graph tells (`orientd_training.export.page_likeness`).
"""

from collections.abc import Iterator
from math import fsum, log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from orientd.decode import straight
from orientd.decode.skew import LEAST_CONFIDENCE, find_skew
from orientd.decode.skew import SIDE as SKEW_SIDE
from orientd.infer.session import Graph
from orientd.orientation import TURNS
from orientd.records import Evidence, Scores
from orientd.witnesses.views import Pixels, squashed, turned

SIDE: Final = 224
LIKENESS: Final = "page"
"""The answer of the graph that is above 0 for what looks like a page."""

_STANDS: Final = "fetch_name_0"
_MEAN: Final = np.array((0.485, 0.456, 0.406), np.float32)
_STD: Final = np.array((0.229, 0.224, 0.225), np.float32)
_LEAST: Final = 1e-6  # of a probability: none is excluded for ever


class Pages:
    """See `Witness`. The network is never shown mirror images: a mirrored page has other scores than the page."""

    name: str = "pages"

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def look(self, picture: Pixels) -> Evidence | None:
        """The mean of the logarithms of each turn's probability, from four looks; None of what does not look like a page."""
        scores, likeness = self.hear(picture)
        return Evidence(self.name, scores, skew=_skew(picture, likeness)) if likeness > 0 else None

    def hear(self, picture: Pixels) -> tuple[Scores, float]:
        """The scores of what is known to be a page, and how much it looks like one, which is above 0 if it does."""
        answers = {turn: self._graph(shown) for turn, shown in _shown(picture)}
        said = {turn: _logarithms(answer[_STANDS][0]) for turn, answer in answers.items()}
        # Class j stands at j degrees clockwise, so that 360 − j mends it: what was turned by t needs t + 360 − j in all.
        upright, right, down, left = (fsum(said[t][(t - turn) % 360] for t in TURNS) / len(TURNS) for turn in TURNS)
        likeness = fsum(float(answer[LIKENESS].item()) for answer in answers.values()) / len(TURNS)
        return (upright, right, down, left), likeness

    @staticmethod
    def shown(picture: Pixels) -> Iterator[NDArray[np.float32]]:
        """What the network is given of a picture (1, 3, 224, 224), once for each turn."""
        return (given for _, given in _shown(picture))


def _skew(picture: Pixels, likeness: float) -> float | None:
    """That of a page's lines, whichever way is up; None if it is not clear, or the picture larger than what is looked at."""
    found = find_skew(straight.gray(picture)) if max(picture.shape) <= SKEW_SIDE else None
    if found is None or found.confidence(likeness) < LEAST_CONFIDENCE:
        return None
    return round((found.angle + 45) % 90 - 45, 1)


def _shown(picture: Pixels) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for look in turned(picture, lambda pixels: squashed(pixels, SIDE), mirrors=False):
        given = (look.pixels / np.float32(255) - _MEAN) / _STD
        yield look.turn, np.ascontiguousarray(given.transpose(2, 0, 1)[None], np.float32)


def _logarithms(probabilities: NDArray[np.float32]) -> dict[int, float]:
    """Of the probabilities that a page stands at 0, 90, 180, 270 degrees clockwise."""
    return {turn: log(max(float(value), _LEAST)) for turn, value in zip(TURNS, probabilities, strict=True)}
