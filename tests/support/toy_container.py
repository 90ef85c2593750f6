"""Toys to write to, to take back and to mend: for the tests of act.

Each file of these tests takes the fixtures by name.
"""

import os
from hashlib import sha256

import pytest
from support.faulty_disks import TOYS, Toy, admit, second_reader
from support.small_photos import MTIME

from orientd.files import read
from orientd.records import Row
from orientd.state.journal import Journal
from orientd.write.fix import Fixer
from orientd.write.undo import undo

every_kind = pytest.mark.parametrize("kind", TOYS)


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "state") as journal:
        yield journal


@pytest.fixture
def fixer(journal):
    return Fixer(journal, journal.start_run("scan --fix"), Toy(), second_reader)


@pytest.fixture
def make(tmp_path):
    """Makes toys in a new folder: of a kind, or of these bytes."""
    folder = tmp_path / "photos"
    folder.mkdir()

    def made(kind="in place", name="photo.jpg"):
        path = folder / name
        path.write_bytes(TOYS.get(kind, kind))
        os.utime(path, ns=(MTIME, MTIME))
        return path

    return made


def judged(path):
    return str(path), read.file_stat(os.lstat(path)), sha256(path.read_bytes()).hexdigest()


def fix(fixer, path, turn=90, before=None, **more):
    return fixer.fix(row_of(*(before or judged(path)), turn, **more))


def row_of(name, stat, digest, turn=90, **more):
    return Row(name, turn=turn, size=stat.size, mtime_ns=stat.mtime_ns, sha256=digest, **more)


def take_back(journal, run, **more):
    return list(undo(journal, journal.start_run("undo"), journal.writes(run), admit=admit, **more))


def statuses(journal):
    return [write.status for run in journal.runs() for write in journal.writes(run.id)]


def spoil_bytes(path):
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    os.utime(path, ns=(MTIME, MTIME))


def interrupted(fixer, path):
    """An intent as a kill just before the write leaves it, and the new bytes."""
    data = path.read_bytes()
    name, stat, digest = judged(path)
    intent = fixer._intent(row_of(name, stat, digest), stat, data, fixer._change(data, 90, 1, None))
    return fixer.journal.intend(fixer.run, intent), intent
