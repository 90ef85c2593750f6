"""Gain maps and tone-mapped pictures of HEIC and AVIF as cameras leave them, and mirrors without a rotation."""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import heif_files
from support.heif_files import (
    ALPHA,
    COVER,
    GAIN_MAP,
    PHOTO,
    THUMBNAIL,
    TONE_MAPPED,
    Recipe,
    box,
    build,
    full_box,
    number,
    patched,
    planned,
    refusal,
)
from support.referee import HAS_EXIFTOOL
from support.referee_heif import associations, byte_changes, pieces

from orientd import orientation
from orientd.decode.cpu import second_reader
from orientd.formats import heif
from orientd.records import Patch

TURNS = (90, 180, 270)
CASES = Path(__file__).parents[3] / "shared" / "corpus" / "cases"
S24 = Recipe(turns=("irot3",), thumbnail=("irot3",), alpha=(), auxiliary=GAIN_MAP, exif=6, meta_last=True)
S25 = Recipe(thumbnail=(), alpha=(), auxiliary=GAIN_MAP, tone_mapped=("irot0",), exif=1, meta_last=True)
IPHONE = Recipe(turns=("irot3",), thumbnail=("irot3",), alpha=("irot3",), auxiliary=GAIN_MAP, tone_mapped=("irot0",), exif=6)
LEVEL_IPHONE = replace(IPHONE, turns=("irot0",), thumbnail=("irot0",), alpha=("irot0",), exif=1)
ADDED = ("irot3+",)


def altr(recipe: Recipe) -> Recipe:
    """With the group by which viewers take the tone-mapped picture instead of the photo, if they can."""
    members = full_box(b"altr", number(9, 4), number(2, 4), number(TONE_MAPPED, 4), number(PHOTO, 4))
    return replace(recipe, extra_meta=box(b"grpl", members))


def angles(data: bytes) -> dict[int, list[int]]:
    """Item → the angles of its rotations, read by the referee."""
    held = pieces(data)
    kinds = [(path.split("/")[-1], content) for path, content in held if path.startswith("meta/iprp/ipco/")]
    lists = associations(dict(held)["meta/iprp/ipma"])
    named = {item: [kinds[one % 128 - 1] for one in own if one % 128] for item, own in lists.items()}
    return {item: [content[0] for kind, content in own if kind == "irot"] for item, own in named.items()}


def seen_turned(data: bytes, after: bytes, turn: int) -> bool:
    before, now = heif_files.shown(data).astype(int), heif_files.shown(after)
    expected = orientation.apply(before, orientation.from_turn(turn))
    return expected.shape == now.shape and int(np.abs(expected - now).max()) <= 3


@pytest.mark.parametrize("turn", TURNS)
def test_a_gain_map_that_the_camera_does_not_turn_stays_as_it_is(turn):
    data = build(S24)
    value = orientation.turned(6, turn)
    after = patched(data, value)
    assert angles(data) == {PHOTO: [3], THUMBNAIL: [3], COVER: []}
    assert after == build(
        replace(S24, turns=heif_files.aimed(S24.turns, value), thumbnail=heif_files.aimed(S24.turns, value), exif=value)
    )
    assert byte_changes(data, after) == []
    assert second_reader(after) == value
    assert seen_turned(data, after, turn)


@pytest.mark.parametrize("first", [1, 3, 8])
def test_it_stays_as_it_is_whatever_the_photo_is_turned_to_first(first):
    middle = patched(build(S24), first)
    assert planned(middle, 6 if first == 1 else 1).keeps_length
    assert patched(middle, 6) == build(S24)


def test_alpha_that_is_not_turned_beside_a_photo_that_is_stays_refused():
    assert "turned otherwise than the photo" in refusal(build(replace(S24, auxiliary=ALPHA)))


def test_a_gain_map_that_is_turned_otherwise_stays_refused():
    assert "turned otherwise than the photo" in refusal(build(replace(S24, alpha=("irot1",))))


def test_a_gain_map_turned_by_nothing_counts_as_not_turned():
    after = patched(build(replace(S24, alpha=("irot0",))), 3)
    assert angles(after) == {PHOTO: [2], THUMBNAIL: [2], COVER: [0]}


@pytest.mark.parametrize("shared", [True, False])
def test_where_nothing_is_turned_yet_photo_and_gain_map_are_and_the_tone_mapped_picture_is_not(shared):
    recipe = altr(replace(S25, shared=shared))
    data = build(recipe)
    after = patched(data, 6)
    assert after == build(replace(recipe, turns=ADDED, thumbnail=ADDED, alpha=ADDED, exif=6))
    assert angles(after) == {PHOTO: [3], THUMBNAIL: [3], COVER: [3], TONE_MAPPED: [0]}
    assert byte_changes(data, after) == []
    assert planned(after, 8).keeps_length


def test_a_tone_mapped_picture_with_a_rotation_of_its_own_by_nothing_stays_as_it_is():
    recipe = altr(IPHONE)
    after = patched(build(recipe), 8)
    assert after == build(replace(recipe, turns=("irot1",), thumbnail=("irot1",), alpha=("irot1",), exif=8))


@pytest.mark.parametrize("wide", [True, False])
def test_a_rotation_by_nothing_that_it_shares_with_the_photo_is_left_to_it(wide):
    recipe = altr(replace(LEVEL_IPHONE, wide_index=wide))
    data = build(recipe)
    after = patched(data, 6)
    if not wide:
        assert angles(data) == {PHOTO: [0], THUMBNAIL: [0], COVER: [0], TONE_MAPPED: [0]}
        assert angles(after) == {PHOTO: [3], THUMBNAIL: [3], COVER: [3], TONE_MAPPED: [0]}
    assert after == build(replace(recipe, turns=ADDED, thumbnail=ADDED, alpha=ADDED, exif=6))
    assert byte_changes(data, after) == []
    assert planned(data, 6).inverse().apply(after) == data
    assert planned(after, 3).keeps_length


