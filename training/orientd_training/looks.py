"""What a model sees in upright photos by all eight views, collected once; calibration and evaluation are arithmetic on that.

A photo shown needing a turn has the same eight views in another order, so eight looks at the upright photo answer for every turn.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orientd import orientation
from orientd.errors import ConfigError
from orientd.infer import VIEWS, Engine
from orientd.items import Prediction
from orientd_training.photoset import PhotoSet

Logits = NDArray[np.float64]


@dataclass(frozen=True)
class Looks:
    """`logits` (N, 8, 4): per photo and view, in the order of `orientd.infer.VIEWS`, turned back so that class 0 is right."""

    logits: Logits
    names: tuple[str, ...]
    groups: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def of(self, groups: set[str]) -> "Looks":
        """Those of some groups alone."""
        keep = [i for i, group in enumerate(self.groups) if group in groups]
        return Looks(self.logits[keep], tuple(self.names[i] for i in keep), tuple(self.groups[i] for i in keep))


def collect(model: Path, photos: PhotoSet) -> Looks:
    """Look at every photo through `orientd.infer`, as a scan does.

    Raises:
        ConfigError: the photos were prepared at another size than the model takes.
    """
    engine = Engine(model)
    if photos.size != engine.spec.input_size:
        raise ConfigError(f"the photos are {photos.size} px, {model} takes {engine.spec.input_size}: prepare them at that size")
    rows = [engine.look_again(np.asarray(pixels)).by_view for pixels in photos.pixels]
    return Looks(np.log(np.maximum(rows, 1e-12)) * engine.spec.temperature, photos.names, photos.groups)


def softmax(logits: Logits) -> Logits:
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    scaled: Logits = exponents / exponents.sum(-1, keepdims=True)
    return scaled


def predictions(looks: Looks, temperature: float, temperature_views: float) -> list[list[tuple[Prediction, Prediction]]]:
    """For each photo and each turn it may need (0, 90, 180, 270) the first and the second look at it, shown so."""
    singles, means = softmax(looks.logits / temperature), softmax(looks.logits.mean(1) / temperature_views)
    shown_as = [VIEWS.index(orientation.inverse(orientation.from_turn(turn))) for turn in orientation.TURNS]
    made = []
    for views, mean in zip(singles, means, strict=True):
        photo = []
        for quarters, view in enumerate(shown_as):
            # Class k of the upright photo is class k + quarters of the photo shown needing that many quarter turns.
            first = _row(np.roll(views[view], quarters))
            by_view = tuple(map(_row, np.roll(views, quarters, axis=1)))
            photo.append((Prediction(first, (first,)), Prediction(_row(np.roll(mean, quarters)), by_view)))
        made.append(photo)
    return made


def _row(values: Logits) -> tuple[float, float, float, float]:
    a, b, c, d = values.tolist()
    return a, b, c, d
