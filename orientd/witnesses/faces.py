"""Faces, which their detector knows upright: most and surest at the turn at which the photo is upright.

YuNet (Wu, Peng, Yu 2023, Machine Intelligence Research 20, 656–665).
"""

from math import log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from orientd.infer.session import Graph
from orientd.orientation import TURNS
from orientd.records import Evidence, Frame
from orientd.witnesses.views import Pixels, by_turn, cells, distinct, padded, planes, turned, within

SIDES: Final = (640, 320)  # the longer one, at most; faces that fill the picture are seen in the smaller one alone
_STRIDES: Final = (8, 16, 32)
_LEAST: Final = 0.75  # of a score; what is surer counts by how much
_SMALLEST: Final = 16  # pixels of a face
_OVERLAP: Final = 0.3
_DOUBT: Final = 0.05  # added to each mean before its logarithm is taken
_HEAD: Final = {0: "up", 90: "left", 180: "down", 270: "right"}


class Faces:
    """See `Witness`. The network may be shown mirror images."""

    name: str = "faces"

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def look(self, picture: Pixels) -> Evidence | None:
        """The logarithm of the sum of what each face's score has above 0.75, at each turn; None if none is seen at any.

        It is the mean of the sums in a large and a small picture.
        """
        by_size = [self._faces(picture, side) for side in SIDES]
        if not any(by_size):
            return None
        sums = by_turn((turn, face.sure - _LEAST) for found in by_size for turn, face in found)
        upright, right, down, left = (log(_DOUBT + amount / len(SIDES)) for amount in sums)
        best = max(TURNS, key=lambda turn: sums[turn // 90])
        faces = max(([face for turn, face in found if turn == best] for found in by_size), key=len)
        note = f"{len(faces)} face{'' if len(faces) == 1 else 's'}, heads {_HEAD[best]}"
        return Evidence(self.name, (upright, right, down, left), note, frames=tuple(faces))

    def _faces(self, picture: Pixels, side: int) -> list[tuple[int, Frame]]:
        """Each face, and the turn at which it is seen."""
        looks = turned(picture, lambda pixels: within(pixels, side))
        return [(look.turn, look.frame("face", box, sure)) for look in looks for sure, box in self._found(look.pixels)]

    def _found(self, shown: Pixels) -> list[tuple[float, NDArray[np.float32]]]:
        """Score and box of each face in a picture taken to be upright."""
        height, width = (-(-side // _STRIDES[-1]) * _STRIDES[-1] for side in shown.shape[:2])
        answer = self._graph(planes(padded(shown, height, width, 0)))
        scores, boxes = [], []
        for stride in _STRIDES:
            score = np.sqrt(np.clip(answer[f"cls_{stride}"][0, :, 0] * answer[f"obj_{stride}"][0, :, 0], 0, 1))
            seen = np.flatnonzero(score > _LEAST)
            raw = answer[f"bbox_{stride}"][0, seen]
            middles = (raw[:, :2] + cells(width // stride, height // stride)[seen]) * stride
            halves = np.exp(np.minimum(raw[:, 2:], _MOST)) * stride / 2
            scores.append(score[seen])
            boxes.append(np.concatenate([middles - halves, middles + halves], axis=1))
        sure, place = np.concatenate(scores), np.concatenate(boxes)
        kept = distinct(place, sure, _OVERLAP)
        return [(float(sure[i]), place[i]) for i in kept if min(place[i, 2:] - place[i, :2]) >= _SMALLEST]


_MOST: Final = 10.0  # of a size's logarithm: no picture is that large
