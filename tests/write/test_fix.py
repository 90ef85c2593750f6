"""Photos are put right: planned, proved, journalled, written and read back."""

import errno
import os
from dataclasses import replace

import pytest
from support import png_webp_tiff_files, toy_container
from support.faulty_disks import BODY, TOYS, Toy, TroubledDisk, failing, second_reader, turned_toy
from support.small_photos import MTIME
from support.toy_container import every_kind, fix, judged, spoil_bytes, statuses

from orientd import formats, orientation
from orientd.errors import StateError
from orientd.files.write import Mtime
from orientd.records import LAST_TIME, Format, Patch, Row, Splice, Status
from orientd.state.journal import WriteStatus
from orientd.write.fix import Fixer

journal, fixer, make = toy_container.journal, toy_container.fixer, toy_container.make


@every_kind
def test_a_fix_writes_the_plan_and_journals_it(fixer, journal, make, kind):
    path = make(kind)
    before = judged(path)
    outcome = fix(fixer, path, probabilities=(0.0, 1.0, 0.0, 0.0))
    assert path.read_bytes() == turned_toy(TOYS[kind]) != TOYS[kind]
    assert (outcome.path, outcome.status, outcome.reason, outcome.orientation) == (str(path), Status.FIXED, "", 6)
    assert judged(path) == (str(path), outcome.stat, outcome.sha256)
    assert outcome.stat.mtime_ns == MTIME + 2 * 10**9
    (write,) = journal.writes(fixer.run)
    assert (write.status, write.new_stat) == (WriteStatus.FIXED, outcome.stat)
    told = write.intent
    assert (told.path, told.old_stat, told.old_sha256, told.new_sha256) == (*before, outcome.sha256)
    assert (told.old_orientation, told.new_orientation) == (Toy().stored_orientation(None, TOYS[kind]), 6)
    assert (told.format, told.turn, told.method, told.probabilities) == (Format.JPEG, 90, "tag", (0.0, 1.0, 0.0, 0.0))
    assert told.patch.apply(TOYS[kind]) == path.read_bytes()


@pytest.mark.parametrize("stored", range(10))
@pytest.mark.parametrize("turn", [90, 180, 270])
def test_the_new_orientation_is_the_stored_one_and_the_turn(fixer, make, stored, turn):
    path = make(b"TOY<O:%d>" % stored)
    outcome = fix(fixer, path, turn)
    assert path.read_bytes() == b"TOY<O:%d>" % orientation.turned(stored, turn)
    assert outcome.orientation == orientation.turned(stored, turn)


def test_size_and_hash_decide_and_the_time_does_not(fixer, make):
    path = make()
    name, stat, digest = judged(path)
    assert fixer.fix(Row(name, turn=90, sha256="0" * 64)).status is Status.FAILED
    assert fixer.fix(Row(name, turn=90, size=stat.size + 1, sha256=digest)).status is Status.FAILED
    os.utime(path, ns=(1, 1))
    assert fixer.fix(Row(name, turn=90, size=stat.size, mtime_ns=2, sha256=digest)).status is Status.FIXED


def test_the_time_after_the_last_is_the_last():
    assert Mtime.SHIFT.after(LAST_TIME - 2 * 10**9) == Mtime.SHIFT.after(LAST_TIME) == LAST_TIME


@every_kind
def test_nothing_to_do_is_unchanged_and_not_journalled(fixer, journal, make, kind):
    path = make(kind)
    before = judged(path)
    outcome = fix(fixer, path, turn=0)
    assert (outcome.status, outcome.stat, outcome.sha256) == (Status.UNCHANGED, *before[1:])
    assert judged(path) == before
    assert list(journal.writes(fixer.run)) == []


@pytest.mark.parametrize("kind", ["in place", "grows"])
def test_the_intent_is_in_the_journal_before_the_first_byte_is_written(journal, make, kind):
    path, seen = make(kind), []

    def trouble(disk, number, name, args):
        if name in ("pwrite", "replace", "unlink"):
            seen.append([write.intent.path for write in journal.unsettled()])

    fixer = Fixer(journal, journal.start_run("scan --fix"), Toy(), second_reader, disk=TroubledDisk(trouble))
    assert fix(fixer, path).status is Status.FIXED
    assert seen
    assert seen == [[str(path)]] * len(seen)


