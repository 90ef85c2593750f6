"""Photos of phones with faults in their lists and trailers: refused, or turned so that nobody is shown anything else."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from formats.test_heif_fuzz import fate, fault, mutate
from support.heif_files import GAIN_MAP, Recipe, build
from support.referee_heif import names_video
from support.samsung_files import Tail, film, phone

from orientd import orientation
from orientd.errors import Refused
from orientd.formats import heif

LANDSCAPE = Recipe(thumbnail=(), exif=1, meta_last=True)
S25 = replace(LANDSCAPE, alpha=(), auxiliary=GAIN_MAP, tone_mapped=("irot0",))
SEEDS = [
    phone(LANDSCAPE, Tail(free=b"cdif" + bytes(40), video=film())),
    phone(LANDSCAPE, Tail(video=film(wide=True), within=True)),
    phone(LANDSCAPE, Tail(boxed=False, stray=b"?>")),
    phone(S25, Tail()),
    build(replace(S25, turns=("irot3",), thumbnail=("irot3",), exif=6)),
    build(replace(S25, turns=("irot0",), thumbnail=("irot0",), alpha=("irot0",))),
    build(Recipe(turns=("imir1",), thumbnail=("imir1",))),
    build(Recipe("avif", turns=("imir0",), alpha=("imir0",))),
]


def faulty(data: bytes, chance: random.Random) -> bytes:
    """Faults in the lists or, as often, in what follows them."""
    end = data.index(b"meta") - 4 + int.from_bytes(data[data.index(b"meta") - 4 :][:4], "big")
    if end == len(data) or chance.random() < 0.5:
        return mutate(data, chance)
    for _ in range(chance.randint(1, 3)):
        data = fault(data, chance.randrange(min(end, len(data) - 1), len(data)), chance)
    return data


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_faults_are_refused_or_harm_nobody(number):
    chance, data = random.Random(number), SEEDS[number]
    assert fate(data, 90) == "patched"
    fates = Counter(fate(faulty(data, chance), chance.choice((90, 180, 270))) for _ in range(1500))
    assert fates["refused"] > 300
    assert fates["patched"] > 30


@pytest.mark.parametrize("number", range(4))
def test_faults_never_part_the_trailer_from_its_video(number):
    chance, told = random.Random(number), 0
    for _ in range(1500):
        data = faulty(SEEDS[number], chance)
        try:
            patch = heif.plan(data, orientation.turned(heif.stored(data), 180))
        except Refused:
            continue
        told += names_video(data) is not None
        assert names_video(patch.apply(data)) == names_video(data)
    assert told > 30 or number > 1
