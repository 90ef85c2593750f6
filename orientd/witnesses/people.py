"""Where people's heads are, seen from their hips, whatever the turn of the photo.

The detector of MediaPipe's BlazePose (Bazarevsky et al. 2020, arXiv:2006.10204) answers with a point between the hips and another
in the direction of the head.
"""

from collections.abc import Iterator
from math import atan2, log, pi
from typing import Final

import numpy as np
from numpy.typing import NDArray

from orientd.infer.session import Graph
from orientd.orientation import TURNS
from orientd.records import Evidence
from orientd.witnesses.views import Pixels, by_turn, cells, distinct, padded, scaled, turned

SIDE: Final = 224
_GRIDS: Final = ((28, 2), (14, 2), (7, 6))  # cells a side, and answers a cell
_LEAST: Final = 0.3  # of a score
_NAMED: Final = 0.5  # of the score of a person whom the note counts
_OVERLAP: Final = 0.3
_DOUBT: Final = 0.3  # added to each sum before its logarithm is taken
_MIDDLES: Final = np.concatenate([np.repeat((cells(side, side) + 0.5) / side, number, axis=0) for side, number in _GRIDS])
_HEAD: Final = {0: "up", 90: "left", 180: "down", 270: "right"}

_Share = tuple[int, float]
"""A turn, in degrees clockwise, and how much of a person speaks for it (0–1)."""


class People:
    """See `Witness`. The network may be shown mirror images."""

    name: str = "people"

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def look(self, picture: Pixels) -> Evidence | None:
        """The logarithm of the sum of scores of all people whose heads a turn brings up; None if nobody is seen at any turn.

        A head that leans counts for the turns on both sides of it, by its angle: at 45 degrees for each by half.
        """
        looks = turned(picture, lambda pixels: scaled(pixels, SIDE))
        heads = [
            (sure, [(look.turned_by(turn), share) for turn, share in shares])
            for look in looks
            for sure, shares in self._found(look.pixels)
        ]
        if not heads:
            return None
        sums = by_turn((turn, share * sure) for sure, shares in heads for turn, share in shares)
        upright, right, down, left = (log(_DOUBT + amount) for amount in sums)
        best = max(TURNS, key=lambda turn: sums[turn // 90])
        number = -(-sum(sure >= _NAMED and shares[0][0] == best for sure, shares in heads) // len(TURNS))  # seen at every turn
        note = f"{number} {'person' if number == 1 else 'people'}, heads {_HEAD[best]}" if number else ""
        return Evidence(self.name, (upright, right, down, left), note)

    def _found(self, shown: Pixels) -> Iterator[tuple[float, tuple[_Share, _Share]]]:
        """For each person the score, and the turns that bring the head up."""
        picture = padded(shown, SIDE, SIDE, 0, centered=True)
        answer = self._graph(np.ascontiguousarray(picture[None] / np.float32(127.5) - np.float32(1), np.float32))
        scores = _sigmoid(answer["scores"][0, :, 0])
        seen = np.flatnonzero(scores >= _LEAST)
        raw = answer["boxes"][0, seen]
        middles, halves = raw[:, :2] / SIDE + _MIDDLES[seen], raw[:, 2:4] / (2 * SIDE)
        boxes = np.concatenate([middles - halves, middles + halves], axis=1)
        for i in distinct(boxes, scores[seen], _OVERLAP):
            right, down = (raw[i, 6:8] - raw[i, 4:6]).tolist()
            if right or down:
                yield float(scores[seen[i]]), _mending(right, down)


def _mending(right: float, down: float) -> tuple[_Share, _Share]:
    """The two turns clockwise nearest to the one that brings up what is in that direction, and how near, the nearer first."""
    leaning = atan2(abs(right), abs(down)) / (pi / 2)
    upright, sideways = (0 if down < 0 else 180, 1 - leaning), (90 if right < 0 else 270, leaning)
    return (sideways, upright) if leaning > 0.5 else (upright, sideways)


def _sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -80, 80))), np.float32)
