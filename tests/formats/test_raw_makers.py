"""Where makers put the preview: CR3, CRW and maker notes; what is cheap enough, turned already or no photo. All drawn."""

import io
import subprocess
from contextlib import suppress
from shutil import which

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support import raw_files, raw_notes

from orientd.errors import Refused
from orientd.formats import raw, sniff, stored_orientation
from orientd.library import filenames
from orientd.library.photo import format_of
from orientd.records import Format

PICTURE = raw_files.preview()
SMALL = raw_files.preview(width=160, height=120)
LARGE = raw_files.preview(width=1620, height=1080)
FULL = raw_files.preview(width=2400, height=1600)
with_exiftool = pytest.mark.skipif(not which("exiftool"), reason="exiftool is not installed")
every_note = pytest.mark.parametrize("name", raw_notes.NOTES)


def exiftool(path, *options):
    return subprocess.run(["exiftool", *options, path], capture_output=True, check=True).stdout


@every_note
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_preview_in_a_maker_note(name, orientation):
    data = raw_notes.NOTES[name](PICTURE, orientation)
    assert format_of(f"a.{name}", data) is Format.RAW
    assert raw.preview(data) == PICTURE
    assert stored_orientation(Format.RAW, data) == orientation


@with_exiftool
@pytest.mark.parametrize("name", ["orf", "om.orf", "pef", "old.pef", "nef"])
def test_exiftool_finds_the_same_preview_in_the_maker_notes_drawn_here(tmp_path, name):
    path = tmp_path / f"a.{name}"
    path.write_bytes(raw_notes.NOTES[name](PICTURE, 6))
    assert exiftool(path, "-b", "-PreviewImage") == PICTURE


@every_note
def test_a_thumbnail_in_a_maker_note_is_none(name):
    with pytest.raises(Refused, match="no preview that can be judged: only a thumbnail of 160 × 120 pixels"):
        raw.preview(raw_notes.NOTES[name](SMALL))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("listed", [True, False])
def test_cr3_has_its_orientation_in_cmt1_and_its_preview_in_prvw(orientation, listed):
    data = raw_files.cr3(LARGE, orientation, FULL, listed=listed)
    assert sniff(data[:64]) is Format.RAW
    assert (raw.preview(data), raw.stored(data)) == (LARGE, orientation)


@pytest.mark.parametrize("listed", [True, False])
def test_the_full_size_of_a_cr3_is_judged_where_the_preview_is_too_small_or_hevc(listed):
    for shown in (SMALL, bytes(5000)):
        assert raw.preview(raw_files.cr3(shown, 6, FULL, listed=listed)) == FULL


def test_a_cr3_without_a_jpeg_has_no_preview():
    with pytest.raises(Refused, match=r"no preview that can be judged$"):
        raw.preview(raw_files.cr3(bytes(5000)))


@with_exiftool
def test_exiftool_finds_the_same_jpegs_in_the_cr3_drawn_here(tmp_path):
    path = tmp_path / "a.cr3"
    path.write_bytes(raw_files.cr3(LARGE, 6))
    assert exiftool(path, "-b", "-PreviewImage") == LARGE
    assert Image.open(io.BytesIO(exiftool(path, "-b", "-ThumbnailImage"))).size == (160, 120)
    assert int(exiftool(path, "-n", "-s3", "-IFD0:Orientation")) == 6


@pytest.mark.parametrize(("rotation", "orientation"), [(0, 1), (90, 6), (180, 3), (270, 8), (-90, 8), (45, None)])
def test_crw_tells_degrees(rotation, orientation):
    data = raw_notes.crw(PICTURE, rotation)
    assert sniff(data[:64]) is Format.RAW
    assert (raw.preview(data), raw.stored(data)) == (PICTURE, orientation)


@with_exiftool
@pytest.mark.parametrize("rotation", [0, 90, -90])
def test_exiftool_reads_the_crw_drawn_here(tmp_path, rotation):
    path = tmp_path / "a.crw"
    path.write_bytes(raw_notes.crw(PICTURE, rotation))
    assert exiftool(path, "-b", "-JpgFromRaw") == PICTURE
    assert int(exiftool(path, "-n", "-s3", "-Rotation")) == rotation


def test_the_smallest_that_is_large_enough_is_judged():
    for shown, full, wanted in [(LARGE, FULL, LARGE), (FULL, LARGE, LARGE), (PICTURE, FULL, FULL), (PICTURE, SMALL, PICTURE)]:
        assert raw.preview(raw_files.cr3(shown, 1, full)) == wanted


