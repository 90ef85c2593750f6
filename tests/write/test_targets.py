"""To which of the files and folders named a write belongs."""

from types import SimpleNamespace

import pytest

from orientd.records import Method
from orientd.write.undo import Targets


def owner(targets, path, method=Method.TAG):
    return targets.owner_of(SimpleNamespace(intent=SimpleNamespace(path=str(path), method=method)))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "album" / "trip").mkdir(parents=True)
    return tmp_path / "album"


def test_a_file_owns_what_was_written_to_it_and_no_other(folder):
    targets = Targets([str(folder / "a.jpg")])
    assert owner(targets, folder / "a.jpg") == str(folder / "a.jpg")
    assert owner(targets, folder / "a.jpg.jpg") is None
    assert owner(targets, folder / "b.jpg") is None


def test_a_photo_owns_its_sidecars_only_where_they_turned_it(folder):
    targets = Targets([str(folder / "a.dng")])
    for name in ("a.dng.xmp", "a.xmp", "a.XMP"):
        assert owner(targets, folder / name, Method.SIDECAR) == str(folder / "a.dng")
        assert owner(targets, folder / name) is None


def test_a_sidecar_that_is_named_itself_goes_before_its_photo(folder):
    targets = Targets([str(folder / "a.dng"), str(folder / "a.xmp")])
    assert owner(targets, folder / "a.xmp", Method.SIDECAR) == str(folder / "a.xmp")


def test_the_innermost_folder_owns_what_lies_below_it(folder):
    outer, inner, single = str(folder), str(folder / "trip"), str(folder / "trip" / "a.jpg")
    targets = Targets([outer, inner, single])
    assert owner(targets, folder / "x" / "a.jpg") == outer
    assert owner(targets, folder / "trip" / "deep" / "b.jpg") == inner
    assert owner(targets, single) == single
    assert owner(targets, folder / "trip2.jpg") == outer
    assert owner(targets, f"{folder}2/a.jpg") is None


def test_names_are_compared_as_the_journal_has_them_and_given_back_as_they_came(folder, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    targets = Targets(["link/", "link/trip/a.jpg"])
    for base in (folder, tmp_path / "link"):
        assert owner(targets, base / "b.jpg") == "link/"
        assert owner(targets, base / "trip" / "a.jpg") == "link/trip/a.jpg"
    assert owner(Targets([]), folder / "b.jpg") is None
