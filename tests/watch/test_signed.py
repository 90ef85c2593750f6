"""The watcher and sidecars of photos that could be written themselves: those that contradict, and those of signed photos."""

import pytest
from support import signed_files
from support import watcher as watching
from support.watcher import Watcher

from orientd.formats import sidecar
from orientd.report.plan import read_plan

_model, photos = watching.model_of_skies, watching.photos
HOUR = 3600


@pytest.fixture
def watch():
    def watch(folder, **settings):
        return Watcher(folder, release_after="1000000", **settings)

    return watch


def draw(path, turn=90, how="not", seed=0):
    path.write_bytes(signed_files.photo("JPEG", how, turn, seed))
    return path


def note(path, orientation):
    """As a photo program saves a sidecar: beside it, and then in its place."""
    path.with_name(f".{path.name}.new").write_bytes(sidecar.fresh(orientation))
    return path.with_name(f".{path.name}.new").rename(path)


def test_a_photo_is_left_alone_for_its_sidecar_and_put_right_once_that_is_gone(photos, watch, caplog):
    beside, data = note(photos / "a.jpg.xmp", 1), draw(photos / "a.jpg").read_bytes()
    with watch(photos, fix="true") as watcher:
        watcher.after(10)
        assert watcher.photos == {"skip": 1}
        assert any("left alone" in text and "its sidecar a.jpg.xmp stores an orientation" in text for text in caplog.messages)
        assert (photos / "a.jpg").read_bytes() == data
        beside.unlink()
        watcher.after(2 * HOUR)
        assert watcher.photos == {"skip": 1, "fix": 1, "fixed": 1}


def test_a_proposal_is_withdrawn_when_a_sidecar_comes(photos, watch, tmp_path):
    draw(photos / "a.jpg"), draw(photos / "b.jpg", seed=1)
    plan = str(tmp_path / "plan.csv")
    with watch(photos, plan=plan) as watcher:
        watcher.after(10)
        assert {row.path for row in read_plan(plan)} == {str(photos / "a.jpg"), str(photos / "b.jpg")}
        note(photos / "a.jpg.xmp", 3)
        watcher.after(2 * HOUR)
        assert {row.path for row in read_plan(plan)} == {str(photos / "b.jpg")}
        assert watcher.photos == {"fix": 2, "proposed": 2, "skip": 1}


@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.xmp"])
def test_a_signed_photo_is_turned_by_its_sidecar_and_follows_it_at_once(photos, watch, name):
    data = draw(photos / "a.jpg", how="embedded").read_bytes()
    note(photos / name, 1)
    with watch(photos, fix="true", sidecar="write") as watcher:
        watcher.after(10)
        assert watcher.photos == {"fix": 1, "fixed": 1}
        assert sidecar.stored((photos / name).read_bytes()) == 6
        watcher.after(2 * HOUR)
        assert watcher.photos == {"fix": 1, "fixed": 1}, "its own sidecar never comes back as work"
        note(photos / name, 8)
        watcher.after(10)
        assert watcher.photos == {"fix": 2, "fixed": 2}
        assert sidecar.stored((photos / name).read_bytes()) == 6
    assert (photos / "a.jpg").read_bytes() == data


def test_sidecars_of_photos_that_are_not_signed_have_none_judged_again(photos, watch):
    draw(photos / "a.jpg", 0)
    with watch(photos, sidecar="write") as watcher:
        watcher.after(10)
        for name in ("a.jpg.xmp", "a.xmp"):
            note(photos / name, 6)
        watcher.after(2 * HOUR)
        assert watcher.photos == {"keep": 1}
