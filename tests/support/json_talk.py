"""Conversations with orientd in JSON: commands run in this process in many states of its library, and each line they print."""

import csv
import io
import json
import os
import sys
from dataclasses import dataclass

import numpy as np
from PIL import Image
from support import sky_library
from support.drawn_pages import lying, page

from orientd.formats import sidecar
from orientd.records import FileStat, Format, Method, Patch, Splice
from orientd.report import progress
from orientd.state.journal import Intent, Journal
from orientd.state.lock import Lock
from orientd.watch.metrics import Metrics, save
from orientd.witnesses import opened

STRAY = os.fsdecode(b"\xe9t\xe9")  # bytes that are not UTF-8


@dataclass(frozen=True)
class Said:
    """One command, what it printed, and how it ended."""

    state: str
    words: tuple[str, ...]
    code: int
    lines: tuple[dict, ...]

    @property
    def command(self):
        """The name of its definition in the schema."""
        return "_".join(self.words[: 2 if self.words[0] in ("config", "immich") else 1])

    def __str__(self):
        return f"{self.state}: {' '.join(self.words)}"


class Talk:
    """All that was said, in one state after another."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.said, self._monkeypatch, self._state = folder, [], monkeypatch, ""
        monkeypatch.setattr(progress, "_STATUS_EVERY", 0.0)
        for name in ("STATE", "CONFIG", "DATA"):
            monkeypatch.setenv(f"XDG_{name}_HOME", str(folder / name.lower()))
        monkeypatch.setenv("ORIENTD_MODEL", str(sky_library.model(folder)))
        monkeypatch.chdir(folder)

    def now(self, state):
        """What is said from now on is said in that state; gives a folder for it."""
        self._state = state
        self._monkeypatch.setenv("ORIENTD_STATE_DIR", str(self.folder / state / "state"))
        place = self.folder / state
        place.mkdir()
        return place

    def __call__(self, *words, code=0):
        """Run a command with --json."""
        streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
        self._monkeypatch.setattr(sys, "stdout", streams[0])
        self._monkeypatch.setattr(sys, "stderr", streams[1])
        ended = sky_library.run(*words, "--json", monkeypatch=self._monkeypatch)
        out, err = (stream.buffer.getvalue().decode() for stream in streams if not stream.flush())
        lines = tuple(json.loads(line) for line in out.splitlines())
        self.said.append(Said(self._state, tuple(map(str, words)), ended, lines))
        assert ended == code, (words, out, err)
        return lines


def talk(folder, monkeypatch):
    """Everything that orientd says in JSON."""
    say = Talk(folder, monkeypatch)
    for state in (
        _nothing,
        _written,
        _undone,
        _failures,
        _interrupted,
        _watcher,
        _refused,
        _witnesses,
        _pages,
        _stray,
        _mistakes,
    ):
        state(say)
    return say.said


def _look_around(say, verified=0):
    for words in (("status",), ("history",), ("config", "show")):
        say(*words)
    say("verify", code=verified)


def _nothing(say):
    say.now("nothing")
    _look_around(say)
    say("doctor")
    say("models")
    say("undo", code=2)


def _library(place):
    sky_library.draw(place / "photos" / "a.jpg", 90)
    sky_library.draw(place / "photos" / "b.jpg", 0, seed=1)
    sky_library.draw(place / "photos" / "c.png", 180, by_tag=False, kind="PNG", seed=2)
    sky_library.draw(place / "photos" / "d.gif", 90, by_tag=False, kind="GIF", seed=3)
    (place / "photos" / "e.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(place / "photos" / "f.jpg")
    for name in (".hidden", "drafts", "@eaDir"):
        sky_library.draw(place / "photos" / name / "g.jpg", 90)
    return place / "photos"


def _written(say):
    place = say.now("written")
    photos = _library(place)
    say("scan", photos, "--report", place / "plan.csv", "--exclude", "drafts", code=3)
    say("apply", place / "plan.csv", "--report", place / "done.csv")
    say("scan", photos, "--fix", "--method", "rotate", "--exclude", "drafts", "--report", place / "2.csv", code=3)
    sky_library.draw(photos / "h.jpg", 90, by_tag=False, seed=4)
    say("scan", photos, "--fix", "--method", "rotate", "--exclude", "drafts", "--report", place / "3.csv", code=3)
    _look_around(say)


def _undone(say):
    place = say.now("undone")
    photo = sky_library.draw(place / "photos" / "a.jpg", 90)
    say("scan", photo, "--fix", "--report", place / "1.csv")
    say("undo", code=2)
    say("undo", "--dry-run")
    say("undo", "--yes")
    say("redo", 2)
    say("undo", "--file", photo)
    _look_around(say)
    say("undo", code=2)
    say("undo", 99, code=2)


def _failures(say):
    place = say.now("failures")
    photos = [sky_library.draw(place / "photos" / f"{seed}.jpg", 90, by_tag=seed > 0, seed=seed) for seed in range(5)]
    say("scan", place / "photos", "--fix", "--method", "rotate", "--report", place / "1.csv")
    photos[1].write_bytes(b"edited")
    photos[2].unlink()
    for copy in (place / "state" / "originals").iterdir():
        copy.unlink()
    _look_around(say, verified=3)
    say("undo", 1, "--dry-run", code=3)
    say("undo", 1, code=3)
    say("redo", 2)
    photos[3].write_bytes(b"edited, too")
    say("apply", place / "1.csv", "--report", place / "2.csv", code=3)
    say("scan", place / "nowhere", "--report", place / "3.csv", code=75)


def _interrupted(say):
    place = say.now("interrupted")
    photo = sky_library.draw(place / "photos" / "a.jpg", 90)
    stat = os.stat(photo)
    with Journal(place / "state") as journal:
        old = FileStat(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        patch = Patch((Splice(0, b"\xff", b"\xfe"),))
        temp = ".orientd-" + 16 * "0" + ".tmp"
        intent = Intent(str(photo), Format.JPEG, old, 64 * "0", 64 * "1", patch, 8, 1, 90, Method.TAG, None, temp)
        journal.intend(journal.start_run("orientd scan --fix"), intent)
    _look_around(say, verified=3)
    with Lock(place / "state"):
        say("history")


def _watcher(say):
    place = say.now("watcher")
    (place / "state").mkdir()
    metrics = Metrics(waiting=7)
    metrics.count("fix")
    metrics.timed("decode", lambda: None)()
    for state in ("starting", "idle", "looking through the folders", "words of another version"):
        metrics.state = state
        save(metrics.facts(), str(place / "state"))
        with Lock(place / "state", "watching"):
            say("status")
    say("status")


def _refused(say):
    place = say.now("refused")
    photos = _library(place)
    (place / "text.jpg").write_text("no photo")
    for photo in sorted(path for path in photos.iterdir() if path.is_file()):
        say("inspect", photo, code=3 if photo.name == "e.jpg" else 0)
    say("inspect", place / "text.jpg", code=3)
    say("inspect", photos, code=2)
    say("inspect", place / "nowhere.jpg", code=75)


def _witnesses(say):
    place = say.now("witnesses")
    photo = sky_library.draw(place / "a.jpg", 90)
    with say._monkeypatch.context() as monkeypatch:
        monkeypatch.delenv("ORIENTD_MODEL")
        say("inspect", photo)
        monkeypatch.setitem(opened.MODELS, "faces", (opened.Faces, {"faces": 64 * "0"}))
        say("doctor")
        say("inspect", photo)
        say("scan", photo, "--report", place / "1.csv", "--second-look-below", 1)
    say("doctor", "--model", place / "none.onnx", code=1)
    say("models", "--model", place / "none.onnx", code=1)


def _pages(say):
    place = say.now("pages")
    scans = place / f"scans-{STRAY}"
    scans.mkdir()
    lying(page(), 184).save(scans / f"{STRAY}.png")
    page().save(scans / "straight.png")
    Image.new("L", (700, 900), 255).save(scans / "blank.png")
    (scans / "damaged.pdf").write_bytes(b"%PDF-1.4 and nothing")
    say("pages", scans, "--out", place / "out", "--report", place / f"{STRAY}.csv", code=3)
    say("pages", scans, "--out", place / "out", "--report", place / "2.csv", code=3)
    say("pages", scans / "straight.png", "--report", place / "3.csv")


def _stray(say):
    """Names that are not UTF-8, of all that has a name."""
    place = say.now(STRAY)
    photos = _library(place)
    contradicted = sky_library.draw(photos / f"{STRAY}.jpg", 90)
    (photos / f"{STRAY}.jpg.xmp").write_bytes(sidecar.fresh(3))
    say("scan", photos, "--fix", "--method", "rotate", "--report", place / "1.csv", code=3)
    say("inspect", contradicted)
    _look_around(say)
    for copy in (place / "state" / "originals").iterdir():
        copy.unlink()
        copy.mkdir()  # which cannot be read
    say("verify", code=3)
    say("undo", 1, code=3)
    (photos / "a.jpg").write_bytes(b"edited")
    say("inspect", photos / "a.jpg", code=3)
    _odd_plan(say, place)
    say("doctor")
    say("models", "--model", place / "none.onnx", code=1)
    say("scan", place / "nowhere", "--report", place / "3.csv", code=75)
    (place / "orientd.yaml").write_text("batch: 3\n")
    with say._monkeypatch.context() as monkeypatch:
        monkeypatch.setenv("ORIENTD_MODEL", str(sky_library.model(place)))
        say("status", "--config", place / "orientd.yaml")
        say("config", "show", "--config", place / "orientd.yaml")


def _odd_plan(say, place):
    """A plan of which cells hold what orientd never writes."""
    photo = sky_library.draw(place / "odd" / "a.jpg", 90)
    say("scan", photo, "--report", place / "odd.csv")
    odd = {
        "format": f"x{STRAY}",
        "evidence": STRAY,
        "reason": STRAY,
        "confidence": "7",
        "p0": "-0.5",
        "width": "-5",
        "views": "-1",
    }
    (row,) = sky_library.rows(place / "odd.csv").values()
    with (place / "odd.csv").open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row | odd)
    say("apply", place / "odd.csv", "--report", place / "4.csv")


def _mistakes(say):
    say.now("mistakes")
    for words in (
        ("scan",),
        ("immich", "scan", "--wrong"),
        ("undo", "--wrong"),
        ("redo", 1),
        ("history", "--wrong"),
        ("status", "--config", "nowhere.yaml"),
        ("verify", "--map", "a"),
        ("config", "show", "--config", "nowhere.yaml"),
        ("apply", "nowhere.csv"),
        ("inspect",),
        ("doctor", "--provider", "steam"),
        ("pages", ".", "--report", "-"),
    ):
        say(*words, code=2)
    say("models", "--model", "nowhere", code=1)
