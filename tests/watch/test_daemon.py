"""The watcher from the arrival of a photo to what is done about it, in this process, under a clock that the test turns."""

import os

from support import sky_library
from support import watcher as watching
from support.watcher import Watcher

from orientd import app
from orientd.report.plan import read_plan
from orientd.write.offer import offer

_model, photos = watching.model_of_skies, watching.photos


def notify(text):
    raise AssertionError(text)


def edit(path):
    """What a person's program does: other bytes under the same name, and a later date."""
    stat = path.stat()
    with path.open("ab") as file:
        file.write(b"edited")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))


def test_what_is_shown_wrong_is_put_right_once_and_the_rest_left_alone(photos, caplog):
    sky_library.draw(photos / "before.jpg", 90, seed=1)
    with Watcher(photos, fix="true") as watcher:
        watcher.after(10)
        assert watcher.photos == {"fix": 1, "fixed": 1}
        before = sky_library.snapshot(photos / "before.jpg")
        for number, turn in enumerate((0, 90, 180, 270)):
            sky_library.draw(photos / "2024" / f"{number}.jpg", turn, seed=10 + number)
        watcher.after(10)
        assert watcher.photos == {"fix": 4, "keep": 1, "fixed": 4}
        watcher.after(20_000)
        assert watcher.photos == {"fix": 4, "keep": 1, "fixed": 4}, "its own writes never come back as work"
        assert sky_library.snapshot(photos / "before.jpg") == before
    assert {sky_library.shown_turned(path) for path in photos.rglob("*.jpg")} == {0}
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("fixed")]
    assert lines[0] == f"fixed: {photos}/before.jpg: orientation 8 → 1 (90° clockwise by tag) in run 1"
    assert len(lines) == 4


def test_without_a_mode_nothing_is_changed(photos, caplog):
    sky_library.draw(photos / "a.jpg", 90)
    before = sky_library.snapshot(photos)
    with Watcher(photos) as watcher:
        watcher.after(10_000)
        assert watcher.photos == {"fix": 1}
    assert sky_library.snapshot(photos) == before
    assert [record.getMessage() for record in caplog.records].count(
        f"sideways or upside down: {photos}/a.jpg: needs 90° clockwise"
    ) == 1


def test_what_was_judged_before_a_restart_is_not_judged_again(photos):
    sky_library.library(photos, 6)
    with Watcher(photos) as watcher:
        watcher.after(10)
        assert sum(watcher.photos.values()) == 6
    with Watcher(photos) as watcher:
        watcher.after(10)
        assert watcher.photos == {}
    with Watcher(photos, fix="true") as watcher:
        watcher.after(10)
        assert watcher.photos == {"fixed": 3}, "what an earlier look found is put right without another one"


def test_a_persons_later_edit_is_work_again(photos):
    photo = sky_library.draw(photos / "a.jpg", 0)
    with Watcher(photos, fix="true") as watcher:
        watcher.after(10)
        edit(photo)
        watcher.after(10)
        assert watcher.photos == {"keep": 2}


def test_a_photo_that_its_owner_turned_back_is_left_alone_for_good(photos, orientd):
    undone, turned = sky_library.draw(photos / "undone.jpg", 90, seed=1), sky_library.draw(photos / "turned.jpg", 90, seed=2)
    with Watcher(photos, fix="true") as watcher:
        watcher.after(10)
        assert watcher.photos["fixed"] == 2
        config = watcher.config
        list(app.undo(config, None, stop=lambda: False, notify=notify, command="orientd undo"))
        assert {sky_library.shown_turned(undone), sky_library.shown_turned(turned)} == {90}
        watcher.after(10)
        assert watcher.photos["fixed"] == 2
        sky_library.draw(turned, 90, seed=2)
        edit(turned)
        watcher.after(4000)
        assert watcher.photos["fixed"] == 2
    with Watcher(photos, fix="true") as watcher:
        watcher.after(4000)
        assert watcher.photos.get("fixed", 0) == 0
    assert {sky_library.shown_turned(undone), sky_library.shown_turned(turned)} == {90}
    assert offer(config, [str(photos)], notify) == 2
    with Watcher(photos, fix="true") as watcher:
        watcher.after(4000)
        assert watcher.photos["fixed"] == 2, "until they are offered"


def test_turned_back_by_any_program_is_enough(photos):
    photo = sky_library.draw(photos / "a.jpg", 90, seed=2)
    with Watcher(photos, fix="true") as watcher:
        watcher.after(10)
        assert sky_library.shown_turned(photo) == 0
        sky_library.draw(photo, 90, seed=2)
        edit(photo)
        watcher.after(4000)
        assert watcher.photos == {"fix": 2, "fixed": 1}
        assert sky_library.shown_turned(photo) == 90
        sky_library.draw(photo, 180, seed=3)
        watcher.after(10)
        assert watcher.photos["fixed"] == 2, "another photo in its place is a new one"


