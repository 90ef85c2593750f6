"""What a kill interrupted is found out, and finished or mended."""

import errno
import os
from dataclasses import replace
from functools import partial

import pytest
from support import toy_container
from support.faulty_disks import TOYS, admit, failing, leftovers, turned_toy
from support.small_photos import MTIME
from support.toy_container import every_kind, fix, interrupted, judged, statuses

from orientd.records import Status
from orientd.state.journal import WriteStatus
from orientd.write import recover

recover = partial(recover.recover, admit=admit)


journal, fixer, make = toy_container.journal, toy_container.fixer, toy_container.make


def test_recovery_has_nothing_to_do_after_a_clean_run(fixer, journal, make):
    fix(fixer, make())
    journal.finish_run(fixer.run)
    assert recover(journal) == []
    assert [run.status for run in journal.runs()] == ["done"]


@every_kind
def test_recovery_settles_by_what_the_file_holds(fixer, journal, make, kind):
    old, new, other, gone = (make(kind, name) for name in ("old", "new", "other", "gone"))
    for path in (old, new, other, gone):
        path.with_name(interrupted(fixer, path)[1].temp).write_bytes(b"half")
    new.write_bytes(turned_toy(TOYS[kind]))
    other.write_bytes(b"somebody else's")
    gone.unlink()
    outcomes = recover(journal)
    assert [outcome.status for outcome in outcomes] == [Status.FAILED, Status.FIXED, Status.FAILED, Status.FAILED]
    assert statuses(journal) == [WriteStatus.LOST, WriteStatus.LOST, WriteStatus.FIXED, WriteStatus.FAILED]
    assert old.read_bytes() == TOYS[kind]
    assert new.read_bytes() == turned_toy(TOYS[kind])
    assert os.stat(new).st_mtime_ns == MTIME + 2 * 10**9
    assert other.read_bytes() == b"somebody else's"
    assert leftovers(old.parent) == []
    assert [run.status for run in journal.runs()] == ["interrupted"]
    assert recover(journal) == []


def test_what_cannot_be_found_out_now_stays_open(fixer, journal, make):
    path = make()
    interrupted(fixer, path)
    library = path.parent.rename(path.parent.with_name("unplugged"))
    assert "not mounted" in recover(journal)[0].reason
    assert statuses(journal) == [WriteStatus.INTENDED]
    library.rename(path.parent)
    recover(journal)
    assert statuses(journal) == [WriteStatus.FAILED]


def test_what_stays_open_is_told_once_and_again_for_another_reason(fixer, journal, make):
    path = make()
    _, intent = interrupted(fixer, path)
    path.with_name(intent.temp).write_bytes(b"half")
    stuck = [failing(None, code, only=["unlink"]) for code in (errno.EROFS, errno.EROFS, errno.EIO, errno.EIO)]
    told = [[outcome.reason for outcome in recover(journal, disk)] for disk in stuck]
    assert [len(each) for each in told] == [1, 0, 1, 0]
    assert ("read-only" in told[0][0], "input/output" in told[2][0]) == (True, True)
    (write,) = journal.unsettled()
    assert write.reason == told[2][0]
    assert [outcome.status for outcome in recover(journal)] == [Status.FAILED]
    assert statuses(journal) == [WriteStatus.FAILED]


def test_a_write_that_a_later_run_made_is_not_counted_again(fixer, journal, make):
    path = make()
    for _ in range(3):
        interrupted(fixer, path)
    assert fix(replace(fixer, run=journal.start_run("apply")), path).status is Status.FIXED
    assert [outcome.status for outcome in recover(journal)] == [Status.UNCHANGED] * 3
    assert statuses(journal) == [WriteStatus.FIXED] + [WriteStatus.FAILED] * 3
    assert [run.fixed for run in journal.runs()] == [1, 0]


def test_a_torn_write_is_taken_back(fixer, journal, make):
    path = make("two tags in a page")
    before, new = judged(path), turned_toy(path.read_bytes())
    _, intent = interrupted(fixer, path)
    second = intent.patch.splices[1].offset
    path.write_bytes(TOYS["two tags in a page"][:second] + new[second:])
    (outcome,) = recover(journal)
    assert path.read_bytes() == TOYS["two tags in a page"]
    assert (outcome.status, os.stat(path).st_mtime_ns) == (Status.FAILED, MTIME)
    assert (outcome.sha256, outcome.orientation) == (before[2], 1)
    assert statuses(journal) == [WriteStatus.FAILED]


def test_a_torn_write_to_a_photo_that_changed_elsewhere_too_is_left_alone(fixer, journal, make):
    path = make("two tags in a page")
    old, new = path.read_bytes(), turned_toy(path.read_bytes())
    second = interrupted(fixer, path)[1].patch.splices[1].offset
    theirs = old[:second] + new[second:-1] + b"?"
    path.write_bytes(theirs)
    recover(journal)
    assert (path.read_bytes(), statuses(journal)) == (theirs, [WriteStatus.LOST])


@pytest.mark.parametrize("deed", ["fix", "undo"])
def test_whoever_admits_the_mending_is_told_of_the_change_whether_it_was_being_made_or_taken_back(fixer, journal, make, deed):
    path = make("two tags in a page")
    old, new = path.read_bytes(), turned_toy(path.read_bytes())
    number, intent = interrupted(fixer, path)
    second = intent.patch.splices[1].offset
    if deed == "undo":
        journal.settle(number, WriteStatus.FIXED)
        back = replace(intent, old_sha256=intent.new_sha256, new_sha256=intent.old_sha256, turn=270, undoes=number)
        journal.intend(fixer.run, replace(back, patch=intent.patch.inverse()))
    path.write_bytes(old[:second] + new[second:])
    told = []
    recover(journal, admit=lambda done, *held: told.append((done.turn, *held)))
    assert told == [(90, new, old)]
    assert path.read_bytes() == (old if deed == "fix" else new)


@pytest.mark.parametrize("kind", ["in place", "two tags in a page"])
def test_what_another_program_put_in_the_same_place_is_not_taken_for_torn(fixer, journal, make, kind):
    path = make(kind)
    interrupted(fixer, path)
    theirs = TOYS[kind].replace(b"<O:1>", b"<O:3>")
    path.write_bytes(theirs)
    recover(journal)
    assert path.read_bytes() == theirs
    assert statuses(journal) == [WriteStatus.LOST]
