"""Photos to train on that models say do not lie upright, as their labels have it: the most doubted first.

The models may have been trained on these very photos, so that they lean to the labels, right or wrong: how sure they are says
little by itself, but the order says where to look. Witnesses that need larger pictures (faces, things, people, pages) are not
asked: a prepared photo has 192 pixels.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orientd.decode.resize import resized
from orientd.infer.engine import Engine
from orientd.orientation import TURNS
from orientd_training.data.photoset import PhotoSet
from orientd_training.evaluate.predictions import Logits

_AHEAD: Final = 128
_AGAIN: Final = 2
"""How many times as many photos as are asked for get all eight views: one look alone is often wrong."""


class Doubt(NamedTuple):
    """A photo whose label is doubted: number `photo` of the set, its place `rank` (from 1) in the order of doubt.

    `upright` (0–1) is the geometric mean of what each model says for upright (`by_model`), by eight views; `turn` what they name
    together.
    """

    rank: int
    photo: int
    name: str
    group: str
    upright: float
    turn: int
    by_model: tuple[float, ...]


def doubts(engines: Sequence[Engine], photos: PhotoSet, share: float, workers: int = 1) -> list[Doubt]:
    """The `share` (0–1) of the photos that lie least upright by all models together.

    One look of each at every photo chooses twice as many, of which eight views each give the order. A model whose input is not of
    the size of the photos sees them resized.
    """
    number = max(1, round(share * len(photos)))
    first = _said(engines, photos, range(len(photos)), workers, views=False)
    chosen = np.argsort(_together(first)[:, 0], kind="stable")[: _AGAIN * number]
    again = _said(engines, photos, chosen.tolist(), workers, views=True)
    together = _together(again)
    order = np.argsort(together[:, 0], kind="stable")[:number]
    return [
        Doubt(
            rank,
            photo := int(chosen[i]),
            photos.names[photo],
            photos.groups[photo],
            float(np.exp(together[i, 0])),
            TURNS[int(together[i].argmax())],
            tuple(np.exp(again[:, i, 0]).tolist()),
        )
        for rank, i in enumerate(order.tolist(), 1)
    ]


def _together(said: Logits) -> Logits:
    """(N, 4): the mean of what models say (M, N, 4)."""
    mean: Logits = said.mean(0)
    return mean


def _said(engines: Sequence[Engine], photos: PhotoSet, places: Sequence[int], workers: int, views: bool) -> Logits:
    """Logarithms of probabilities (M, N, 4) by one look or eight."""
    with ThreadPoolExecutor(workers) as pool:
        rows = list(_rows(engines, photos, places, pool, views))
    said: Logits = np.log(np.maximum(np.array(rows), 1e-12)).transpose(1, 0, 2)
    return said


def _rows(
    engines: Sequence[Engine], photos: PhotoSet, places: Sequence[int], pool: ThreadPoolExecutor, views: bool
) -> Iterator[list[tuple[float, ...]]]:
    def ask(place: int) -> list[tuple[float, ...]]:
        return [_look(engine, photos.pixels[place], views) for engine in engines]

    for start in range(0, len(places), _AHEAD):  # a few at a time, so that an interrupt is obeyed soon
        yield from pool.map(ask, places[start : start + _AHEAD])


def _look(engine: Engine, pixels: NDArray[np.uint8], views: bool) -> tuple[float, ...]:
    size = engine.spec.input_size
    square = resized(np.asarray(pixels), size, size)
    return (engine.look_again(square) if views else engine.look(square[None])[0]).probabilities
