"""BigTIFF, the kind for files of more than 4 GB: as any other TIFF, but for its header and the width of its numbers."""

import io
import struct

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from support import jpeg_files
from support.png_webp_tiff_files import Tiff, decoded, tiff
from support.referee import HAS_EXIFTOOL, read_tags, tag_changes

from orientd.decode.cpu import second_reader
from orientd.errors import DecodeError, Refused
from orientd.formats import c2pa, fingerprint, footprint, plan, sniff, stored_orientation, tiff_patch
from orientd.records import Format, Patch

PIXELS = np.random.default_rng(1).integers(0, 255, (16, 24, 3), np.uint8)
MARKS = {"little": "<", "big": ">"}
ORDERS = tuple(MARKS)
LONG8 = 16
values = st.integers(1, 8)


def written(order: str, *extra: tuple, **more: object) -> bytes:
    out = io.BytesIO()
    with tifffile.TiffWriter(out, bigtiff=True, byteorder=MARKS[order]) as writer:
        writer.write(PIXELS, photometric="rgb", metadata=None, extratags=extra, **{"software": "by hand", **more})
    return out.getvalue()


def with_value(order: str, value: int, type_: int = 3) -> bytes:
    return written(order, (0x112, type_, 1, value, True))


def with_xmp(order: str, value: int) -> bytes:
    packet = jpeg_files.packet("element", value)
    return written(order, (0x112, 3, 1, value, True), (0x2BC, 1, len(packet), packet, True))


def refusal(data: bytes) -> str:
    with pytest.raises(Refused) as caught:
        plan(Format.TIFF, data, 6)
    return str(caught.value)


