"""Folders and zips of upright photos become a cache: decoded once, resumable, and split so that no copy is on both sides."""

import csv
import errno
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from blobs import library, save, scene
from hypothesis import given, settings
from hypothesis import strategies as st

from orientd import orientation
from orientd.errors import ConfigError, OrientdError

pytest.importorskip("orientd_training")

from orientd_training import groups, photoset, prepare, sources
from orientd_training.groups import Split
from orientd_training.prepare import Why

SIZE = 32
FILES = {"pixels.npy", "dhash.npy", "manifest.csv", "dropped.csv", "prepare.json"}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def dropped(folder):
    with (folder / "dropped.csv").open(newline="") as file:
        return [(row["name"], row["why"]) for row in csv.DictReader(file)]


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


# Groups and splits


@settings(max_examples=8)
@given(st.integers(0, 2**16), st.floats(0.1, 0.5))
def test_no_copy_turned_or_not_crosses_the_split(tmp_path_factory, seed, share):
    """The leak that made published figures of this task too good: it must be impossible from the files on."""
    random, folder = np.random.default_rng(seed), tmp_path_factory.mktemp("copies")
    for i in range(12):
        picture = scene(seed + 100 * i)
        save(folder / "in" / f"{i}.png", picture)
        for copy in range(random.integers(0, 3)):
            shown = orientation.apply(picture, int(random.integers(1, 9)))
            save(folder / "in" / f"copy-{copy}-of-{i}.jpg", shown, quality=int(random.integers(75, 95)))
    photoset.prepare([folder / "in"], folder / "out", 64, split=Split(share, (), seed), keep_duplicates=True)
    photos = photoset.load(folder / "out")
    sides = {}
    for name, split in zip(photos.names, photos.splits, strict=True):
        sides.setdefault(Path(name).stem.split("-")[-1], set()).add(split)
    assert len(sides) == 12
    assert all(len(its) == 1 for its in sides.values()), sides
    assert set(photos.splits) == {"train", "validation"}
    assert photoset.overlap(photoset.load(folder / "out", "train"), photoset.load(folder / "out", "validation")) == []


@pytest.mark.parametrize("value", range(1, 9))
def test_a_planted_copy_is_found(tmp_path, value):
    folder = library(tmp_path / "in")
    save(folder / "elsewhere" / "copy.jpg", orientation.apply(scene(5), value), quality=80)
    photoset.prepare([folder], tmp_path / "out", SIZE)
    turned = value not in (1, 2)
    expected = [("album-1/1.jpg", "contradiction"), ("elsewhere/copy.jpg", "contradiction")] if turned else []
    assert sorted(dropped(tmp_path / "out")) == expected
    photos = photoset.load(tmp_path / "out")
    assert len(photos) == (23 if turned else 25)
    if not turned:
        places = [photos.names.index(name) for name in ("album-1/1.jpg", "elsewhere/copy.jpg", "album-1/2.jpg", "album-2/0.jpg")]
        original, copy, neighbour, stranger = (photos.clusters[place] for place in places)
        assert original == copy == neighbour != stranger


def test_a_picture_that_looks_the_same_upside_down_contradicts_no_copy(tmp_path):
    ring = scene(7) // 2 + scene(7)[::-1, ::-1] // 2
    save(tmp_path / "in" / "a.png", ring)
    save(tmp_path / "in" / "b.jpg", ring, quality=85)
    assert photoset.prepare([tmp_path / "in"], tmp_path / "out", SIZE) == (2, [])
    assert len(set(photoset.load(tmp_path / "out").clusters)) == 1


def test_overlap_of_two_caches_is_found_with_and_without_stored_hashes(tmp_path):
    library(tmp_path / "train")
    save(tmp_path / "val" / "turned.png", orientation.apply(scene(3), 6))
    save(tmp_path / "val" / "new.png", scene(1000))
    for name, size in (("train", 48), ("val", SIZE)):
        photoset.prepare([tmp_path / name], tmp_path / "caches" / name, size)
    train, val = (photoset.load(tmp_path / "caches" / name) for name in ("train", "val"))
    (shared,) = photoset.overlap(train, val)
    assert (shared.train, shared.validation) == ("album-0/3.jpg", "turned.png")
    assert shared.distance <= groups.RADIUS
    (tmp_path / "caches" / "train" / "dhash.npy").unlink()
    old = photoset.load(tmp_path / "caches" / "train")
    assert old.hashes is None
    assert photoset.overlap(old, val) == [shared]


