"""HEIF and AVIF: what is planned is exactly the file that a perfect patch would give, and others see it so."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import heif_files, jpeg_files
from support.heif_files import COVER, OTHER, PHOTO, Recipe, box, build, patched, planned, reference, refusal, with_derived

from orientd import orientation
from orientd.errors import Refused
from orientd.formats import heif, sniff, stored_orientation
from orientd.records import Patch

TURNS = (90, 180, 270)
ROTATED = [(f"irot{angle}",) for angle in range(4)]
MIRRORED = [(f"irot{angle}", f"imir{axis}") for angle in range(4) for axis in range(2)]
EARLY = [turns[::-1] for turns in MIRRORED]
values = st.sampled_from(range(1, 9))


def _first(turns: heif_files.Turns) -> str:
    """What comes first, turning or mirroring: pictures that share a rotation must agree in that."""
    return "imir" if turns and turns[0].startswith("imir") else "irot"


@st.composite
def recipes(draw, growing: bool | None = None) -> Recipe:
    """Files that can be patched: without `irot` (`growing`), with one, or either. All carriers agree with each other."""
    brand = draw(st.sampled_from(["heif", "avif"]))
    growing = draw(st.booleans()) if growing is None else growing
    ways = [()] if growing else [("clap", "irot1"), *ROTATED, *MIRRORED, *(EARLY if brand == "heif" else [])]
    turns = draw(st.sampled_from(ways))
    value = heif_files.value_of(turns)
    if value == 1:
        turns = draw(st.sampled_from([turns, (*turns, "irot0")])) if not growing and not turns else turns
    shared = draw(st.booleans())
    same = [way for way in [*ways, (), *ROTATED] if heif_files.value_of(way) == value and "clap" not in way]
    same = [way for way in same if not shared or _first(way) == _first(turns)]
    offset_size = draw(st.sampled_from([0, 4, 8]))
    exif = draw(st.sampled_from([None, 1, value]))
    in_idat = bool(exif and draw(st.booleans()))
    thumbnail = draw(st.sampled_from([None, turns, *same])) if "clap" not in turns else None
    trailers = [b"", b"\0" * 7, box(b"mpvd", b"a film"), box(b"ftyp", b"mp42") * 2]
    return Recipe(
        brand=brand,
        turns=turns,
        thumbnail=thumbnail,
        alpha=draw(st.sampled_from([None, turns])),
        other=draw(st.sampled_from([None, ()])),
        shared=shared,
        exif=exif,
        exif_header=draw(st.booleans()),
        exif_in_idat=in_idat,
        pieces=1 if in_idat or not offset_size else draw(st.integers(1, 2)),
        xmp=draw(st.sampled_from(["", *jpeg_files.XMP_FORMS])),
        xmp_value=draw(st.sampled_from([1, value])),
        described=draw(st.booleans()),
        wide_index=draw(st.booleans()),
        wide_items=draw(st.booleans()),
        iloc=draw(st.integers(1 if in_idat else 0, 2)) if not in_idat else 1,
        offset_size=offset_size,
        base_size=draw(st.sampled_from([0, 4, 8] if offset_size else [4, 8])),
        meta_last=draw(st.booleans()),
        large=draw(st.booleans()),
        extra_top=draw(st.sampled_from([b"", box(b"free", bytes(9))])),
        trailer=b"" if growing or thumbnail == () else draw(st.sampled_from(trailers)),  # it must not move
    )


def perfect(recipe: Recipe, value: int) -> Recipe:
    """The recipe of the file that a perfect patch makes."""
    old = heif_files.value_of(recipe.turns)
    return replace(
        recipe,
        turns=heif_files.aimed(recipe.turns, value),
        thumbnail=None if recipe.thumbnail is None else heif_files.aimed(recipe.thumbnail, value),
        alpha=None if recipe.alpha is None else heif_files.aimed(recipe.alpha, value),
        exif=value if recipe.exif == old else recipe.exif,
        xmp_value=value if recipe.xmp_value == old else recipe.xmp_value,
    )


def turned_by(data: bytes, turn: int) -> int:
    return orientation.turned(heif.stored(data), turn)


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.abs(one.astype(int) - other).max() <= 3


def test_the_helper_tells_the_angles_apart():
    assert [heif_files.value_of(turns) for turns in ROTATED] == [1, 8, 3, 6]
    assert (heif_files.value_of(("imir0",)), heif_files.value_of(("imir1",))) == (4, 2)


@pytest.mark.parametrize("turns", [(), *ROTATED, ("imir0",), ("imir1",), *MIRRORED, *EARLY, ("clap", "irot3")])
def test_the_stored_orientation_is_what_the_turns_make_together(turns):
    data = build(Recipe(turns=turns))
    assert stored_orientation(sniff(data), data) == (heif_files.value_of(turns) if turns else None)
    upright = heif_files.shown(build(Recipe(turns=tuple(turn for turn in turns if turn == "clap"))))
    assert alike(heif_files.shown(data), orientation.apply(upright, heif_files.value_of(turns)))


@pytest.mark.parametrize("turns", [(), *ROTATED, ("imir0",), ("imir1",), *MIRRORED])
def test_avif_stores_it_alike(turns):
    data = build(Recipe("avif", turns=turns))
    assert stored_orientation(sniff(data), data) == (heif_files.value_of(turns) if turns else None)
    assert alike(heif_files.shown(data), orientation.apply(heif_files.shown(build(Recipe("avif"))), heif_files.value_of(turns)))


@given(st.binary(max_size=200), st.integers(0, 2000))
def test_nothing_is_stored_in_garbage(noise, place):
    data = build(Recipe(turns=("irot3",)))
    for garbage in (noise, data[:place], data[:24] + noise):
        assert heif.stored(garbage) in (None, 6)
        with pytest.raises(Refused):
            heif.plan(noise, 6)


@settings(max_examples=150)
@given(recipes(), st.sampled_from(TURNS))
def test_the_patched_file_is_to_the_byte_the_one_that_a_perfect_patch_makes(recipe, turn):
    data = build(recipe)
    value = turned_by(data, turn)
    patch = planned(data, value)
    assert patch.apply(data) == build(perfect(recipe, value))
    assert patch.inverse().apply(patch.apply(data)) == data
    assert stored_orientation(sniff(data), patch.apply(data)) == value
    assert planned(patch.apply(data), value) == Patch(())


@given(recipes(growing=False), st.sampled_from(TURNS))
def test_where_there_is_a_rotation_no_byte_moves(recipe, turn):
    assume(not any(own == () for own in (recipe.thumbnail, recipe.alpha)))
    data = build(recipe)
    assert planned(data, turned_by(data, turn)).keeps_length


@settings(max_examples=60)
@given(recipes(), st.sampled_from(TURNS))
def test_libheif_and_libavif_show_it_turned(recipe, turn):
    assume(not (recipe.alpha is not None and "clap" in recipe.turns))
    data = build(recipe)
    after = patched(data, turned_by(data, turn))
    assert alike(heif_files.shown(after), orientation.apply(heif_files.shown(data), orientation.from_turn(turn)))


@settings(max_examples=60)
@given(recipes(), st.sampled_from(TURNS), st.sampled_from(TURNS))
def test_a_patch_of_a_patch_is_a_patch_and_each_goes_back(recipe, first, second):
    data = build(recipe)
    once = planned(data, turned_by(data, first))
    middle = once.apply(data)
    twice = planned(middle, turned_by(middle, second))
    assert twice.inverse().apply(twice.apply(middle)) == middle
    if {recipe.exif, recipe.xmp_value} <= {
        None,
        heif_files.value_of(recipe.turns),
    }:  # else they agree only in between, and follow
        value = turned_by(middle, second)
        direct = patched(data, value)
        assert twice.keeps_length
        assert heif.stored(twice.apply(middle)) == value
        assert (twice.apply(middle) == direct) == (value != heif_files.value_of(recipe.turns) or recipe.turns != ())


@given(recipes(), values)
def test_a_file_gets_any_orientation_that_turning_alone_can_give(recipe, value):
    data = build(recipe)
    mirrored = {2, 4, 5, 7}
    if (value in mirrored) == (heif_files.value_of(recipe.turns) in mirrored):
        assert heif.stored(patched(data, value)) in (value, None)
    else:
        assert "by turning alone" in refusal(data, value)


def test_a_file_that_stores_it_already_needs_no_patch():
    assert planned(build(Recipe()), 1) == Patch(())
    assert planned(build(Recipe(turns=("irot3", "imir0"))), 7) == Patch(())


@pytest.mark.parametrize("turns", [("irot1", "imir0"), ("imir0", "irot1")])
def test_a_mirror_behind_the_rotation_reverses_its_direction(turns):
    data = build(Recipe(turns=turns))
    angle = data[data.index(b"irot") + 4]
    after = patched(data, turned_by(data, 90))
    assert (after[data.index(b"irot") + 4] - angle) % 4 == (1 if turns[0] == "irot1" else 3)


def test_reserved_bits_of_the_rotation_stay():
    data = build(Recipe(turns=("irot1",))).replace(b"irot\x01", b"irot\xa9")
    assert heif.stored(data) == 8
    assert patched(data, 6) == data.replace(b"irot\xa9", b"irot\xab")


def test_a_gain_map_that_is_a_source_of_a_tone_mapped_picture_turns_with_the_photo():
    recipe = Recipe(other=(), extra_references=reference(b"dimg", 9, PHOTO, OTHER))
    after = patched(with_derived(b"tmap", recipe), 6)
    assert after == with_derived(b"tmap", replace(recipe, turns=("irot3+",), other=("irot3+",)))


def test_a_picture_that_a_tone_mapped_one_only_refers_to_does_not_turn():
    made = reference(b"dimg", 9, PHOTO, COVER) + reference(b"cdsc", 9, OTHER)
    recipe = Recipe(alpha=(), other=(), extra_references=made)
    after = patched(with_derived(b"tmap", recipe), 6)
    assert after == with_derived(b"tmap", replace(recipe, turns=("irot3+",), alpha=("irot3+",)))


def test_a_property_that_other_pictures_share_with_nobody_is_theirs():
    recipe = Recipe(turns=("irot1",), other=("irot1",), shared=False)
    data = build(recipe)
    assert patched(data, 6) == build(replace(recipe, turns=("irot3",)))


@settings(max_examples=200)
@given(st.data(), recipes(), st.sampled_from(TURNS))
def test_damaged_files_are_refused_or_patched_as_ever(random, recipe, turn):
    data = bytearray(build(recipe))
    lists = data.index(b"meta"), len(data) if recipe.meta_last else data.index(b"mdat")
    for place in random.draw(st.lists(st.integers(*lists), max_size=5)):
        data[min(place, len(data) - 1)] = random.draw(st.integers(0, 255))
    cut = bytes(data[: random.draw(st.just(len(data)) | st.integers(0, len(data)))])
    value = orientation.turned(heif.stored(cut), turn)
    try:
        patch = heif.plan(cut, value)
    except Refused:
        return
    after = patch.apply(cut)
    assert heif.stored(after) == value
    assert heif.plan(after, value) == Patch(())
    assert patch.inverse().apply(after) == cut
