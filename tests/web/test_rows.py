"""Rows by number: verdicts at once on the disk, the same numbers whatever happens to the plan, several pages at once."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support import report_rows
from support.report_rows import FOUND

from orientd.errors import ConfigError, StateError
from orientd.records import Verdict
from orientd.report import verdicts
from orientd.report.plan import read_decided
from orientd.report.verdicts import Choice
from orientd.web.rows import Done, Rows

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def row(number, decision=Verdict.FIX, **more):
    return FOUND._replace(path=f"/photos/{number}.jpg", decision=decision, sha256=f"{number:064x}", **more)


@pytest.fixture
def plan(tmp_path):
    return report_rows.write(
        str(tmp_path / "plan.csv"), row(0), row(1, Verdict.UNSURE), row(2, Verdict.KEEP, turn=0), row(3, Verdict.ERROR)
    )


@pytest.fixture
def rows(plan):
    return Rows(plan, print, clock=lambda: NOW)


def choices(plan):
    return {Path(path).stem: (said.choice, said.turn) for (path, _), said in verdicts.read(plan).items()}


def test_a_verdict_is_on_the_disk_when_it_is_answered(rows, plan):
    assert rows.judge([0], Choice.ACCEPT, None, "a") == [0]
    assert rows.judge([1], Choice.TURN, 180, "a") == [1]
    assert rows.judge([2], Choice.KEEP, None, "a") == [2]
    assert choices(plan) == {"0": ("accept", None), "1": ("turn", 180), "2": ("keep", None)}
    assert verdicts.read(plan)["/photos/0.jpg", f"{0:064x}"].when == "2026-11-29T12:00:00+00:00"
    assert [(one.decision, one.decided_by) for one in read_decided(plan)[:3]] == [
        ("fix", "person"),
        ("fix", "person"),
        ("keep", "person"),
    ]
    assert (rows.row(1).turn, rows.base(1).decision) == (180, "unsure")


def test_what_cannot_be_judged_is_left(rows, plan):
    assert rows.judge([3, 4, -1, 10**9], Choice.ACCEPT, None, "a") == []
    assert choices(plan) == {}


def test_several_at_once_are_accepted_only_where_a_turn_is_proposed(rows, plan):
    assert rows.judge([0, 1, 2, 3], Choice.ACCEPT, None, "a") == [0]
    assert rows.judge([1, 2], Choice.KEEP, None, "a") == [1, 2]
    assert choices(plan) == {"0": ("accept", None), "1": ("keep", None), "2": ("keep", None)}


def test_a_turn_that_is_none_is_not_noted(rows, plan):
    with pytest.raises(ValueError, match="no verdict"):
        rows.judge([0], Choice.TURN, None, "a")
    with pytest.raises(ValueError, match="no verdict"):
        rows.judge([0], Choice.ACCEPT, 90, "a")
    assert (choices(plan), rows.verdict(0)) == ({}, None)


def test_a_disk_that_says_no_notes_nothing(rows, plan):
    Path(f"{plan}.verdicts").mkdir()
    with pytest.raises(StateError):
        rows.judge([0], Choice.ACCEPT, None, "a")
    assert rows.verdict(0) is None
    assert rows.take_back("a") == []


def test_taking_back_goes_step_by_step_to_what_was_said_before(rows, plan):
    rows.judge([0], Choice.ACCEPT, None, "a")
    rows.judge([0, 1], Choice.KEEP, None, "a")
    assert rows.take_back("a") == [0, 1]
    assert choices(plan) == {"0": ("accept", None)}
    assert rows.take_back("a") == [0]
    assert choices(plan) == {}
    assert rows.take_back("a") == []


def test_pages_do_not_take_back_what_another_said(rows, plan):
    rows.judge([0, 1], Choice.KEEP, None, "a")
    rows.judge([0], Choice.TURN, 270, "b")
    assert rows.take_back("a") == [1]
    assert choices(plan) == {"0": ("turn", 270)}
    assert rows.take_back("c") == []
    assert rows.take_back("b") == [0]
    assert choices(plan) == {"0": ("keep", None)}


def test_another_server_of_the_same_plan_is_heard_and_not_overwritten(rows, plan):
    other = Rows(plan, print)
    rows.judge([0], Choice.ACCEPT, None, "a")
    other.judge([1], Choice.KEEP, None, "a")
    before = rows.version
    rows.refresh()
    other.refresh()
    assert [rows.verdict(0), rows.verdict(1)] == [other.verdict(0), other.verdict(1)]
    assert choices(plan) == {"0": ("accept", None), "1": ("keep", None)}
    assert rows.changed_since(before) == [1]


def test_the_next_start_goes_on(rows, plan):
    rows.judge([0], Choice.KEEP, None, "a")
    anew = Rows(plan, print)
    assert (anew.verdict(0).choice, anew.decided()) == ("keep", [0])


def test_put_off_is_not_decided(rows):
    rows.judge([0], Choice.SKIP, None, "a")
    assert (rows.decided(), rows.is_put_off(0), rows.row(0).decision) == ([], True, "fix")


def test_numbers_stay_when_the_plan_is_written_anew(rows, plan):
    rows.judge([0], Choice.ACCEPT, None, "a")
    version = rows.version
    changed = row(1)._replace(sha256="f" * 64)  # another photo under that name
    report_rows.write(plan, row(7), changed, row(0))
    assert rows.refresh()
    assert [rows.is_there(number) for number in range(6)] == [True, False, False, False, True, True]
    assert [rows.base(number).path for number in (0, 4, 5)] == ["/photos/0.jpg", "/photos/7.jpg", "/photos/1.jpg"]
    assert (rows.verdict(0).choice, rows.verdict(5)) == ("accept", None)
    assert rows.numbers(["fix"]) == [0, 4, 5]
    assert rows.changed_since(version) is None, "a page must ask for all"
    assert not rows.refresh()


def test_a_plan_that_is_just_being_written_is_shown_as_it_was(rows, plan):
    text = Path(plan).read_text()
    for broken in ("", "path,turn\n", text + '"'):
        Path(plan).write_text(broken)
        assert not rows.refresh()
        assert rows.base(0).path == "/photos/0.jpg"
    Path(plan).unlink()
    assert not rows.refresh()
    assert rows.judge([0], Choice.KEEP, None, "a") == [0]
    report_rows.write(plan, row(0), row(5))
    assert rows.refresh()
    assert (rows.numbers(["fix"]), rows.verdict(0).choice) == ([0, 4], "keep")


def test_the_same_photo_twice_is_one(tmp_path):
    rows = Rows(report_rows.write(str(tmp_path / "plan.csv"), row(0), row(0), row(1)), print)
    assert rows.numbers(["fix"]) == [0, 1]


def test_a_row_that_a_person_spoilt_is_an_error_and_the_others_are_shown(plan):
    text = Path(plan).read_text().splitlines()
    text[1] = text[1].replace(",90,", ",ninety,", 1)
    Path(plan).write_text("\n".join(text) + "\n")
    rows = Rows(plan, print)
    assert (rows.base(0).decision, rows.base(0).reason) == ("error", "row 1 of the plan: turn must be a number, got 'ninety'")
    assert rows.judge([0], Choice.ACCEPT, None, "a") == []
    assert rows.judge([1], Choice.ACCEPT, None, "a") == [1]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", 'path,turn,decision,size,mtime_ns,sha256\n"x'])
def test_what_is_no_plan_is_not_shown(tmp_path, text):
    (tmp_path / "plan.csv").write_text(text)
    with pytest.raises(ConfigError):
        Rows(str(tmp_path / "plan.csv"), print)


def test_a_plan_of_an_earlier_version_or_of_a_spreadsheet_is_shown(tmp_path):
    path = tmp_path / "plan.csv"
    path.write_text(
        f"\ufeffdecision;path;turn;size;mtime_ns;sha256;p90\r\nFix;/photos/ä.jpg;90;7;1,7E+18;{'a' * 64};0,7\r\n;;;;;;\r\n"
    )
    rows = Rows(str(path), print)
    assert rows.numbers(["fix"]) == [0]
    assert (rows.base(0).path, rows.base(0).decision, rows.base(0).mtime_ns) == ("/photos/ä.jpg", "fix", None)
    assert rows.judge([0], Choice.ACCEPT, None, "a") == [0]


def test_changes_are_told_once_and_few_are_remembered(rows, monkeypatch):
    version = rows.version
    rows.judge([0], Choice.ACCEPT, None, "a")
    rows.note({1: Done("failed", 3, "no")})
    assert rows.changed_since(version) == [0, 1]
    assert rows.changed_since(rows.version) == []
    for _ in range(6000):
        rows.note({1: Done("failed", 3, "no")})
    assert rows.changed_since(version) is None


def test_what_was_said_is_passed_on_once_it_is_saved(plan):
    told = []
    rows = Rows(
        plan,
        print,
        lambda said: told.extend((Path(one.path).stem, choice, choices(plan).get(Path(one.path).stem)) for one, choice in said),
    )
    rows.judge([0], Choice.KEEP, None, "a")
    rows.take_back("a")
    assert told == [("0", "keep", ("keep", None)), ("0", "withdrawn", None)]


def left(plan, *others):
    """A page's rows after its first photo left the plan; what was passed on of it."""
    told = []
    rows = Rows(plan, print, told.extend)
    rows.judge([0], Choice.KEEP, None, "a")
    report_rows.write(plan, *others)
    assert rows.refresh()
    return rows, told


