"""What belongs to another program is left to it."""

import os

import pytest
from support import sky_library


@pytest.fixture
def immich(photos):
    """A folder as Immich keeps it, with a photo sideways or upside down, and one beside it."""
    sky_library.draw(photos / "immich" / "library" / "ada" / "a.jpg", 90)
    sky_library.draw(photos / "own" / "b.jpg", 180)
    (photos / "immich" / "library" / ".immich").write_text("2026-11-29")
    return photos


def test_photos_of_immich_are_judged_and_never_fixed(orientd, immich, tmp_path, capsys):
    before = sky_library.snapshot(immich / "immich")
    for number, more in enumerate([(), ("--fix",), ("--fix", "--method", "rotate"), ("--fix", "--rescan")]):
        assert orientd("scan", *more, "--report", tmp_path / f"{number}.csv", immich) == 0
        row = sky_library.rows(tmp_path / f"{number}.csv")[f"{immich}/immich/library/ada/a.jpg"]
        assert (row["decision"], row["turn"], row["reason_code"], row["outcome"]) == ("skip", "90", "others_library", "")
        assert f"{immich}/immich/library is Immich's own library" in row["reason"]
        assert "turn it in Immich" in row["reason"]
        assert "1 photo is sideways or upside down and cannot be written" in capsys.readouterr().out
    assert sky_library.snapshot(immich / "immich") == before
    assert sky_library.shown_turned(immich / "own" / "b.jpg") == 0


@pytest.mark.parametrize("method", ["tag", "rotate", "sidecar"])
def test_a_plan_does_not_reach_them_either(orientd, immich, tmp_path, capsys, method):
    (immich / "immich" / "library" / ".immich").unlink()
    kind = "GIF" if method == "sidecar" else "JPEG"
    path = immich / "immich" / "library" / "ada" / ("g.gif" if method == "sidecar" else "a.jpg")
    sky_library.draw(path, 90, kind=kind, by_tag=kind == "JPEG")
    more = ("--sidecar", "write") if method == "sidecar" else ("--method", method)
    assert orientd("scan", *more, "--report", tmp_path / "plan.csv", immich) == 0
    (immich / "immich" / "library" / ".immich").touch()
    before = sky_library.snapshot(immich / "immich")
    assert orientd("apply", "--report", tmp_path / "done.csv", tmp_path / "plan.csv", immich) == 3
    done = sky_library.rows(tmp_path / "done.csv")[str(path)]
    assert (done["outcome"], done["reason_code"]) == ("failed", "others_library")
    assert sky_library.snapshot(immich / "immich") == before
    assert orientd("scan", *more, "--report", tmp_path / "2.csv", immich) == 0
    assert sky_library.rows(tmp_path / "2.csv")[str(path)]["decision"] == "skip", "also from memory"


def test_an_older_run_can_be_undone_there(orientd, immich, tmp_path):
    (immich / "immich" / "library" / ".immich").unlink()
    assert orientd("scan", "--fix", "--report", tmp_path / "1.csv", immich) == 0
    (immich / "immich" / "library" / ".immich").touch()
    assert orientd("undo", "1") == 0
    assert sky_library.shown_turned(immich / "immich" / "library" / "ada" / "a.jpg") == 90


def test_inspect_says_it(orientd, immich, capsys):
    assert orientd("inspect", immich / "immich" / "library" / "ada" / "a.jpg") == 0
    assert "cannot be written: " in (told := capsys.readouterr().out)
    assert "Immich's own library" in told


@pytest.mark.parametrize(
    "bundle",
    [
        "Photos Library.photoslibrary",
        "iPhoto.photolibrary",
        "Old.migratedphotolibrary",
        "Aperture.aplibrary",
        "Aperture.migratedaplibrary",
        "Lightroom Library.lrlibrary",
        "Previews.lrdata",
        "Shoot.cocatalog",
    ],
)
def test_a_bundle_is_skipped_and_refused_when_named(orientd, photos, tmp_path, capsys, bundle):
    path = sky_library.draw(photos / bundle / "originals" / "a.jpg", 90)
    sky_library.draw(photos / "b.jpg", 90)
    report, before = tmp_path / "1.csv", sky_library.snapshot(photos / bundle)
    assert orientd("scan", "--fix", "--report", report, photos) == 0
    assert list(sky_library.rows(report)) == [str(photos / "b.jpg")]
    link = tmp_path / "link"
    link.symlink_to(path.parent)
    for named in (photos / bundle, path.parent, path, link):
        assert orientd("scan", "--fix", named) == 2
        assert f"{photos / bundle} is a library that a photo program keeps for itself" in capsys.readouterr().err
    assert orientd("apply", report, photos / bundle) == 2
    assert orientd("watch", photos / bundle) == 2
    assert sky_library.snapshot(photos / bundle) == before


def test_a_plan_does_not_reach_into_a_bundle(orientd, photos, tmp_path):
    sky_library.draw(photos / "a.jpg", 90)
    assert orientd("scan", "--report", tmp_path / "plan.csv", photos) == 0
    (photos / "X.photoslibrary").mkdir()
    moved = (photos / "a.jpg").rename(photos / "X.photoslibrary" / "a.jpg")
    (tmp_path / "plan.csv").write_text((tmp_path / "plan.csv").read_text().replace(str(photos / "a.jpg"), str(moved)))
    assert orientd("apply", "--report", tmp_path / "done.csv", tmp_path / "plan.csv", photos) == 3
    assert sky_library.rows(tmp_path / "done.csv")[str(moved)]["reason_code"] == "others_library"
    assert sky_library.shown_turned(moved) == 90


def test_a_lightroom_catalog_beside_photos_changes_nothing(orientd, photos, tmp_path):
    path = sky_library.draw(photos / "a.jpg", 90)
    for name in ("Catalog.lrcat", "Catalog.lrcat-data", "Catalog Previews.lrdata/x.lrprev", "Catalog.lrcat.lock"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_bytes(os.urandom(20))
    before = sky_library.snapshot(photos)
    assert orientd("scan", "--fix", "--report", tmp_path / "1.csv", photos) == 0
    assert list(sky_library.rows(tmp_path / "1.csv")) == [str(path)]
    after = sky_library.snapshot(photos)
    assert {name for name in before if before[name] != after[name]} == {str(path)}
