"""HEIF and AVIF in which something says otherwise than the photo, or nothing where the photo says something: afterwards all say
the same, and each program shows what was asked for."""

from dataclasses import replace

import numpy as np
import pytest
from support import heif_files
from support.heif_files import (
    COVER,
    GAIN_MAP,
    OTHER,
    PHOTO,
    TONE_MAPPED,
    Recipe,
    aimed,
    box,
    build,
    full_box,
    number,
    patched,
    planned,
    reference,
    refusal,
    value_of,
)
from support.referee_heif import associations, pieces

from orientd import orientation
from orientd.decode.cpu import second_reader
from orientd.formats import heif
from orientd.records import Patch

TURNS = (90, 180, 270)


def check(recipe: Recipe, turn: int, **after: object) -> bytes:
    """The patched file, once it is the one drawn so, can be taken back and is stable."""
    data, value = build(recipe), orientation.turned(value_of(recipe.turns), turn)
    patch = planned(data, value)
    found = patch.apply(data)
    assert found == build(replace(recipe, turns=aimed(recipe.turns, value), **after))
    assert patch.inverse().apply(found) == data
    assert planned(found, value) == Patch(())
    assert second_reader(found) == heif.stored(found) == value
    return found


def seen(data: bytes, turn: int) -> np.ndarray:
    return orientation.apply(heif_files.shown(data).astype(int), orientation.from_turn(turn))


@pytest.mark.parametrize("brand", ["heif", "avif"])
@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize(("turns", "exif"), [((), 6), ((), 3), (("irot1",), 3), (("irot2",), 6), (("irot1", "imir0"), 2)])
def test_exif_that_says_otherwise_is_put_in_step(brand, turns, exif, turn):
    value = orientation.turned(value_of(turns), turn)
    recipe = Recipe(brand, turns=turns, exif=exif)
    found = check(recipe, turn, exif=value)
    check(replace(recipe, xmp="element", xmp_value=value_of(turns)), turn, exif=value, xmp_value=value)
    assert np.abs(seen(build(recipe), turn) - heif_files.shown(found)).max() <= 3
    again = planned(found, value_of(turns)).apply(found)
    assert planned(again, value).apply(again) == found


def test_upright_in_exif_beside_a_photo_that_is_turned_still_says_nothing():
    check(Recipe(turns=("irot1",), exif=1, xmp="element", xmp_value=1), 90)


def listed(data: bytes) -> dict[int, list[int]]:
    """Item → what turns, mirrors or cuts it, by the numbers of its properties, read by the referee."""
    held = pieces(data)
    kinds = [path.split("/")[-1] for path, _ in held if path.startswith("meta/iprp/ipco/")]
    lists = associations(dict(held)["meta/iprp/ipma"])
    return {item: [one for one in own if kinds[one % 128 - 1] in ("irot", "imir", "clap")] for item, own in lists.items()}


BARE = [("irot1",), ("irot0",), ("irot1", "imir0"), ("imir1",), ("clap",), ("clap", "irot3"), ("clap", "irot3", "imir1")]


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("turns", BARE, ids=" ".join)
def test_alpha_that_was_left_bare_gets_all_that_the_photo_has(turns, turn):
    recipe = Recipe("avif", turns=turns, alpha=(), exif=1)
    value = orientation.turned(value_of(turns), turn)
    exif = value if value_of(turns) == 1 else 1
    found = check(recipe, turn, alpha=aimed(turns, value), exif=exif)
    assert listed(found)[COVER] == listed(found)[PHOTO] != []
    assert np.abs(seen(build(recipe), turn) - heif_files.shown(found)).max() <= 3
    assert planned(found, value_of(turns)).keeps_length


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("heif", turns=("irot1",), alpha=()),
        Recipe("avif", turns=("irot1",), alpha=(), auxiliary=b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth\0"),
        Recipe("avif", turns=("irot1",), alpha=("clap",)),
        Recipe("avif", turns=("irot1",), alpha=("irot2",)),
        Recipe("avif", turns=("irot1",), alpha=("imir1",)),
        Recipe("avif", turns=("irot1",), thumbnail=()),
    ],
    ids=["HEIC", "depth", "cut", "turned otherwise", "mirrored", "thumbnail"],
)
def test_what_is_not_alpha_left_bare_in_an_avif_stays_refused(recipe):
    assert "turned otherwise than the photo" in refusal(build(recipe))


def test_bare_alpha_of_another_size_stays_refused():
    data = build(Recipe("avif", turns=("irot1",), alpha=()))
    at = data.index(b"ispe") - 4
    other = data[at:].replace(b"ispe", b"skip", 1)
    assert "turned otherwise than the photo" in refusal(data[:at] + other) or "no size" in refusal(data[:at] + other)


def test_alpha_beside_a_photo_that_is_left_bare_too_is_turned_as_before():
    found = check(Recipe("avif", alpha=()), 90, alpha=("irot3+",))
    assert listed(found)[COVER] == listed(found)[PHOTO]


SATO = Recipe("avif", other=(), tone_mapped=(), made=b"sato", made_of=OTHER)


def in_place_of_the_photo(recipe: Recipe) -> Recipe:
    members = full_box(b"altr", number(9, 4), number(2, 4), number(TONE_MAPPED, 4), number(PHOTO, 4))
    return replace(recipe, extra_meta=box(b"grpl", members))


@pytest.mark.parametrize("turn", TURNS)
def test_a_picture_of_more_bits_turns_by_what_it_is_made_of(turn):
    value = orientation.turned(1, turn)
    found = check(in_place_of_the_photo(SATO), turn, other=aimed((), value))
    assert listed(found)[TONE_MAPPED] == []
    assert listed(found)[OTHER] == listed(found)[PHOTO] != []


def test_a_picture_of_more_bits_that_is_turned_itself_or_made_of_what_is_turned_otherwise_stays_refused():
    assert "the pieces it is made of are turned" in refusal(build(in_place_of_the_photo(replace(SATO, tone_mapped=("irot1",)))))
    assert "turned otherwise than the photo" in refusal(build(in_place_of_the_photo(replace(SATO, other=("irot1",)))))
    assert "made of this one" in refusal(build(in_place_of_the_photo(replace(SATO, made=b"iovl"))))


@pytest.mark.parametrize("turn", TURNS)
def test_a_photo_that_is_said_to_be_a_thumbnail_turns_with_the_picture_that_it_is_one_of(turn):
    value = orientation.turned(1, turn)
    upside_down = reference(b"thmb", PHOTO, OTHER)
    found = check(Recipe(other=(), extra_references=upside_down), turn, other=aimed((), value))
    assert listed(found)[OTHER] == listed(found)[PHOTO] != []
    assert "turned otherwise than the photo" in refusal(build(Recipe(other=("irot1",), extra_references=upside_down)))
    assert "belongs to another picture" in refusal(build(Recipe(other=(), extra_references=reference(b"auxl", PHOTO, OTHER))))


def test_a_gain_map_is_no_alpha():
    data = build(Recipe("avif", turns=("irot1",), alpha=(), auxiliary=GAIN_MAP))
    assert listed(patched(data, 6))[COVER] == []
