"""Pixels turned without loss: judged by coefficients that numpy turned, and by Pillow."""

import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps
from support.referee import split
from support.turnable_jpegs import (
    BLOCKS,
    Recipe,
    coefficients,
    draw,
    needs_turbojpeg,
    rotated,
    same_coefficients,
    small,
    turned_coefficients,
)

from orientd import formats, orientation
from orientd.errors import Refused
from orientd.formats.lossless import jpeg as jpeg_core
from orientd.records import Format
from orientd.write import rotate

every_orientation = pytest.mark.parametrize("by", range(2, 9))


pytestmark = needs_turbojpeg


@pytest.fixture(scope="module")
def rotator():
    return rotate.Rotator()


def shown(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image)).astype(int)


def thumbnail_of(data):
    start, end = jpeg_core.exif_turn.in_exif(block_of(data))
    return block_of(data)[start:end]


def block_of(data):
    (payload,) = [payload for _, payload in split(data)[0] if payload.startswith(b"Exif\0\0")]
    return payload[6:]


def test_the_comparator_finds_a_wrong_turn_a_lost_coefficient_and_another_quantiser(rotator):
    data = draw(Recipe())
    turned = rotated(rotator, data, 6)
    assert same_coefficients(data, turned, 6)
    assert not any(same_coefficients(data, turned, by) for by in (1, 2, 3, 4, 5, 7, 8))
    with Image.open(io.BytesIO(turned)) as image:
        image.save(lossy := io.BytesIO(), "JPEG", quality="keep")
    assert not same_coefficients(turned, lossy.getvalue(), 1)
    place = turned.rindex(b"\xff\xdb") + 5
    assert not same_coefficients(turned, turned[:place] + bytes([turned[place] ^ 1]) + turned[place + 1 :], 1)


@pytest.mark.parametrize("sampling", BLOCKS)
def test_numpy_turns_coefficients_as_pixels_are_turned(sampling):
    """Turned coefficients, put through Pillow, give turned pixels: so the judge means what it says."""
    blocks = coefficients(draw(Recipe(sampling=sampling)))[0][2:3, 3:4].astype(float)
    basis = np.array(
        [[np.cos((2 * x + 1) * u * np.pi / 16) * (0.5**0.5 if u == 0 else 1) / 2 for x in range(8)] for u in range(8)]
    )
    for by in range(1, 9):
        before = basis.T @ blocks[0, 0] @ basis
        after = basis.T @ turned_coefficients(blocks, by)[0, 0] @ basis
        assert np.allclose(orientation.apply(before, by), after)


@pytest.mark.parametrize("stored", range(1, 9))
@pytest.mark.parametrize("turn", [90, 180, 270])
def test_every_stored_orientation_and_turn(rotator, stored, turn):
    data = draw(Recipe(stored=stored))
    by = orientation.turned(stored, turn)
    if by == orientation.UPRIGHT:
        return
    turned = rotated(rotator, data, by)
    assert same_coefficients(data, turned, by)
    assert formats.stored_orientation(Format.JPEG, turned) == 1
    expected = np.rot90(shown(data), -turn // 90)
    assert np.abs(shown(turned) - expected).max() <= 6 < np.abs(shown(turned) - np.rot90(expected, 2)).max()
    assert same_coefficients(thumbnail_of(data), thumbnail_of(turned), by)


@every_orientation
@pytest.mark.parametrize("sampling", BLOCKS)
@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"restart": True}, {"exif": False}, {"order": "little"}])
def test_every_kind_of_jpeg(rotator, by, sampling, how):
    data = draw(Recipe(sampling=sampling, **how))
    turned = rotated(rotator, data, by)
    assert same_coefficients(data, turned, by)
    assert (b"\xff\xc2" in turned) == ("progressive" in how)
    assert formats.stored_orientation(Format.JPEG, turned) == (None if "exif" in how else 1)


