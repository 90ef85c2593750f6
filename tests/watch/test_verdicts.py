"""A watcher heeds what a person said on its plan, and what is kept as was said elsewhere."""

from pathlib import Path

from support import sky_library
from support import watcher as watching
from support.watcher import Watcher

from orientd.report.plan import read_plan, read_rows
from orientd.report.verdicts import Choice, PersonVerdict, append
from orientd.write import keeping

WHEN = "2026-11-29T12:00:00Z"

_model, photos = watching.model_of_skies, watching.photos


def say(plan, choice, turn=None, *, by_verdict_alone=False, config=None):
    rows = read_rows(str(plan))
    if by_verdict_alone:
        append(str(plan), [PersonVerdict(row.path, row.sha256, choice, turn, WHEN) for row in rows])
    else:
        keeping.save(config, str(plan), [(row, choice, turn) for row in rows], WHEN, print)


def test_a_photo_kept_on_the_plan_is_neither_proposed_again_nor_fixed(photos, tmp_path):
    """Also by a watcher that shares no state folder with who said so: the file beside the plan is enough."""
    plan, photo = tmp_path / "plan.csv", sky_library.draw(photos / "a.jpg", 90)
    with Watcher(photos, plan=str(plan)) as watcher:
        watcher.after(10)
        say(plan, Choice.KEEP, by_verdict_alone=True)
        photo.touch()
        watcher.after(10_000)
        assert len(read_rows(str(plan))) == 1, "it stays, so that the verdict can be taken back"
        plan.unlink()
        watcher.after(10_000)
        assert not plan.exists()
    with Watcher(photos, plan=str(plan), fix="true") as watcher:
        watcher.after(10_000)
        assert watcher.photos.get("fixed", 0) == 0
    assert sky_library.shown_turned(photo) == 90


def test_a_watcher_that_fixes_turns_as_was_said(photos, tmp_path):
    plan, photo = tmp_path / "plan.csv", sky_library.draw(photos / "a.jpg", 90)
    with Watcher(photos, plan=str(plan)) as watcher:
        watcher.after(10)
        say(plan, Choice.TURN, 180, config=watcher.config)
    with Watcher(photos, plan=str(plan), fix="true") as watcher:
        watcher.after(10_000)
        assert watcher.photos["fixed"] == 1
    assert sky_library.shown_turned(photo) == 270


def test_a_photo_kept_elsewhere_is_taken_out_of_the_plan_until_that_is_withdrawn(photos, tmp_path):
    plan, other = tmp_path / "plan.csv", tmp_path / "nightly.csv"
    sky_library.draw(photos / "a.jpg", 90)
    with Watcher(photos, plan=str(plan)) as watcher:
        watcher.after(10)
        other.write_text(plan.read_text())
        say(other, Choice.KEEP, config=watcher.config)
        edited = Path(photos, "a.jpg")
        edited.touch()
        watcher.after(10_000)
        assert read_plan(str(plan)) == []
        say(other, Choice.WITHDRAWN, config=watcher.config)
        watcher.after(10_000)
        assert len(read_plan(str(plan))) == 1


def test_a_photo_that_was_accepted_and_taken_back_is_taken_out(photos, tmp_path):
    from orientd import app

    plan = tmp_path / "plan.csv"
    photo = sky_library.draw(photos / "a.jpg", 90)
    with Watcher(photos, plan=str(plan)) as watcher:
        watcher.after(10)
        say(plan, Choice.ACCEPT, config=watcher.config)
        done = app.apply(watcher.config, read_plan(str(plan)), stop=lambda: False, notify=print, command="apply")
        assert [row.outcome for row in done] == ["fixed"]
        list(app.undo(watcher.config, None, paths=[str(photo)], stop=lambda: False, notify=print, command="undo"))
        watcher.after(10_000)
        assert read_plan(str(plan)) == []
