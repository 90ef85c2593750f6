"""Things that a detector of 80 kinds recognizes, most of them at the turn at which a photo is upright, and its layout.

YOLOX-Nano (Ge et al. 2021, arXiv:2107.08430), trained on COCO, whose photos are upright.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from orientd.infer.session import Graph
from orientd.records import Evidence, Frame
from orientd.witnesses import layout
from orientd.witnesses.views import Boxes, Look, Pixels, by_turn, cells, distinct, padded, planes, scaled, turned

SIDE: Final = 416
_GREY: Final = 114  # around the picture, as in training
_OVERLAP: Final = 0.45
_LEAST: Final = 0.2  # of a confidence
_NAMED: Final = 3
_LAYOUT: Final = 0.45  # what the score of a layout counts next to the confidence of a thing (benchmarks/results/panel.md)
_STRIDES: Final = (8, 16, 32)
KINDS: Final = (
    """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign, parking
meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, handbag, tie,
suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis
racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog,
pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, television, laptop, mouse, remote,
keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair
drier, toothbrush
""".replace("\n", " ")
    .strip()
    .split(", ")
)
"""The classes of COCO, in the network's order."""


Answer = Mapping[str, NDArray[np.float32]]
"""All outputs of the detector for one look, by their names."""


class Things:
    """See `Witness`. The detector, whose training mirrored pictures, may be shown mirror images."""

    name: str = "things"

    def __init__(self, detector: Graph, upright: Graph) -> None:
        """`upright` scores the `layout.features` of a look."""
        self._detector, self._upright = detector, upright

    def look(self, picture: Pixels) -> Evidence | None:
        """At each turn the sum of confidences, and the score of its layout; None if no turn differs from another.

        The note and the frames are of the turn at which things are recognized best, which need not have the highest score.
        """
        seen = list(looks(self._detector, picture))
        found = [(look.turn, look.frame(*thing)) for look, answer in seen for thing in _found(answer)]
        named = [(turn, thing.sure) for turn, thing in found]
        sums, scores = by_turn(named), by_turn(named + [(look.turn, self._layout(look, answer)) for look, answer in seen])
        if max(scores) == min(scores):
            return None
        best = max(range(4), key=sums.__getitem__)
        things = tuple(thing for turn, thing in found if turn == 90 * best)
        return Evidence(self.name, scores, _told(things), frames=things)

    def _layout(self, look: Look, answer: Answer) -> float:
        (score,) = self._upright(layout.features(answer, *look.pixels.shape[:2])).values()
        return _LAYOUT * float(score[0, 0])


def looks(detector: Graph, picture: Pixels) -> Iterator[tuple[Look, Answer]]:
    """The picture at all four turns, and what the detector says of it there."""
    for look in turned(picture, lambda pixels: scaled(pixels, SIDE)):
        yield look, detector(planes(padded(look.pixels, SIDE, SIDE, _GREY)))


def _found(answer: Answer) -> list[tuple[str, NDArray[np.float32], float]]:
    """Kind, box and confidence of each thing in a picture taken to be upright."""
    rows = answer["output"]
    confidences = rows[0, :, 4] * rows[0, :, 5:].max(axis=1)
    seen = np.flatnonzero(confidences > _LEAST)
    boxes = _boxes(rows[0, :, :4])
    kept = seen[distinct(boxes[seen], confidences[seen], _OVERLAP)]
    return [(KINDS[int(rows[0, i, 5:].argmax())], boxes[i], float(confidences[i])) for i in kept]


def _boxes(raw: NDArray[np.float32]) -> Boxes:
    """Left, top, right, bottom in pixels from center (to be added to its cell) and size (a logarithm), both by the stride."""
    middles = (raw[:, :2] + _CELLS) * _STEPS
    halves = np.exp(np.minimum(raw[:, 2:], _MOST)) * _STEPS / 2
    return np.concatenate([middles - halves, middles + halves], axis=1)


def _told(things: Sequence[Frame]) -> str:
    counts = Counter(thing.what for thing in things)
    surest = {kind: max(thing.sure for thing in things if thing.what == kind) for kind in counts}
    order = sorted(counts, key=lambda kind: (-surest[kind], kind))[:_NAMED]
    return ", ".join(f"{f'{counts[kind]} × ' if counts[kind] > 1 else ''}{kind} {surest[kind]:.1f}" for kind in order)


_CELLS: Final = np.concatenate([cells(SIDE // stride, SIDE // stride) for stride in _STRIDES])
_STEPS: Final = np.concatenate([np.full(((SIDE // stride) ** 2, 1), stride, np.float32) for stride in _STRIDES])
_MOST: Final = 10.0  # of a size's logarithm: no picture is that large
