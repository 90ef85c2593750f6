"""Reading: content over names, each refusal with its reason, nothing read that need not be."""

import hashlib
import os
from io import BytesIO

import pytest
from PIL import Image
from support import raw_files

from orientd.errors import DecodeError, ReadError, Refused
from orientd.files import read as file_read
from orientd.formats import sidecar
from orientd.library import photo as reading
from orientd.records import Candidate, FileStat, Format

LIMIT = 1_000_000
NO_STAT = FileStat(0, 0, 0, 0)


def read(candidate, limit, naming=None):
    return reading.read(candidate, lambda candidate: file_read.read_whole(candidate.path, limit), naming)


def encoded(kind, orientation=None):
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    file = BytesIO()
    Image.new("RGB", (8, 6), "red").save(file, kind, exif=exif)
    return file.getvalue()


@pytest.fixture
def read_file(tmp_path):
    def write_and_read(name, data, limit=LIMIT):
        path = tmp_path / name
        path.write_bytes(data)
        return read(Candidate(str(path), NO_STAT), limit)

    return write_and_read


def test_a_photo_is_read_whole_with_what_it_stores(read_file, tmp_path):
    data = encoded("JPEG", 6)
    photo = read_file("a.jpg", data)
    assert (photo.path, photo.format, photo.data, photo.orientation) == (str(tmp_path / "a.jpg"), Format.JPEG, data, 6)
    assert photo.sha256 == hashlib.sha256(data).hexdigest()
    assert photo.stat == file_read.file_stat(os.stat(photo.path))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP"])
@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a", "a.unknown", "a.2019", "a.jxl"])
def test_the_content_tells_the_format_whatever_the_name(read_file, name, kind):
    assert read_file(name, encoded(kind)).format is Format[kind]


def test_an_absent_orientation_is_none(read_file):
    assert read_file("a.jpg", encoded("JPEG")).orientation is None
    assert read_file("a.bmp", encoded("BMP")).orientation is None


@pytest.mark.parametrize("name", ["a", "a.unknown"])
@pytest.mark.parametrize("data", [b"", b"text", bytes(10_000)])
def test_what_neither_is_nor_promises_a_photo_is_passed_over_unread(read_file, monkeypatch, name, data):
    monkeypatch.setattr(file_read, "read_whole", None)
    assert read_file(name, data) is None


def test_a_photo_without_suffix_counts_against_the_limit_and_other_files_do_not(read_file):
    with pytest.raises(ReadError, match="limit"):
        read_file("a", encoded("BMP"), limit=100)
    assert read_file("b", bytes(1000), limit=100) is None


@pytest.mark.parametrize("name", ["a.jpg", "a.heic", "a.jxl"])
def test_an_empty_file_is_an_error(read_file, name):
    with pytest.raises(ReadError, match="empty"):
        read_file(name, b"")


@pytest.mark.parametrize("name", ["a.jpg", "a.heic", "a.jxl"])
@pytest.mark.parametrize("data", [b"x", b"<html>not found</html>", bytes(10_000)])
def test_a_name_that_promises_a_photo_in_vain_is_an_error(read_file, name, data):
    with pytest.raises(DecodeError, match="no known photo format"):
        read_file(name, data)


def test_a_file_over_the_limit_is_an_error(read_file):
    data = encoded("JPEG")
    assert read_file("a.jpg", data, limit=len(data)).data == data
    with pytest.raises(ReadError, match="limit"):
        read_file("a.jpg", data, limit=len(data) - 1)


CR2 = b"II*\0\x10\0\0\0CR\2\0"
RAW_HEADERS = {
    "a.dng": encoded("TIFF"),
    "a.nef": encoded("TIFF"),
    "a.CR2": CR2,
    "a.raf": b"FUJIFILMCCD-RAW 0201",
}