def test_a_journal_that_cannot_be_written_stops_the_run_before_the_photo_is_touched(fixer, journal, make):
    path = make()
    journal._db.execute("PRAGMA query_only = ON")
    with pytest.raises(StateError):
        fix(fixer, path)
    assert path.read_bytes() == TOYS["in place"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (spoil_bytes, "changed since it was judged"),
        (lambda path: path.write_bytes(b"other"), "changed since it was judged"),
        (lambda path: path.rename(path.with_name("moved")), "vanished"),
        (lambda path: (path.rename(path.with_name("moved")), path.symlink_to("moved")), "symbolic link"),
        (lambda path: (path.unlink(), path.mkdir()), "not a regular file"),
    ],
)
def test_a_file_that_changed_since_it_was_judged_is_left_alone(fixer, journal, make, change, reason):
    path = make()
    before = judged(path)
    change(path)
    left = {file.name: file.is_file() and file.read_bytes() for file in path.parent.iterdir()}
    outcome = fix(fixer, path, before=before)
    assert outcome.status is Status.FAILED
    assert reason in outcome.reason
    assert {file.name: file.is_file() and file.read_bytes() for file in path.parent.iterdir()} == left
    assert statuses(journal) == []


class Mistaken(Toy):
    """Plans what a proof must find wrong."""

    def __init__(self, splices):
        self.splices = splices

    def plan(self, format, data, orientation):  # noqa: A002
        return Patch(self.splices)


class Restless(Toy):
    """Plans something even where nothing is left to do."""

    def plan(self, format, data, orientation):  # noqa: A002
        return Patch((*super().plan(format, data, orientation).splices, Splice(len(data), b"", b"more")))


class OneWay(Toy):
    """Plans what cannot be taken back."""

    class Way(Patch):
        def inverse(self):
            return Patch(())

    def plan(self, format, data, orientation):  # noqa: A002
        return self.Way(super().plan(format, data, orientation).splices)


AT = 3 + len(BODY) + 3


def unreadable(data):
    raise SyntaxError("it is no picture")


@pytest.mark.parametrize(
    ("formats", "reader", "reason"),
    [
        (Mistaken((Splice(AT, b"?", b"6"),)), second_reader, "does not fit"),
        (Mistaken((Splice(AT, b"1", b"8"),)), second_reader, "does not read back"),
        (Mistaken((Splice(10**6, b"", b"6"),)), second_reader, "does not fit"),
        (OneWay(), second_reader, "could not be taken back exactly"),
        (Restless(), second_reader, "a second run would change it again"),
        (Toy(), lambda data: 1, "another reader would not see"),
        (Toy(), lambda data: None, "another reader would not see"),
        (Toy(), unreadable, "another reader cannot open it"),
    ],
)
def test_a_plan_that_is_not_proven_is_never_written(journal, make, formats, reader, reason):
    path = make()
    outcome = fix(Fixer(journal, journal.start_run("scan --fix"), formats, reader), path)
    assert outcome.status is Status.FAILED
    assert reason in outcome.reason
    assert path.read_bytes() == TOYS["in place"]
    assert statuses(journal) == []


