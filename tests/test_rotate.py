"""Pixels turned without loss: judged by coefficients that numpy turned, and by Pillow."""

import io
import os
import re
from collections import Counter
from dataclasses import replace

import jpegs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps
from referee import split
from turnable import (
    BLOCKS,
    Recipe,
    coefficients,
    draw,
    exif,
    needs_turbojpeg,
    rotated,
    same_coefficients,
    small,
    turned_coefficients,
)

from orientd import formats, orientation, rotate
from orientd.errors import EngineUnavailable, Refused
from orientd.formats import jpeg_core
from orientd.items import Format

MUTATIONS = int(os.environ.get("ORIENTD_MUTATIONS", "10000"))
every_orientation = pytest.mark.parametrize("by", range(2, 9))

pytestmark = needs_turbojpeg


@pytest.fixture(scope="module")
def rotator():
    return rotate.Rotator()


def shown(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image)).astype(int)


def thumbnail_of(data):
    start, end = jpeg_core.exif_turn.thumbnail(block_of(data))
    return block_of(data)[start:end]


def block_of(data):
    (payload,) = [payload for _, payload in split(data)[0] if payload.startswith(b"Exif\0\0")]
    return payload[6:]


# The judges first


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


# Drawn photos


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


# What the thumbnail may be like


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


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (Recipe(thumbnail_size=(48, 30)), "no multiple of its blocks"),
        (Recipe(thumbnail_size=(32, 48)), "thumbnail is turned already"),
        (Recipe(subject=(10, 64)), "where its subject is"),
        (Recipe(subject=(1, 2, 3, 4, 5)), "where its subject is"),
        (Recipe(trailer=b"\0\0\0\x18ftypmp42"), "more behind the picture"),
        (Recipe(trailer=b"x" * 2000), "more behind the picture"),
        (Recipe(trailer=jpegs.picture()), "more behind the picture"),
        (Recipe(trailer=b"SEFT"), "more behind the picture"),
    ],
)
def test_a_drawing_that_cannot_be_turned_is_refused(rotator, change, reason):
    with pytest.raises(Refused, match=reason):
        rotator.plan(Format.JPEG, draw(change), 3)


def added(payload, marker=0xE1):
    """A drawing with one segment more behind the EXIF block."""
    data, segment = draw(Recipe(others=False)), jpegs.segment(marker, payload)
    place = data.index(b"Exif\0\0") - 2
    place += int.from_bytes(data[place : place + 2], "big")
    return data[:place] + segment + data[place:]


def in_xmp(text):
    return added(b"http://ns.adobe.com/xap/1.0/\0" + text)


