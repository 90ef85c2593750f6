"""Which file on the disk is the sidecar of a photo."""

import os

import pytest

from orientd.errors import Refused
from orientd.files import read
from orientd.formats import sidecar
from orientd.library import sidecars


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "a.dng"
    path.write_bytes(b"raw")
    return path


def test_one_that_is_not_clear_is_not_taken_for_one_that_stores_nothing(photo):
    photo.with_name("a.dng.xmp").write_bytes(sidecar.fresh(1).replace(b'"1"', b'"up"'))
    with pytest.raises(Refused, match=r"its sidecar a\.dng\.xmp is not understood"):
        _ = sidecars.find(str(photo), "full").orientation


def test_one_that_goes_by_two_names_is_one(photo):
    """As on a file system that ignores case."""
    beside = photo.with_name("a.dng.xmp")
    beside.write_bytes(sidecar.fresh(3))
    before = sidecars.signature(str(photo))
    os.link(beside, photo.with_name("a.dng.XMP"))
    assert (sidecars.find(str(photo), "full").orientation, sidecars.signature(str(photo))) == (3, before)
    photo.with_name("a.dng.XMP").unlink()
    photo.with_name("a.dng.XMP").write_bytes(sidecar.fresh(3))
    with pytest.raises(Refused, match="several sidecars"):
        sidecars.find(str(photo), "full")


@pytest.mark.parametrize("here", [True, False])
def test_the_place_for_one_is_in_the_folder_of_the_photo(photo, here, monkeypatch):
    monkeypatch.chdir(photo.parent if here else "/proc")
    name = photo.name if here else str(photo)
    found = sidecars.find(name, "full")
    assert (found.path, found.stat, found.orientation) == (f"{name}.xmp", read.absent(os.stat(photo).st_dev), None)


@pytest.mark.parametrize("here", [True, False])
def test_one_that_names_no_photo_is_that_of_the_only_one_of_its_name(photo, here, monkeypatch):
    monkeypatch.chdir(photo.parent if here else "/proc")
    name = photo.name if here else str(photo)
    photo.with_name("a.xmp").write_bytes(sidecar.fresh(3))
    for other in ("b.dng", "a.jpg", "a.txt"):
        photo.with_name(other).write_bytes(b"another")
    assert sidecars.find(name, "full").orientation == 3
    photo.with_name("a.NEF").write_bytes(b"another")
    with pytest.raises(Refused, match=r"does not say whether it is for a\.NEF or a\.dng"):
        sidecars.find(name, "full")


def test_without_its_folder_a_photo_has_no_place_for_one(photo):
    with pytest.raises(Refused, match="its folder cannot be examined"):
        sidecars.find(str(photo.parent / "gone" / "a.dng"), "full")
