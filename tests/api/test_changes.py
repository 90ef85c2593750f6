"""`plan_change` and `apply_change`: the safe writer, its journal, and what it refuses."""

import json
import os

import pytest
from support import sky_library

from orientd import Method, Reason, Status, apply_change, errors, plan_change
from orientd.state.lock import Lock


@pytest.fixture
def photo(photos):
    return sky_library.draw(photos / "a.jpg", 90)


def test_a_change_is_planned_applied_and_taken_back(orientd, photo, capsys):
    before = sky_library.snapshot(photo.parent)
    change = plan_change(photo, 90)
    assert (change.path, change.turn, change.method, change.orientation, change.new_orientation) == (
        str(photo),
        90,
        Method.TAG,
        8,
        1,
    )
    assert sky_library.snapshot(photo.parent) == before
    done = apply_change(change)
    assert (done.status, done.run, done.reason) == (Status.FIXED, 1, "")
    assert sky_library.shown_turned(photo) == 0
    assert orientd("history") == 0
    assert f"orientd.apply_change {photo}" in " ".join(capsys.readouterr().out.split())
    assert orientd("undo", "1") == 0
    assert sky_library.snapshot(photo.parent)[str(photo)][0] == before[str(photo)][0]


def test_it_is_a_run_like_any_other(orientd, photo, capsys):
    apply_change(plan_change(photo, 90))
    assert orientd("history", "--json") == 0
    run = json.loads(capsys.readouterr().out)
    assert (run["state"], run["fixed"], run["failed"]) == ("done", 1, 0)
    assert run["finished"]


def test_the_journal_may_lie_elsewhere(orientd, photo, tmp_path):
    assert apply_change(plan_change(photo, 90), state_dir=str(tmp_path / "state")).run == 1
    assert orientd("undo", "1") == 2
    assert orientd("undo", "1", "--state-dir", tmp_path / "state") == 0


def test_pixels_are_turned_where_that_loses_nothing(photos):
    photo = sky_library.draw(photos / "a.png", 90, by_tag=False, kind="PNG")
    change = plan_change(photo, 90, method="rotate")
    assert (change.method, change.new_orientation, change.remark) == (Method.ROTATE, 1, "")
    assert apply_change(change).status is Status.FIXED
    assert sky_library.shown_turned(photo) == 0


def test_a_photo_that_changed_since_is_left_alone(photo):
    change = plan_change(photo, 90)
    sky_library.draw(photo, 180)
    before = sky_library.snapshot(photo.parent)
    done = apply_change(change)
    assert (done.status, done.reason_code) == (Status.FAILED, Reason.CHANGED)
    assert done.reason
    assert sky_library.snapshot(photo.parent) == before


def test_what_must_not_be_written_is_refused(photo, photos):
    os.link(photo, photos / "b.jpg")
    with pytest.raises(errors.Refused) as caught:
        plan_change(photo, 90)
    assert caught.value.code is Reason.HARD_LINKS
    change = plan_change(photo, 90, hard_links=True)
    assert apply_change(change).status is Status.FAILED
    assert apply_change(change, hard_links=True).status is Status.FIXED
    (photos / "broken.jpg").write_bytes(b"no photo")
    for path, kind in ((photos / "broken.jpg", errors.DecodeError), (photos / "gone.jpg", errors.ReadError)):
        with pytest.raises(kind):
            plan_change(path, 90)
    for turn in (0, 45, 360):
        with pytest.raises(ValueError, match="turn must be 90, 180 or 270"):
            plan_change(photo, turn)
    with pytest.raises(errors.ConfigError, match="method"):
        plan_change(photo, 90, method="magic")


def test_one_orientd_writes_at_a_time(photo, tmp_path):
    state, change = str(tmp_path / "state"), plan_change(photo, 90)
    with Lock(state), pytest.raises(errors.Busy):
        apply_change(change, state_dir=state)
    assert sky_library.shown_turned(photo) == 90