WITH = {
    "MPF": (added(b"MPF\0MM\0*", 0xE2), "several pictures"),
    "extended XMP": (added(b"http://ns.adobe.com/xmp/extension/\0" + b"x" * 60), "extended part"),
    "gain map": (in_xmp(b'<a hdrgm:Version="1.0"/>'), "gain map"),
    "Apple's gain map": (in_xmp(b"<HDRGainMap:HDRGainMapVersion>"), "gain map"),
    "motion photo": (in_xmp(b'GCamera:MotionPhoto="1"'), "motion photo"),
    "motion photo in 16 bits": (in_xmp('GCamera:MotionPhoto="1"'.encode("utf-16-be")), "motion photo"),
    "panorama": (in_xmp(b'GPano:ProjectionType="x"'), "panorama"),
    "regions": (in_xmp(b"<mwg-rs:Regions>"), "regions"),
    "ACDSee's regions": (in_xmp(b"<acdsee-rs:Regions>"), "regions"),
    "edits not applied": (in_xmp(b'crs:CropTop="0.1" crs:AlreadyApplied="False"'), "Camera Raw"),
    "edits that may be applied": (in_xmp(b"<crs:CropTop>0.1</crs:CropTop>"), "Camera Raw"),
    "thumbnails in XMP": (in_xmp(b"<xmpGImg:image>"), "thumbnails"),
    "one side in XMP": (in_xmp(b'tiff:ImageWidth="96"'), "a form that cannot be changed"),
    "two of one side": (in_xmp(b'tiff:ImageWidth="96" tiff:ImageWidth="96" tiff:ImageLength="64"'), "a form that cannot"),
    "unknown segment": (added(b"Meta", 0xE3), r"does not know \(APP3\)"),
    "JPEG XT": (added(b"JP\0\1", 0xEB), r"does not know \(APP11\)"),
    "FlashPix": (added(b"FPXR\0", 0xE2), r"does not know \(APP2\)"),
    "Photoshop's thumbnail": (added(b"Photoshop 3.0\x008BIM\x04\x0c\0\0", 0xED), "of Photoshop"),
    "a path of Photoshop": (added(b"Photoshop 3.0\x008BIM\x07\xd0\0\0", 0xED), "of Photoshop"),
    "preview": (added(b"Ducky" + jpegs.picture()[:200], 0xEC), "another picture in its metadata"),
    "two EXIF blocks": (added(b"Exif\0\0" + exif(Recipe())), "two EXIF"),
    "comment behind tables": (
        (plain := jpegs.picture())[: plain.index(b"\xff\xc4")] + jpegs.segment(0xFE, b"x") + plain[plain.index(b"\xff\xc4") :],
        "between the tables",
    ),
    "arithmetic": (plain.replace(b"\xff\xc0", b"\xff\xc9"), "arithmetic-coded"),
    "lossless": (plain.replace(b"\xff\xc0", b"\xff\xc3"), "lossless"),
    "hierarchical": (plain.replace(b"\xff\xc0", b"\xff\xc5"), "hierarchical"),
    "12 bits": (plain.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"), "12 bits"),
    "no EOI": (plain[:-2], "no end"),
    "JFIF thumbnail": (plain[:18] + b"\1\1" + plain[20:], "JFIF thumbnail"),
    "C2PA": (added(b"JP\0\1c2pa", 0xEB), "APP11"),
}


@pytest.mark.parametrize("what", WITH)
def test_what_a_turn_would_leave_behind_is_refused(what):
    data, reason = WITH[what]
    turned = []
    with pytest.raises(Refused, match=reason):
        jpeg_core.plan(data, 6, lambda jpeg, by: turned.append(by) or jpeg)
    assert set(turned) <= {6}


def test_values_that_share_bytes_are_refused(rotator):
    """Found by mutation: X and Y resolution, which change places, overlapped by half."""
    data = draw(Recipe())
    entry = data.index(b"\x01\x1a\0\5\0\0\0\1") + 8
    place = int.from_bytes(data[entry : entry + 4], "big")
    with pytest.raises(Refused, match="its values overlap"):
        rotator.plan(Format.JPEG, data[:entry] + (place + 4).to_bytes(4, "big") + data[entry + 4 :], 6)


def test_other_formats_are_refused(rotator):
    with pytest.raises(Refused, match="the pixels of MPO are never turned"):
        rotator.plan(Format.MPO, jpegs.multi_picture(), 6)


# The proof, and the library


class Liar:
    """A library that turns wrong: by another turn, or with a coefficient changed."""

    def __init__(self, how):
        self.true, self.how = rotate.TurboJpeg(), how

    def turn(self, jpeg, by):
        return self.how(self.true.turn, jpeg, by)


def quantised(turn, jpeg, by):
    """One step of a quantiser more whenever the picture is turned."""
    turned = turn(jpeg, by)
    place = turned.index(b"\xff\xdb") + 5 + 10
    return turned if by == 1 else turned[:place] + bytes([turned[place] + 1]) + turned[place + 1 :]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (lambda turn, jpeg, by: turn(jpeg, {6: 8, 8: 6}.get(by, by)), "look different"),
        (lambda turn, jpeg, by: turn(jpeg, {6: 5, 8: 5}.get(by, by)), "look different"),
        (quantised, "not be the same to the bit"),
        (lambda turn, jpeg, by: turn(jpeg, by)[:-40] + b"\xff\xd9", "damaged|cannot turn|look different"),
    ],
)
def test_the_proof_finds_a_library_that_lies(monkeypatch, how, reason):
    rotator = rotate.Rotator()
    data = draw(Recipe(thumbnail=False))
    rotator.plan(Format.JPEG, data, 6)
    rotator._library = Liar(how)
    with pytest.raises(Refused, match=reason):
        rotator.plan(Format.JPEG, data, 6)


