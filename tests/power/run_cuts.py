"""Power cuts: what orientd leaves on a disk that loses its power at any moment, and what its next run makes of that.

    sudo python tests/power/run_cuts.py --out DIR [--kind xfs] [--place other] [--work rotate] [--cuts 500]

A real file system lies on a disk that logs each write and flush (`logged_disk`), while real commands fix, undo and fix again
(`victims`). Then for each cut a disk is made as it may be after a power cut within the log: what was flushed is there; of
what was not, all, nothing, any subset of the pages or, where disks write no whole pages, of the sectors. It is mounted, the next
command runs, and what is found and left is judged (`judge`). Mounts are in a namespace of their own; nothing is written
outside --out. Needs root, Linux, and 2 GB of memory.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__":  # the folder of the tests, where `power` and `support` are
    sys.path.insert(0, str(Path(__file__).parents[1]))

from power.judge import Judge
from power.logged_disk import FLUSH, MARK, Entry, read_log
from power.victims import SABOTAGES, WORKS, Folders, Worker, check_versions, contents
from support import sky_library

PAGE, SECTOR, JPEG = 4096, 512, b"\xff\xd8\xff"
ALONE = ("unshare", "--mount", "--propagation", "private", sys.executable)


class Kind(NamedTuple):
    """A file system: how it is made and mounted, how large it must be, whether it flushes its disk, and keeps pages whole."""

    make: str
    options: str
    mebibytes: int
    flushes: bool = True
    whole_pages: bool = True


KINDS = {
    "ext4": Kind("mkfs.ext4 -q -F -b 4096", "data=ordered", 64),
    "ext4-1k": Kind("mkfs.ext4 -q -F -b 1024", "data=ordered", 64, whole_pages=False),
    "ext4-writeback": Kind("mkfs.ext4 -q -F -b 4096", "data=writeback", 64),
    "ext4-nobarrier": Kind("mkfs.ext4 -q -F -b 4096", "barrier=0", 64, flushes=False),
    "xfs": Kind("mkfs.xfs -q -f -K", "nouuid", 320),
    "btrfs": Kind("mkfs.btrfs -q -f -K", "nodiscard", 128),
}
# Where the state folder is: on the disk of the photos; on another that fails with it, keeps all it was sent, or was taken back to
# an earlier or a later moment, as from a backup, which orientd cannot notice but must survive.
BACKUPS = ("older", "newer")
PLACES = ("same", "other", "safe", *BACKUPS)
MODES = ("all", "none", "pages", "pages", "sectors")


class Cut(NamedTuple):
    """A moment in the log, and what of the writes not flushed has reached the disk by then."""

    at: int
    mode: str
    seed: int


def run(*command: object) -> str:
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


def write_after(cut: Cut, entries: list[tuple[int, Entry]], image: Path) -> None:
    """Write to the file `image` what has reached the disk of these entries, each with its number in the log."""
    flushed = max((number for number, entry in entries if entry.offset == FLUSH), default=-1)
    chance = random.Random(cut.seed)
    share = {"all": 1.0, "none": 0.0}.get(cut.mode, chance.choice((0.1, 0.5, 0.9)))
    with image.open("r+b") as file:
        for number, (offset, data) in ((number, entry[1:]) for number, entry in entries if entry.offset != FLUSH):
            step = max(len(data), 1) if number < flushed else SECTOR if cut.mode == "sectors" else PAGE
            for start in range(0, len(data), step):
                if number < flushed or chance.random() < share:
                    file.seek(offset + start)
                    file.write(data[start : start + step])


class Recording:
    """What is logged while commands run on disks of one kind."""

    def __init__(self, out: Path, kind: Kind, place: str, work: Worker) -> None:
        self.out, self.kind, self.place, self.work = out, kind, place, work
        self.mounts = [out / "disk0", out / "disk1"][: 1 if place == "same" else 2]
        self.folders = Folders(self.mounts[0] / "photos", self.mounts[-1] / "state", out / "ram")

    @contextmanager
    def _logged(self) -> Iterator[Callable[[str], object]]:
        """The disks, made and mounted; gives what writes a mark to the log."""
        place, size = self.out / "fuse", self.kind.mebibytes * 2**20
        place.mkdir(exist_ok=True)
        command = [sys.executable, Path(__file__).with_name("logged_disk.py"), place, self._log, str(size), str(len(self.mounts))]
        with ExitStack() as stack:
            server = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
            assert server.stdout.readline() == b"mounted\n"
            stack.callback(run, "umount", place)
            for mount in self.mounts:
                mount.mkdir(exist_ok=True)
                loop = run("losetup", "--find", "--show", place / mount.name).strip()
                stack.callback(run, "losetup", "--detach", loop)
                run(*self.kind.make.split(), loop)
                run("mount", "-o", self.kind.options, loop, mount)
                stack.callback(run, "umount", mount)
            mark = stack.enter_context((place / "mark").open("ab", buffering=0))
            yield lambda text: mark.write(text.encode())

    @contextmanager
    def _written_back(self) -> Iterator[None]:
        """Let the kernel write what it likes to at random moments, as it may."""
        ended, chance = threading.Event(), random.Random(self.place)

        def write_back() -> None:
            while not ended.wait(chance.expovariate(10)):
                run("sync", "--file-system", chance.choice(self.mounts))

        thread = threading.Thread(target=write_back)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def record(self, sabotage: str) -> None:
        """Carry out the work, and keep the log and what the photos held before and after the first step."""
        with self._logged() as mark:
            old = self.work.prepare(self.folders)
            os.sync()
            mark("base")
            versions = []
            for number, step in enumerate(self.work.steps):
                with self._written_back():
                    self.work.carry_out(step, self.folders, sabotage)
                versions.append(contents(self.folders.photos))
                mark(f"done {number}")
        check_versions(old, versions)
        for name, version in (("old", old), ("new", versions[0])):
            (self.folders.ram / name).mkdir()
            for path, data in version.items():
                (self.folders.ram / name / path).write_bytes(data)
        self.load()
        for disk in range(len(self.mounts)):
            with self._base(disk).open("wb") as file:
                file.truncate(self.kind.mebibytes * 2**20)
            write_after(Cut(self.base, "all", 0), self._entries(disk, 0, self.base), self._base(disk))

    def load(self) -> None:
        """Read what `record` has kept."""
        self.log = list(read_log(str(self._log)))
        marks = {entry.data.decode(): number for number, entry in enumerate(self.log) if entry.disk == MARK}
        self.base = marks.pop("base")
        self.ends = list(marks.values())
        self.old, self.new = (contents(self.folders.ram / name) for name in ("old", "new"))

    def _entries(self, disk: int, since: int, until: int) -> list[tuple[int, Entry]]:
        return [(number, entry) for number, entry in enumerate(self.log[since:until], since) if entry.disk == disk]

    @property
    def _log(self) -> Path:
        return self.folders.ram / "log"

    def _base(self, disk: int) -> Path:
        return self.folders.ram / f"base{disk}"

    def cuts(self, number: int, seed: int) -> Iterator[Cut]:
        """Most are anywhere in the log; of ten one is at the end of a step, and two just after a photo was overwritten."""
        chance = random.Random(seed)
        anywhere = range(self.base + 1, len(self.log))
        heads = [at for at in anywhere if self.log[at].data.startswith(JPEG)] or anywhere
        for each in range(number):
            at = chance.choice([self.ends, heads, heads, *[anywhere] * 7][each % 10])
            mode = chance.choice(MODES[:-1] if self.place in BACKUPS else MODES)
            yield Cut(at + 1, mode if self.kind.flushes else "all", chance.randrange(2**30))

    @contextmanager
    def mounted_after(self, cut: Cut, ram: Path) -> Iterator[None]:
        """The disks as a cut leaves them, mounted where they were."""
        spans = {"older": (self.base, cut.at), "newer": (cut.at, len(self.log))}
        moment = random.Random(cut.seed).randint(*spans.get(self.place, (cut.at, cut.at)))
        with ExitStack() as stack:
            for disk, mount in enumerate(self.mounts):
                mine = cut._replace(seed=cut.seed + disk)
                if disk and self.place != "other":
                    mine = Cut(moment, "all", 0)
                image = ram / mount.name
                run("cp", "--sparse=always", self._base(disk), image)
                write_after(mine, self._entries(disk, self.base, mine.at), image)
                run("mount", "-o", f"loop,{self.kind.options}", image, mount)
                stack.callback(run, "umount", mount)
            yield

    def judge(self, cut: Cut, ram: Path, to_the_end: bool) -> tuple[list[str], list[str]]:
        """What kind of cut it was, and what is wrong after it."""
        torn = cut.mode == "sectors" or not self.kind.whole_pages
        judge = Judge(self.folders, self.work, self.old, self.new, self.place not in BACKUPS, torn)
        try:
            with self.mounted_after(cut, ram):
                judge.judge(sum(end < cut.at for end in self.ends), cut.at - 1 in self.ends, to_the_end)
        except subprocess.CalledProcessError as error:
            if error.cmd[0] != "mount":
                raise
            return [f"not mountable ({cut.mode})"], []
        return judge.seen, judge.problems


def judge_some(recording: Recording, options: argparse.Namespace) -> None:
    """Judge every n-th of the cuts, and print one line of JSON for each."""
    recording.load()
    first, every = map(int, options.share.split("/"))
    ram = recording.folders.ram / f"worker{first}"
    ram.mkdir()
    for number, cut in enumerate(recording.cuts(options.cuts, options.seed)):
        if number % every == first:
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
                seen, problems = recording.judge(cut, ram, number % 3 == 0)
            print(json.dumps([cut, ["cuts", *seen], problems]), flush=True)


def judge_all(recording: Recording, options: argparse.Namespace) -> bool:
    """Record, judge in several processes, and print what is wrong and how many cuts of each kind there were."""
    recording.folders.ram.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", "tmpfs", "none", recording.folders.ram)
    os.environ["ORIENTD_MODEL"] = str(sky_library.model(options.out))
    recording.record(options.sabotage)
    commands = [[*ALONE, *sys.argv, "--share", f"{number}/{options.workers}"] for number in range(options.workers)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    lines = [json.loads(line) for worker in workers for line in worker.communicate()[0].splitlines()]
    wrong = [line for line in lines if line[2]]
    print(*wrong[:20], sep="\n")
    tally = Counter(kind for _, seen, _ in lines for kind in seen)
    about = {name: getattr(options, name) for name in ("kind", "place", "work", "sabotage")}
    print(json.dumps(about | tally | {"wrong": len(wrong)}), flush=True)
    return not wrong and all(worker.returncode == 0 for worker in workers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kind", choices=KINDS, default="ext4")
    parser.add_argument("--place", choices=PLACES, default="same", help="of the state folder, seen from the photos")
    parser.add_argument("--work", choices=WORKS, default="tag")
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--sabotage", choices=SABOTAGES, default="", help="leave out a part of orientd: problems must be found")
    parser.add_argument("--share", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if "POWER_CUTS" not in os.environ:
        os.environ["POWER_CUTS"] = "in a namespace of its own"
        os.execvp(ALONE[0], [*ALONE, *sys.argv])
    options.out = options.out.resolve()
    recording = Recording(options.out, KINDS[options.kind], options.place, WORKS[options.work])
    if options.share:
        judge_some(recording, options)
    else:
        sys.exit(not judge_all(recording, options))


if __name__ == "__main__":
    main()
