"""Sidecars from the command line: raw files are judged by their previews, their turn is noted, obeyed, kept and taken back."""

import csv
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support import raw_files, sky_library

from orientd.formats import sidecar
from orientd.state.journal import Journal

EDITED = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/">\r
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\r
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5">\r
   <dc:subject xmlns:dc="http://purl.org/dc/elements/1.1/"><rdf:Bag><rdf:li>Orientation, all</rdf:li></rdf:Bag></dc:subject>\r
  </rdf:Description>\r
 </rdf:RDF>\r
</x:xmpmeta>\r
"""
WRITE = ("--sidecar", "write")


def raw_file(path, turn=90, maker="dng", orientation=1, seed=0):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(raw_files.MAKERS[maker](raw_files.preview(turn, seed), orientation))
    return path


@pytest.fixture
def scan(orientd, photos, tmp_path):
    def scan(*more, code=0):
        report = tmp_path / "report.csv"
        assert orientd("scan", photos, *WRITE, *more, "--report", report) == code
        return {Path(path).name: row for path, row in sky_library.rows(report).items()}

    return scan


def test_without_sidecars_a_raw_file_is_left_alone(orientd, photos, tmp_path):
    raw_file(photos / "a.dng")
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") == 0
    row = sky_library.rows(tmp_path / "1.csv")[str(photos / "a.dng")]
    assert (row["decision"], "--sidecar write" in row["reason"], os.listdir(photos)) == ("skip", True, ["a.dng"])


@pytest.mark.parametrize("maker", raw_files.MAKERS)
def test_a_raw_file_gets_a_sidecar_that_the_next_scan_obeys(scan, orientd, photos, maker):
    path = raw_file(photos / f"a.{maker}", 90, maker)
    before = sky_library.snapshot(photos)
    row = scan()[path.name]
    assert (row["decision"], row["turn"], row["new_orientation"], row["method"]) == ("fix", "90", "6", "sidecar")
    assert sky_library.snapshot(photos) == before
    assert scan("--fix")[path.name]["outcome"] == "fixed"
    assert sky_library.snapshot(photos)[str(path)] == before[str(path)]
    assert sorted(os.listdir(photos)) == [path.name, f"{path.name}.xmp"]
    assert sidecar.stored(Path(f"{path}.xmp").read_bytes()) == 6
    for more in ((), ("--rescan",), ("--fix", "--rescan")):
        row = scan(*more)[path.name]
        assert (row["decision"], row["orientation"], row["outcome"]) == ("keep", "6", "")
    assert orientd("undo", "--yes") == 0
    assert sky_library.snapshot(photos) == before


@pytest.mark.parametrize(("stored", "turn", "wanted"), [(6, 90, 3), (6, 180, 8), (3, 270, 6), (8, 0, None)])
def test_the_sidecar_says_what_the_raw_file_says_and_the_turn(scan, photos, stored, turn, wanted):
    path = photos / "a.arw"
    photos.mkdir()
    shown_as = {1: 0, 6: 270, 3: 180, 8: 90}[stored]
    path.write_bytes(raw_files.arw(raw_files.preview((turn - shown_as) % 360), stored))
    row = scan("--fix")["a.arw"]
    beside = photos / "a.arw.xmp"
    assert (int(row["turn"]), beside.exists()) == (turn, bool(wanted))
    if wanted:
        assert sidecar.stored(beside.read_bytes()) == wanted
        assert scan("--rescan")["a.arw"]["decision"] == "keep"


def test_a_sidecar_that_is_there_keeps_all_it_holds_and_comes_back_by_undo(scan, orientd, photos):
    path = raw_file(photos / "a.dng")
    beside = photos / "a.dng.xmp"
    beside.write_bytes(EDITED)
    os.utime(beside, ns=(10**18, 10**18))
    assert scan("--fix")["a.dng"]["outcome"] == "fixed"
    new = beside.read_bytes()
    added = b' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"'
    assert new.replace(added, b"", 1) == EDITED != new
    assert beside.stat().st_mtime_ns == 10**18 + 2 * 10**9
    assert orientd("undo", "--yes") == 0
    assert (beside.read_bytes(), beside.stat().st_mtime_ns, path.exists()) == (EDITED, 10**18, True)


def test_what_was_taken_back_is_left_alone_until_its_owner_turns_it_otherwise(scan, orientd, photos):
    raw_file(photos / "a.dng"), raw_file(photos / "b.dng", seed=1)
    assert {row["outcome"] for row in scan("--fix").values()} == {"fixed"}
    assert orientd("undo", "--file", photos / "a.dng") == 0
    assert sorted(os.listdir(photos)) == ["a.dng", "b.dng", "b.dng.xmp"]
    rows = scan("--fix")
    assert rows["a.dng"]["decision"] == "skip"
    assert rows["a.dng"]["reason"].startswith("run 1 made this change, which was taken back: left alone; ")
    (photos / "a.dng.xmp").write_bytes(EDITED)
    assert scan("--fix")["a.dng"]["decision"] == "skip"
    (photos / "a.dng.xmp").write_bytes(sidecar.fresh(3))
    assert scan("--fix")["a.dng"]["outcome"] == "fixed"
    assert sidecar.stored((photos / "a.dng.xmp").read_bytes()) == 6


def test_a_change_of_the_sidecar_is_noticed_and_a_plan_made_before_refused(scan, orientd, photos, tmp_path):
    raw_file(photos / "a.dng")
    assert scan()["a.dng"]["decision"] == "fix"
    beside = photos / "a.dng.xmp"
    beside.write_bytes(sidecar.fresh(6))
    assert orientd("apply", tmp_path / "report.csv", "--report", tmp_path / "done.csv") == 3
    assert "sidecar changed since" in sky_library.rows(tmp_path / "done.csv")[str(photos / "a.dng")]["reason"]
    assert beside.read_bytes() == sidecar.fresh(6)
    assert scan()["a.dng"]["decision"] == "keep"
    beside.unlink()
    assert scan()["a.dng"]["decision"] == "fix"
    assert orientd("apply", tmp_path / "report.csv", "--report", tmp_path / "done.csv") == 0
    assert sidecar.stored(beside.read_bytes()) == 6


def test_a_plan_cannot_have_a_sidecar_written_for_a_jpeg(orientd, photos, tmp_path):
    path = sky_library.draw(photos / "a.jpg", 90)
    plan = tmp_path / "plan.csv"
    assert orientd("scan", photos, "--report", plan) == 0
    with plan.open(newline="") as file:
        rows = [row | {"method": "sidecar"} for row in csv.DictReader(file)]
    with plan.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert orientd("apply", plan, "--report", tmp_path / "done.csv") == 3
    assert "never written themselves" in sky_library.rows(tmp_path / "done.csv")[str(path)]["reason"]
    assert os.listdir(photos) == ["a.jpg"]


def test_adobes_naming_is_obeyed_and_says_for_which_file_it_is(scan, photos):
    raw_file(photos / "a.dng"), raw_file(photos / "a.cr2", 180, "cr2")
    rows = scan("--fix", "--sidecar-naming", "adobe", code=3)
    assert {name: row["outcome"] for name, row in rows.items()} == {"a.cr2": "fixed", "a.dng": "failed"}
    assert "a.xmp is the sidecar of another photo" in rows["a.dng"]["reason"]
    new = (photos / "a.xmp").read_bytes()
    assert (sidecar.extension(new), sidecar.stored(new)) == ("cr2", 3)
    rows = scan("--fix")
    assert (rows["a.cr2"]["decision"], rows["a.dng"]["outcome"]) == ("keep", "fixed")
    assert sorted(os.listdir(photos)) == ["a.cr2", "a.dng", "a.dng.xmp", "a.xmp"]
    assert (photos / "a.xmp").read_bytes() == new


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG2000"])
def test_other_photos_that_are_never_written_get_one_too(scan, orientd, photos, kind):
    path = sky_library.draw(photos / f"a.{kind.lower()}", 90, by_tag=False, kind=kind)
    old = path.read_bytes()
    assert scan("--fix")[path.name]["outcome"] == "fixed"
    assert (path.read_bytes(), sidecar.stored(Path(f"{path}.xmp").read_bytes())) == (old, 6)
    assert scan("--rescan")[path.name]["decision"] == "keep"
    assert orientd("undo", "--yes") == 0
    assert os.listdir(photos) == [path.name]


@pytest.mark.parametrize("ending", ["php?id=5&w=9", "Gif ", "it's <\"", "GIF", "ÉT"])
def test_a_sidecar_for_an_odd_extension_is_obeyed_and_taken_back(scan, orientd, photos, ending):
    path = sky_library.draw(photos / f"a.{ending}", 90, by_tag=False, kind="GIF")
    assert scan("--fix", "--sidecar-naming", "adobe")[path.name]["outcome"] == "fixed"
    assert scan("--rescan")[path.name]["decision"] == "keep"
    assert sidecar.extension((photos / "a.xmp").read_bytes()) == ending
    assert orientd("undo", "--yes") == 0
    assert os.listdir(photos) == [path.name]


@pytest.mark.parametrize("beside", [None, EDITED], ids=["made", "changed"])
def test_a_plan_may_be_applied_again_and_says_what_is_done_already(scan, orientd, photos, tmp_path, beside):
    raw_file(photos / "a.dng")
    if beside:
        (photos / "a.dng.xmp").write_bytes(beside)
    scan()
    plan = tmp_path / "report.csv"
    assert orientd("apply", plan, "--report", tmp_path / "1.csv") == 0
    before = sky_library.snapshot(photos)
    assert orientd("apply", plan, "--report", tmp_path / "2.csv") == 0
    (row,) = sky_library.rows(tmp_path / "2.csv").values()
    assert (row["outcome"], row["reason"], sky_library.snapshot(photos)) == ("unchanged", "done already in run 1", before)
    (photos / "a.dng.xmp").write_bytes(sidecar.fresh(3))
    assert orientd("apply", plan, "--report", tmp_path / "3.csv") == 3
    (row,) = sky_library.rows(tmp_path / "3.csv").values()
    assert "its sidecar changed since" in row["reason"]


@pytest.mark.parametrize(
    ("beside", "reason"),
    [
        (b"", "is not well-formed"),
        (b"<xmp", "is not well-formed"),
        (EDITED.decode().encode("utf-16"), "is not in UTF-8"),
        (sidecar.fresh(1).replace(b'"1"', b'"up"'), "not one plain digit"),
        (None, "cannot be read"),
    ],
)
def test_a_sidecar_that_is_not_plainly_understood_is_left_alone(scan, photos, beside, reason):
    raw_file(photos / "a.dng")
    if beside is None:
        (photos / "a.dng.xmp").symlink_to("elsewhere.xmp")
    else:
        (photos / "a.dng.xmp").write_bytes(beside)
    row = scan("--fix")["a.dng"]
    assert (row["decision"], reason in row["reason"]) == ("skip", True), row["reason"]
    assert beside is None or (photos / "a.dng.xmp").read_bytes() == beside


def test_two_sidecars_are_left_alone(scan, photos):
    raw_file(photos / "a.dng")
    for name in ("a.dng.xmp", "a.xmp"):
        (photos / name).write_bytes(sidecar.fresh(3))
    assert "several sidecars (a.dng.xmp, a.xmp)" in scan("--fix")["a.dng"]["reason"]
    (photos / "a.dng.xmp").unlink()
    raw_file(photos / "a.nef", seed=1)
    assert "does not say whether it is for a.dng or a.nef" in scan("--fix")["a.dng"]["reason"]


def test_a_raw_file_without_a_preview_is_no_error(scan, photos):
    photos.mkdir()
    (photos / "a.cr2").write_bytes(raw_files.cr2(raw_files.SENSOR))
    row = scan()["a.cr2"]
    assert (row["decision"], "no preview" in row["reason"]) == ("skip", True)


def test_a_half_done_sidecar_is_finished_by_the_next_command_for_its_photo(scan, orientd, photos, tmp_path, monkeypatch):
    path = raw_file(photos / "a.dng")
    monkeypatch.setenv("ORIENTD_STATE_DIR", str(tmp_path / "state"))
    assert scan("--fix")["a.dng"]["outcome"] == "fixed"
    for command in (("scan", path, "--fix", *WRITE), ("apply", tmp_path / "report.csv", path)):
        with closing(sqlite3.connect(tmp_path / "state" / "journal.db")) as db, db:
            db.execute("UPDATE writes SET status = 'intended'")
        assert orientd(*command, "--report", tmp_path / "more.csv") == 0
        with Journal(tmp_path / "state") as journal:
            assert journal.unsettled() == []
