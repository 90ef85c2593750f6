"""Toys to write to, to take back and to mend: for the tests of act.

Each file of these tests takes the fixtures by name.
"""

import os
from hashlib import sha256

import pytest
from support.faulty_disks import TOYS, Toy, admit, second_reader
from support.small_photos import MTIME

from orientd.files import read
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
    name, stat, digest = before or judged(path)
    return fixer.fix(name, stat.size, stat.mtime_ns, digest, turn, **more)


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
    intent = fixer._intent(*judged(path), data, 90, fixer._change(data, 90))
    return fixer.journal.intend(fixer.run, intent), intent
