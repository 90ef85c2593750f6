import errno
import os
from dataclasses import replace
from hashlib import sha256
from types import SimpleNamespace

import pytest
import stills
from writing_disks import BODY, TOYS, Toy, TroubledDisk, failing, leftovers, turned_toy, witness

from orientd import files, formats, orientation
from orientd.act import Fixer, recover, undo
from orientd.disk import Disk
from orientd.errors import StateError
from orientd.files import Mtime
from orientd.items import Format, Patch, Splice, Status
from orientd.record import Journal, WriteStatus

MTIME = 1_600_000_000_123_456_789
every_kind = pytest.mark.parametrize("kind", TOYS)


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "state") as journal:
        yield journal


@pytest.fixture
def fixer(journal):
    return Fixer(journal, journal.start_run("scan --fix"), Toy(), witness)


@pytest.fixture
def make(tmp_path):
    (tmp_path / "photos").mkdir()

    def make(kind="in place", name="photo.jpg"):
        path = tmp_path / "photos" / name
        path.write_bytes(TOYS.get(kind, kind))
        os.utime(path, ns=(MTIME, MTIME))
        return path

    return make


def judged(path):
    return str(path), files.file_stat(os.lstat(path)), sha256(path.read_bytes()).hexdigest()


def fix(fixer, path, turn=90, before=None, **more):
    name, stat, digest = before or judged(path)
    return fixer.fix(name, stat.size, stat.mtime_ns, digest, turn, **more)


def take_back(journal, run, **more):
    return list(undo(journal, journal.start_run("undo"), journal.writes(run), **more))


def statuses(journal):
    return [write.status for run in journal.runs() for write in journal.writes(run.id)]


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


def test_a_time_that_is_not_known_is_not_compared(fixer, make):
    path = make()
    name, stat, digest = judged(path)
    assert fixer.fix(name, None, None, "0" * 64, 90).status is Status.FAILED
    assert fixer.fix(name, stat.size, None, digest, 90).status is Status.FIXED


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

    fixer = Fixer(journal, journal.start_run("scan --fix"), Toy(), witness, disk=TroubledDisk(trouble))
    assert fix(fixer, path).status is Status.FIXED
    assert seen
    assert seen == [[str(path)]] * len(seen)


def test_a_journal_that_cannot_be_written_stops_the_run_before_the_photo_is_touched(fixer, journal, make):
    path = make()
    journal._db.execute("PRAGMA query_only = ON")
    with pytest.raises(StateError):
        fix(fixer, path)
    assert path.read_bytes() == TOYS["in place"]


def spoil_bytes(path):
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    os.utime(path, ns=(MTIME, MTIME))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (spoil_bytes, "changed since it was judged"),
        (lambda path: path.write_bytes(b"other"), "changed since it was judged"),
        (lambda path: os.utime(path, ns=(1, 1)), "changed since it was judged"),
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


AT = 3 + len(BODY) + 3


def unreadable(data):
    raise SyntaxError("it is no picture")