def test_a_preview_that_is_turned_already_is_refused():
    upright = raw_files.preview(width=320, height=480)
    for data in (raw_files.cr3(upright, 6, sides=(6000, 4000)), raw_notes.pef(upright, 6), raw_notes.crw(upright, 90)):
        with pytest.raises(Refused, match="turned already: it is not clear how it is displayed"):
            raw.preview(data)
    assert raw.preview(raw_files.cr3(upright, 6, sides=(4000, 6000))) == upright
    almost_square = raw_files.preview(width=320, height=330)
    assert raw.preview(raw_files.cr3(almost_square, sides=(6000, 4000))) == almost_square


@pytest.mark.parametrize(("kind", "shown"), [(0, True), (1, True), (0x10001, True), (4, False), (0x10004, False), (8, False)])
def test_masks_and_depth_maps_are_no_previews(kind, shown):
    data = raw_notes.two_directories(PICTURE, kind)
    if shown:
        assert raw.preview(data) == PICTURE
    else:
        with pytest.raises(Refused, match="no preview"):
            raw.preview(data)


def test_a_broken_directory_beside_hides_no_preview():
    """A thumbnail that cannot be read, and an entry of an unknown type, are nobody's loss."""
    data = bytearray(raw_files.arw(PICTURE, 6))
    first = int.from_bytes(data[4:8], "little")
    end = first + 2 + 12 * int.from_bytes(data[first : first + 2], "little")
    data[end : end + 4] = (len(data) - 1).to_bytes(4, "little")
    assert (raw.preview(bytes(data)), raw.stored(bytes(data))) == (PICTURE, 6)


@pytest.mark.parametrize("cut", [1, 2000])
def test_a_file_that_ends_within_its_preview_says_so(cut):
    data = raw_files.cr3(PICTURE)
    end = data.index(PICTURE) + len(PICTURE)
    with pytest.raises(Refused, match="the file ends within it, so compare it with a backup"):
        raw.preview(data[: end - cut])


@pytest.mark.parametrize(
    ("start", "reason"), [(b"FOVb", "Sigma's X3F"), (b"\0MRM", "Minolta's MRW"), (b"II+\0", "BigTIFF"), (b"MM\0+", "BigTIFF")]
)
def test_what_is_not_read_says_what_it_is(start, reason):
    with pytest.raises(Refused, match=f"no preview that can be judged: {reason} is not read"):
        raw.preview(start + PICTURE)


def test_movies_and_raw_files_by_name():
    assert not filenames.worth_opening("A001.CRM")
    assert filenames.promises_photo("a.ORI")


def test_how_much_is_looked_at_is_bounded():
    """Of a thousand segments and more nobody has made a preview; without a bound a hostile one takes half a minute."""
    for comments, shown in [(900, True), (1000, False)]:
        picture = PICTURE[:2] + b"\xff\xfe\0\2" * comments + PICTURE[2:]
        for data in (raw_files.arw(picture), raw_files.raf(picture)):
            if shown:
                assert raw.preview(data) == picture
            else:
                with pytest.raises(Refused, match="no preview that can be judged"):
                    raw.preview(data)


@pytest.mark.parametrize(("entries", "read"), [(900, 6), (1001, None)])
def test_a_directory_of_more_entries_than_any_camera_writes_is_not_read(entries, read):
    builder = raw_files.Builder()
    more = [(0xC700, raw_files.SHORT, 1, 0)] * (entries - 1)
    assert raw.stored(builder.finish(builder.directory((raw_files.ORIENTATION, raw_files.SHORT, 1, 6), *more))) == read


DRAWN = {**raw_files.MAKERS, **raw_notes.NOTES, "crw": raw_notes.crw}


@settings(max_examples=400)
@given(st.sampled_from(sorted(DRAWN)), st.data())
def test_damage_is_refused_or_a_part_of_the_file(name, data):
    """Numbers all over are damaged, small and large ones; no other error, and never bytes that the file does not have."""
    bad = bytearray(DRAWN[name](PICTURE[:3000], 6)[: data.draw(st.integers(8, 20_000))])
    for _ in range(data.draw(st.integers(0, 6))):
        at, size = data.draw(st.integers(0, len(bad) - 1)), data.draw(st.sampled_from([1, 2, 4]))
        value = data.draw(st.sampled_from([0, 1, 7, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]) | st.integers(0, 0xFFFFFFFF))
        bad[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, data.draw(st.sampled_from(["little", "big"])))
    file = bytes(bad)
    assert raw.stored(file) is None or isinstance(raw.stored(file), int)
    with suppress(Refused):
        assert raw.preview(file) in file
