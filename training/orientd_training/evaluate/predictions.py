"""What a model sees in upright photos by all eight views, collected once; calibration and evaluation are arithmetic on that.

A photo shown needing a turn has the same eight views in another order, so eight looks at the upright photo answer for every turn.
"""

import hashlib
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orientd import orientation
from orientd.errors import ConfigError
from orientd.infer.engine import VIEWS, Engine
from orientd.records import Prediction
from orientd_training.data.photoset import PhotoSet
from orientd_training.files import replacing

Logits = NDArray[np.float64]
_AHEAD: Final = 128
_SHOWN_AS: Final = tuple(VIEWS.index(orientation.inverse(orientation.from_turn(turn))) for turn in orientation.TURNS)


@dataclass(frozen=True)
class Looks:
    """`logits` (N, 8, 4): per photo and view, in the order of `orientd.infer.engine.VIEWS`, turned back so that class 0 is right.

    The temperatures are those that the model states for one view and for the mean of eight.
    """

    logits: Logits
    names: tuple[str, ...]
    groups: tuple[str, ...]
    temperature: float = 1.0
    temperature_views: float = 1.0

    def __len__(self) -> int:
        return len(self.names)

    def of(self, groups: set[str]) -> "Looks":
        """Those of some groups alone."""
        return self.pick([i for i, group in enumerate(self.groups) if group in groups])

    def pick(self, keep: list[int]) -> "Looks":
        """Those of some photos alone, in the order given."""
        names, groups = (tuple(texts[i] for i in keep) for texts in (self.names, self.groups))
        return replace(self, logits=self.logits[keep], names=names, groups=groups)


class Shown(NamedTuple):
    """Probabilities (0–1) that N photos need each turn, once each is shown needing 0–3 quarter turns (axis 1).

    `first` (N, 4, 4) by the first look, `second` (N, 4, 4) by the mean of eight views, `views` (N, 4, 8, 4) by each of these.
    """

    first: Logits
    second: Logits
    views: Logits


def collect(model: Path, *photos: PhotoSet, cache: Path | None = None, workers: int | None = None) -> Looks:
    """Look at every photo through `orientd.infer`, as a scan does; `workers` threads (one a core) give the same looks as one.

    With `cache`, a folder, looks once collected are kept there and taken from there the next time.

    Raises:
        ConfigError: there are no photos, some were prepared at another size than the model takes, or two have one name.
        ModelError: the model is no orientd model.
        StateError: `cache` cannot be written.
    """
    engine = Engine(model)
    names, groups = (tuple(text for some in photos for text in getattr(some, key)) for key in ("names", "groups"))
    _check(engine, model, photos, names)
    stored = cache / _stored_as(engine.model_id, photos) if cache else None
    logits = _load(stored, len(names)) if stored else None
    if logits is None:
        rows = np.array(list(_rows(engine, photos, workers or len(os.sched_getaffinity(0)))))
        logits = np.log(np.maximum(rows, 1e-12)) * engine.spec.temperature
    if stored:
        _keep(stored, logits)
    return Looks(logits, names, groups, engine.spec.temperature, engine.spec.temperature_views)


def keep(looks: Looks, model: Path, *photos: PhotoSet, cache: Path) -> None:
    """Keep looks for a model that gives the same logits as the one they were collected with, but has other temperatures."""
    _keep(cache / _stored_as(Engine(model).model_id, photos), looks.logits)


def shown(looks: Looks) -> Shown:
    """What the model says, at its own temperatures."""
    singles = softmax(looks.logits / looks.temperature)
    means = softmax(looks.logits.mean(1) / looks.temperature_views)
    # Class k of the upright photo is class k + q of the photo shown needing q quarter turns.
    turns = range(len(orientation.TURNS))
    first = np.stack([np.roll(singles[:, _SHOWN_AS[q]], q, axis=-1) for q in turns], axis=1)
    second = np.stack([np.roll(means, q, axis=-1) for q in turns], axis=1)
    return Shown(first, second, np.stack([np.roll(singles, q, axis=-1) for q in turns], axis=1))


def softmax(logits: Logits) -> Logits:
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    scaled: Logits = exponents / exponents.sum(-1, keepdims=True)
    return scaled


def predictions(looks: Looks, temperature: float, temperature_views: float) -> list[list[tuple[Prediction, Prediction]]]:
    """For each photo and each turn it may need (0, 90, 180, 270) the first and the second look at it, shown so."""
    by_photo = zip(*shown(replace(looks, temperature=temperature, temperature_views=temperature_views)), strict=True)
    return [
        [
            (Prediction(one := _row(first), (one,)), Prediction(_row(second), tuple(map(_row, views))))
            for first, second, views in zip(*photo, strict=True)
        ]
        for photo in by_photo
    ]


def _row(values: Logits) -> tuple[float, float, float, float]:
    a, b, c, d = values.tolist()
    return a, b, c, d


def _check(engine: Engine, model: Path, photos: tuple[PhotoSet, ...], names: tuple[str, ...]) -> None:
    size = engine.spec.input_size
    for some in photos:
        if some.size != size:
            raise ConfigError(f"the photos are {some.size} px, {model} takes {size}: prepare them at that size")
    if not names:
        raise ConfigError("there are no photos to look at: prepare some first")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"{twice} is there twice: give each folder of prepared photos once, with names of its own")


def _rows(engine: Engine, photos: tuple[PhotoSet, ...], workers: int) -> Iterator[tuple[tuple[float, ...], ...]]:
    """The eight views of every photo in order; a few at a time, so that an interrupt is obeyed soon."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("looking"), BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(file=sys.stderr)
    with (
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
        ThreadPoolExecutor(workers) as pool,
    ):
        task = bar.add_task("", total=sum(map(len, photos)))
        for some in photos:
            for start in range(0, len(some), _AHEAD):
                block = some.pixels[start : start + _AHEAD]
                yield from (look.by_view for look in pool.map(lambda pixels: engine.look_again(np.array(pixels)), block))
                bar.advance(task, len(block))


def _stored_as(model_id: str, photos: tuple[PhotoSet, ...]) -> str:
    digest = hashlib.sha256(" ".join(some.digest for some in photos).encode()).hexdigest()[:16]
    return f"looks-{model_id}-{digest}.npz"


def _keep(file: Path, logits: Logits) -> None:
    with replacing(file) as partial, partial.open("wb") as stream:
        np.savez(stream, logits=logits)


def _load(file: Path, photos: int) -> Logits | None:
    """A damaged file counts as none: it is made again."""
    try:
        with np.load(file) as stored:
            logits: Logits = stored["logits"]
    except (OSError, ValueError, KeyError, EOFError):
        return None
    return logits if logits.shape == (photos, len(VIEWS), len(orientation.TURNS)) else None
