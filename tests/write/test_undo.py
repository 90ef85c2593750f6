"""What was written is taken back, exactly, or left alone with a reason."""

import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
from support import toy_container
from support.faulty_disks import TOYS, Toy, second_reader, turned_toy
from support.small_photos import MTIME
from support.toy_container import every_kind, fix, judged, spoil_bytes, statuses, take_back

from orientd.files.syscalls import Disk
from orientd.files.write import Mtime
from orientd.records import Row, Status
from orientd.state.journal import WriteStatus
from orientd.write.fix import Fixer

journal, fixer, make = toy_container.journal, toy_container.fixer, toy_container.make


def test_hard_links_are_refused_unless_allowed(fixer, journal, make):
    path = make()
    path.with_name("other").hardlink_to(path)
    assert "hard links" in fix(fixer, path).reason
    assert path.read_bytes() == TOYS["in place"]
    assert statuses(journal) == [WriteStatus.FAILED]
    assert fix(replace(fixer, allow_hard_links=True), path).status is Status.FIXED
    assert [outcome.status for outcome in take_back(journal, fixer.run, allow_hard_links=True)] == [Status.FIXED]
    assert path.read_bytes() == path.with_name("other").read_bytes() == TOYS["in place"]


@every_kind
@pytest.mark.parametrize(("policy", "after", "back"), [(Mtime.SHIFT, 2 * 10**9, 0), (Mtime.KEEP, 0, 0)])
def test_undo_gives_back_every_byte_and_the_time(fixer, journal, make, kind, policy, after, back):
    path = make(kind)
    path.chmod(0o640)
    assert fix(replace(fixer, mtime=policy), path).stat.mtime_ns == MTIME + after
    (outcome,) = take_back(journal, fixer.run)
    assert path.read_bytes() == TOYS[kind]
    assert (outcome.status, outcome.orientation) == (Status.FIXED, Toy().stored_orientation(None, TOYS[kind]))
    assert (os.stat(path).st_mtime_ns, os.stat(path).st_mode & 0o777) == (MTIME + back, 0o640)
    assert statuses(journal) == [WriteStatus.FIXED, WriteStatus.UNDONE]
    assert journal.was_undone(outcome.sha256, "tag", unattended=True) == fixer.run
    assert take_back(journal, fixer.run) == []


def test_who_wants_the_time_of_the_write_gets_that_of_the_undo(fixer, journal, make):
    path = make()
    fix(replace(fixer, mtime=Mtime.NOW), path)
    written = os.stat(path).st_mtime_ns
    take_back(journal, fixer.run)
    assert os.stat(path).st_mtime_ns >= written > MTIME


def test_undo_takes_back_the_newest_write_first(fixer, journal, make):
    path = make("grows")
    for turn in (90, 180, 270):
        assert fix(fixer, path, turn).status is Status.FIXED
    outcomes = take_back(journal, fixer.run)
    assert [outcome.status for outcome in outcomes] == [Status.FIXED] * 3
    assert path.read_bytes() == TOYS["grows"]
    assert os.stat(path).st_mtime_ns == MTIME


def test_an_undo_is_not_undone(fixer, journal, make):
    path = make()
    fix(fixer, path)
    take_back(journal, fixer.run)
    undoing = journal.runs()[0].id
    assert [write.status for write in journal.writes(undoing)] == [WriteStatus.FIXED]
    assert take_back(journal, undoing) == []
    assert path.read_bytes() == TOYS["in place"]


@every_kind
@pytest.mark.parametrize(
    ("change", "reason"),
    [(spoil_bytes, "changed since orientd wrote it"), (os.unlink, "vanished")],
)
def test_undo_leaves_alone_what_is_no_longer_what_was_written(fixer, journal, make, kind, change, reason):
    path, other = make(kind), make(kind, "other.jpg")
    fix(fixer, path), fix(fixer, other)
    change(path)
    left = path.read_bytes() if path.exists() else None
    good, bad = take_back(journal, fixer.run)
    assert (good.status, bad.status) == (Status.FIXED, Status.FAILED)
    assert reason in bad.reason
    assert (path.read_bytes() if path.exists() else None) == left
    assert [write.status for write in journal.writes(fixer.run)] == [WriteStatus.UNDONE, WriteStatus.FIXED]


def test_bytes_that_the_owner_put_back_himself_count_as_undone(fixer, journal, make):
    path = make()
    fix(fixer, path)
    path.write_bytes(TOYS["in place"])
    before = judged(path)
    (outcome,) = take_back(journal, fixer.run)
    assert (outcome.status, outcome.reason) == (Status.UNCHANGED, "the old bytes were back already")
    assert (outcome.sha256, outcome.orientation) == (before[2], 1)
    assert judged(path) == before
    assert journal.was_undone(before[2], "tag", unattended=True) == fixer.run


def test_an_undo_of_what_a_later_run_changed_again_names_that_run(fixer, journal, make):
    path = make()
    fix(fixer, path)
    later = replace(fixer, run=journal.start_run("apply"))
    fix(later, path)
    (outcome,) = take_back(journal, fixer.run)
    assert (outcome.status, outcome.reason) == (Status.FAILED, "run 2 changed it again: undo that first")
    assert [outcome.status for outcome in take_back(journal, later.run)] == [Status.FIXED]
    assert [outcome.status for outcome in take_back(journal, fixer.run)] == [Status.FIXED]
    assert path.read_bytes() == TOYS["in place"]


def test_a_touched_or_moved_time_does_not_hinder_undo(fixer, journal, make):
    path = make()
    fix(fixer, path)
    os.utime(path, ns=(5, 5))
    assert [outcome.status for outcome in take_back(journal, fixer.run)] == [Status.FIXED]
    assert path.read_bytes() == TOYS["in place"]


def test_a_change_that_was_taken_back_is_not_called_done(fixer, journal, make):
    path = make()
    before = judged(path)
    fix(fixer, path)
    new = path.read_bytes()
    take_back(journal, fixer.run)
    path.write_bytes(new)
    assert "changed since" in fix(fixer, path, before=before).reason


class FarOff(Disk):
    """A file system with inode numbers and dates beyond SQLite's integers."""

    @staticmethod
    def _moved(found):
        fields = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
        return SimpleNamespace(**fields | {"st_ino": found.st_ino + 2**63, "st_mtime_ns": found.st_mtime_ns + 10**19})

    def fstat(self, file):
        return self._moved(os.fstat(file))

    def stat(self, path, **more):
        return self._moved(os.stat(path, **more))

    def utime(self, file, ns):
        os.utime(file, ns=(ns[0], ns[1] - 10**19))


@every_kind
def test_a_photo_with_a_large_inode_or_a_late_date_is_written_and_taken_back(journal, make, kind):
    path = make(kind)
    digest = judged(path)[2]
    fixer = Fixer(journal, journal.start_run("scan --fix"), Toy(), second_reader, disk=FarOff())
    outcome = fixer.fix(Row(str(path), turn=90, sha256=digest))
    assert (outcome.status, outcome.reason) == (Status.FIXED, "")
    assert path.read_bytes() == turned_toy(TOYS[kind])
    (write,) = journal.writes(fixer.run)
    assert write.intent.mtime_ns == MTIME + 10**19 + 2 * 10**9
    assert min(write.intent.old_stat.inode, write.intent.old_stat.mtime_ns, write.new_stat.inode) >= 2**63
    assert [each.status for each in take_back(journal, fixer.run, disk=FarOff())] == [Status.FIXED]
    assert (path.read_bytes(), os.stat(path).st_mtime_ns) == (TOYS[kind], MTIME)
