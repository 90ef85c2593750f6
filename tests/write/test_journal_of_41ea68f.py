"""The journal that orientd of commit 41ea68f wrote, and what can be done with it today."""

import hashlib
import json
import os
import sqlite3
from contextlib import closing

import pytest
from support import left_by_41ea68f, sky_library

from orientd.reasons import Reason
from orientd.records import Status
from orientd.state.journal import Journal, WriteStatus
from orientd.write.recover import recover


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def before(photos, state):
    """The photos as that version left them, two of them written; gives what they were before, by path."""
    before = left_by_41ea68f.draw(photos)
    left_by_41ea68f.journal(state, photos)
    with Journal(state) as journal:
        for write in journal.writes(1):
            path = photos / os.path.basename(write.intent.path)
            path.write_bytes(write.intent.patch.apply(before[path]))
            os.utime(path, ns=(write.intent.mtime_ns, write.intent.mtime_ns))
            assert hashlib.sha256(path.read_bytes()).hexdigest() == write.intent.new_sha256
    return before


def taken_back(before):
    return {path.name for path in before if path.read_bytes() == before[path]}


def test_what_it_wrote_is_listed_and_still_holds(orientd, before, state, capsys):
    assert taken_back(before) == {"upright.jpg"}
    assert orientd("verify", "--json", "--state-dir", state) == 0
    *files, _ = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {(os.path.basename(file["path"]), file["state"]) for file in files} == {
        ("beach.jpg", "holds"),
        ("hill, é.jpg", "holds"),
    }
    assert orientd("history", "--state-dir", state) == 0
    assert "apply scan.csv" in capsys.readouterr().out


def test_its_run_is_undone_to_the_last_byte_and_nanosecond(orientd, before, state):
    assert orientd("undo", "--yes", "--state-dir", state) == 0
    assert taken_back(before) == {path.name for path in before}
    assert {path.stat().st_mtime_ns for path in before} == {left_by_41ea68f.MTIME_NS}
    with Journal(state) as journal:
        assert journal.warning == ""
        assert {write.status for write in journal.writes(1)} == {WriteStatus.UNDONE}
    assert orientd("undo", "--yes", "--state-dir", state) == 2


def test_one_of_its_photos_is_undone_and_then_not_turned_again(orientd, before, photos, state, tmp_path):
    assert orientd("undo", "--file", photos / "beach.jpg", "--state-dir", state) == 0
    assert taken_back(before) == {"beach.jpg", "upright.jpg"}
    report = tmp_path / "r.csv"
    assert orientd("scan", photos, "--fix", "--report", report, "--state-dir", state) == 0
    assert taken_back(before) == {"beach.jpg", "upright.jpg"}
    assert sky_library.rows(report)[str(photos / "beach.jpg")]["reason"].startswith("run 1 made this change")


def test_what_that_version_took_back_is_left_alone_by_all_until_it_is_offered(orientd, photos, state, tmp_path):
    """It did not note whether that was a whole run."""
    before = left_by_41ea68f.draw(photos)
    left_by_41ea68f.journal(state, photos)
    with closing(sqlite3.connect(state / "journal.db")) as db, db:
        db.execute("UPDATE writes SET status = 'undone'")
    scan = ("scan", photos, "--fix", "--report", tmp_path / "r.csv", "--state-dir", state)
    assert orientd(*scan) == 0
    assert taken_back(before) == {path.name for path in before}
    assert orientd("offer", 1, "--state-dir", state) == 0
    assert orientd(*scan, "--unattended") == 0
    assert taken_back(before) == {"upright.jpg"}


def test_one_that_changed_since_is_left_alone(orientd, before, photos, state):
    changed = photos / "beach.jpg"
    changed.write_bytes(changed.read_bytes() + b"more")
    whole = changed.read_bytes()
    assert orientd("undo", "--yes", "--state-dir", state) == 3
    assert changed.read_bytes() == whole
    assert taken_back(before) == {"hill, é.jpg", "upright.jpg"}


def test_a_newer_run_goes_into_the_same_journal(orientd, before, photos, state, tmp_path):
    more = sky_library.draw(photos / "more.jpg", 90, seed=3)
    old = more.read_bytes()
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "r.csv", "--state-dir", state) == 0
    assert more.read_bytes() != old
    assert orientd("undo", "--yes", "--state-dir", state) == 0
    assert more.read_bytes() == old
    assert orientd("undo", 1, "--state-dir", state) == 0
    assert taken_back(before) == {path.name for path in before}


def test_why_one_of_its_writes_is_still_open_is_told_once_more_and_then_noted_by_its_code(before, photos, state):
    with Journal(state) as journal:
        (number, *_) = [write.id for write in journal.writes(1)]
        journal._db.execute("UPDATE writes SET status = 'intended', reason = CAST('not there' AS BLOB) WHERE id = ?", (number,))
        journal._db.commit()
        elsewhere = photos.rename(photos.with_name("unplugged"))
        told = [[outcome.code for outcome in recover(journal)] for _ in range(2)]
        assert told == [[Reason.VANISHED], []]
        elsewhere.rename(photos)
        assert [outcome.status for outcome in recover(journal)] == [Status.FIXED]