@pytest.mark.parametrize(
    ("formats", "reader", "reason"),
    [
        (Mistaken((Splice(AT, b"?", b"6"),)), witness, "does not fit"),
        (Mistaken((Splice(AT, b"1", b"8"),)), witness, "does not read back"),
        (Mistaken((Splice(10**6, b"", b"6"),)), witness, "does not fit"),
        (Restless(), witness, "a second run would change it again"),
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
    outcome = fix(Fixer(journal, journal.start_run("apply"), Broken(function), witness), path)
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
        fix(Fixer(journal, journal.start_run("apply"), Stopping(), witness), make())


@every_kind
def test_bytes_that_another_program_wrote_right_after_ours_are_not_called_fixed(journal, make, kind):
    path = make(kind)

    def trouble(disk, number, name, args):
        if name == "open" and args[0] == path.name and path.read_bytes() == turned_toy(TOYS[kind]):
            path.write_bytes(b"somebody else's")

    outcome = fix(Fixer(journal, journal.start_run("scan --fix"), Toy(), witness, disk=TroubledDisk(trouble)), path)
    assert (outcome.status, statuses(journal)) == (Status.FAILED, [WriteStatus.LOST])
    assert "neither the old nor the new" in outcome.reason
    assert path.read_bytes() == b"somebody else's"


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
    assert journal.was_undone(outcome.sha256) == fixer.run
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
    assert judged(path) == before
    assert journal.was_undone(before[2]) == fixer.run


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


def test_a_reason_is_told_once(journal, make):
    path = make()
    disk = failing(0, errno.EROFS, only=("pwrite", "unlink"))
    reason = fix(Fixer(journal, journal.start_run("apply"), Toy(), witness, disk=disk), path).reason
    assert reason == "its file system is mounted read-only: mount it writable, then run again"


@pytest.mark.parametrize("name", ["photo.nef", "photo.DNG"])
def test_a_raw_file_that_looks_like_a_plain_tiff_is_never_written(journal, make, name):
    path = make(stills.tiff(stills.Tiff()), name)
    outcome = fix(Fixer(journal, journal.start_run("apply"), formats, lambda data: 6), path)
    assert (outcome.status, outcome.reason.partition(":")[0]) == (Status.FAILED, "raw files are never changed")
    assert path.read_bytes() == stills.tiff(stills.Tiff())


def test_a_touched_or_moved_time_does_not_hinder_undo(fixer, journal, make):
    path = make()
    fix(fixer, path)
    os.utime(path, ns=(5, 5))
    assert [outcome.status for outcome in take_back(journal, fixer.run)] == [Status.FIXED]
    assert path.read_bytes() == TOYS["in place"]


def interrupted(fixer, path):
    """An intent as a kill just before the write leaves it, and the new bytes."""
    data = path.read_bytes()
    intent = fixer._intent(*judged(path), data, 90, fixer._change(data, 90))
    return fixer.journal.intend(fixer.run, intent), intent


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

    fixer = Fixer(journal, journal.start_run("watch"), Toy(), witness, disk=TroubledDisk(refuse))
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
    fixer = Fixer(journal, journal.start_run("scan --fix"), Toy(), witness, disk=FarOff())
    outcome = fixer.fix(str(path), None, MTIME + 10**19, digest, 90)
    assert (outcome.status, outcome.reason) == (Status.FIXED, "")
    assert path.read_bytes() == turned_toy(TOYS[kind])
    (write,) = journal.writes(fixer.run)
    assert write.intent.mtime_ns == MTIME + 10**19 + 2 * 10**9
    assert min(write.intent.old_stat.inode, write.intent.old_stat.mtime_ns, write.new_stat.inode) >= 2**63
    assert [each.status for each in take_back(journal, fixer.run, disk=FarOff())] == [Status.FIXED]
    assert (path.read_bytes(), os.stat(path).st_mtime_ns) == (TOYS[kind], MTIME)


def test_a_torn_write_is_taken_back(fixer, journal, make):
    path = make("two tags in a page")
    new = turned_toy(path.read_bytes())
    _, intent = interrupted(fixer, path)
    second = intent.patch.splices[1].offset
    path.write_bytes(TOYS["two tags in a page"][:second] + new[second:])
    (outcome,) = recover(journal)
    assert path.read_bytes() == TOYS["two tags in a page"]
    assert (outcome.status, os.stat(path).st_mtime_ns) == (Status.FAILED, MTIME)
    assert statuses(journal) == [WriteStatus.FAILED]


@pytest.mark.parametrize("kind", ["in place", "two tags in a page"])
def test_what_another_program_put_in_the_same_place_is_not_taken_for_torn(fixer, journal, make, kind):
    path = make(kind)
    interrupted(fixer, path)
    theirs = TOYS[kind].replace(b"<O:1>", b"<O:3>")
    path.write_bytes(theirs)
    recover(journal)
    assert path.read_bytes() == theirs
    assert statuses(journal) == [WriteStatus.LOST]
