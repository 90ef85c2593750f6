"""Whose turn was taken back: the photo itself, wherever it is now, and no other photo in its place."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import sky_library

from orientd import formats
from orientd.orientation import from_turn, inverse
from orientd.records import Format
from orientd.state.journal import Journal

TAKEN = 0x9003
BACK = "run 1 made this change, which was taken back: left alone; to have it judged like any other"


@pytest.fixture
def scan(orientd, photos, tmp_path):
    """What a scan that fixes says: the outcome, and the reason if nothing was done, by name."""

    def scan(*more):
        assert orientd("scan", photos, "--fix", "--state-dir", tmp_path / "state", "--report", tmp_path / "r.csv", *more) == 0
        rows = sky_library.rows(tmp_path / "r.csv").items()
        return {
            Path(path).name: row["outcome"] or row["decision"] + row["reason"].partition(": orientd")[0] for path, row in rows
        }

    return scan


def shot(path, turn=90, seed=0, taken="", by_tag=False):
    """A photo with the time it was taken at."""
    exif, image = Image.Exif(), sky_library.landscape(seed)
    if taken:
        exif.get_ifd(0x8769)[TAKEN] = taken
    if by_tag:
        exif[sky_library.ORIENTATION] = inverse(from_turn(turn))
    else:
        image = image.rotate(turn, expand=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "JPEG", exif=exif)
    return path


def store(path, orientation, more=b""):
    """Change the orientation a photo stores, as another program does; and something else."""
    data = path.read_bytes()
    path.write_bytes(formats.plan(Format.JPEG, data, orientation).apply(data) + more)


def turn_pixels(path, turn, **options):
    with Image.open(path) as image:
        pixels, exif = np.asarray(image), image.getexif()
    exif[sky_library.ORIENTATION] = 1
    Image.fromarray(pixels).rotate(turn, expand=True).save(path, "JPEG", exif=exif, **options)


@pytest.mark.parametrize("by_tag", [True, False])
def test_a_photo_turned_back_is_known_under_any_name(scan, photos, by_tag):
    path = shot(photos / "2024" / "a.jpg", by_tag=by_tag)
    assert scan() == {"a.jpg": "fixed"}
    store(path, inverse(from_turn(90)) if by_tag else 1, b"edited")
    assert scan() == {"a.jpg": "skip" + BACK}
    path.rename(photos / "2024" / "b.jpg")
    assert scan() == {"b.jpg": "skip" + BACK}
    (photos / "2024").rename(photos / "2024 summer")
    assert scan("--rescan") == {"b.jpg": "skip" + BACK}
    assert sky_library.shown_turned(photos / "2024 summer" / "b.jpg") == 90


def test_another_copy_of_a_photo_that_was_put_right_is_put_right_too(scan, photos):
    path = shot(photos / "a.jpg")
    copy, edited = photos / "b.jpg", photos / "c.jpg"
    shutil.copy(path, copy)
    edited.write_bytes(path.read_bytes() + b"edited")
    assert scan() == {"a.jpg": "fixed", "b.jpg": "fixed", "c.jpg": "fixed"}
    later = shot(photos / "d.jpg")
    assert scan() == {"d.jpg": "fixed"} | dict.fromkeys(("a.jpg", "b.jpg", "c.jpg"), "keepfixed in run 1")
    assert sky_library.shown_turned(later) == 0


def test_a_copy_is_left_alone_once_no_photo_stands_where_it_was_put_right(scan, photos):
    """It may be that photo, moved; the other way round a photo turned back would be turned again."""
    path = shot(photos / "a.jpg")
    old = path.read_bytes()
    assert scan() == {"a.jpg": "fixed"}
    store(path, 1)
    (photos / "b.jpg").write_bytes(old)
    assert scan() == dict.fromkeys(["a.jpg", "b.jpg"], "skip" + BACK)


def test_a_photo_turned_back_and_moved_is_known_though_another_has_taken_its_place(scan, photos):
    path = shot(photos / "a.jpg")
    assert scan() == {"a.jpg": "fixed"}
    store(path, 1)
    path.rename(photos / "b.jpg")
    store(shot(path, seed=1), from_turn(90))
    assert scan() == {"a.jpg": "keep", "b.jpg": "skip" + BACK}


def test_a_photo_that_was_undone_and_edited_since_is_known_anywhere(scan, orientd, photos, tmp_path):
    path = shot(photos / "a.jpg")
    assert scan() == {"a.jpg": "fixed"}
    assert orientd("undo", "--yes", "--state-dir", tmp_path / "state") == 0
    (photos / "b.jpg").write_bytes(path.read_bytes() + b"edited")
    assert scan("--unattended") == dict.fromkeys(["a.jpg", "b.jpg"], "skip" + BACK)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"taken": "2024:05:01 12:30:00"}, {"taken": "2024:05:02 09:00:00"}),
        ({"by_tag": True}, {"by_tag": True}),
    ],
)
def test_another_photo_under_a_name_used_again_is_put_right(scan, photos, first, second):
    path = shot(photos / "DSC_0001.jpg", seed=1, **first)
    assert scan() == {"DSC_0001.jpg": "fixed"}
    shot(path, seed=2, **second)
    assert scan() == {"DSC_0001.jpg": "fixed"}
    assert sky_library.shown_turned(path) == 0


@pytest.mark.parametrize("taken", ["", "2024:05:01 12:30:00"])
@pytest.mark.parametrize("by_tag", [True, False])
def test_pixels_turned_back_at_the_same_place_are_left_alone_with_the_reason(scan, photos, taken, by_tag):
    path = shot(photos / "a.jpg", taken=taken, by_tag=by_tag)
    assert scan() == {"a.jpg": "fixed"}
    with Image.open(path) as image:
        pixels = image.size
    turn_pixels(path, 90 if by_tag else 0, quality=90)
    assert sky_library.shown_turned(path) == 90
    with Image.open(path) as image:
        assert (image.size == pixels) != by_tag
    left = scan()["a.jpg"]
    assert left.startswith("skiprun 1 made this change to a photo of this name; whether")
    assert "to have it judged like any other" in left
    assert sky_library.shown_turned(path) == 90


def test_a_journal_without_marks_goes_by_the_path(scan, photos, tmp_path):
    path = shot(photos / "a.jpg", seed=1)
    assert scan() == {"a.jpg": "fixed"}
    with Journal(tmp_path / "state") as journal, journal._db:
        journal._db.execute("DROP TABLE marks")
    shot(path, seed=2, taken="2024:05:01 12:30:00")
    assert scan()["a.jpg"].startswith("skiprun 1 made this change to a photo of this name")


def test_a_photo_turned_by_pixels_is_known_by_both_its_pictures(scan, photos):
    path = photos / "a.png"
    photos.mkdir(exist_ok=True)
    sky_library.landscape(3).rotate(90, expand=True).save(path)
    old = path.read_bytes()
    assert scan("--method", "rotate") == {"a.png": "fixed"}
    new = path.read_bytes()
    path.unlink()
    tagged = photos / "b.png"
    tagged.write_bytes(formats.plan(Format.PNG, new, inverse(from_turn(90))).apply(new))
    edited = photos / "c.png"
    edited.write_bytes(formats.plan(Format.PNG, old, 3).apply(old))
    assert scan("--method", "rotate")["b.png"] == "skip" + BACK
    edited.write_bytes(old + b"edited")
    assert scan("--method", "rotate")["c.png"] == "skip" + BACK


def test_a_first_scan_reads_no_photo_twice(scan, photos, monkeypatch):
    monkeypatch.setattr("orientd.write.reverted._marks", lambda path: pytest.fail("read again"))
    shot(photos / "a.jpg")
    assert scan() == {"a.jpg": "fixed"}
