"""Signed photos from the command line: left alone, or with --sidecar write turned by a sidecar that is obeyed and taken back."""

import csv
import os
from pathlib import Path

import pytest
from support import jpeg_files, raw_files, signed_files, sky_library, thumbnail_jpegs

from orientd.formats import sidecar
from orientd.library import reader

WRITE = ("--sidecar", "write")
EVERY = [(kind, how) for kind in signed_files.KINDS for how in signed_files.HOW]
every_kind = pytest.mark.parametrize(("kind", "how"), EVERY, ids=["-".join(each) for each in EVERY])


def draw(path, kind="JPEG", how="embedded", turn=90, **more):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(signed_files.photo(kind, how, turn, **more))
    return path


def suffix(kind):
    return f".{kind.lower()}"


def beside(path):
    return path.with_name(f"{path.name}.xmp")


@pytest.fixture
def scan(orientd, photos, tmp_path):
    def scan(*more, code=0):
        assert orientd("scan", photos, *more, "--report", tmp_path / "report.csv") == code
        return {Path(path).name: row for path, row in sky_library.rows(tmp_path / "report.csv").items()}

    return scan


@every_kind
def test_by_default_it_is_left_alone_and_what_would_turn_it_is_said(scan, photos, kind, how):
    path = draw(photos / f"a{suffix(kind)}", kind, how)
    before = sky_library.snapshot(photos)
    for more in ((), ("--fix",), ("--fix", "--method", "auto")):
        row = scan(*more)[path.name]
        assert (row["decision"], row["turn"], row["new_orientation"], row["outcome"]) == ("skip", "90", "6", "")
        assert row["reason"].startswith("sideways or upside down, but not to be written: signed with content credentials (C2PA)")
        assert "--sidecar write" in row["reason"]
    assert sky_library.snapshot(photos) == before


@every_kind
def test_with_sidecars_it_gets_one_that_the_next_scan_obeys_and_undo_removes(scan, orientd, photos, kind, how):
    path = draw(photos / f"a{suffix(kind)}", kind, how)
    upright = draw(photos / f"b{suffix(kind)}", kind, how, 0, seed=1)
    before = sky_library.snapshot(photos)
    row = scan(*WRITE)[path.name]
    assert (row["decision"], row["turn"], row["new_orientation"], row["method"]) == ("fix", "90", "6", "sidecar")
    assert sky_library.snapshot(photos) == before
    rows = scan(*WRITE, "--fix")
    assert (rows[path.name]["outcome"], rows[upright.name]["decision"]) == ("fixed", "keep")
    assert {name: value for name, value in sky_library.snapshot(photos).items() if not name.endswith(".xmp")} == before
    assert sorted(os.listdir(photos)) == sorted([path.name, beside(path).name, upright.name])
    assert sidecar.stored(beside(path).read_bytes()) == 6
    for more in ((), ("--rescan",), ("--fix", "--rescan")):
        row = scan(*WRITE, *more)[path.name]
        assert (row["decision"], row["orientation"], row["outcome"], row["method"]) == ("keep", "6", "", "sidecar")
    assert orientd("verify") == 0
    assert orientd("undo", "--yes") == 0
    assert sky_library.snapshot(photos) == before


@pytest.mark.parametrize("kind", signed_files.KINDS)
@pytest.mark.parametrize(
    ("stored", "noted", "turn", "wanted"), [(6, None, 90, 3), (6, 8, 180, 6), (3, 1, 270, 8), (8, 6, 0, None)]
)
def test_the_sidecar_counts_and_not_what_the_photo_stores(scan, photos, kind, stored, noted, turn, wanted):
    shown_as = {1: 0, 6: 270, 3: 180, 8: 90}[noted or stored]
    path = draw(photos / f"a{suffix(kind)}", kind, turn=(turn - shown_as) % 360, stored=stored)
    if noted:
        beside(path).write_bytes(sidecar.fresh(noted))
    row = scan(*WRITE, "--fix")[path.name]
    assert (int(row["turn"]), int(row["orientation"])) == (turn, noted or stored)
    if wanted:
        assert sidecar.stored(beside(path).read_bytes()) == wanted
        assert scan(*WRITE, "--rescan")[path.name]["decision"] == "keep"
    without = scan()[path.name]
    assert int(without["orientation"]) == stored, "without sidecars the photo alone counts"


def test_a_sidecar_that_comes_changes_or_goes_is_noticed_without_a_rescan(scan, photos):
    path = draw(photos / "a.jpg", turn=0)
    assert scan(*WRITE)["a.jpg"]["decision"] == "keep"
    beside(path).write_bytes(sidecar.fresh(8))
    row = scan(*WRITE)["a.jpg"]
    assert (row["decision"], row["turn"], row["new_orientation"]) == ("fix", "90", "1")
    assert scan(*WRITE, "--fix")["a.jpg"]["outcome"] == "fixed"
    assert sidecar.stored(beside(path).read_bytes()) == 1
    assert scan(*WRITE)["a.jpg"]["reason"].startswith("fixed in run ")
    beside(path).write_bytes(sidecar.fresh(3))
    assert scan(*WRITE)["a.jpg"]["turn"] == "180"
    beside(path).unlink()
    assert scan(*WRITE)["a.jpg"]["decision"] == "keep"


