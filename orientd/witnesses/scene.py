"""The scene as a whole, from four looks at it: by the model in use at another size than usual, or by another model."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orientd.orientation import TURNS
from orientd.records import Evidence
from orientd.witnesses.views import Pixels, by_turn, squashed, turned


class Scene:
    """See `Witness`. The network, whose training mirrored pictures, may be shown mirror images."""

    def __init__(self, name: str, side: int, logits: Callable[[NDArray[np.uint8]], NDArray[Any]]) -> None:
        """`logits` answers pictures (N, side, side, 3) with (N, 4), as a graph of orientd does."""
        self.name = name
        self._side, self._logits = side, logits

    def look(self, picture: Pixels) -> Evidence:
        """The mean of the looks' logits."""
        looks = list(turned(picture, lambda pixels: squashed(pixels, self._side)))
        answers = [self._logits(look.pixels[None])[0].tolist() for look in looks]
        said = [
            (look.turned_by(turn), logit)
            for look, row in zip(looks, answers, strict=True)
            for turn, logit in zip(TURNS, row, strict=True)
        ]
        a, b, c, d = (total / len(looks) for total in by_turn(said))
        return Evidence(self.name, (a, b, c, d))
