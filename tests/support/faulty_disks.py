"""Disks that fail or die on demand, and a toy container to write to them: for the tests of files, act and crashes."""

import errno
import os
import re
from collections.abc import Callable

import pytest

from orientd.files.syscalls import Disk
from orientd.files.write import PAGE
from orientd.records import Format, Patch, Splice, Status
from orientd.state.journal import Intent, Journal, WriteStatus

CALLS = frozenset(name for name in vars(Disk) if not name.startswith("_"))
ERRORS = {name: getattr(errno, name) for name in ("ENOSPC", "EIO", "EROFS", "EACCES", "EPERM")}
TEMP = ".orientd-0123456789abcdef.tmp"


class Killed(BaseException):
    """What a `kill -9` looks like from inside: nothing that follows reaches the disk."""


class TroubledDisk(Disk):
    """Carries out system calls and counts them from 0; `trouble` is asked before each, and may raise or answer in its stead."""

    def __init__(self, trouble: Callable[["TroubledDisk", int, str, tuple], object] = lambda *_: None):
        self.trouble, self.log, self.dead = trouble, [], False

    def __getattribute__(self, name):
        real = super().__getattribute__(name)
        return (lambda *args, **more: self.step(name, real, args, more)) if name in CALLS else real

    def step(self, name, real, args=(), more=None):
        number = len(self.log)
        self.log.append(name)
        if name == "close":  # the file is closed whatever the call says, and at the death of a process too
            real(*args)
        answer = self.trouble(self, number, name, args)
        if name in ("close", "fsync"):  # nobody pulls the plug on a test
            return None
        return real(*args, **(more or {})) if answer is None else answer


def dying(at):
    """Dies at call number `at` and stays dead; a `pwrite` it dies in leaves whole pages behind, as a torn write does."""

    def trouble(disk, number, name, args):
        if name == "pwrite" and number == at:
            file, data, offset = args
            os.pwrite(file, bytes(data)[: PAGE - offset % PAGE] if offset % PAGE + len(data) > PAGE else b"", offset)
        disk.dead = disk.dead or number >= at
        if disk.dead:
            raise Killed

    return TroubledDisk(trouble)


def failing(at, code, until=None, only=None):
    """Fails with the error `code` at the calls `at` up to, not including, `until` (by default `at + 1`), or those in `only`."""

    def trouble(disk, number, name, args):
        if (name in only) if only else name in CALLS and at <= number < (until or at + 1):
            raise OSError(code, os.strerror(code))

    return TroubledDisk(trouble)


class DyingJournal(Journal):
    """A journal whose commits are steps of a disk too: the process may die before and after each."""

    disk: TroubledDisk

    def __init__(self, state_dir) -> None:
        super().__init__(state_dir)
        self._db.execute("PRAGMA synchronous = OFF")  # hundreds of these are made, and nobody pulls the plug on a test

    def intend(self, run: int, intent: Intent) -> int:
        self.disk.step("before intend", lambda: None)
        number = super().intend(run, intent)
        self.disk.step("after intend", lambda: None)
        return number

    def settle(self, write: int, status: WriteStatus, reason: str = "", stat=None, code=None) -> None:
        self.disk.step("before settle", lambda: None)
        super().settle(write, status, reason, stat, code)
        self.disk.step("after settle", lambda: None)


class Toy:
    """Begins as a JPEG does. Its orientation is a digit in every `<O:n>` it holds; one is added if there is none."""

    def sniff(self, data):
        return Format.JPEG

    def stored_orientation(self, format, data):  # noqa: A002
        found = re.search(rb"<O:(\d)>", data)
        return int(found[1]) if found else None

    def plan(self, format, data, orientation):  # noqa: A002
        digit = b"%d" % orientation
        marks = list(re.finditer(rb"<O:(\d)>", data))
        if not marks:
            return Patch((Splice(3, b"", b"<O:%s>" % digit),))
        return Patch(tuple(Splice(mark.start(1), mark[1], digit) for mark in marks if mark[1] != digit))


def second_reader(data):
    """Reads the toy container another way."""
    at = data.rfind(b"<O:")
    return int(data[at + 3 : at + 4]) if at >= 0 else None


def admit(*_):
    """Stands for `undo_guard.admit`, which knows no toys."""


MAGIC = b"\xff\xd8\xff"
BODY = bytes(range(256)) * 40
TOYS = {
    "in place": MAGIC + BODY + b"<O:1>" + BODY,
    "two tags in a page": MAGIC + b"<O:1>" + BODY[:1000] + b"<O:1>" + BODY,
    "two pages": MAGIC + b"<O:1>" + BODY + b"<O:1>",
    "grows": MAGIC + BODY,
}


def turned_toy(data):
    """The toy turned by 90°."""
    return Toy().plan(Format.JPEG, data, 6).apply(data)


def leftovers(folder):
    """Names of temporary files in a folder."""
    return [name for name in os.listdir(folder) if name.startswith(".orientd-")]


def killed_at_every_step(scene, deed):
    """Kills a deed ("fix" or "undo") at each step of a disk and asserts that the photo is old or new and the next run finishes.

    Yields after each, once all is finished. The scene says how it is `held` ("old" or "new"), can be `reset` to before the deed,
    and has a `check_settled`.
    """
    undoing, seen, disk = deed == "undo", set(), TroubledDisk()
    before, after = ("new", "old") if undoing else ("old", "new")
    scene.reset(undoing)
    scene.act(deed, disk)
    for at in range(len(disk.log)):
        scene.reset(undoing)
        with pytest.raises(Killed):
            scene.act(deed, dying(at))
        assert scene.held() in (before, after)
        seen.add(scene.held())
        scene.act("recover")
        scene.check_settled()
        if scene.held() != after:
            assert scene.act(deed).status is Status.FIXED
        scene.check_settled()
        assert scene.held() == after
        yield
    assert seen == {before, after}
