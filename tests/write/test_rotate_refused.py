"""Photos whose pixels nobody must turn, a library that lies, and files damaged by chance: refused, or turned without loss."""

import os
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import jpeg_files
from support.jpeg_files import ASCII, LONG, SHORT, Tag
from support.turnable_jpegs import Recipe, draw, exif, needs_turbojpeg, rotated, same_coefficients, small

from orientd import formats
from orientd.errors import EngineUnavailable, Refused
from orientd.formats.lossless import exif as exif_turn
from orientd.formats.lossless import jpeg as jpeg_core
from orientd.records import Format, Patch
from orientd.write import rotate, turbojpeg

MUTATIONS = int(os.environ.get("ORIENTD_MUTATIONS", "10000"))

pytestmark = needs_turbojpeg


@pytest.fixture(scope="module")
def rotator():
    return rotate.Rotator()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (Recipe(thumbnail_size=(48, 30)), "no multiple of its blocks"),
        (Recipe(thumbnail_size=(32, 48)), "thumbnail is turned already"),
        (Recipe(subject=(10, 64)), "where its subject is"),
        (Recipe(subject=(1, 2, 3, 4, 5)), "where its subject is"),
        (Recipe(trailer=b"\0\0\0\x18ftypmp42"), "more behind the picture"),
        (Recipe(trailer=b"x" * 2000), "more behind the picture"),
        (Recipe(trailer=jpeg_files.picture()), "more behind the picture"),
        (Recipe(trailer=b"SEFT"), "more behind the picture"),
    ],
)
def test_a_drawing_that_cannot_be_turned_is_refused(rotator, change, reason):
    with pytest.raises(Refused, match=reason):
        rotator.plan(Format.JPEG, draw(change), 3)