@every_orientation
@pytest.mark.parametrize("stored", [1, 6, None])
def test_what_the_metadata_say_in_pixels_is_turned(rotator, by, stored):
    data = draw(Recipe(stored=stored))
    turned = rotated(rotator, data, by)
    swaps = orientation.swaps_sides(by)
    width, height = (64, 96) if swaps else (96, 64)
    with Image.open(io.BytesIO(turned)) as image:
        assert (image.width, image.height) == (width, height)
        tags = image.getexif()
        inner = tags.get_ifd(0x8769)
        assert (inner[0xA002], inner[0xA003]) == (width, height)
        assert (tags[0x011A], tags[0x011B]) == ((96, 72) if swaps else (72, 96))
        assert image.info["jfif_density"] == ((96, 72) if swaps else (72, 96))
        assert (tags.get(0x0112), tags.get_ifd(ExifTags.IFD.IFD1).get(0x0112)) == ((None, None) if stored is None else (1, 1))
        mark = np.zeros((64, 96))
        mark[20, 10] = 1
        y, x = np.argwhere(orientation.apply(mark, by))[0]
        assert inner[0x9214] == ((x, y, 4, 6) if swaps else (x, y, 6, 4))
        packet = image.info["xmp"].decode()
    for name, value in (("ImageWidth", width), ("PixelXDimension", width), ("ImageLength", height), ("PixelYDimension", height)):
        assert re.search(rf'{name}(="|>){value}["<]', packet), packet
    assert ('tiff:Orientation="1"' in packet) == (stored is not None)


@every_orientation
def test_nothing_else_of_the_file_changes(rotator, by):
    data = draw(Recipe(trailer=b"\0" * 100 + b"the end"))
    turned = rotated(rotator, data, by)
    before, after = split(data)[0], split(turned)[0]
    kept = [(marker, payload) for marker, payload in before if marker[-1] in (0xE2, 0xED, 0xFE)]
    assert kept == [(marker, payload) for marker, payload in after if marker[-1] in (0xE2, 0xED, 0xFE)]
    assert [marker for marker, _ in before if marker[-1] >= 0xE0] == [marker for marker, _ in after if marker[-1] >= 0xE0]
    assert turned.endswith(b"\xff\xd9" + b"\0" * 100 + b"the end")
    place = data.index(b"A camera")
    assert turned.index(b"A camera") == place


def test_four_quarter_turns_give_the_same_coefficients(rotator):
    data = turned = draw(Recipe())
    for times in range(1, 5):
        turned = rotated(rotator, turned, 6)
        assert same_coefficients(data, turned, (6, 3, 8, 1)[times - 1])


def refused(rotator, data, by):
    """Why it is not turned; empty if it is."""
    try:
        rotator.plan(Format.JPEG, data, by)
    except Refused as error:
        return str(error)
    return ""


@given(
    st.integers(1, 130),
    st.integers(1, 130),
    st.sampled_from(sorted(BLOCKS)),
    st.integers(2, 8),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
)
@settings(max_examples=60)
def test_any_size_is_turned_perfectly_or_refused(width, height, sampling, by, progressive, restart, seed):
    rotator = rotate.Rotator()
    recipe = Recipe(width, height, sampling, progressive, restart, exif=False, others=False, seed=seed)
    data, (across, down) = draw(recipe), BLOCKS[sampling]
    broken = (width % across and by in (2, 3, 7, 8)) or (height % down and by in (3, 4, 6, 7))
    if broken:
        with pytest.raises(Refused, match="no multiple of its blocks"):
            rotator.plan(Format.JPEG, data, by)
        return
    sliver = min(width, height) <= 4 and across > 8  # whose colours are spread from what lies beyond its edge
    refusal = refused(rotator, data, by)
    assert refusal == "" or (sliver and refusal == "turned it would look different")
    assert refusal or same_coefficients(data, rotated(rotator, data, by), by)


@pytest.mark.parametrize("behind", [b"", b"\0" * 5000, b"something else"])
@pytest.mark.parametrize("order", ["big", "little"])
def test_a_thumbnail_that_becomes_longer_finds_room(rotator, behind, order):
    data = draw(Recipe(behind_thumbnail=behind, order=order))
    turned = rotated(rotator, data, 6)
    assert len(thumbnail_of(turned)) > len(thumbnail_of(data))
    assert same_coefficients(thumbnail_of(data), thumbnail_of(turned), 6)
    assert behind.strip(b"\0") in block_of(turned)
    if behind.strip(b"\0"):
        assert small(Recipe()) not in turned
    elif behind:
        assert len(block_of(turned)) == len(block_of(data))
