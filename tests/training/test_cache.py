"""Caches from before there were splits, sources that hold no photos, and what the command tells of it all."""

import subprocess
import sys

import numpy as np
import pytest
from orientd_training.data import photoset, prepare
from support.blobs import library, save, scene

from orientd.errors import ConfigError

SIZE = 32


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
