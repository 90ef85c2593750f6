"""The command with `--method`: what is promised, done, told and taken back."""

import csv
import os
from pathlib import Path

import pytest
from PIL import Image
from support import sky_library
from support.turnable_jpegs import needs_turbojpeg

from orientd.write import turbojpeg


@pytest.fixture
def library(photos):
    """Two photos sideways or upside down: of one the pixels can be turned, of the other they cannot. Returns their paths."""
    good, bad = sky_library.draw(photos / "good.jpg", 90, by_tag=False), sky_library.draw(photos / "bad.jpg", 90, by_tag=False)
    with Image.open(bad) as image:
        image.resize((67, 99)).save(bad, "JPEG")
    return str(good), str(bad)


def by_name(report):
    return {os.path.basename(path): row for path, row in sky_library.rows(report).items()}


def without_library(monkeypatch):
    monkeypatch.setattr(turbojpeg, "_NAMES", ())
    monkeypatch.setattr(turbojpeg, "find_library", lambda name: None)


@needs_turbojpeg
def test_a_dry_run_says_by_which_method_and_how_much_will_be_kept(orientd, photos, library, tmp_path, capsys):
    before = sky_library.snapshot(photos)
    assert orientd("scan", photos, "--method", "rotate", "--report", tmp_path / "plan.csv") == 0
    rows = by_name(tmp_path / "plan.csv")
    assert (rows["good.jpg"]["method"], rows["good.jpg"]["new_orientation"], rows["good.jpg"]["reason"]) == ("rotate", "1", "")
    assert rows["bad.jpg"]["method"] == "tag"
    assert rows["bad.jpg"]["reason"].startswith("by tag, not by pixels, as its sides are no multiple")
    assert "1 of them by pixels: copies of 0.0 MB will be kept" in capsys.readouterr().out
    assert sky_library.snapshot(photos) == before


@needs_turbojpeg
def test_photos_are_turned_told_and_given_back(orientd, photos, library, tmp_path, capsys):
    before = {path: Path(path).read_bytes() for path in library}
    turns = {path: sky_library.shown_turned(path) for path in library}
    assert set(turns.values()) == {90}
    assert orientd("scan", photos, "--method", "rotate", "--fix", "--report", tmp_path / "1.csv") == 0
    assert "1 were turned by pixels: copies of" in capsys.readouterr().out
    rows = by_name(tmp_path / "1.csv")
    assert {row["outcome"] for row in rows.values()} == {"fixed"}
    assert (rows["good.jpg"]["method"], rows["bad.jpg"]["method"]) == ("rotate", "tag")
    assert rows["bad.jpg"]["reason"].startswith("by tag")
    assert {sky_library.shown_turned(path) for path in library} == {0}
    with Image.open(library[0]) as image:
        assert (image.size, image.getexif().get(0x0112)) == ((96, 64), None)
    assert orientd("status") == 0
    assert "To delete the originals: orientd forget --all" in capsys.readouterr().out
    after = sky_library.snapshot(photos)
    assert orientd("scan", photos, "--method", "rotate", "--fix", "--report", tmp_path / "2.csv") == 0
    assert {row["decision"] for row in sky_library.rows(tmp_path / "2.csv").values()} == {"keep"}
    good = by_name(tmp_path / "2.csv")["good.jpg"]
    with Image.open(library[0]) as image:
        assert (int(good["width"]), int(good["height"])) == image.size
    assert sky_library.snapshot(photos) == after
    assert orientd("undo", "--yes") == 0
    assert {path: Path(path).read_bytes() for path in library} == before
    assert orientd("forget", "--all") == 0
    assert "0 copies deleted" in capsys.readouterr().out


@needs_turbojpeg
def test_apply_follows_the_plan_row_by_row(orientd, photos, library, tmp_path):
    second = sky_library.draw(photos / "second.jpg", 90, by_tag=False)
    assert orientd("scan", photos, "--method", "rotate", "--report", tmp_path / "plan.csv") == 0
    with (tmp_path / "plan.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["method"] = "tag" if row["path"].endswith("second.jpg") else row["method"]
    with (tmp_path / "plan.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert orientd("apply", tmp_path / "plan.csv", "--report", tmp_path / "done.csv") == 0
    methods = {name: row["method"] for name, row in by_name(tmp_path / "done.csv").items()}
    assert methods == {"good.jpg": "rotate", "bad.jpg": "tag", "second.jpg": "tag"}
    assert {sky_library.shown_turned(path) for path in (*library, second)} == {0}


@needs_turbojpeg
def test_a_photo_seen_before_is_planned_anew_by_another_method(orientd, photos, library, tmp_path):
    for number, method in enumerate(("tag", "rotate", "tag")):
        assert orientd("scan", photos, "--method", method, "--report", tmp_path / f"{number}.csv") == 0
        assert by_name(tmp_path / f"{number}.csv")["good.jpg"]["method"] == method


@needs_turbojpeg
def test_forgotten_copies_cannot_be_undone(orientd, photos, library, tmp_path, capsys):
    assert orientd("scan", photos, "--method", "rotate", "--fix", "--report", tmp_path / "1.csv") == 0
    assert orientd("forget", "7") == 2
    assert orientd("forget", "1", "--yes") == 0
    assert "1 copy deleted" in capsys.readouterr().out
    assert orientd("undo", "--yes") == 3
    assert "copy of its original was deleted" in " ".join(capsys.readouterr().err.split())
    assert (sky_library.shown_turned(library[0]), sky_library.shown_turned(library[1])) == (0, 90)


def test_without_the_library_rotate_is_an_error_and_auto_does_without(orientd, photos, library, tmp_path, capsys, monkeypatch):
    without_library(monkeypatch)
    before = sky_library.snapshot(photos)
    assert orientd("scan", photos, "--method", "rotate", "--fix", "--report", tmp_path / "1.csv") == 1
    assert "apt install libturbojpeg0" in " ".join(capsys.readouterr().err.split())
    assert sky_library.snapshot(photos) == before
    assert orientd("scan", photos, "--method", "auto", "--fix", "--report", tmp_path / "2.csv") == 0
    assert {(row["method"], row["reason"]) for row in sky_library.rows(tmp_path / "2.csv").values()} == {("tag", "")}


def test_doctor_tells_whether_pixels_can_be_turned(orientd, capsys, monkeypatch):
    without_library(monkeypatch)
    assert orientd("doctor") == 0
    assert "apt install libturbojpeg0" in " ".join(capsys.readouterr().out.split())
    monkeypatch.setenv("ORIENTD_METHOD", "rotate")
    assert orientd("doctor") == 1
