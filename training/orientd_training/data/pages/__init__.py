"""Drawn pictures with text that teach which way up letters are: pages, signs and screens in many scripts.

Photos of documents are rare among the photos that one may train on, and a page seldom shows anything else that tells which way is
up. Every picture is upright. The same seed, fonts and photos give the same pictures, by however many processes they are drawn.
"""

from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from random import Random

from PIL import Image

from orientd.errors import StateError
from orientd_training.data.pages.documents import page
from orientd_training.data.pages.fonts import Fonts
from orientd_training.data.pages.pen import Kit
from orientd_training.data.pages.photo import Photos
from orientd_training.data.pages.screens import screen
from orientd_training.data.pages.signs import sign
from orientd_training.data.photoset import load

_DRAWN = {"pages": page, "signs": sign, "screens": screen}
_TURN = ("pages", "signs") * 5 + ("screens",) * 2
_CHUNK = 24


def draw(kind: str, random: Random, kit: Kit) -> Image.Image:
    """An upright RGB picture of the kind "pages", "signs" or "screens", its short side 200–400 pixels."""
    return _DRAWN[kind](random, kit)


def write(out: Path, count: int, seed: int, fonts: Fonts, backgrounds: Path | None = None, jobs: int = 1) -> dict[str, int]:
    """Draw `count` pictures to `out`/KIND/NNNNN.jpg; returns how many there are of each kind.

    Raises:
        ConfigError: `backgrounds` is no cache of prepared photos.
        StateError: `out` cannot be written.
    """
    chunks = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    task = partial(_chunk, out=out, seed=seed, fonts=fonts, backgrounds=backgrounds)
    try:
        for kind in _DRAWN:
            (out / kind).mkdir(parents=True, exist_ok=True)
        if jobs == 1:
            done = [task(chunk) for chunk in chunks]
        else:
            with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
                done = list(pool.map(task, chunks))
    except OSError as error:
        raise StateError(f"{out} cannot be written ({error.strerror or error}): make room, or name another --out") from error
    return dict(Counter(kind for kinds in done for kind in kinds))


def _chunk(numbers: range, out: Path, seed: int, fonts: Fonts, backgrounds: Path | None) -> list[str]:
    kit = Kit(fonts, None if backgrounds is None else _photos(backgrounds))
    kinds = []
    for number in numbers:
        kind = _TURN[number % len(_TURN)]
        random = Random(f"{seed} {kind} {number}")
        picture = draw(kind, random, kit)
        picture.save(out / kind / f"{number:05}.jpg", quality=random.randint(40, 95))
        kinds.append(kind)
    return kinds


@cache
def _photos(folder: Path) -> Photos:
    return load(folder).pixels
