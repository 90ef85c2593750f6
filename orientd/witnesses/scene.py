"""The scene as a whole: all eight views of it by the model in use, at a side of its choice; and four by another network."""

from math import fsum

import numpy as np

from orientd.infer.engine import VIEWS, Engine
from orientd.orientation import TURNS
from orientd.records import Evidence, Scores
from orientd.witnesses.views import Pixels, by_turn, squashed, turned, viewed


class Scene:
    """See `Witness`; mirrors included, so that a mirrored picture has mirrored scores, too."""

    def __init__(self, engine: Engine, side: int = 0, name: str = "scene") -> None:
        """`side` is one of `engine.spec.sides`; 0 for the usual one."""
        self.name = name
        self._engine = engine
        self._side = side or engine.spec.input_size

    def look(self, picture: Pixels) -> Evidence:
        """The mean of the views' logits."""
        return Evidence(self.name, mean(self.by_view(picture)))

    def by_view(self, picture: Pixels) -> tuple[Scores, ...]:
        """The logits of each of the eight views in the order of `VIEWS`, turned back to those for the picture as given."""
        views = np.stack([*viewed(picture, lambda pixels: squashed(pixels, self._side), VIEWS)])
        return tuple((a, b, c, d) for a, b, c, d in self._engine.by_view(views).tolist())


class OtherScene:
    """See `Witness`. The network, whose training mirrored pictures, may be shown mirror images: four looks do as well as eight."""

    name: str = "other-scene"

    def __init__(self, engine: Engine) -> None:
        self._engine, self._side = engine, engine.spec.input_size

    def look(self, picture: Pixels) -> Evidence:
        """The mean of the looks' logits."""
        looks = list(turned(picture, lambda pixels: squashed(pixels, self._side)))
        said = [(look.turned_by(turn), logit) for look in looks for turn, logit in zip(TURNS, self._logits(look.pixels), strict=True)]
        a, b, c, d = (total / len(looks) for total in by_turn(said))
        return Evidence(self.name, (a, b, c, d))

    def _logits(self, shown: Pixels) -> list[float]:
        (row,) = self._engine.logits(shown[None]).tolist()
        return list(row)


def mean(by_view: tuple[Scores, ...]) -> Scores:
    """The mean of views, the same in whatever order they come."""
    a, b, c, d = (fsum(column) / len(by_view) for column in zip(*by_view, strict=True))
    return a, b, c, d
