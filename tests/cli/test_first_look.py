"""A scan that looks at thumbnails first: it does what one that looks at photos does; only upright photos are not read whole."""

import pytest
from PIL import Image
from support import sky_library, thumbnail_jpegs

from orientd.decode import cpu
from orientd.files import read
from orientd.files import write as files
from orientd.library import reader
from orientd.reasons import Reason

TURNED = Image.Transpose.ROTATE_90


@pytest.fixture(autouse=True)
def a_short_front(monkeypatch):
    monkeypatch.setattr(reader, "FRONT", 16_000)


@pytest.fixture
def library(photos):
    """Large enough for a glance, but for the last; returns the paths by what is special about them."""
    upright = sky_library.landscape(1, 480, 360)
    small, sideways = thumbnail_jpegs.reduced(upright), upright.transpose(TURNED)
    drawn = {
        "true": thumbnail_jpegs.photo(upright, small),
        "none": thumbnail_jpegs.encoded(upright, quality=90),
        "wrong": thumbnail_jpegs.photo(sideways, thumbnail_jpegs.reduced(sideways)),
        "wrong by tag": thumbnail_jpegs.photo(upright, small, 6),
        "right by tag": thumbnail_jpegs.photo(sideways, thumbnail_jpegs.reduced(sideways), 6),
        "stale, photo turned": thumbnail_jpegs.photo(sideways, small),
        "stale, thumbnail turned": thumbnail_jpegs.photo(upright, small.transpose(TURNED)),
    }
    assert all(len(data) > 40_000 for data in drawn.values())
    drawn["short"] = thumbnail_jpegs.photo(sky_library.landscape(1, 120, 90), small)
    photos.mkdir()
    for name, data in drawn.items():
        (photos / f"{name}.jpg").write_bytes(data)
    return {name: str(photos / f"{name}.jpg") for name in drawn}


def scanned(orientd, photos, report, *arguments):
    assert orientd("scan", photos, "--report", report, *arguments) == 0
    return sky_library.rows(report)


def test_it_decides_as_a_look_at_the_photos_and_reads_no_upright_photo_whole(orientd, photos, library, tmp_path, monkeypatch):
    plain = scanned(orientd, photos, tmp_path / "plain.csv")
    assert plain[library["wrong"]]["decision"] == plain[library["wrong by tag"]]["decision"] == "fix"
    whole = []
    monkeypatch.setattr(reader, "read_whole", lambda path, limit: (whole.append(path), read.read_whole(path, limit))[1])
    quick = scanned(orientd, photos, tmp_path / "quick.csv", "--first-look", "thumbnail")
    at_a_glance = {path for path, row in quick.items() if row["reason"] == "by its thumbnail"}
    assert at_a_glance == {library["true"], library["right by tag"]}
    assert set(whole) == set(library.values()) - at_a_glance
    assert len(whole) == len(set(whole))
    for path, row in plain.items():
        other = quick[path]
        told = ["format", "width", "height", "orientation", "turn", "decision", "new_orientation", "size", "mtime_ns"]
        assert [row[name] for name in told] == [other[name] for name in told], path
        assert (other["sha256"] == "") == (path in at_a_glance)


def test_no_thumbnail_is_decoded_in_this_process_if_decoding_is_isolated(orientd, photos, library, tmp_path, monkeypatch):
    monkeypatch.setattr(cpu, "glance", lambda *_: pytest.fail("a hostile thumbnail would end the run"))
    rows = scanned(orientd, photos, tmp_path / "quick.csv", "--first-look", "thumbnail", "--isolate")
    at_a_glance = {path for path, row in rows.items() if row["reason"] == "by its thumbnail"}
    assert at_a_glance == {library["true"], library["right by tag"]}


def test_it_mends_what_a_look_at_the_photos_mends(orientd, photos, library, tmp_path):
    assert scanned(orientd, photos, tmp_path / "fix.csv", "--fix", "--first-look", "thumbnail")
    again = scanned(orientd, photos, tmp_path / "again.csv")
    assert {row["decision"] for row in again.values()} == {"keep"}
    assert orientd("undo", "--yes") == 0


def test_what_a_glance_told_does_not_count_for_a_scan_that_looks_at_the_photos(orientd, photos, library, tmp_path):
    scanned(orientd, photos, tmp_path / "quick.csv", "--first-look", "thumbnail")
    plain = scanned(orientd, photos, tmp_path / "plain.csv")
    assert plain[library["true"]]["sha256"]
    assert plain[library["true"]]["reason"] == ""


def test_what_allows_no_glance_is_read_whole(orientd, photos, library, tmp_path, monkeypatch):
    def vanished(path, size):
        raise files.ReadError(Reason.VANISHED, "gone")

    monkeypatch.setattr(reader, "read_front", vanished)
    rows = scanned(orientd, photos, tmp_path / "quick.csv", "--first-look", "thumbnail")
    assert {row["decision"] for row in rows.values()} == {"keep", "fix"}