def test_proposals_are_collected_into_a_plan_that_apply_carries_out(photos, tmp_path):
    plan = tmp_path / "plan.csv"
    wrong = [sky_library.draw(photos / f"{number}.jpg", 90, seed=number) for number in range(2)]
    with Watcher(photos, plan=str(plan)) as watcher:
        watcher.after(10)
        wrong.append(sky_library.draw(photos / "later.jpg", 180, seed=9))
        watcher.after(10_000)
        assert watcher.photos == {"fix": 3, "proposed": 3}
        rows = read_plan(str(plan))
        assert sorted(row.path for row in rows) == sorted(map(str, wrong))
        done = list(app.apply(watcher.config, rows, stop=lambda: False, notify=notify, command="orientd apply"))
        assert {row.outcome for row in done} == {"fixed"}
        watcher.after(10_000)
        assert watcher.photos == {"fix": 3, "keep": 3, "proposed": 3}
        assert len(read_plan(str(plan))) == 3
    assert {sky_library.shown_turned(path) for path in wrong} == {0}


def test_a_proposal_that_was_refused_is_not_made_again_and_a_new_plan_is_begun(photos, tmp_path):
    plan = tmp_path / "plan.csv"
    sky_library.draw(photos / "a.jpg", 90)
    with Watcher(photos, plan=str(plan)) as watcher:
        watcher.after(10)
        plan.write_text(plan.read_text().replace(",fix,", ",keep,"))
        watcher.after(10_000)
        assert read_plan(str(plan)) == []
        assert len(plan.read_text().splitlines()) == 2
        plan.unlink()
        watcher.after(10_000)
        assert len(read_plan(str(plan))) == 1


def test_a_plan_that_a_spreadsheet_saved_is_not_written_to(photos, tmp_path, caplog):
    plan = tmp_path / "plan.csv"
    plan.write_text("path;turn\n")
    sky_library.draw(photos / "a.jpg", 90)
    with Watcher(photos, plan=str(plan)) as watcher:
        watcher.after(10)
        assert plan.read_text() == "path;turn\n"
        assert "move it away" in caplog.text
        plan.unlink()
        watcher.after(100)
        assert len(read_plan(str(plan))) == 1


NEVER_SURE = {"min_confidence": "1", "prior_upright": "0.9999"}


def test_a_photo_that_it_is_not_sure_of_is_logged_and_goes_into_the_plan_where_apply_leaves_it(orientd, photos, tmp_path, caplog):
    plan = tmp_path / "plan.csv"
    unsure = [sky_library.draw(photos / f"{number}.jpg", 90, seed=number) for number in range(5)]
    sky_library.draw(photos / "right.jpg", 0, seed=9)
    with Watcher(photos, plan=str(plan), **NEVER_SURE) as watcher:
        watcher.after(10)
        assert watcher.photos == {"unsure": 5, "keep": 1, "proposed": 5}
        lines = [message for message in caplog.messages if message.startswith("not sure")]
        assert lines[0].startswith(f"not sure, in the plan: {photos}/0.jpg: not confident enough: 90°")
        assert [line for line in lines if "more" in line] == ["not sure, in the plan: 2 more: low confidence"]
        watcher.after(10_000)
        assert len(lines) == len([message for message in caplog.messages if message.startswith("not sure")])
    rows = sky_library.rows(plan)
    assert {row["decision"] for row in rows.values()} == {"unsure"}
    assert set(rows) == set(map(str, unsure))
    before = sky_library.snapshot(photos)
    assert read_plan(str(plan)) == []
    assert orientd("apply", "--report", tmp_path / "applied.csv", plan, photos) == 0
    assert sky_library.snapshot(photos) == before
    assert sky_library.rows(tmp_path / "applied.csv") == {}
    plan.write_text(plan.read_text().replace(",unsure,", ",fix,", 1))
    assert orientd("apply", "--report", tmp_path / "applied.csv", plan, photos) == 0
    assert len([path for path in unsure if sky_library.shown_turned(path) == 0]) == 1, "a person may decide it"


def test_one_that_it_is_sure_of_later_becomes_a_fix_and_what_a_person_made_of_it_stays(photos, tmp_path):
    plan = tmp_path / "plan.csv"
    for number in range(3):
        sky_library.draw(photos / f"{number}.jpg", 90, seed=number)
    with Watcher(photos, plan=str(plan), **NEVER_SURE) as watcher:
        watcher.after(10)
        plan.write_text(plan.read_text().replace(",unsure,", ",keep,", 1))
        watcher.settings |= {"min_confidence": "0.5", "prior_upright": "0.25"}
        watcher._reload = True
        watcher.after(10_000)
    decided = [row["decision"] for row in sky_library.rows(plan).values()]
    assert sorted(decided) == ["fix", "fix", "keep"]
    assert len(plan.read_text().splitlines()) == 4


def test_without_a_plan_what_it_is_not_sure_of_is_only_logged_once(photos, caplog):
    sky_library.draw(photos / "a.jpg", 90)
    with Watcher(photos, fix="true", **NEVER_SURE) as watcher:
        watcher.after(10_000)
        assert watcher.photos == {"unsure": 1}
    assert len([message for message in caplog.messages if message.startswith(f"not sure: {photos}/a.jpg: ")]) == 1
