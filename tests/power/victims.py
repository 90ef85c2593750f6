"""What is done on the disks that lose their power: photos are drawn, put right, taken back and put right again.

python victims.py SABOTAGE ARGUMENTS… is the command orientd, but for what SABOTAGE leaves out of it.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__":  # the folder of the tests, where `support` is
    sys.path.insert(0, str(Path(__file__).parents[1]))

from support import decodable_photos, kill_victim, raw_files, sky_library

from orientd.cli.main import main
from orientd.files import syscalls
from orientd.files import write as files
from orientd.state import database

TEMP, KILLED, DRAWN_NS = ".orientd-", 9, 1_600_000_000 * 10**9
JPEG = {"quality": 90, "subsampling": "4:4:4"}
ONE = JPEG | {"exif": decodable_photos.exif(1)}


def _xmp(padding: int) -> bytes:
    return kill_victim.XMP.replace(b"<rdf:RDF", b" " * padding + b"<rdf:RDF") % b""


# How a photo comes to store its turn: in place, by a block that grows or is added, in two sectors or pages, moved.
WAYS = {
    "overwritten.jpg": ("JPEG", ONE, (96, 64)),
    "large.jpg": ("JPEG", ONE, (640, 480)),
    "grown.jpg": ("JPEG", JPEG | {"exif": decodable_photos.exif("a camera", 0x010F)}, (640, 480)),
    "added.jpg": ("JPEG", JPEG, (96, 64)),
    "two-sectors.jpg": ("JPEG", ONE | {"xmp": _xmp(1000)}, (96, 64)),
    "two-pages.jpg": ("JPEG", ONE | {"xmp": _xmp(5000)}, (96, 64)),
    "added.png": ("PNG", {}, (96, 64)),
    "overwritten.png": ("PNG", {"exif": decodable_photos.exif(1)}, (96, 64)),
    "lossless.webp": ("WEBP", {"lossless": True}, (96, 64)),
    "moved.tiff": ("TIFF", {}, (96, 64)),
    "added.heic": ("HEIF", {"quality": 95, "chroma": 444}, (96, 64)),
}
RAW, UPRIGHT, OTHER = "raw.dng", "upright.jpg", "notes.txt"


class Folders(NamedTuple):
    """Where the photos and the state are, on disks that fail, and what is kept in memory."""

    photos: Path
    state: Path
    ram: Path


def draw(folder: Path, rounds: int = 2) -> None:
    """A small library: each way, raw files and upright photos, and a file that is no photo."""
    folder.mkdir(parents=True)
    for number in range(rounds):
        for name, (kind, options, size) in WAYS.items():
            picture = sky_library.landscape(number, *size).rotate((90, 180, 270)[number % 3], expand=True)
            (folder / f"{number}-{name}").write_bytes(decodable_photos.encode(picture, kind, **options))
        (folder / f"{number}-{RAW}").write_bytes(raw_files.MAKERS["dng"](raw_files.preview(90, number), 1))
        (folder / f"{number}-{UPRIGHT}").write_bytes(decodable_photos.encode(sky_library.landscape(number), "JPEG", **JPEG))
    (folder / OTHER).write_text("not a photo\n" * 1000)
    for path in folder.iterdir():
        os.utime(path, ns=(DRAWN_NS, DRAWN_NS))


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of each file but temporary ones."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.startswith(TEMP)}


def check_versions(old: dict[str, bytes], versions: list[dict[str, bytes]]) -> None:
    """See that each step did what it is meant to do when nothing is in its way."""
    changed = {name for name in versions[0] if versions[0][name] != old.get(name)}
    wanted = {name for name in old if not name.endswith((RAW, UPRIGHT, OTHER))} | {f"{n}.xmp" for n in old if n.endswith(RAW)}
    assert changed == wanted, changed ^ wanted
    for number, version in enumerate(versions):
        assert version == (old if number % 2 else versions[0]), number


class Worker(NamedTuple):
    """Steps that fix and undo by turns. The first is `scan`, perhaps after a run that was `killed`, or `watch`."""

    steps: tuple[str, ...]
    options: tuple[str, ...] = ("--sidecar", "write")
    killed: bool = False

    @property
    def watches(self) -> bool:
        return self.steps[0] == "watch"

    def prepare(self, folders: Folders) -> dict[str, bytes]:
        """Draw the photos, and plan what is to be done with them; returns what they hold."""
        draw(folders.photos)
        old = contents(folders.photos)
        _orientd("", "scan", folders.photos, *self.options, "-q", "--report", _plan(folders), "--state-dir", folders.ram / "plan")
        if self.watches:
            shutil.move(folders.photos, folders.ram / "source")
            folders.photos.mkdir()
        if self.killed:
            _orientd("killed", *self.command("scan", folders), code=KILLED)
        return old

    def command(self, step: str, folders: Folders) -> list[object]:
        report = ("-q", "--report", folders.ram / f"report-{os.getpid()}.csv")
        return {
            "scan": ["scan", folders.photos, "--fix", *self.options, *report],
            "undo": ["undo", "--yes"],
            "apply": ["apply", _plan(folders), folders.photos, *report],
            "watch": ["watch", folders.photos, "--fix", *self.options],
        }[step] + ["--state-dir", folders.state]

    def carry_out(self, step: str, folders: Folders, sabotage: str) -> None:
        if step == "watch":
            self._watch(folders, sabotage)
        else:
            _orientd(sabotage, *self.command(step, folders))

    def _watch(self, folders: Folders, sabotage: str) -> None:
        with subprocess.Popen(_line(sabotage, *self.command("watch", folders))) as process:
            put_in(folders)
            wanted = len(WAYS) * 2 + 2
            while _count(folders.state, "fixed") < wanted:
                time.sleep(0.2)
            process.send_signal(signal.SIGTERM)


def put_in(folders: Folders) -> None:
    """Bring the photos that are not there yet, as rsync does: whole, synced, and renamed."""
    for path in sorted((folders.ram / "source").iterdir()):
        if not (folders.photos / path.name).exists():
            copy = folders.photos / f"{TEMP}copied"
            shutil.copy2(path, copy)
            with copy.open() as file:
                os.fsync(file.fileno())
            copy.rename(folders.photos / path.name)


def _count(state: Path, status: str) -> int:
    try:
        with closing(sqlite3.connect(f"file:{state}/journal.db?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM writes WHERE status = ?", (status,)).fetchone()[0])
    except sqlite3.OperationalError:  # it is just being made
        return 0


def _plan(folders: Folders) -> Path:
    return folders.ram / "plan.csv"


def _line(sabotage: str, *arguments: object) -> list[str]:
    return [sys.executable, __file__, sabotage, *map(str, arguments)]


def _orientd(sabotage: str, *arguments: object, code: int = 0) -> None:
    ended = subprocess.run(_line(sabotage, *arguments), stdout=subprocess.DEVNULL).returncode
    assert ended == code, (arguments, ended)


WORKS = {
    "tag": Worker(("scan", "undo", "apply")),
    "rotate": Worker(("scan", "undo", "apply"), ("--sidecar", "write", "--method", "rotate")),
    "again": Worker(("scan", "undo", "apply"), killed=True),
    "watch": Worker(("watch", "undo")),
}


def orientd(*arguments: object) -> object:
    """Run the command in this process; its exit code."""
    sys.argv = ["orientd", *map(str, arguments)]
    try:
        main()
    except SystemExit as ended:
        return ended.code
    raise AssertionError("main() must exit")


def _unsynced(path: str, prepare, any_thread: bool, connect=database._connect) -> sqlite3.Connection:
    db = connect(path, prepare, any_thread)
    db.execute("PRAGMA synchronous = OFF")
    return db


# What makes writing safe, and what stands in its place where that is left out; the last one dies before its first rename.
SABOTAGES = {
    "photos": (syscalls.Disk, "fsync", staticmethod(lambda file: None)),
    "journal": (database, "_connect", _unsynced),
    "pages": (files, "fits_one_page", lambda patch: patch.keeps_length),
    "killed": (syscalls.Disk, "replace", staticmethod(lambda *args, **more: os._exit(KILLED))),
}

if __name__ == "__main__":
    if sys.argv[1]:
        setattr(*SABOTAGES[sys.argv[1]])
    sys.exit(orientd(*sys.argv[2:]))
