"""Raw files: which preview is taken, how it lies, and what is refused. The files are drawn (see `raw_files`)."""

import io
import shutil
import subprocess
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support import jpeg_files, raw_files

from orientd.errors import Refused
from orientd.formats import raw, sniff, stored_orientation
from orientd.records import Format

PICTURE = raw_files.preview()
every_maker = pytest.mark.parametrize("maker", raw_files.MAKERS.values(), ids=raw_files.MAKERS)


@every_maker
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_largest_picture_is_the_preview_and_ifd0_has_the_orientation(maker, orientation):
    data = maker(PICTURE, orientation)
    assert sniff(data) is Format.RAW
    assert raw.preview(data) == PICTURE
    assert stored_orientation(Format.RAW, data) == orientation


def test_byte_order_does_not_matter():
    data = raw_files.dng(PICTURE, 8, ">")
    assert (raw.preview(data), raw.stored(data)) == (PICTURE, 8)


def exif(orientation):
    found = Image.Exif()
    found[0x112] = orientation
    return found


def test_fuji_has_the_orientation_in_the_preview():
    picture = raw_files.preview(exif=exif(6))
    assert sniff(raw_files.raf(picture)) is Format.RAW
    assert (raw.preview(raw_files.raf(picture)), raw.stored(raw_files.raf(picture))) == (picture, 6)


def test_a_preview_that_says_otherwise_is_refused():
    assert raw.preview(raw_files.arw(raw_files.preview(exif=exif(6)), 6))
    with pytest.raises(Refused, match="says orientation 6, its preview says 3"):
        raw.preview(raw_files.arw(raw_files.preview(exif=exif(3)), 6))


@every_maker
def test_the_least_preview(maker):
    assert raw.preview(maker(least := raw_files.preview(width=raw._LEAST_SIDE, height=240))) == least
    with pytest.raises(Refused, match="no preview"):
        raw.preview(maker(raw_files.preview(width=raw._LEAST_SIDE - 1, height=240)))


@pytest.mark.parametrize(("frame", "shown"), [(0xC0, True), (0xC1, True), (0xC2, True), (0xC3, False), (0xC7, False)])
def test_a_preview_is_lossy(frame, shown):
    """Small raw files of Canon hold three colours in a lossless JPEG."""
    picture = PICTURE.replace(b"\xff\xc0", bytes([0xFF, frame]), 1)
    if shown:
        assert raw.preview(raw_files.cr2(picture)) == picture
    else:
        with pytest.raises(Refused, match="no preview"):
            raw.preview(raw_files.cr2(picture))


def test_a_preview_that_is_not_whole_is_none():
    data = raw_files.raf(PICTURE)
    end = data.index(PICTURE) + len(PICTURE)
    assert raw.preview(data[:end]) == PICTURE
    with pytest.raises(Refused, match="no preview"):
        raw.preview(data[: end - 1])


@every_maker
def test_a_comment_tells_no_sides_and_grey_is_no_preview(maker):
    """The sides and the colours of a thumbnail, were its comment a frame, would be those of a large picture."""
    small = raw_files.preview(width=160, height=120)
    with pytest.raises(Refused, match="no preview"):
        raw.preview(maker(small[:2] + jpeg_files.segment(0xFE, b"large\3") + small[2:]))
    file = io.BytesIO()
    Image.open(io.BytesIO(PICTURE)).convert("L").save(file, "JPEG")
    with pytest.raises(Refused, match="no preview"):
        raw.preview(maker(file.getvalue()))


@every_maker
def test_a_thumbnail_or_sensor_data_is_no_preview(maker):
    with pytest.raises(Refused, match="no preview"):
        raw.preview(maker(raw_files.preview(width=160, height=120)))
    with pytest.raises(Refused, match="no preview"):
        raw.preview(maker(raw_files.SENSOR))


@pytest.mark.parametrize("start", [b"\0\0\0\x18ftypcrx ", b"FOVb", b"\0MRM", b"II\x1a\0\0\0HEAPCCDR"])
def test_raw_files_that_are_no_tiffs_have_none_either(start):
    assert raw.stored(start + PICTURE) is None
    with pytest.raises(Refused, match="no preview"):
        raw.preview(start + PICTURE)


@pytest.mark.skipif(not shutil.which("exiftool"), reason="exiftool is not installed")
@pytest.mark.parametrize("name", raw_files.MAKERS)
def test_exiftool_finds_the_same_preview_in_the_files_drawn_here(tmp_path, name):
    path = tmp_path / f"a.{name}"
    path.write_bytes(raw_files.MAKERS[name](PICTURE, 6))
    tags = ("PreviewImage", "JpgFromRaw", "OtherImage")
    found = {tag: subprocess.run(["exiftool", "-b", f"-{tag}", path], capture_output=True, check=True).stdout for tag in tags}
    assert PICTURE in found.values()
    told = subprocess.run(["exiftool", "-n", "-s3", "-IFD0:Orientation", path], capture_output=True, check=True).stdout
    assert int(told) == raw.stored(path.read_bytes()) == 6


@settings(max_examples=200)
@given(st.sampled_from(sorted(raw_files.MAKERS)), st.data())
def test_damage_is_refused_or_harmless(name, data):
    """No other error, and never more bytes than the file has."""
    good = raw_files.MAKERS[name](PICTURE[:5000], 6)
    bad = bytearray(good[: data.draw(st.integers(8, len(good)))])
    for _ in range(data.draw(st.integers(0, 4))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    raw.stored(bytes(bad))
    with suppress(Refused):
        assert len(raw.preview(bytes(bad))) <= len(bad)
