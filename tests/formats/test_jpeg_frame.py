"""What the frame header of a JPEG says of it: whether a smaller picture may be asked for, and why some are not decoded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import jpeg_frames, thumbnail_jpegs
from support.decodable_photos import SIZE, difference, photo, scene, square
from support.jpeg_files import app1, picture

from orientd.decode.cpu import CpuDecoder, second_reader
from orientd.errors import DecodeError
from orientd.formats import jpeg_frame, jpeg_markers, thumbnail
from orientd.records import Format

SCAN = jpeg_frames.segment(0xDA, bytes((1, 1, 0, 0, 63, 0)))
TABLE = jpeg_frames.segment(0xDB, bytes(65))
REDUCIBLE = (0xC0, 0xC1, 0xC2)
SAMPLES = {1: scene(200, 150)[..., :1], 3: scene(200, 150), 4: np.dstack([scene(200, 150), np.full((150, 200), 255, np.uint8)])}


@pytest.fixture(scope="module")
def decoder():
    return CpuDecoder(SIZE)


def file(*headers, before=b""):
    return b"\xff\xd8" + before + b"".join(headers) + SCAN + b"\0" * 64 + b"\xff\xd9"


@pytest.mark.parametrize("marker", jpeg_frames.KINDS)
def test_a_smaller_picture_may_be_asked_of_three_kinds(marker):
    found = jpeg_frame.only(file(jpeg_frames.frame(marker, 640, 480)))
    assert found[:4] == (marker, 8, 640, 480)
    assert found.components == ((1, 1, 1), (2, 1, 1), (3, 1, 1))
    assert found.is_reducible == (marker in REDUCIBLE)


@pytest.mark.parametrize(
    "changed",
    [
        {"bits": 12},
        {"width": 0},
        {"height": 0},
        {"factors": ()},
        {"factors": (0x11, 0x11)},
        {"factors": (0x11,) * 5},
        {"factors": (0x11, 0x01, 0x11)},
        {"factors": (0x11, 0x11, 0x15)},
    ],
    ids=str,
)
def test_nor_of_a_header_with_odd_numbers(changed):
    header = {"marker": 0xC0, "width": 640, "height": 480}
    assert jpeg_frame.only(file(jpeg_frames.frame(**header))).is_reducible
    assert not jpeg_frame.only(file(jpeg_frames.frame(**(header | changed)))).is_reducible


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        file(),
        file(jpeg_frames.frame(0xC0, 640, 480), jpeg_frames.frame(0xC0, 640, 480)),
        file(jpeg_frames.frame(0xC0, 640, 480), jpeg_frames.frame(0xC3, 640, 480)),
        file(jpeg_frames.frame(0xC0, 640, 480), before=b"junk"),
        file(jpeg_frames.frame(0xC0, 640, 480), before=b"\xff\xd8"),
        file(jpeg_frames.frame(0xC0, 640, 480), before=b"\xff\xd9"),
        file(jpeg_frames.frame(0xC0, 640, 480), before=b"\xff\0"),
        file(jpeg_frames.frame(0xC0, 640, 480) + b"\0"),
        *[
            file(jpeg_frames.frame(0xC0, 640, 480), before=jpeg_frames.segment(marker))
            for marker in (0xC8, 0xDE, 0xDF, 0xF0, 0xFD)
        ],
        file(jpeg_frames.segment(0xC0, bytes((8, 1, 1, 1, 1, 3, 1, 0x11, 0)))),
        file(jpeg_frames.segment(0xC0, bytes((8, 1, 1, 1)))),
        file(jpeg_frames.frame(0xC0, 640, 480))[:-80],
    ],
)
def test_a_header_that_does_not_stand_in_plain_sight_is_none(data):
    assert jpeg_frame.only(data) is None


def test_fill_bytes_and_segments_that_hold_another_header_hide_none():
    hidden = jpeg_frames.segment(0xE5, jpeg_frames.frame(0xC3, 64, 48)) + b"\xff\xff" + TABLE
    assert jpeg_frame.only(file(jpeg_frames.frame(0xC1, 640, 480), before=hidden)).marker == 0xC1


@given(st.binary(max_size=64))
def test_any_bytes_give_a_header_or_none(data):
    for each in (data, b"\xff\xd8" + data, file(jpeg_frames.segment(0xC0, data)), file(jpeg_frames.frame(0xC0, 9, 9)) + data):
        found = jpeg_frame.only(each)
        assert found is None or found.marker in jpeg_markers.FRAMES
        assert jpeg_frame.unsupported(each) != ""


@pytest.mark.parametrize("channels", SAMPLES)
def test_a_lossless_jpeg_is_judged_whole(decoder, channels):
    data = jpeg_frames.lossless(SAMPLES[channels])
    seen = decoder.decode(photo(data, Format.JPEG))
    assert (seen.width, seen.height) == (200, 150)
    shown = SAMPLES[channels] if channels != 1 else SAMPLES[1].repeat(3, axis=2)
    assert difference(seen.pixels, square(np.ascontiguousarray(shown[..., :3]))) <= 1
    assert second_reader(data) is None


def test_a_lossless_jpeg_cut_short_is_an_error(decoder):
    data = jpeg_frames.lossless(SAMPLES[3])
    with pytest.raises(DecodeError, match=r"^it is a lossless JPEG, and cannot be decoded \(Premature end.*: convert it"):
        decoder.decode(photo(data[: len(data) // 2], Format.JPEG))


def test_the_thumbnail_of_a_lossless_jpeg_is_not_looked_at(decoder):
    """As Pillow would be asked for its upper rows, reduced."""
    small = thumbnail_jpegs.encoded(Image.fromarray(SAMPLES[3]).resize((160, 120)))
    for core, is_known in ((picture(200, 152), True), (jpeg_frames.lossless(SAMPLES[3]), False)):
        data = b"\xff\xd8" + app1(thumbnail_jpegs.exif(small)) + core[2:]
        assert (thumbnail.find(data) is not None) == is_known
    assert decoder.glance(photo(data, Format.JPEG)) is None


def test_a_lossless_thumbnail_is_not_looked_at():
    for small, is_known in ((picture(160, 120), True), (jpeg_frames.lossless(scene(160, 120)), False)):
        data = b"\xff\xd8" + app1(thumbnail_jpegs.exif(small[:65_000])) + picture()[2:]
        assert (thumbnail.find(data) is not None) == is_known


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (
            [jpeg_frames.frame(0xC1, 64, 48, bits=12)],
            "it is an extended JPEG of 12 bits, which cannot be decoded: convert it to 8 bits",
        ),
        ([jpeg_frames.frame(0xC2, 64, 48, bits=12)], "it is a progressive JPEG of 12 bits, which"),
        ([jpeg_frames.frame(0xC3, 64, 48, [0x11], bits=16)], "it is a lossless JPEG of 16 bits, which"),
        ([jpeg_frames.frame(0xC3, 64, 48, [0x11], bits=7)], "it is a lossless JPEG of 7 bits, which"),
        ([jpeg_frames.frame(0xC9, 64, 48, bits=12)], "it is an arithmetic-coded JPEG of 12 bits, which"),
        ([jpeg_frames.frame(0xCB, 64, 48)], "it is an arithmetic-coded lossless JPEG, which"),
        *[
            ([jpeg_frames.frame(marker, 64, 48)], "it is a hierarchical JPEG, which")
            for marker in (0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF)
        ],
        ([jpeg_frames.frame(0xDE, 64, 48), jpeg_frames.frame(0xC0, 64, 48)], "it is a hierarchical JPEG, which"),
        ([jpeg_frames.frame(0xC0, 64, 48, [0x11] * 2)], "it is a baseline JPEG of 2 channels, which"),
        ([jpeg_frames.frame(0xC0, 64, 48, [0x11] * 6)], "it is a baseline JPEG of 6 channels, which"),
        ([jpeg_frames.frame(0xC0, 64, 0)], "its height stands behind the first scan"),
    ],
)
def test_what_is_not_decoded_is_called_what_it_is_and_not_damaged(decoder, headers, reason):
    data = file(*headers)
    with pytest.raises(DecodeError) as caught:
        decoder.decode(photo(data, Format.JPEG))
    assert str(caught.value).startswith(reason)
    assert "damaged" not in str(caught.value)


def test_a_number_of_bits_that_no_jpeg_has_is_damage(decoder):
    with pytest.raises(DecodeError, match="damaged"):
        decoder.decode(photo(file(jpeg_frames.frame(0xC0, 64, 48, bits=9)), Format.JPEG))