def test_sidecars_that_are_not_clear_have_it_left_alone_until_they_are(scan, photos):
    path = draw(photos / "a.jpg")
    for name in ("a.jpg.xmp", "a.xmp"):
        (photos / name).write_bytes(sidecar.fresh(1))
    for _ in range(2):
        row = scan(*WRITE, "--fix")["a.jpg"]
        assert (row["decision"], "several sidecars (a.jpg.xmp, a.xmp)" in row["reason"]) == ("skip", True)
    (photos / "a.xmp").unlink()
    assert scan(*WRITE, "--fix")["a.jpg"]["outcome"] == "fixed"
    assert sidecar.stored(beside(path).read_bytes()) == 6


def test_beside_a_raw_file_of_its_name_each_has_its_own(scan, photos):
    draw(photos / "a.jpg", turn=180)
    (photos / "a.cr2").write_bytes(raw_files.cr2(raw_files.preview(90)))
    (photos / "a.xmp").write_bytes(sidecar.fresh(1))
    rows = scan(*WRITE, "--fix")
    assert {name: row["outcome"] for name, row in rows.items()} == {"a.cr2": "fixed", "a.jpg": "fixed"}
    assert [sidecar.stored((photos / name).read_bytes()) for name in ("a.xmp", "a.jpg.xmp")] == [6, 3]
    assert {row["decision"] for row in scan(*WRITE, "--rescan").values()} == {"keep"}


def test_in_adobes_naming_the_sidecar_says_that_it_is_for_the_photo(scan, photos):
    draw(photos / "a.jpg"), draw(photos / "a.heif", "HEIF", turn=0)
    rows = scan(*WRITE, "--fix", "--sidecar-naming", "adobe")
    assert (rows["a.jpg"]["outcome"], rows["a.heif"]["decision"]) == ("fixed", "keep")
    assert sidecar.extension((photos / "a.xmp").read_bytes()) == "jpg"
    assert {row["decision"] for row in scan(*WRITE, "--rescan").values()} == {"keep"}


def test_one_sidecar_for_two_photos_is_left_alone(scan, photos):
    draw(photos / "a.jpg"), draw(photos / "a.png", "PNG")
    (photos / "a.xmp").write_bytes(sidecar.fresh(1))
    for row in scan(*WRITE, "--fix").values():
        assert (row["decision"], "a.xmp does not say whether it is for a.jpg or a.png" in row["reason"]) == ("skip", True)
    assert (photos / "a.xmp").read_bytes() == sidecar.fresh(1)


def test_a_plan_is_carried_out_by_sidecar_and_by_tag_refused(orientd, photos, tmp_path):
    path, plan = draw(photos / "a.jpg"), tmp_path / "plan.csv"
    assert orientd("scan", photos, *WRITE, "--report", plan) == 0
    with plan.open(newline="") as file:
        rows = list(csv.DictReader(file))
    by_tag = tmp_path / "tag.csv"
    with by_tag.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"method": "tag"} for row in rows)
    before = sky_library.snapshot(photos)
    assert orientd("apply", by_tag, "--report", tmp_path / "1.csv") == 3
    assert "signed with content credentials" in sky_library.rows(tmp_path / "1.csv")[str(path)]["reason"]
    assert sky_library.snapshot(photos) == before
    assert orientd("apply", plan, "--report", tmp_path / "2.csv") == 0
    assert sidecar.stored(beside(path).read_bytes()) == 6
    assert orientd("apply", plan, "--report", tmp_path / "3.csv") == 0
    assert sky_library.rows(tmp_path / "3.csv")[str(path)]["reason"].startswith("done already in run ")


def test_what_was_taken_back_is_left_alone(scan, orientd, photos):
    path = draw(photos / "a.jpg")
    assert scan(*WRITE, "--fix")["a.jpg"]["outcome"] == "fixed"
    assert orientd("undo", "--file", path) == 0
    row = scan(*WRITE, "--fix")["a.jpg"]
    assert (row["decision"], os.listdir(photos)) == ("skip", ["a.jpg"])
    assert row["reason"].startswith("run 1 made this change, which was taken back")


def test_a_thumbnail_is_not_believed_where_a_sidecar_counts(scan, photos, monkeypatch):
    monkeypatch.setattr(reader, "FRONT", 16_000)
    upright = sky_library.landscape(1, 480, 360)
    plain = thumbnail_jpegs.photo(upright, thumbnail_jpegs.reduced(upright))
    photos.mkdir()
    for name, data in {"a": plain[:2] + jpeg_files.segment(0xEB, signed_files.IN_JPEG) + plain[2:], "b": plain}.items():
        (photos / f"{name}.jpg").write_bytes(data)
        (photos / f"{name}.jpg.xmp").write_bytes(sidecar.fresh(3))
    rows = scan(*WRITE, "--first-look", "thumbnail")
    assert rows["b.jpg"]["reason"] == "by its thumbnail", "it is not signed, so its sidecar does not count"
    assert (rows["a.jpg"]["decision"], rows["a.jpg"]["turn"]) == ("fix", "180")
