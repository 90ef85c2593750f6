"""Sidecars that arrive, change or go after their photo: it is judged anew as it is shown now."""

import os

import pytest
from support import raw_files, sky_library
from support import watcher as watching
from support.watcher import Watcher

from orientd import app
from orientd.formats import sidecar
from orientd.library import sidecars

_model, photos = watching.model_of_skies, watching.photos


@pytest.fixture
def watch():
    def watch(folder, **settings):
        return Watcher(folder, sidecar="write", release_after="1000000", **settings)

    return watch


def raw(path, turn=0, seed=0):
    path.write_bytes(raw_files.MAKERS["dng"](raw_files.preview(turn, seed), 1))
    return path


def note(path, orientation, ending=""):
    """As a photo program saves a sidecar: beside it, and then in its place."""
    path.with_name(f".{path.name}.new").write_bytes(sidecar.fresh(orientation, ending))
    return path.with_name(f".{path.name}.new").rename(path)


@pytest.mark.parametrize("name", ["a.dng.xmp", "a.dng.XMP", "a.xmp"])
def test_a_sidecar_that_comes_later_is_obeyed_at_once(photos, watch, name):
    raw(photos / "a.dng")
    with watch(photos, fix="true") as watcher:
        watcher.after(10)
        assert watcher.photos == {"keep": 1}
        note(photos / name, 6)
        watcher.after(10)
        assert watcher.photos == {"keep": 1, "fix": 1, "fixed": 1}
        assert sidecar.stored((photos / name).read_bytes()) == 1
        watcher.after(20_000)
        assert watcher.photos == {"keep": 1, "fix": 1, "fixed": 1}, "its own sidecar never comes back as work"
        assert sorted(os.listdir(photos)) == sorted(["a.dng", name])


def test_one_that_is_changed_or_removed_has_its_photo_judged_anew(photos, watch):
    raw(photos / "a.dng", 90)
    with watch(photos) as watcher:
        watcher.after(10)
        assert watcher.photos == {"fix": 1}
        path = note(photos / "a.dng.xmp", 6)
        watcher.after(10)
        assert watcher.photos == {"fix": 1, "keep": 1}
        path.unlink()
        watcher.after(10)
        assert watcher.photos == {"fix": 2, "keep": 1}


def test_it_is_judged_with_the_sidecar_of_its_own_suffix_only(photos, watch):
    for name in ("a.dng", "a.NEF", "b.dng"):
        raw(photos / name, seed=len(name))
    with watch(photos) as watcher:
        watcher.after(10)
        assert watcher.photos == {"keep": 3}
        note(photos / "a.xmp", 6, "nef")
        watcher.after(10)
        assert watcher.photos == {"keep": 4, "fix": 1}, "both are looked at; it tells of the NEF"


def test_a_photo_that_its_sidecars_kept_from_being_judged_is_tried_again_once_they_are_mended(photos, watch):
    raw(photos / "a.dng")
    for name in ("a.xmp", "a.dng.xmp"):
        note(photos / name, 6)
    with watch(photos, fix="true") as watcher:
        watcher.after(10)
        assert watcher.photos == {"skip": 1}
        (photos / "a.xmp").unlink()
        watcher.after(10)
        assert watcher.photos == {"skip": 1, "fix": 1, "fixed": 1}


def test_a_sidecar_that_was_taken_back_is_not_made_again(photos, watch):
    raw(photos / "a.dng", 90)
    with watch(photos, fix="true") as watcher:
        watcher.after(10)
        assert watcher.photos == {"fix": 1, "fixed": 1}
        list(app.undo(watcher.config, None, stop=lambda: False, notify=print, command="orientd undo"))
        assert os.listdir(photos) == ["a.dng"]
        watcher.after(20_000)
        assert (watcher.photos["fix"], watcher.photos["fixed"], os.listdir(photos)) == (2, 1, ["a.dng"])


def test_where_sidecars_do_not_count_and_of_photos_that_have_none_nothing_is_judged_again(photos, watch):
    raw(photos / "a.dng")
    sky_library.draw(photos / "b.jpg")
    with Watcher(photos) as watcher:
        watcher.after(10)
        judged = watcher.photos
        for name in ("a.dng.xmp", "b.jpg.xmp", "b.xmp", "gone.dng.xmp"):
            note(photos / name, 6)
        watcher.after(10)
        assert watcher.photos == judged
    with watch(photos) as watcher:
        watcher.after(10)
        judged = watcher.photos
        note(photos / "b.jpg.xmp", 3)
        note(photos / "gone.dng.xmp", 3)
        watcher.after(10)
        assert watcher.photos == judged


def test_a_raw_file_that_is_still_copied_is_not_judged_as_its_sidecar_is_there(photos, watch):
    data = raw(photos.parent / "a.dng").read_bytes()
    with watch(photos) as watcher:
        watcher.after(1)
        with (photos / "a.dng").open("wb", buffering=0) as file:
            file.write(data[:5000])
            note(photos / "a.dng.xmp", 1)
            watcher.after(30)
            assert watcher.photos == {}
            file.write(data[5000:])
        watcher.after(10)
        assert watcher.photos == {"keep": 1}


def test_what_is_excluded_stays_so(photos, watch):
    with watch(photos, exclude="a.*") as watcher:
        watcher.after(1)
        raw(photos / "a.dng")
        note(photos / "a.dng.xmp", 6)
        watcher.after(10)
        assert watcher.photos == {}


def test_the_photos_of_a_sidecar_are_those_that_have_it():
    for photo in ("/x/a.CR2", "/x/a.cr2", "/x/a.b.heic.gif", "/x/.a/b c.JP2"):
        for path in sidecars.paths(photo):
            assert photo in sidecars.photos(path)
    assert "/x/a.jpg" in sidecars.photos("/x/a.jpg.xmp")
    assert "/x/a.jpg" in sidecars.photos("/x/a.xmp"), "if it is signed, or to be put right"
    assert [*sidecars.photos("/x/a.xml"), *sidecars.photos("/x/xmp")] == []