def test_equal_pixels_are_kept_once(tmp_path):
    folder = library(tmp_path / "in", albums=2)
    save(folder / "a.png", np.full((40, 40, 3), 9, np.uint8))
    save(folder / "b.png", np.full((50, 40, 3), 9, np.uint8))
    photoset.prepare([folder], tmp_path / "out", SIZE)
    assert dropped(tmp_path / "out") == [("b.png", "duplicate")]
    photoset.prepare([folder], tmp_path / "all", SIZE, keep_duplicates=True)
    photos = photoset.load(tmp_path / "all")
    assert len(photos) == 10
    assert photos.clusters[photos.names.index("a.png")] == photos.clusters[photos.names.index("b.png")]


def test_named_sources_are_kept_apart_with_all_that_belongs_to_them(tmp_path):
    folder = library(tmp_path / "in")
    save(folder / "album-5" / "copy.jpg", scene(0), quality=70)
    split = Split(named=("album-0", "album-2"))
    photoset.prepare([folder], tmp_path / "out", SIZE, split=split)
    kept = photoset.load(tmp_path / "out", photoset.VALIDATION)
    assert set(kept.groups) == {"album-0", "album-2", "album-5"}
    assert set(photoset.load(tmp_path / "out", photoset.TRAIN).groups) == {"album-1", "album-3", "album-4"}
    with pytest.raises(ConfigError, match="no photos of album-9: there are album-0, "):
        photoset.prepare([folder], tmp_path / "other", SIZE, split=Split(named=("album-9",)))
    with pytest.raises(ConfigError, match="nothing would be left to train on"):
        photoset.prepare([folder], tmp_path / "other", SIZE, split=Split(named=tuple(f"album-{i}" for i in range(6))))


def test_a_split_has_its_own_pixels(tmp_path):
    photoset.prepare([library(tmp_path / "in")], tmp_path / "out", SIZE, split=Split(0.4, (), 3))
    whole = photoset.load(tmp_path / "out")
    parts = [photoset.load(tmp_path / "out", split) for split in (photoset.TRAIN, photoset.VALIDATION)]
    assert [len(part) for part in parts] == [16, 8]
    assert np.array_equal(np.concatenate([part.pixels for part in parts]), whole.pixels)
    for part in parts:
        assert all(np.array_equal(part.pixels[i], whole.pixels[whole.names.index(name)]) for i, name in enumerate(part.names))
        assert np.array_equal(part.hashes, groups.difference_hashes(part.pixels))
    assert len({whole.digest, *(part.digest for part in parts)}) == 3