@pytest.mark.parametrize("name", sorted(RAW_HEADERS))
def test_raw_files_are_refused_without_being_read_whole(read_file, monkeypatch, name):
    monkeypatch.setattr(file_read, "read_whole", None)
    with pytest.raises(Refused, match="raw files"):
        read_file(name, RAW_HEADERS[name] + bytes(1000))


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.unknown"])
def test_raw_files_are_told_by_content_too(read_file, name):
    with pytest.raises(Refused, match="raw files"):
        read_file(name, CR2 + bytes(1000))


def test_a_tiff_is_raw_only_by_name_or_content(read_file):
    assert read_file("a.tif", encoded("TIFF", 3)).orientation == 3
    assert read_file("a.nef", encoded("JPEG")).format is Format.JPEG


@pytest.mark.parametrize("name", ["a.jxl", "a.jpg", "a"])
@pytest.mark.parametrize("start", [b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"])
def test_jpeg_xl_is_refused(read_file, name, start):
    with pytest.raises(Refused, match="JPEG XL"):
        read_file(name, start + bytes(100))


def test_what_the_walk_knows_is_passed_on_without_opening_the_file():
    with pytest.raises(Refused, match=r"^a link$"):
        read(Candidate("nowhere.jpg", NO_STAT, skip="a link"), LIMIT)
    with pytest.raises(ReadError, match=r"^no listing$"):
        read(Candidate("nowhere", NO_STAT, error="no listing"), LIMIT)


@pytest.mark.parametrize("name", ["gone.jpg", "gone.nef"])
def test_a_photo_that_vanished_is_an_error(tmp_path, name):
    with pytest.raises(ReadError):
        read(Candidate(str(tmp_path / name), NO_STAT), LIMIT)


def test_an_unknown_file_that_vanished_is_passed_over(tmp_path):
    assert read(Candidate(str(tmp_path / "gone"), NO_STAT), LIMIT) is None


@pytest.mark.parametrize("name", ["link.jpg", "link.nef"])
def test_symbolic_links_are_not_followed(tmp_path, name):
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG"))
    (tmp_path / name).symlink_to("a.jpg")
    with pytest.raises(ReadError):
        read(Candidate(str(tmp_path / name), NO_STAT), LIMIT)


def test_a_pipe_does_not_block(tmp_path):
    for name in ("pipe", "pipe.jpg"):
        os.mkfifo(tmp_path / name)
    assert read(Candidate(str(tmp_path / "pipe"), NO_STAT), LIMIT) is None
    with pytest.raises(ReadError):
        read(Candidate(str(tmp_path / "pipe.jpg"), NO_STAT), LIMIT)


@pytest.mark.parametrize("name", ["a.jpg", "a"])
def test_access_times_stay(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(encoded("JPEG"))
    os.utime(path, ns=(10**18, 10**18 + 5))  # older than the modification, so that a mount with relatime would update it
    assert read(Candidate(str(path), NO_STAT), LIMIT) is not None
    assert os.stat(path).st_atime_ns == 10**18


def test_a_sidecar_counts_only_where_sidecars_are_wanted_and_only_for_photos_that_are_never_written(tmp_path):
    for name, kind in (("a.gif", "GIF"), ("b.jpg", "JPEG")):
        (tmp_path / name).write_bytes(encoded(kind))
        (tmp_path / f"{name}.xmp").write_bytes(sidecar.fresh(6))
    found = {
        (name, naming): read(Candidate(str(tmp_path / name), NO_STAT), LIMIT, naming).orientation
        for name in ("a.gif", "b.jpg")
        for naming in (None, "full", "adobe")
    }
    assert {key for key, orientation in found.items() if orientation == 6} == {("a.gif", "full"), ("a.gif", "adobe")}


def test_a_raw_file_is_its_preview_where_sidecars_are_wanted(tmp_path):
    path, picture = tmp_path / "a.nef", raw_files.preview()
    path.write_bytes(raw_files.dng(picture, 8))
    photo = read(Candidate(str(path), NO_STAT), LIMIT, "full")
    assert (photo.format, photo.data, photo.orientation) == (Format.RAW, picture, 8)
    assert photo.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