def test_what_shares_a_rotation_and_is_no_tone_mapped_picture_stays_refused():
    assert "another picture in it shares its rotation" in refusal(build(replace(LEVEL_IPHONE, other=("irot0",))), 6)


@pytest.mark.parametrize("shared", [True, False])
def test_a_tone_mapped_picture_turned_as_the_photo_over_a_gain_map_that_is_not_turns_with_it(shared):
    recipe = altr(replace(S24, tone_mapped=("irot3",), shared=shared))
    after = patched(build(recipe), 3)
    assert after == build(replace(recipe, turns=("irot2",), thumbnail=("irot2",), tone_mapped=("irot2",), exif=3))
    assert angles(after)[COVER] == []


@pytest.mark.parametrize("other", [("irot1",), ("irot3",)])
def test_a_tone_mapped_picture_that_is_turned_once_more_stays_refused(other):
    assert "the pieces it is made of are turned" in refusal(build(altr(replace(IPHONE, tone_mapped=other))))


def test_a_tone_mapped_picture_turned_otherwise_stays_refused():
    assert "turned otherwise than the photo" in refusal(build(altr(replace(S24, tone_mapped=("irot1",)))))


@pytest.mark.skipif(not HAS_EXIFTOOL, reason="exiftool is not installed")
@pytest.mark.parametrize("recipe", [S24, altr(S25), altr(LEVEL_IPHONE)], ids=["S24", "S25", "iPhone"])
def test_exiftool_believes_the_rotation_of_the_photo(tmp_path, recipe):
    """Of several rotations, up to version 13 it shows the last in the file."""
    value = orientation.turned(heif.stored(build(recipe)), 90)
    (tmp_path / "a.heic").write_bytes(patched(build(recipe), value))
    asked = ["exiftool", "-n", "-s3", "-Rotation", "-Orientation", str(tmp_path / "a.heic")]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    assert told == [{1: "0", 8: "90", 3: "180", 6: "270"}[value], str(value)]


@settings(max_examples=80)
@given(
    st.sampled_from(["heif", "avif"]),
    st.sampled_from([("imir0",), ("imir1",), ("clap", "imir1")]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(TURNS),
)
def test_a_mirror_alone_gets_its_rotation_before_it(brand, turns, wide, beside, turn):
    companion = turns if beside and "clap" not in turns else None
    recipe = Recipe(brand, turns=turns, thumbnail=companion, alpha=companion, wide_index=wide, wide_items=wide)
    data = build(recipe)
    value = orientation.turned(heif.stored(data), turn)
    patch = planned(data, value)
    after = patch.apply(data)
    target = heif_files.aimed(turns, value)
    assert [name[:4] for name in target][-2:] == ["irot", "imir"]
    assert after == build(replace(recipe, turns=target, thumbnail=companion and target, alpha=companion and target))
    assert patch.inverse().apply(after) == data
    assert byte_changes(data, after) == []
    assert second_reader(after) == value
    assert planned(after, value) == Patch(())
    assert seen_turned(data, after, turn)


@pytest.mark.parametrize("brand", ["heif", "avif"])
def test_all_eight_orientations_come_from_a_mirror_or_from_none(brand):
    made = {}
    for turns, values in (((), (1, 3, 6, 8)), (("imir1",), (2, 4, 5, 7))):
        data = build(Recipe(brand, turns=turns))
        upright = orientation.apply(heif_files.shown(data), orientation.inverse(heif_files.value_of(turns)))
        for value in values:
            after = patched(data, value)
            made[value] = second_reader(after)
            shown = heif_files.shown(after).astype(int)
            assert np.abs(orientation.apply(upright, value) - shown).max() <= 3
    assert {value: orientation.normalise(told) for value, told in made.items()} == {value: value for value in range(1, 9)}


def with_exif(monkeypatch, content: bytes) -> bytes:
    """A file whose EXIF item has that content."""
    monkeypatch.setattr(heif_files, "exif_item", lambda _: content)
    return build(replace(S25, exif=1))


@pytest.mark.parametrize("content", [bytes(4), b"\0\0\0\2Exif\0\0", b"\0\0\0\6Exif\0\0", b"\xff\xff\xff\xff"])
def test_exif_that_is_too_short_to_tell_anything_is_passed_over(monkeypatch, content):
    data = with_exif(monkeypatch, content)
    after = patched(data, 6)
    assert heif.stored(after) == 6
    assert content in after


@pytest.mark.parametrize("content", [bytes(12), bytes(4) + b"II*\0\x08\0\0\0", bytes(4) + b"no header"])
def test_longer_exif_that_cannot_be_read_stays_refused(monkeypatch, content):
    assert "broken EXIF" in refusal(with_exif(monkeypatch, content), 6)


def test_a_list_of_types_counts_no_bytes():
    recipe = Recipe(extra_top=box(b"etyp", box(b"tyco", b"mif1")))
    assert patched(build(recipe), 6) == build(replace(recipe, turns=ADDED))


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not here")
@pytest.mark.parametrize("name", ["s24_portrait.heic", "s25_landscape.heic", "avif_mirror_only.avif"])
@pytest.mark.parametrize("turn", TURNS)
def test_the_cases(name, turn):
    data = (CASES / name).read_bytes()
    value = orientation.turned(heif.stored(data), turn)
    patch = planned(data, value)
    after = patch.apply(data)
    assert patch.inverse().apply(after) == data
    assert byte_changes(data, after) == []
    assert orientation.normalise(second_reader(after)) == value
    assert seen_turned(data, after, turn)