def added(payload, marker=0xE1):
    """A drawing with one segment more behind the EXIF block."""
    data, segment = draw(Recipe(others=False)), jpeg_files.segment(marker, payload)
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
    "unknown segment of the last kind": (added(b"Meta", 0xEF), r"does not know \(APP15\)"),
    "JPEG XT": (added(b"JP\0\1", 0xEB), r"does not know \(APP11\)"),
    "FlashPix": (added(b"FPXR\0", 0xE2), r"does not know \(APP2\)"),
    "Photoshop's thumbnail": (added(b"Photoshop 3.0\x008BIM\x04\x0c\0\0", 0xED), "of Photoshop"),
    "a path of Photoshop": (added(b"Photoshop 3.0\x008BIM\x07\xd0\0\0", 0xED), "of Photoshop"),
    "preview": (added(b"Ducky" + jpeg_files.picture()[:200], 0xEC), "another picture in its metadata"),
    "two EXIF blocks": (added(b"Exif\0\0" + exif(Recipe())), "two EXIF"),
    "comment behind tables": (
        (plain := jpeg_files.picture())[: plain.index(b"\xff\xc4")]
        + jpeg_files.segment(0xFE, b"x")
        + plain[plain.index(b"\xff\xc4") :],
        "between the tables",
    ),
    "comment between scans": (
        (scans := jpeg_files.picture(progressive=True))[: scans.rindex(b"\xff\xda")]
        + jpeg_files.segment(0xFE, b"x")
        + scans[scans.rindex(b"\xff\xda") :],
        "between the scans",
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


MAKE = Tag(0x010F, ASCII, b"me\0")


def short(tag, *values):
    return Tag(tag, SHORT, b"".join(value.to_bytes(2, "big") for value in values))


def long(tag, *values):
    return Tag(tag, LONG, b"".join(value.to_bytes(4, "big") for value in values))


def chained(*directories):
    """An EXIF block of IFD0, IFD1 and so on with these tags."""
    block = b"MM\0*" + (8).to_bytes(4, "big")
    for number, tags in enumerate(directories, 1):
        end = len(block) + len(jpeg_files.directory(tags, len(block), "big"))
        block += jpeg_files.directory(tags, len(block), "big", end if number < len(directories) else 0)
    return block


def with_thumbnail(thumbnail, start=0, longer=0, photo=None, stored=None):
    """A block with that thumbnail at its end, or said to start elsewhere or to be longer; it and the photo store what is told."""
    tags = [MAKE] if photo is None else [MAKE, short(0x0112, photo)]
    second = [short(0x0103, 6)] if stored is None else [short(0x0103, 6), short(0x0112, stored)]
    at = start or len(chained(tags, [*second, long(0x0201, 0), long(0x0202, 0)]))
    return chained(tags, [*second, long(0x0201, at), long(0x0202, len(thumbnail) + longer)]) + thumbnail


def in_exif(block):
    return jpeg_files.with_segments(jpeg_files.app1(block))


THUMBNAIL = small(Recipe())
HEIGHT_AT = THUMBNAIL.index(b"\xff\xc0") + 5
SUB_IMAGE = chained([long(0x014A, 26)], [MAKE])
IN_EXIF = {
    "three directories": (in_exif(chained([MAKE], [MAKE], [MAKE])), "more pictures than a thumbnail"),
    "a sub-image": (in_exif(SUB_IMAGE[:22] + bytes(4) + SUB_IMAGE[26:]), "more pictures than a thumbnail"),
    "a thumbnail of strips": (in_exif(chained([MAKE], [long(0x0111, 8)])), "thumbnail is no JPEG"),
    "a thumbnail without compression": (in_exif(chained([MAKE], [short(0x0103, 1)])), "thumbnail is no JPEG"),
    "a thumbnail without length": (in_exif(chained([MAKE], [long(0x0201, 8)])), "does not say where its thumbnail is"),
    "a thumbnail without start": (in_exif(chained([MAKE], [long(0x0202, 8)])), "does not say where its thumbnail is"),
    "a thumbnail with two starts": (
        in_exif(chained([MAKE], [long(0x0201, 8, 8), long(0x0202, 8)])),
        "does not say where its thumbnail is",
    ),
    "a thumbnail in the header": (in_exif(with_thumbnail(THUMBNAIL, start=7)), "outside its EXIF block"),
    "a thumbnail past the end": (in_exif(with_thumbnail(THUMBNAIL, longer=1)), "outside its EXIF block"),
    "a thumbnail with metadata": (
        in_exif(with_thumbnail(THUMBNAIL[:2] + jpeg_files.app1(chained([MAKE])) + THUMBNAIL[2:])),
        "thumbnail holds more than a picture",
    ),
    "a thumbnail with a trailer": (in_exif(with_thumbnail(THUMBNAIL + b"x")), "thumbnail holds more than a picture"),
    "a thumbnail without height": (
        in_exif(with_thumbnail(THUMBNAIL[:HEIGHT_AT] + bytes(2) + THUMBNAIL[HEIGHT_AT + 2 :])),
        "the frame has no size$",
    ),
    "a thumbnail without width": (
        in_exif(with_thumbnail(THUMBNAIL[: HEIGHT_AT + 2] + bytes(2) + THUMBNAIL[HEIGHT_AT + 4 :])),
        "the frame has no size$",
    ),
    "a thumbnail turned otherwise": (in_exif(with_thumbnail(THUMBNAIL, photo=1, stored=3)), "another orientation than the photo"),
    "a thumbnail turned alone": (in_exif(with_thumbnail(THUMBNAIL, stored=6)), "another orientation than the photo"),
    "a preview before the thumbnail": (
        jpeg_files.with_segments(
            jpeg_files.segment(0xEC, b"Ducky" + jpeg_files.picture()[:200]), jpeg_files.app1(with_thumbnail(THUMBNAIL))
        ),
        "another picture in its metadata",
    ),
    "one side": (in_exif(chained([short(0xA002, 48)])), r"only one of a width and a height \(tag 0xa002\)"),
    "the other side": (in_exif(chained([short(0xA003, 48)])), r"only one of a width and a height \(tag 0xa003\)"),
    "a side too long for the other": (in_exif(chained([short(0x0100, 48), long(0x0101, 2**16)])), "cannot change places"),
    "a side of two numbers": (in_exif(chained([short(0x0100, 48, 48), short(0x0101, 32)])), "cannot change places"),
    "a side of as many bytes": (in_exif(chained([short(0x0100, 48, 48), long(0x0101, 32)])), "cannot change places"),
    "two frames": (plain[: plain.index(b"\xff\xc4")] + plain[plain.index(b"\xff\xc0") :], "not one frame but several, or none"),
    "no frame": (plain.replace(b"\xff\xc0", b"\xff\xdc"), "not one frame but several, or none"),
}


@pytest.mark.parametrize("what", IN_EXIF)
def test_an_exif_block_or_a_thumbnail_that_cannot_be_turned_is_refused(what):
    data, reason = IN_EXIF[what]
    with pytest.raises(Refused, match=reason):
        jpeg_core.plan(data, 6, lambda jpeg, by: jpeg)


@pytest.mark.parametrize(
    "data",
    [
        in_exif(chained([MAKE], [MAKE])),
        in_exif(with_thumbnail(THUMBNAIL)),
        in_exif(with_thumbnail(THUMBNAIL + b"\0")),
        in_exif(with_thumbnail(b"")),
        in_exif(chained([short(0x0100, 48), long(0x0101, 2**16 - 1)])),
        in_exif(with_thumbnail(THUMBNAIL, stored=1)),
        in_exif(with_thumbnail(THUMBNAIL, photo=6, stored=6)),
        in_exif(with_thumbnail(THUMBNAIL, photo=6)),
    ],
    ids=range(8),
)
def test_what_comes_near_to_that_is_turned(data):
    patch = jpeg_core.plan(data, 6, lambda jpeg, by: jpeg)
    assert patch.inverse().apply(patch.apply(data)) == data


@pytest.mark.parametrize("shorter", [0, 1, 100])
def test_a_thumbnail_that_becomes_no_longer_stays_and_so_does_what_is_behind_it(shorter):
    block = with_thumbnail(THUMBNAIL) + b"behind"
    small_at = len(block) - len(THUMBNAIL) - 6
    splices = exif_turn.patch(block, 6, 48, 32, lambda jpeg, by: jpeg[: len(jpeg) - shorter])
    after = Patch(tuple(splices)).apply(block)
    assert after[small_at:] == THUMBNAIL[: len(THUMBNAIL) - shorter] + bytes(shorter) + b"behind"
    assert exif_turn.in_exif(after) == (small_at, small_at + len(THUMBNAIL) - shorter)


def test_an_exif_segment_grows_to_its_last_byte_and_no_further(rotator):
    """What stands behind the thumbnail makes the longer one move to the end of the block."""

    def turned(room):
        return rotator.plan(Format.JPEG, draw(Recipe(behind_thumbnail=b"x" * room)), 6)

    def size(data):
        return int.from_bytes(data[(place := data.index(b"Exif\0\0")) - 2 : place], "big")

    least = 2 + len(exif(Recipe())) % 2
    room = 2**16 - 1 - size(turned(least).apply(draw(Recipe(behind_thumbnail=b"x" * least))))
    full = draw(Recipe(behind_thumbnail=b"x" * (least + room - room % 2)))
    assert 2**16 - 2 <= size(rotated(rotator, full, 6)) < 2**16
    with pytest.raises(Refused, match="EXIF segment is full"):
        turned(least + room - room % 2 + 2)


def test_values_that_share_bytes_are_refused(rotator):
    """Found by mutation: X and Y resolution, which change places, overlapped by half."""
    data = draw(Recipe())
    entry = data.index(b"\x01\x1a\0\5\0\0\0\1") + 8
    place = int.from_bytes(data[entry : entry + 4], "big")
    with pytest.raises(Refused, match="its values overlap"):
        rotator.plan(Format.JPEG, data[:entry] + (place + 4).to_bytes(4, "big") + data[entry + 4 :], 6)


def test_other_formats_are_refused(rotator):
    with pytest.raises(Refused, match="the pixels of MPO are never turned"):
        rotator.plan(Format.MPO, jpeg_files.multi_picture(), 6)


class Liar:
    """A library that turns wrong: by another turn, or with a coefficient changed."""

    def __init__(self, how):
        self.true, self.how = turbojpeg.TurboJpeg(), how

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
    monkeypatch.setattr(rotator, "_library", SimpleNamespace(turn=None))
    for damaged in (data[:-500], b"", data[:2000] + b"\xff\xd9" * 50 + data[2100:], b"\xff\xd8\xff\xd9"):
        with pytest.raises(Refused):
            rotator.plan(Format.JPEG, damaged, 6)


def test_a_missing_library_is_told_with_the_commands_that_bring_it(monkeypatch):
    monkeypatch.setattr(turbojpeg, "_NAMES", ())
    monkeypatch.setattr(turbojpeg, "find_library", lambda name: None)
    with pytest.raises(EngineUnavailable, match=r"apt install libturbojpeg0.*brew install jpeg-turbo"):
        rotate.planner("rotate")
    for formats_ in ({"png", "jpeg"}, {""}):
        with pytest.raises(EngineUnavailable):
            rotate.planner_of(formats_)
    assert rotate.planner("tag") is rotate.planner("sidecar") is rotate.planner_of(set()) is None
    assert rotate.planner("auto")
    assert rotate.planner_of({"png", "webp"})


def test_a_library_of_another_kind_is_not_taken(monkeypatch):
    monkeypatch.setattr(turbojpeg, "_NAMES", ("libc.so.6", "no such library"))
    monkeypatch.setattr(turbojpeg, "find_library", lambda name: None)
    with pytest.raises(EngineUnavailable):
        turbojpeg.TurboJpeg()


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
