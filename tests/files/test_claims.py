"""Two orientds, each with a state folder of its own, at one file: whoever is ahead, wherever the one stops for the other."""

import errno
import fcntl
import os
import signal
import tempfile
from hashlib import sha256
from itertools import chain, product
from pathlib import Path
from threading import Semaphore, Thread

import pytest
from support import kill_victim
from support.faulty_disks import DyingJournal, TroubledDisk, leftovers
from support.small_photos import GROWS, IN_PLACE, MTIME, OLD, every_patch, make_photo, state, write

from orientd import formats
from orientd.errors import PhotoError, Refused, WriteError
from orientd.files import read
from orientd.files import write as files
from orientd.records import Patch, Row, Splice, Status
from orientd.write.fix import Fixer
from orientd.write.undo import undo

# The calls by which two that write a file may notice each other.
MET = {"open", "close", "flock", "sleep", "lease", "leased", "fstat", "stat", "utime", "pwrite", "replace", "unlink"}
EMPTIED = Patch((Splice(0, OLD, b""),))


@pytest.fixture
def path():
    """Of a file on a disk that is quick to write, as that happens thousands of times here."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder) / "photo.jpg"


class Turns:
    """Deeds that take turns at system calls: the first makes so many, then the second so many, and so on, then each to its end.

    A deed that waits for a lock gives its turn away; real time plays no part.
    """

    def __init__(self, deeds, turns, trouble=lambda *_: None):
        self.turns, self.trouble, self.left = list(turns), trouble, set(range(len(deeds)))
        self.go, self.said = [Semaphore(0) for _ in deeds], [None for _ in deeds]
        self.logs, self.met = [[] for _ in deeds], [0 for _ in deeds]
        self.calls = self._next()
        threads = [Thread(target=self._run, args=(number, deed)) for number, deed in enumerate(deeds)]
        for thread in threads:
            thread.start()
        self.go[0].release()
        for thread in threads:
            thread.join()

    def outcomes(self):
        """What each deed returned, or the PhotoError it ended with."""
        for outcome in self.said:
            if isinstance(outcome, BaseException) and not isinstance(outcome, PhotoError):
                raise outcome
        return self.said

    def _next(self):
        return self.turns.pop(0) if self.turns else 10**6

    def _run(self, number, deed):
        def step(disk, at, name, args):
            if name in MET:
                self.met[number] += 1
                if self.calls <= 0 or name == "sleep":
                    self._give(number)
                    self.go[number].acquire()
                self.calls -= 1
            answer = self.trouble(disk, at, name, args)
            return self._ask(disk, *args) if name == "lease" and answer is None else answer or name == "sleep" or None

        self.go[number].acquire()
        disk = TroubledDisk(step)
        self.logs[number] = disk.log
        try:
            self.said[number] = deed(disk)
        except BaseException as error:
            self.said[number] = error
        self.left.discard(number)
        self._give(number)

    def _ask(self, disk, file):
        """As the kernel does it: who opens the file for writing while there is a lease is refused, and may yet be noticed."""
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        disk.step("leased", lambda: None)
        broken = fcntl.fcntl(file, fcntl.F_GETLEASE) != fcntl.F_RDLCK
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        if broken:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return True

    def _give(self, number):
        self.calls = self._next()
        for other in self.left - {number} or self.left:
            self.go[other].release()


def writing(path, patch, number):
    """What an orientd does: it looks before it journals, then writes."""
    expected = state(path)

    def deed(disk):
        files.check_writable(str(path), disk)
        return files.write(str(path), expected, OLD, patch, MTIME + 5, f".orientd-{number}.tmp", disk=disk)

    return deed


def both(path, patches, turns, trouble=lambda *_: None):
    make_photo(path)
    return Turns([writing(path, patch, number) for number, patch in enumerate(patches)], turns, trouble)


def every_order(path, patches, trouble=lambda *_: None):
    """Every way to stop the one once, and then the other once; and many in which they stop again and again."""
    first, second = (range(both(path, [patch], [], trouble).met[0]) for patch in patches)
    for turns in chain(product(first, second), ((start, *(1, calls) * 50) for start, calls in product(first[::2], second[::4]))):
        yield both(path, patches, turns, trouble)


def winner(path, patches, turned):
    """Which of two has written, and said so; the other found the file changed or gone, and said that."""
    outcomes = turned.outcomes()
    (won,) = (number for number, outcome in enumerate(outcomes) if not isinstance(outcome, PhotoError))
    expected = patches[won].apply(OLD)
    assert (path.read_bytes() if path.exists() else b"", leftovers(path.parent)) == (expected, [])
    assert outcomes[won] == (state(path) if expected else read.absent(outcomes[won].dev))
    assert any(reason in str(outcomes[1 - won]) for reason in ("changed since it was judged", "it has vanished"))
    return won


PAIRS = {
    "in place": (IN_PLACE, IN_PLACE),
    "replaced": (GROWS, GROWS),
    "in place and replaced": (IN_PLACE, GROWS),
    "replaced and removed": (GROWS, EMPTIED),
    "removed": (EMPTIED, EMPTIED),
}


@pytest.mark.parametrize("patches", PAIRS.values(), ids=PAIRS)
def test_of_two_that_write_a_file_one_does_wherever_they_stop_for_each_other(path, patches):
    seen = {(winner(path, patches, turned), *("sleep" in log for log in turned.logs)) for turned in every_order(path, patches)}
    assert seen >= {(0, False, False), (0, False, True), (1, False, False), (1, True, False)}


def on(monkeypatch, path, kind):
    """The file is on a file system of this kind."""
    monkeypatch.setattr("orientd.files.syscalls.read_mountinfo", lambda: f"9 1 0:9 / {path.parent} rw - {kind} nas:/photos rw")


def as_nfs(disk, at, name, args):
    """Only what is open for writing can be locked, and leases are refused."""
    if name == "flock" and fcntl.fcntl(args[0], fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    if name == "lease":
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def test_where_only_what_is_open_for_writing_can_be_locked_a_tag_is_still_overwritten_by_one(path, monkeypatch):
    on(monkeypatch, path, "nfs4")
    seen = {winner(path, (IN_PLACE, IN_PLACE), turned) for turned in every_order(path, (IN_PLACE, IN_PLACE), as_nfs)}
    assert seen == {0, 1}


class Cifs:
    """A lock keeps every other descriptor from the bytes."""

    def __init__(self):
        self.locked, self.claimed = {}, set()

    def __call__(self, disk, at, name, args):
        if name == "close":
            self.locked = {inode: file for inode, file in self.locked.items() if file != args[0]}
        elif name == "flock":
            self.locked[os.fstat(args[0]).st_ino] = args[0]
            self.claimed.add(os.fstat(args[0]).st_ino)
        elif name in ("pread", "pwrite") and self.locked.get(os.fstat(args[0]).st_ino, args[0]) != args[0]:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))


@every_patch
def test_where_a_lock_binds_its_own_holder_it_is_laid_on_what_is_written(path, monkeypatch, patch):
    make_photo(path)
    on(monkeypatch, path, "cifs")
    cifs, inode = Cifs(), os.stat(path).st_ino
    write(path, patch, disk=TroubledDisk(cifs))
    assert path.read_bytes() == patch.apply(OLD)
    assert cifs.claimed == {inode, os.stat(path).st_ino}


def test_the_lock_that_binds_its_own_holder_would_be_noticed(path):
    make_photo(path)
    with pytest.raises(Refused, match="permission denied"):
        write(path, IN_PLACE, disk=TroubledDisk(Cifs()))
    assert path.read_bytes() == OLD


@pytest.mark.parametrize("pauses", [1, 3, None])
@every_patch
def test_a_file_that_another_holds_is_waited_for_but_not_for_ever(path, patch, pauses):
    make_photo(path)
    slept = []
    with path.open("rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)

        def wait(disk, at, name, args):
            if name != "sleep":
                return None
            slept.append(args[0])
            if len(slept) == pauses:
                fcntl.flock(holder, fcntl.LOCK_UN)
            return True

        if pauses:
            write(path, patch, disk=TroubledDisk(wait))
        else:
            with pytest.raises(WriteError, match=r"for itself.*run again"):
                write(path, patch, disk=TroubledDisk(wait))
    assert path.read_bytes() == (patch.apply(OLD) if pauses else OLD)
    assert len(slept) == pauses if pauses else 9 < sum(slept) < 11


class Orientd:
    """One with a state folder of its own, and what it does to a photo it has judged."""

    def __init__(self, photo, state_dir):
        self.photo, self.state_dir, self.judged = str(photo), state_dir, sha256(photo.read_bytes()).hexdigest()

    def fix(self, disk):
        with DyingJournal(self.state_dir) as journal:
            journal.disk = disk
            fixer = Fixer(journal, journal.start_run("fix"), formats, kill_victim.reads, disk=disk)
            return fixer.fix(Row(self.photo, turn=90, sha256=self.judged))

    def undo(self):
        with DyingJournal(self.state_dir) as journal:
            journal.disk = TroubledDisk()
            assert journal.unsettled() == []
            return [outcome.status for outcome in undo(journal, journal.start_run("undo"), journal.writes(1))]


@pytest.mark.parametrize("kind", [0, 1], ids=["in place", "grows"])
@pytest.mark.parametrize("again", [1, 4, 9, 10**6])
def test_of_two_that_fix_a_photo_one_does_and_both_journals_are_right(path, kind, again):
    old, first, met = kill_victim.draw(kind), 0, 1
    new = formats.plan(formats.sniff(old), old, 6).apply(old)
    while first < met:
        path.write_bytes(old)
        os.utime(path, ns=(MTIME, MTIME))
        two = [Orientd(path, path.with_name(f"{first}{name}")) for name in "ab"]
        turned = Turns([orientd.fix for orientd in two], [first, *[again] * 100])
        statuses = {outcome.status for outcome in turned.outcomes()}
        assert Status.FIXED in statuses <= {Status.FIXED, Status.FAILED}
        assert (path.read_bytes(), state(path).mtime_ns) == (new, MTIME + 2 * 10**9)
        assert Status.FIXED in two[0].undo() + two[1].undo()
        assert (path.read_bytes(), state(path).mtime_ns, leftovers(path.parent)) == (old, MTIME, [])
        first, met = first + 1, turned.met[0]