class Broken(Toy):
    """A parser with a fault in one of its functions."""

    def __init__(self, function):
        setattr(self, function, lambda *_: 1 // 0)


@pytest.mark.parametrize("function", ["sniff", "stored_orientation", "plan"])
def test_a_fault_of_ours_fails_one_photo_and_never_the_run(journal, make, function):
    path = make()
    outcome = fix(Fixer(journal, journal.start_run("apply"), Broken(function), second_reader), path)
    assert outcome.status is Status.FAILED
    assert outcome.reason.startswith("unexpected ZeroDivisionError")
    assert outcome.reason.endswith("so nothing was written: please report this file")
    assert path.read_bytes() == TOYS["in place"]
    assert statuses(journal) == []


def test_what_must_stop_the_run_stops_it(journal, make):
    class Stopping(Toy):
        def plan(self, *_):
            raise StateError("enough")

    with pytest.raises(StateError, match="enough"):
        fix(Fixer(journal, journal.start_run("apply"), Stopping(), second_reader), make())


@every_kind
@pytest.mark.parametrize("trace", [True, False])
def test_bytes_that_another_program_wrote_right_after_ours_are_not_called_fixed(journal, make, kind, trace):
    path = make(kind)
    theirs = b"somebody else's".ljust(len(turned_toy(TOYS[kind])))

    def trouble(disk, number, name, args):
        if name == "open" and args[0] == path.name and path.read_bytes() == turned_toy(TOYS[kind]):
            mtime = MTIME if trace else os.stat(path).st_mtime_ns
            path.write_bytes(theirs)
            os.utime(path, ns=(mtime, mtime))

    outcome = fix(Fixer(journal, journal.start_run("scan --fix"), Toy(), second_reader, disk=TroubledDisk(trouble)), path)
    assert (outcome.status, statuses(journal)) == (Status.FAILED, [WriteStatus.LOST])
    assert "neither the old nor the new" in outcome.reason
    assert path.read_bytes() == theirs


def test_a_reason_is_told_once(journal, make):
    path = make()
    disk = failing(0, errno.EROFS, only=("pwrite", "unlink"))
    reason = fix(Fixer(journal, journal.start_run("apply"), Toy(), second_reader, disk=disk), path).reason
    assert reason == "its file system is mounted read-only: mount it writable, then run again"


@pytest.mark.parametrize("name", ["photo.nef", "photo.DNG"])
def test_a_raw_file_that_looks_like_a_plain_tiff_is_never_written(journal, make, name):
    path = make(png_webp_tiff_files.tiff(png_webp_tiff_files.Tiff()), name)
    outcome = fix(Fixer(journal, journal.start_run("apply"), formats, lambda data: 6), path)
    assert (outcome.status, outcome.reason.partition(":")[0]) == (Status.FAILED, "raw files are never changed")
    assert path.read_bytes() == png_webp_tiff_files.tiff(png_webp_tiff_files.Tiff())


@every_kind
@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ({"code": errno.EROFS, "only": ["open"]}, "mounted read-only"),
        ({"code": errno.EAGAIN, "only": ["lease"]}, "open for writing"),
    ],
)
def test_what_cannot_be_opened_for_writing_is_not_journalled(journal, make, kind, trouble, reason):
    """A folder that is read-only for months is tried every hour."""
    path = make(kind)

    def refuse(disk, number, name, args):
        if name in trouble["only"] and (name != "open" or args[1] & os.O_RDWR):
            raise OSError(trouble["code"], os.strerror(trouble["code"]))

    fixer = Fixer(journal, journal.start_run("watch"), Toy(), second_reader, disk=TroubledDisk(refuse))
    outcome = fix(fixer, path)
    assert (outcome.status, reason in outcome.reason, path.read_bytes()) == (Status.FAILED, True, TOYS[kind])
    assert statuses(journal) == []
    assert fix(replace(fixer, disk=TroubledDisk()), path).status is Status.FIXED


@every_kind
def test_a_change_that_is_made_already_is_unchanged_whoever_asks_again(fixer, journal, make, kind):
    path = make(kind)
    before = judged(path)
    fix(fixer, path, before=before)
    held, later = judged(path), replace(fixer, run=journal.start_run("apply"))
    for _ in range(2):
        outcome = fix(later, path, before=before)
        assert (outcome.status, outcome.reason) == (Status.UNCHANGED, "done already in run 1")
    assert "changed since" in fix(later, path, 180, before=before).reason
    assert judged(path) == held
    spoil_bytes(path)
    assert "changed since" in fix(later, path, before=before).reason
    assert statuses(journal) == [WriteStatus.FIXED]
