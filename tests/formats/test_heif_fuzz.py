"""HEIF and AVIF files with broken lists, tens of thousands of them: refused, or patched so that nobody is shown anything else."""

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from support import heif_files
from support.heif_files import OTHER, Recipe, box, build

from orientd import orientation
from orientd.decode.cpu import second_reader
from orientd.errors import PhotoError, Refused
from orientd.formats import heif
from orientd.records import Patch

SEEDS = [
    replace(recipe, brand=brand)
    for brand in ("heif", "avif")
    for recipe in (
        Recipe(),
        Recipe(turns=("irot3",), thumbnail=("irot3",), exif=6, xmp="element", xmp_value=6),
        Recipe(thumbnail=(), alpha=(), other=(), exif=1, xmp="attribute", wide_index=True, wide_items=True, large=True),
        Recipe(turns=("irot1", "imir0"), alpha=("irot1", "imir0"), meta_last=True, exif=5, iloc=0, offset_size=8, base_size=4),
        Recipe(exif=1, exif_in_idat=True, offset_size=0, base_size=4, extra_top=box(b"free", bytes(8))),
        Recipe(exif=6, thumbnail=(), xmp="element", xmp_value=1, shared=False),
        Recipe(other=(), tone_mapped=(), made=b"sato", made_of=OTHER, exif=1),
    )
]
SEEDS.append(Recipe(other=(), extra_references=heif_files.reference(b"thmb", heif_files.PHOTO, OTHER)))
SEEDS += [
    Recipe("avif", turns=turns, alpha=(), shared=shared)
    for turns, shared in ((("irot3",), True), (("clap", "irot3"), False), (("irot1", "imir0"), True), (("clap",), True))
]
NAMES = (b"ipma", b"ipco", b"iloc", b"infe", b"iref", b"pitm", b"irot", b"imir", b"idat", b"thmb", b"auxl", b"cdsc", b"Exif")
TELLING = (0, 1, 2, 7, 8, 9, 127, 128, 255, 256, 32768, 65535, 2**31, 2**32 - 1)


def mutate(data: bytes, chance: random.Random) -> bytes:
    """One to four faults, nearly all in the lists."""
    start = data.index(b"meta") - 4
    size = int.from_bytes(data[start : start + 4], "big")
    end = start + (size if size > 1 else int.from_bytes(data[start + 8 : start + 16], "big"))
    for _ in range(chance.randint(1, 4)):
        data = fault(data, chance.randrange(start, end), chance)
    return data


def fault(data: bytes, at: int, chance: random.Random) -> bytes:
    """A byte or a number changed, something cut out, doubled or called by another name, or the file cut short."""
    width, length = chance.choice((1, 2, 4)), chance.randint(1, 40)
    number = (chance.choice(TELLING) % 256**width).to_bytes(width, "big")
    return chance.choice(
        (
            data[:at] + chance.randbytes(1) + data[at + 1 :],
            data[:at] + number + data[at + width :],
            data[:at] + data[at + length :],
            data[: at + length] + data[at:],
            data.replace(chance.choice(NAMES), chance.choice(NAMES), 1),
            data[: chance.choice((at, len(data) - length))],
        )
    )


def fate(data: bytes, turn: int) -> str:
    """What becomes of the file; fails if it is not refused and would be harmed."""
    told = heif.stored(data)
    value = orientation.turned(told, turn)
    try:
        patch = heif.plan(data, value)
    except Refused:
        return "refused"
    after = patch.apply(data)
    assert heif.stored(after) == value
    assert heif.plan(after, value) == Patch(())
    assert patch.inverse().apply(after) == data
    return _shown(data, after, value, turn)


def _shown(data: bytes, after: bytes, value: int, turn: int) -> str:
    try:
        before = heif_files.shown(data).astype(int)
    except Exception:  # parsers of broken files raise anything
        return "patched, but nobody can open it"
    try:
        if second_reader(after) != value:
            return "another reader would not see the change"
    except PhotoError:
        return "another reader cannot open it"
    turned, now = orientation.apply(before, orientation.from_turn(turn)), heif_files.shown(after).astype(int)
    assert turned.shape == now.shape
    assert np.abs(turned - now).max() <= 3
    return "patched"


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_broken_lists_are_refused_or_harm_nobody(number):
    chance, data = random.Random(number), build(SEEDS[number])
    assert fate(data, 90) == "patched"
    fates = Counter(fate(mutate(data, chance), chance.choice((90, 180, 270))) for _ in range(2000))
    assert fates["refused"] > 400
    assert fates["patched"] > 50