def test_a_photo_that_left_the_plan_has_the_row_of_no_other(plan):
    rows, _ = left(plan, row(1), row(5))
    for found in (rows.base(0), rows.row(0)):
        assert (found.path, found.sha256, found.decision) == ("/photos/0.jpg", f"{0:064x}", "error")
        assert found.reason == "it is not in the plan any more"
    assert (rows.cell("path", 0), rows.cell("p90", 0), rows.can_be_judged(0)) == ("", "", False)
    report_rows.write(plan, row(5), row(0))
    assert rows.refresh()
    assert (rows.base(0).decision, rows.row(0).decision) == ("fix", "keep"), "it came back, and what was said holds"


@pytest.mark.parametrize("others", [[row(5)], []], ids=["others", "none"])
def test_what_is_taken_back_of_a_photo_that_left_the_plan_is_passed_on_as_its_own(plan, others):
    rows, told = left(plan, *others)
    assert rows.take_back("a") == [0]
    one, choice = told[-1]
    assert (one.path, one.sha256, choice) == ("/photos/0.jpg", f"{0:064x}", "withdrawn")
    assert choices(plan) == {}


def test_a_plan_written_anew_just_after_a_verdict_mixes_up_no_photos(plan, monkeypatch):
    """What may happen between the line of the verdict and what is passed on of it."""
    told = []
    rows = Rows(plan, print, told.extend)
    really = verdicts.append

    def append(*given):
        really(*given)
        report_rows.write(plan, row(5))
        other = threading.Thread(target=rows.refresh)
        other.start()
        others.append(other)

    others = []
    monkeypatch.setattr(verdicts, "append", append)
    assert rows.judge([0], Choice.KEEP, None, "a") == [0]
    others[0].join()
    assert [(one.path, one.decision) for one, _ in told] == [("/photos/0.jpg", "fix")]
    rows.judge([0], Choice.KEEP, None, "a")
    assert len(told) == 1, "it left the plan"
