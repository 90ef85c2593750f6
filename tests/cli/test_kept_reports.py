"""A report that a person has edited is never replaced without a word."""

import os
from datetime import datetime

import pytest
from support import sky_library

from orientd.cli import scan_options as module


@pytest.fixture
def plan(orientd, photos, tmp_path):
    """A plan of two photos, as orientd wrote it."""
    for number in range(2):
        sky_library.draw(photos / f"{number}.jpg", 90, seed=number)
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv") == 0
    return tmp_path / "plan.csv"


def edited(plan):
    plan.write_text(plan.read_text().replace(",fix,", ",keep,", 1))
    return plan.read_bytes()


def test_a_plan_that_was_edited_is_not_replaced(orientd, photos, plan, capsys):
    text, names = edited(plan), set(plan.parent.iterdir())
    for command in (("scan", photos), ("scan", "--fix", photos), ("apply", plan)):
        assert orientd(*command, "--report", plan) == 2
    assert orientd("scan", photos, "--report", plan) == 2
    told = capsys.readouterr().err
    assert (
        f"{plan} was changed since orientd wrote it, and would be replaced: choose another --report, or say --overwrite" in told
    )
    assert (plan.read_bytes(), set(plan.parent.iterdir())) == (text, names)
    assert {sky_library.shown_turned(path) for path in photos.iterdir()} == {90}, "nothing was fixed either"


def test_one_that_was_not_is_replaced_time_and_again(orientd, photos, plan):
    for _ in range(3):
        os.utime(plan, ns=(0, 0))
        assert orientd("scan", photos, "--report", plan) == 0
        assert plan.stat().st_mtime_ns
    assert not list(plan.parent.glob("*before*"))


def test_overwrite_replaces_it(orientd, photos, plan):
    edited(plan)
    assert orientd("scan", photos, "--report", plan, "--overwrite") == 0
    assert {row["decision"] for row in sky_library.rows(plan).values()} == {"fix"}
    assert orientd("scan", photos, "--report", plan) == 0
    assert not list(plan.parent.glob("*before*"))


@pytest.mark.parametrize("more", [(), ("--quiet",), ("--json",)])
def test_one_that_is_not_known_here_gets_another_name(orientd, photos, plan, tmp_path, capsys, more):
    """Written by an earlier version, say, or with another state folder."""
    text = edited(plan)
    assert orientd("scan", photos, "--report", plan, "--state-dir", tmp_path / "other", *more) == 0
    assert (plan.parent / "plan.before.csv").read_bytes() == text
    told = capsys.readouterr()
    assert f"it is {plan.parent}/plan.before.csv now" in (told.out if more == ("--json",) else " ".join(told.err.split("\n")))
    assert {row["decision"] for row in sky_library.rows(plan).values()} == {"fix"}
    text = edited(plan)
    assert orientd("scan", photos, "--report", plan, "--state-dir", tmp_path / "third") == 0
    assert (plan.parent / "plan.before1.csv").read_bytes() == text


def test_one_that_is_edited_while_the_scan_runs_is_kept(orientd, photos, plan, monkeypatch):
    from orientd.cli.session import Session

    add, kept = Session.add, []

    def edit(session, row):
        if not kept:
            kept.append(edited(plan))
        add(session, row)

    monkeypatch.setattr(Session, "add", edit)
    assert orientd("scan", photos, "--report", plan) == 0
    assert (plan.parent / "plan.before.csv").read_bytes() == kept[0]


def test_what_apply_writes_is_kept_alike(orientd, plan, tmp_path):
    done = tmp_path / "done.csv"
    assert orientd("apply", plan, "--report", done) == 0
    done.write_text(done.read_text() + "\n")
    assert orientd("apply", plan, "--report", done) == 2


def test_a_folder_gets_a_report_by_date_and_time(orientd, photos, plan, tmp_path, monkeypatch):
    class Night(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 11, 29, 3, 0, 12, tzinfo=tz)

    monkeypatch.setattr(module, "datetime", Night)
    (tmp_path / "plans").mkdir()
    for name in ("orientd-20261129-030012.csv", "orientd-20261129-030012-2.csv"):
        assert orientd("scan", photos, "--report", tmp_path / "plans") == 0
        assert len(sky_library.rows(tmp_path / "plans" / name)) == 2