def test_photos_of_one_name_in_two_sources_stay_apart_by_name(tmp_path):
    """Names are what models of different sizes are compared by, so each must be there once."""
    for i, source in enumerate(("here", "there")):
        for j in range(3):
            save(tmp_path / source / f"{j + i}.png", scene(10 * i + j))
    (tmp_path / "there" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    here, there = tmp_path / "here", tmp_path / "there"
    photoset.prepare([here, there], tmp_path / "out", SIZE)
    names = [f"{here}/0.png", f"{here}/1.png", f"{here}/2.png", f"{there}/1.png", f"{there}/2.png", "3.png"]
    assert list(photoset.load(tmp_path / "out").names) == names
    assert dropped(tmp_path / "out") == [(f"{there}/0.png", "unreadable")]


def test_a_split_that_cannot_be_made_says_why_and_loses_nothing(tmp_path, monkeypatch):
    folder = library(tmp_path / "in", albums=2, each=6)
    with pytest.raises(ConfigError, match=r"only 0 of 12 photos can be kept apart.*the largest such group has 6"):
        photoset.prepare([folder], tmp_path / "out", SIZE, split=Split(0.2))
    monkeypatch.setattr(sources.Sources, "square", None)  # nothing is decoded again
    assert photoset.prepare([folder], tmp_path / "out", SIZE, split=Split(0.5)).photos == 12


# Stopping and going on


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
from orientd_training import prepare

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
from orientd_training.prepare import prepare

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


# Caches from before there were splits


def test_an_old_cache_is_still_read(tmp_path):
    np.save(tmp_path / "pixels.npy", np.arange(4 * 8 * 8 * 3, dtype=np.uint8).reshape(4, 8, 8, 3))
    (tmp_path / "manifest.csv").write_text("name,group,sha256\na/1,a,0\na/2,a,1\nb/1,b,2\n")
    photos = photoset.load(tmp_path)
    assert (photos.names, photos.groups, photos.clusters) == (("a/1", "a/2", "b/1"), ("a", "a", "b"), (0, 1, 2))
    assert photos.pixels.shape == (3, 8, 8, 3)
    assert photoset.load(tmp_path, photoset.TRAIN).names == photos.names
    with pytest.raises(ConfigError, match="has no photos to validation"):
        photoset.load(tmp_path, photoset.VALIDATION)
    with pytest.raises(ConfigError, match=r"unknown origin: choose another --out"):
        photoset.prepare([library(tmp_path / "in")], tmp_path, SIZE)
    (tmp_path / "manifest.csv").write_text("name,group,sha256\n" + "a/1,a,0\n" * 5)
    with pytest.raises(ConfigError, match="5 rows for 4 photos"):
        photoset.load(tmp_path)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda path: path.mkdir(), "no photo could be decoded in .*, there is none: give folders or zips"),
        (lambda path: save(path / "documents.pdf", scene(1)), "no photo could be decoded"),
        (lambda path: None, "is neither a folder nor a zip of photos: is the path right"),
        (lambda path: path.write_text("no zip"), "is not a zip that can be read"),
        (lambda path: (path.mkdir(), (path / "x.jpg").write_text("no photo")), r"none of 1 photos is left, 1 unreadable: "),
        (
            lambda path: (save(path / "x.png", scene(1)), save(path / "y.png", np.rot90(scene(1)))),
            r"none of 2 photos is left, 2 that contradict a turned copy: .*dropped.csv names each .* --keep-duplicates keeps",
        ),
    ],
)
def test_nothing_to_prepare_is_told(tmp_path, make, complaint):
    make(tmp_path / "in")
    with pytest.raises(ConfigError, match=complaint):
        photoset.prepare([tmp_path / "in"], tmp_path / "out", SIZE)
    with pytest.raises(ConfigError, match="holds no prepared photos"):
        photoset.load(tmp_path / "out")


# The command


def command(*arguments):
    line = [sys.executable, "-c", "from orientd_training.cli import main; main()", "prepare", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_the_command_tells_what_it_did(tmp_path):
    folder, out = library(tmp_path / "in"), tmp_path / "out"
    save(folder / "album-0" / "again.jpg", scene(0))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    arguments = folder, "--out", out, "--size", "32", "--validation", "0.2", "--seed", "4"
    ran = command(*arguments)
    assert ran.stdout.splitlines() == [
        f"24 photos in {out}, 4 of them to validate on, in 6 separate groups",
        f"left out: 1 unreadable, 1 with the pixels of another, listed in {out}/dropped.csv",
    ]
    assert ran.stderr.startswith("left out: broken.jpg: its JPEG data is damaged")
    assert ran.stderr.count("\n") == 1  # no bar where there is no terminal
    assert "is complete: there is nothing to do" in command(*arguments).stdout
    refused = command(*arguments[:-1], "5")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "seed: 4 before, 5 now" in refused.stderr
    assert command(*arguments, "--validation-groups", "album-1").returncode == 2


def test_a_terminal_shows_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with prepare._bar(40, [prepare.Fact(reason="bad")]) as advance:
        advance(True)
        advance(False)
    shown = capsys.readouterr().err
    assert "3/40" in shown
    assert "images/s · 2 bad" in shown
