"""The command with `--method auto`: pixels where viewers ignore the tag, the tag where they obey it."""

import io
import os
import zlib

import numpy as np
import pytest
from PIL import Image
from support import sky_library
from support.png_webp_tiff_files import png_chunk, split_png
from support.turnable_jpegs import needs_turbojpeg

from orientd.write import turbojpeg

BY_PIXELS = ("deep.png", "plain.png", "lossless.webp")
BY_TAG = ("photo.jpg", "photo.tif", "lossy.webp", "interlaced.png")
METHODS = dict.fromkeys(BY_PIXELS, "rotate") | dict.fromkeys(BY_TAG, "tag")


@pytest.fixture
def library(photos, monkeypatch):
    """Photos sideways or upside down, of every kind; the library for JPEGs is missing. Returns the turn that each needs."""
    monkeypatch.setattr(turbojpeg, "_NAMES", ())
    monkeypatch.setattr(turbojpeg, "find_library", lambda name: None)
    draw(photos)
    return {path: needed(path) for path in photos.iterdir()}


def draw(photos):
    """Photos of every kind: one is upright, by its tag."""
    sky_library.draw(photos / "plain.png", 90, by_tag=False, kind="PNG")
    sky_library.draw(photos / "tagged.png", 0, kind="PNG")
    sky_library.draw(photos / "photo.jpg", 90, by_tag=False)
    sky_library.draw(photos / "photo.tif", 180, by_tag=False, kind="TIFF")
    sky_library.draw(photos / "lossy.webp", 270, by_tag=False, kind="WEBP")
    sky_library.landscape().rotate(270, expand=True).save(photos / "lossless.webp", lossless=True)
    Image.fromarray(np.rot90(deep_pixels(), 2).copy()).save(photos / "deep.png")
    plain = sky_library.draw(photos / "interlaced.png", 90, by_tag=False, kind="PNG").read_bytes()
    (photos / "interlaced.png").write_bytes(_interlaced(plain))


def deep_pixels():
    """A landscape of 16 bits, the lower ones not like the upper ones."""
    upper = np.asarray(sky_library.landscape().convert("L")).astype(np.uint16)
    return upper * 256 + upper[::-1] % 7


def needed(path):
    if path.name != "deep.png":
        return sky_library.shown_turned(path)
    with Image.open(path) as image:
        return 0 if np.array_equal(np.asarray(image), deep_pixels()) else 180


def _interlaced(data):
    """The same picture by Adam7, packed without filters."""
    with Image.open(io.BytesIO(data)) as image:
        values = np.asarray(image)
    passes = [values[y::dy, x::dx] for x, y, dx, dy in _ADAM7]
    rows = b"".join(b"\0" + row.tobytes() for part in passes for row in part)
    body = split_png(data)[0][0][1][:-1] + b"\1"
    return data[:8] + png_chunk(b"IHDR", body) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND")


_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def by_name(report):
    return {os.path.basename(path): row for path, row in sky_library.rows(report).items()}


def test_a_dry_run_tells_the_method_of_each_photo(orientd, photos, library, tmp_path):
    before = sky_library.snapshot(photos)
    assert orientd("scan", photos, "--method", "auto", "--report", tmp_path / "plan.csv") == 0
    rows = by_name(tmp_path / "plan.csv")
    assert {name: row["method"] for name, row in rows.items() if row["method"]} == METHODS
    assert {rows[name]["reason"] for name in ("photo.jpg", "photo.tif", *BY_PIXELS)} == {""}
    assert rows["lossy.webp"]["reason"] == "by tag, not by pixels, as it is lossy, and would lose by being packed again"
    assert rows["interlaced.png"]["reason"] == "by tag, not by pixels, as it is interlaced"
    assert {rows[name]["new_orientation"] for name in BY_PIXELS} == {"1"}
    assert sky_library.snapshot(photos) == before


def test_photos_are_put_right_told_and_given_back_to_the_byte(orientd, photos, library, tmp_path, capsys):
    before = {path: path.read_bytes() for path in library}
    assert sorted(library.values()) == [0, 90, 90, 90, 180, 180, 270, 270]
    assert orientd("scan", photos, "--method", "auto", "--fix", "--report", tmp_path / "1.csv") == 0
    assert "3 were turned by pixels: copies of" in capsys.readouterr().out
    assert {needed(path) for path in library} == {0}
    rows = by_name(tmp_path / "1.csv")
    for name in BY_PIXELS:
        with Image.open(photos / name) as image:
            assert (image.size, image.getexif().get(0x0112), rows[name]["outcome"]) == ((96, 64), None, "fixed")
    after = sky_library.snapshot(photos)
    assert orientd("scan", photos, "--method", "auto", "--fix", "--report", tmp_path / "2.csv") == 0
    assert {row["decision"] for row in sky_library.rows(tmp_path / "2.csv").values()} == {"keep"}
    assert sky_library.snapshot(photos) == after
    assert orientd("undo", "--yes") == 0
    assert {path: path.read_bytes() for path in library} == before


def test_a_plan_of_pngs_and_webps_is_carried_out_without_the_library_for_jpegs(orientd, photos, library, tmp_path):
    assert orientd("scan", photos, "--method", "auto", "--report", tmp_path / "plan.csv") == 0
    assert orientd("apply", tmp_path / "plan.csv", "--report", tmp_path / "done.csv") == 0
    methods = {name: row["method"] for name, row in by_name(tmp_path / "done.csv").items()}
    assert methods == METHODS
    assert {needed(path) for path in library} == {0}


@needs_turbojpeg
def test_rotate_turns_all_pixels_it_can_and_says_why_not(orientd, photos, tmp_path):
    draw(photos)
    assert orientd("scan", photos, "--method", "rotate", "--fix", "--report", tmp_path / "1.csv") == 0
    rows = by_name(tmp_path / "1.csv")
    by_pixels = (*BY_PIXELS, "photo.jpg")
    assert {name for name in rows if rows[name]["method"] == "rotate"} == set(by_pixels)
    assert rows["photo.tif"]["reason"] == "by tag, not by pixels, as the pixels of TIFF are never turned"
    assert {needed(path) for path in photos.iterdir()} == {0}


def test_a_photo_with_several_names_gets_the_tag_and_is_told_why_only_where_pixels_were_wanted(orientd, photos, tmp_path):
    photos.mkdir()
    for name in ("photo.png", "photo.jpg"):
        exif = Image.Exif()
        exif[0x0112] = 1  # to be changed in place, as several names allow
        sky_library.landscape().rotate(90, expand=True).save(photos / name, exif=exif)
        os.link(photos / name, tmp_path / name)
    assert orientd("scan", photos, "--method", "auto", "--fix", "--hard-links", "--report", tmp_path / "1.csv") == 0
    told = {name: (row["method"], row["reason"]) for name, row in by_name(tmp_path / "1.csv").items()}
    assert told["photo.png"] == ("tag", "by tag, not by pixels, as it has several names (hard links)")
    assert told["photo.jpg"] == ("tag", "")