def test_a_damaged_photo_never_reaches_the_library(rotator, monkeypatch):
    data = draw(Recipe())
    monkeypatch.setattr(rotator, "_library", None)
    for damaged in (data[:-500], b"", data[:2000] + b"\xff\xd9" * 50 + data[2100:], b"\xff\xd8\xff\xd9"):
        with pytest.raises(Refused):
            rotator.plan(Format.JPEG, damaged, 6)


def test_a_missing_library_is_told_with_the_commands_that_bring_it(monkeypatch):
    monkeypatch.setattr(rotate, "_NAMES", ())
    monkeypatch.setattr(rotate, "find_library", lambda name: None)
    with pytest.raises(EngineUnavailable, match=r"apt install libturbojpeg0.*brew install jpeg-turbo"):
        rotate.planner("rotate")
    for formats_ in ({"png", "jpeg"}, {""}):
        with pytest.raises(EngineUnavailable):
            rotate.planner_of(formats_)
    assert rotate.planner("tag") is rotate.planner("sidecar") is rotate.planner_of(set()) is None
    assert rotate.planner("auto")
    assert rotate.planner_of({"png", "webp"})


def test_a_library_of_another_kind_is_not_taken(monkeypatch):
    monkeypatch.setattr(rotate, "_NAMES", ("libc.so.6", "no such library"))
    monkeypatch.setattr(rotate, "find_library", lambda name: None)
    with pytest.raises(EngineUnavailable):
        rotate.TurboJpeg()


# Hostile files


def mutated(data, draw_from):
    """A drawing with bytes changed, taken out or doubled, mostly before the scan."""
    place = draw_from(st.integers(2, min(len(data) - 1, draw_from(st.sampled_from([700, 1500, len(data)])))))
    many = draw_from(st.integers(1, 6))
    kind = draw_from(st.sampled_from(["set", "cut", "double", "end"]))
    if kind == "set":
        return data[:place] + draw_from(st.binary(min_size=many, max_size=many)) + data[place + many :]
    return {"cut": data[:place] + data[place + many :], "double": data[: place + many] + data[place:], "end": data[:place]}[kind]


def survives(rotator, data, by):
    """Plans a turn of anything: it is refused, or proved and exactly undone. True if it was turned."""
    try:
        patch = rotator.plan(formats.sniff(data), data, by)
    except Refused:
        return False
    turned = patch.apply(data)
    assert patch.inverse().apply(turned) == data
    assert same_coefficients(data, turned, by)
    return True


@given(st.data(), st.integers(2, 8), st.sampled_from([Recipe(), Recipe(progressive=True), Recipe(restart=True, others=False)]))
@settings(max_examples=150)
def test_a_mutated_file_is_refused_or_turned_without_loss(data, by, recipe):
    survives(rotate.Rotator(), mutated(draw(recipe), data.draw), by)


@pytest.mark.slow
def test_thousands_of_mutated_files_are_refused_or_turned_without_loss(rotator):
    random = np.random.default_rng(7)
    drawings = [draw(replace(Recipe(), progressive=progressive, restart=restart)) for progressive in (0, 1) for restart in (0, 1)]
    counts = Counter()
    for number in range(MUTATIONS):
        data = bytearray(drawings[number % len(drawings)])
        for _ in range(random.integers(1, 4)):
            data[random.integers(2, len(data) if number % 3 else 1500)] = random.integers(0, 256)
        counts[survives(rotator, bytes(data), int(random.integers(2, 9)))] += 1
    assert min(counts.values()) > MUTATIONS // 100
    print(f"{counts[True]} of {MUTATIONS} mutated files were turned, {counts[False]} refused")