def seen(data: bytes) -> list[tuple[int | None, bytes]]:
    """The orientation and the pixels of each page, by tifffile."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return [(page.tags[0x112].value if 0x112 in page.tags else None, page.asarray().tobytes()) for page in file.pages]


def checked(data: bytes, value: int) -> Patch:
    """The patch, once what must hold of any patch has been asserted."""
    patch = plan(Format.TIFF, data, value)
    after = patch.apply(data)
    assert patch.inverse().apply(after) == data
    assert plan(Format.TIFF, after, value) == Patch(())
    assert stored_orientation(Format.TIFF, after) == value
    assert [(value, pixels) for _, pixels in seen(data)] == seen(after)
    if data.startswith(b"II"):  # of the others Pillow 13 reads none
        assert second_reader(after) == value
    return patch


@pytest.mark.parametrize("type_", [3, 4, LONG8])
@pytest.mark.parametrize("order", ORDERS)
def test_a_value_that_is_there_is_overwritten_and_nothing_else(order, type_):
    data = with_value(order, 1, type_)
    assert checked(data, 8).apply(data) == with_value(order, 8, type_)


@given(st.sampled_from(ORDERS), values, values)
def test_a_directory_without_one_goes_to_the_end(order, first, second):
    data = written(order)
    once = checked(data, first).apply(data)
    start = int.from_bytes(once[8:16], order)
    assert (once[:8], once[16 : len(data)]) == (data[:8], data[16:])
    assert start % 8 == 0 <= start - len(data) < 8
    count = int.from_bytes(once[start : start + 8], order)
    assert len(once) == start + 8 + 20 * count + 8
    tags = [int.from_bytes(once[at : at + 2], order) for at in range(start + 8, len(once) - 8, 20)]
    assert tags == sorted(tags)
    assert plan(Format.TIFF, once, second).apply(once) == plan(Format.TIFF, data, second).apply(data)


@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("order", ORDERS)
def test_several_strips_and_tiles_are_a_picture(order, tile):
    checked(written(order, **({"tile": tile} if tile else {"rowsperstrip": 3})), 6)


@pytest.mark.parametrize("order", ORDERS)
def test_xmp_is_kept_in_step(order):
    data = with_xmp(order, 3)
    assert checked(data, 6).apply(data) == with_xmp(order, 6)


@pytest.mark.parametrize("order", ORDERS)
def test_a_reduced_page_is_turned_along(order):
    out = io.BytesIO()
    with tifffile.TiffWriter(out, bigtiff=True, byteorder=MARKS[order]) as writer:
        writer.write(PIXELS, photometric="rgb", metadata=None)
        writer.write(PIXELS[::2, ::2], photometric="rgb", metadata=None, subfiletype=1)
    assert [value for value, _ in seen(checked(out.getvalue(), 6).apply(out.getvalue()))] == [6, 6]


def test_it_may_grow_beyond_4_gb(monkeypatch):
    monkeypatch.setattr(tiff_patch, "_LARGEST", 0)
    checked(written("little"), 6)


def test_what_is_known_of_a_tiff_is_known_of_it():
    data = with_value("little", 6)
    assert sniff(data) is Format.TIFF
    assert sniff(written("little", (0xC612, 1, 4, b"\1\4\0\0", True))) is Format.RAW
    assert c2pa.is_signed(Format.TIFF, written("little", (0xCD41, 7, 4, b"jumb", True)))
    assert not c2pa.is_signed(Format.TIFF, written("little", (0x2BC, 1, len(PACKET), PACKET, True)))
    assert fingerprint.pictures(fingerprint.marks(Format.TIFF, data)) == fingerprint.pictures(
        fingerprint.marks(Format.TIFF, plan(Format.TIFF, data, 3).apply(data))
    )
    assert footprint.footprint(Format.TIFF, data, whole=True) > 2**20 + 3 * len(data) + 24 * 16 * 11


PACKET = jpeg_files.packet("no orientation", 1)
PLAIN = written("little")
DIRECTORY = int.from_bytes(PLAIN[8:16], "little")
ENTRIES = int.from_bytes(PLAIN[DIRECTORY : DIRECTORY + 8], "little")
STRIPS = PLAIN.index(struct.pack("<HHQ", 0x111, LONG8, 1)) + 12


def at(place: int, new: bytes, data: bytes = PLAIN) -> bytes:
    return data[:place] + new + data[place + len(new) :]


REFUSED = [
    ("not with the header of one", at(4, b"\4\0")),
    ("not with the header of one", at(6, b"\1\0")),
    ("lies inside the header", at(8, struct.pack("<Q", 15))),
    ("points outside its block", at(8, struct.pack("<Q", 2**63))),
    ("points outside its block", at(DIRECTORY, struct.pack("<Q", 2**62))),
    ("points outside its block", at(DIRECTORY, struct.pack("<Q", 0x10000))),
    ("overlap or loop", at(DIRECTORY + 8 + 20 * ENTRIES, struct.pack("<Q", DIRECTORY))),
    ("cut short, or broken", at(STRIPS, struct.pack("<Q", 2**64 - 1))),
    ("points outside its block", PLAIN[:12]),
    ("belong to nothing", PLAIN + b"more pictures"),
    ("SubIFDs", written("little", (0x14B, 18, 1, 16, True)).replace(b"\x4b\1\x12\0", b"\x4a\1\x12\0")),
    ("a raw file", written("little", (0x828E, 1, 4, b"\0\1\1\2", True))),
    ("a map", written("little", (0x87AF, 3, 4, (1, 1, 0, 0), True))),
    ("content credentials", written("little", (0xCD41, 7, 4, b"jumb", True))),
    ("several orientations", written("little", (0x112, 3, 1, 1, True), (0x112, 4, 1, 6, True))),
]


@pytest.mark.parametrize(("reason", "data"), REFUSED, ids=[reason for reason, _ in REFUSED])
def test_refused(reason, data):
    assert reason in refusal(data)


def test_a_block_of_exif_is_never_one():
    data = jpeg_files.with_segments(jpeg_files.app1(with_value("little", 6)))
    assert stored_orientation(Format.JPEG, data) is None
    with pytest.raises(Refused, match="does not start with a TIFF header"):
        plan(Format.JPEG, data, 6)


def test_types_of_eight_bytes_are_unknown_in_other_tiffs():
    data = tiff(Tiff())
    assert "unknown type 16" in refusal(data.replace(b"\x12\1\3\0\1\0\0\0", b"\x12\1\x10\0\1\0\0\0"))


def test_big_endian_ones_are_left_to_what_can_check_them():
    with pytest.raises(DecodeError):
        second_reader(with_value("big", 6))


@given(st.data(), st.sampled_from(ORDERS), values)
def test_damaged_files_are_refused_or_patched_without_a_change_of_pixels(random, order, value):
    data = with_xmp(order, 1)
    start = int.from_bytes(data[8:16], order)
    for _ in range(random.draw(st.integers(1, 3))):
        place = random.draw(st.integers(0, len(data) - 1) | st.integers(start, min(start + 300, len(data) - 1)))
        data = at(place, random.draw(st.binary(min_size=1, max_size=2)), data)
    data = data[: random.draw(st.just(len(data)) | st.integers(0, len(data)))]
    try:
        patch = plan(Format.TIFF, data, value)
    except Refused:
        return
    after = patch.apply(data)
    assert patch.inverse().apply(after) == data
    assert not patch.splices or stored_orientation(Format.TIFF, after) == value
    assert decoded(after) == decoded(data)


@pytest.mark.skipif(not HAS_EXIFTOOL, reason="exiftool is not installed")
def test_exiftool_sees_nothing_else_changed(tmp_path):
    for order in ORDERS:
        for name, data in {
            "grown": written(order),
            "in place": with_xmp(order, 1),
            "tiles": written(order, tile=(16, 16)),
        }.items():
            paths = [tmp_path / f"{when} {name} {order}.tif" for when in ("before", "after")]
            paths[0].write_bytes(data)
            paths[1].write_bytes(plan(Format.TIFF, data, 6).apply(data))
            before, after = read_tags(paths)
            assert tag_changes(before, after, paths[1].stat().st_size - len(data)) == []
            assert after["EXIF:IFD0:Orientation"] == {"6": 1}
