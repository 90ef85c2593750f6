"""The preparing of photos goes on to the same bytes wherever it was stopped, and never mixes two caches."""

import errno
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orientd_training.data import photoset, prepare, sources
from orientd_training.data.near_duplicates import Split
from orientd_training.data.prepare import Why
from support.blobs import library, save, scene

from orientd.errors import ConfigError, OrientdError

SIZE = 32

FILES = {"pixels.npy", "dhash.npy", "manifest.csv", "dropped.csv", "prepare.json"}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@contextmanager
def stopping_after(number, error=None):
    """The disk fails, or the person loses patience, when one more photo is to be written; gives the names of those decoded."""
    add, decoded = prepare.Squares.add, []
    square = sources.Sources.square

    def trouble(self, fact, pixels):
        if len(self.facts) == number:
            raise error
        add(self, fact, pixels)

    def counted(self, member, decoder):
        decoded.append(member.name)
        return square(self, member, decoder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare.Squares, "add", trouble)
        patch.setattr(sources.Sources, "square", counted)
        yield decoded


@pytest.mark.parametrize("number", [0, 1, 7, 23])
def test_stopped_anywhere_it_goes_on_to_the_same_bytes(tmp_path, number):
    folder = library(tmp_path / "in")
    (folder / "album-1" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    photoset.prepare([folder], tmp_path / "whole", SIZE, split=Split(0.3))
    with stopping_after(number, KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
        photoset.prepare([folder], tmp_path / "out", SIZE, split=Split(0.3))
    with pytest.raises(ConfigError, match="holds no prepared photos"):
        photoset.load(tmp_path / "out")
    said = []
    with stopping_after(None) as decoded:
        photoset.prepare([folder], tmp_path / "out", SIZE, split=Split(0.3), say=said.append)
    assert len(decoded) == 25 - number
    assert said == ([f"going on after {number} of 25 photos"] if number else [])
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert contents(tmp_path / "out").keys() == FILES


STEPS = [("_write_csv", 0), ("_write_array", 0), ("_write_array", 1), ("_write_csv", 1), ("_clear", 0)]


@pytest.mark.parametrize(("step", "at"), STEPS)
def test_stopped_at_the_end_it_goes_on_to_the_same_bytes(tmp_path, monkeypatch, step, at):
    folder = library(tmp_path / "in")
    photoset.prepare([folder], tmp_path / "whole", SIZE)
    real, calls = getattr(prepare, step), []

    def trouble(*arguments):
        calls.append(step)
        if len(calls) > at:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(prepare, step, trouble)
        with pytest.raises(KeyboardInterrupt):
            photoset.prepare([folder], tmp_path / "out", SIZE)
    assert "progress.jsonl" in contents(tmp_path / "out")
    monkeypatch.setattr(sources.Sources, "square", None)  # nothing is decoded again
    photoset.prepare([folder], tmp_path / "out", SIZE)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


VICTIM = """
import os, signal, sys
from pathlib import Path
from orientd_training.data import prepare

add = prepare.Squares.add
def dying(self, fact, square):
    if len(self.facts) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, fact, square)
prepare.Squares.add = dying
prepare.prepare([Path(sys.argv[1])], Path(sys.argv[2]), 32)
"""


def test_killed_it_goes_on_to_the_same_bytes(tmp_path):
    folder = library(tmp_path / "in")
    photoset.prepare([folder], tmp_path / "whole", SIZE)
    for number in ("5", "17"):
        ran = subprocess.run([sys.executable, "-c", VICTIM, folder, tmp_path / "out", number], check=False)
        assert ran.returncode == -signal.SIGKILL
    lines = (tmp_path / "out" / "progress.jsonl").read_bytes()
    assert lines.count(b"\n") == 1 + 17
    photoset.prepare([folder], tmp_path / "out", SIZE)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@settings(max_examples=20)
@given(st.floats(0, 1), st.floats(0, 1), st.binary(max_size=20))
def test_torn_files_are_cut_back_to_what_is_whole(tmp_path_factory, lines, squares, junk):
    """What a power cut leaves: any length of either file, and bytes that nobody wrote."""
    made = tmp_path_factory.getbasetemp() / "torn"
    folder = made / "in" if made.exists() else library(made / "in", albums=2)
    tmp = tmp_path_factory.mktemp("torn")
    with stopping_after(6, KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
        photoset.prepare([folder], tmp / "out", SIZE)
    for name, share in (("progress.jsonl", lines), ("squares.partial", squares)):
        path = tmp / "out" / name
        path.write_bytes(path.read_bytes()[: round(share * path.stat().st_size)] + junk)
    photoset.prepare([folder], tmp / "out", SIZE)
    photoset.prepare([folder], tmp / "whole", SIZE)
    assert contents(tmp / "out") == contents(tmp / "whole")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_loses_nothing(tmp_path, code):
    folder = library(tmp_path / "in")
    words = os.strerror(code)
    with stopping_after(9, OSError(code, words)), pytest.raises(OrientdError, match=f"cannot be written .{words}.: make room"):
        photoset.prepare([folder], tmp_path / "out", SIZE)
    with stopping_after(None) as decoded:
        photoset.prepare([folder], tmp_path / "out", SIZE)
    assert len(decoded) == 24 - 9


LIMITED = """
import resource, sys
from pathlib import Path
from orientd.errors import OrientdError
from orientd_training.data.prepare import prepare

limit = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    prepare([Path(sys.argv[1])], Path(sys.argv[2]), 32)
except OrientdError as error:
    print(error)
"""


@pytest.mark.parametrize("squares", [3.5, 24])
def test_a_disk_that_really_fails(tmp_path, squares):
    """The kernel refuses to let a file grow: while the squares are written, or when they are copied to their place."""
    folder, limit = library(tmp_path / "in"), int(squares * SIZE * SIZE * 3)
    command = [sys.executable, "-c", LIMITED, folder, tmp_path / "out", str(limit)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{tmp_path / 'out'} cannot be written (File too large)" in ran.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} <= {"progress.jsonl", "squares.partial", "dropped.csv"}
    photoset.prepare([folder], tmp_path / "out", SIZE)
    photoset.prepare([folder], tmp_path / "whole", SIZE)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_complete_cache_is_left_alone(tmp_path):
    folder, out, said = library(tmp_path / "in", albums=2), tmp_path / "out", []
    save(folder / "b.png", scene(0))
    save(folder / "c.png", scene(0))
    first = photoset.prepare([folder], out, SIZE)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert photoset.prepare([folder], out, SIZE, say=said.append) == first
    assert [entry.why for entry in first.dropped] == [Why.DUPLICATE]
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before
    assert said == [f"{out} is complete: there is nothing to do (--force begins anew)"]
    assert photoset.prepare([folder], out, 40, force=True).photos == first.photos
    assert photoset.load(out).size == 40


@pytest.mark.parametrize("complete", [True, False])
def test_a_cache_of_something_else_is_refused(tmp_path, complete):
    folder, out = library(tmp_path / "in"), tmp_path / "out"
    if complete:
        photoset.prepare([folder], out, SIZE)
    else:
        with stopping_after(5, KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
            photoset.prepare([folder], out, SIZE)
    before = contents(out)
    with pytest.raises(ConfigError, match=r"size: 32 before, 40 now\): choose another --out, or begin anew with --force"):
        photoset.prepare([folder], out, 40)
    with pytest.raises(ConfigError, match=r"sources: .*/in'\] before, .*/album-0'\] now; photos: 24 before, 4 now"):
        photoset.prepare([folder / "album-0"], out, SIZE)
    if complete:
        with pytest.raises(ConfigError, match=r"validation: 0\.0 before, 0\.3 now; seed: 0 before, 5 now"):
            photoset.prepare([folder], out, SIZE, split=Split(0.3, (), 5))
    os.utime(folder / "album-0" / "0.jpg", ns=(1, 1))
    with pytest.raises(ConfigError, match=r"content: .* before, .* now"):
        photoset.prepare([folder], out, SIZE)
    assert contents(out) == before


def test_two_at_once_are_refused(tmp_path):
    folder, out = library(tmp_path / "in", albums=1), tmp_path / "out"
    with prepare._writing(out), pytest.raises(ConfigError, match="another orientd-train prepare is at work"):
        photoset.prepare([folder], out, SIZE)
    assert photoset.prepare([folder], out, SIZE).photos == 4
