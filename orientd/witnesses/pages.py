"""How pages stand, by their text: what two networks say of it, which seldom fail on the same page.

One is PP-LCNet x1.0 as PaddlePaddle trained it on documents (Cui et al. 2021, arXiv:2109.15099), the other a MobileNetV2 trained
by `configs/train/pages.yaml`. Both answer with as much confidence about photos, where they know nothing. So they are heard only
about what looks like a page, which a second answer of the first one's graph tells (`orientd_training.export.page_likeness`).
"""

from collections.abc import Iterator, Mapping, Sequence
from math import fsum, log
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from orientd.decode.skew import LEAST_CONFIDENCE, find_skew, gray
from orientd.decode.skew import SIDE as SKEW_SIDE
from orientd.infer.session import Graph
from orientd.orientation import TURNS
from orientd.records import Evidence, Scores
from orientd.witnesses.views import Look, Pixels, squashed, turned

SIDE: Final = 224
LIKENESS: Final = "page"
"""The answer of the graph that is above 0 for what looks like a page."""

_STANDS: Final = "fetch_name_0"
_LOGITS: Final = "logits"
_MEAN: Final = np.array((0.485, 0.456, 0.406), np.float32)[:, None, None]
_STD: Final = np.array((0.229, 0.224, 0.225), np.float32)[:, None, None]
_LEAST: Final = 1e-6  # of a probability: none is excluded for ever

_Said = Mapping[int, Mapping[int, float]]
"""Of the picture turned by so many degrees clockwise the logarithms of the probabilities that so many more make it upright."""


class Pages:
    """See `Witness`. The networks are never shown mirror images: a mirrored page has other scores than the page."""

    name: str = "pages"

    def __init__(self, graph: Graph, printed: Graph | None = None) -> None:
        """`graph` also tells what looks like a page; `printed` is the network of our own, for `look` alone."""
        self._graph, self._printed = graph, printed

    def look(self, picture: Pixels) -> Evidence | None:
        """The logarithms of each turn's probability, the mean of four looks, added up; None of what does not look like a page."""
        scores, likeness = self.hear(picture)
        if likeness <= 0:
            return None
        if self._printed:
            scores = _added(scores, _mean(self._read(picture, self._printed)))
        return Evidence(self.name, scores, skew=_skew(picture, likeness))

    def hear(self, picture: Pixels) -> tuple[Scores, float]:
        """The scores of what is known to be a page, by `graph` alone, and how much it looks like one: above 0 if it does."""
        answers = {turn: self._graph(shown) for turn, shown in _shown(picture)}
        # Class j is turned by j degrees clockwise, so that 360 − j makes it upright.
        said = {turn: _logarithms(answer[_STANDS][0], [-stands % 360 for stands in TURNS]) for turn, answer in answers.items()}
        likeness = fsum(float(answer[LIKENESS].item()) for answer in answers.values()) / len(TURNS)
        return _mean(said), likeness

    def _read(self, picture: Pixels, printed: Graph) -> _Said:
        logits = {look.turn: printed(look.pixels[None])[_LOGITS][0].astype(np.float64) for look in _looks(picture)}
        likely = {turn: np.exp(its - its.max()) for turn, its in logits.items()}
        return {turn: _logarithms(its / its.sum(), TURNS) for turn, its in likely.items()}

    @staticmethod
    def shown(picture: Pixels) -> Iterator[NDArray[np.float32]]:
        """What the network is given of a picture (1, 3, 224, 224), once for each turn."""
        return (given for _, given in _shown(picture))


def _skew(picture: Pixels, likeness: float) -> float | None:
    """That of a page's lines, whichever way is up; None if it is not clear, or the picture larger than what is looked at."""
    found = find_skew(gray(picture)) if max(picture.shape) <= SKEW_SIDE else None
    if found is None or found.confidence(likeness) < LEAST_CONFIDENCE:
        return None
    return round((found.angle + 45) % 90 - 45, 1)


def _looks(picture: Pixels) -> Iterator[Look]:
    return turned(picture, lambda pixels: squashed(pixels, SIDE), mirrors=False)


def _shown(picture: Pixels) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for look in _looks(picture):
        planes = np.ascontiguousarray(look.pixels.transpose(2, 0, 1), np.float32)
        yield look.turn, ((planes / np.float32(255) - _MEAN) / _STD)[None]


def _logarithms(probabilities: NDArray[np.floating[Any]], turns: Sequence[int]) -> dict[int, float]:
    """The logarithms of the probabilities that each of `turns`, in degrees clockwise, makes a picture upright."""
    return {turn: log(max(float(value), _LEAST)) for turn, value in zip(turns, probabilities, strict=True)}


def _mean(said: _Said) -> Scores:
    """Over the looks: what is turned by t and then needs s more needs t + s in all."""
    upright, right, down, left = (fsum(said[t][(turn - t) % 360] for t in TURNS) / len(TURNS) for turn in TURNS)
    return upright, right, down, left


def _added(one: Scores, other: Scores) -> Scores:
    upright, right, down, left = (first + second for first, second in zip(one, other, strict=True))
    return upright, right, down, left
