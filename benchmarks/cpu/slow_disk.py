"""How near a scan comes to the limit of a slow disk, and what it reads. Needs root and Linux.

    sudo python -m benchmarks.cpu.slow_disk --library /tmp/photos/12-MP-420 --out /tmp/slow [--repository /other/checkout]

A file system on a loop device is read through a limit of the kernel's block layer (cgroup, version 1 or 2), each time with an
empty page cache. Each round first reads the whole library plainly, file after file, and that rate is the limit, so that what file
system and throttle cost falls on both sides; then it has the library scanned, by each orientd to compare in turn. Only bytes are
limited: there is no arm that moves, so it stands for a NAS or a USB drive rather than for an old disk.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

MEBIBYTE = 2**20


class Scanner(NamedTuple):
    """An orientd to measure: the interpreter, and the checkout to import it from ("" for the one installed there)."""

    name: str
    python: str
    repository: str


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@contextmanager
def disk(image: Path, size: int) -> Iterator[tuple[Path, str]]:
    """An ext4 file system of `size` bytes in a file: where it is mounted, and its device number as MAJOR:MINOR."""
    with ExitStack() as stack:
        stack.callback(image.unlink)
        with image.open("wb") as file:
            file.truncate(size)
        run("mkfs.ext4", "-q", "-F", image)
        loop = run("losetup", "--find", "--show", "--direct-io=on", image).strip()
        stack.callback(run, "losetup", "--detach", loop)
        place = Path(stack.enter_context(TemporaryDirectory(prefix="orientd-disk-")))
        run("mount", "-o", "noatime", loop, place)
        stack.callback(run, "umount", place)
        yield place, Path("/sys/block", Path(loop).name, "dev").read_text().strip()


class Limit:
    """A group of processes that may read so many bytes a second from one device."""

    def __init__(self, device: str, rate: int) -> None:
        old = Path("/sys/fs/cgroup/blkio")
        self._first = old.is_dir()
        self.group = (old if self._first else Path("/sys/fs/cgroup")) / f"orientd-{os.getpid()}"
        if not self._first:
            (self.group.parent / "cgroup.subtree_control").write_text("+io")
        self.group.mkdir()
        name, text = (
            ("blkio.throttle.read_bps_device", f"{device} {rate}") if self._first else ("io.max", f"{device} rbps={rate}")
        )
        (self.group / name).write_text(text)

    def enter(self) -> None:
        (self.group / "cgroup.procs").write_text(str(os.getpid()))

    def close(self) -> None:
        self.group.rmdir()

    def __enter__(self) -> "Limit":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def fill(place: Path, library: Path, number: int) -> None:
    """`number` copies of the photos in `library`: to orientd, which asks for the path, each is new."""
    photos = sorted(library.glob("*.jpg"))
    for i in range(number):
        shutil.copyfile(photos[i % len(photos)], place / f"{i:04}.jpg")


def forget_pages() -> None:
    """Empty the page cache of what need not be written first."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


class Run(NamedTuple):
    seconds: float
    cpu_seconds: float
    bytes_read: int


def limited(command: list[str], limit: Limit, device: str, environment: dict[str, str]) -> Run:
    """Run a command within the limit, with an empty page cache; bytes are those its device delivered."""
    forget_pages()
    before, started = _read_from(device), time.perf_counter()
    child = subprocess.Popen(command, preexec_fn=limit.enter, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    assert not child.returncode, f"{command} ended with {child.returncode}"
    return Run(seconds, usage.ru_utime + usage.ru_stime, _read_from(device) - before)


def _read_from(device: str) -> int:
    """Bytes read from a block device since it is there (Documentation/admin-guide/iostats.rst, field 3, in 512 bytes)."""
    return 512 * int(Path("/sys/dev/block", device, "stat").read_text().split()[2])


def plain_reading(library: Path) -> list[str]:
    """A command that reads all photos below a folder in the order of the walk, with nothing else to do."""
    files = [str(path) for path in sorted(library.rglob("*.jpg"))]
    code = "import sys\nfor path in sys.argv[1:]:\n with open(path, 'rb', 0) as file:\n  while file.read(1 << 20): pass"
    return [sys.executable, "-S", "-c", code, *files]


def scan(scanner: Scanner, library: Path, folder: Path, workers: int) -> tuple[list[str], dict[str, str]]:
    """The command for a first scan and its environment; the state is on the disk that is not limited."""
    state = folder / "states" / f"{time.monotonic_ns()}"
    state.parent.mkdir(exist_ok=True)
    environment = os.environ | {"XDG_STATE_HOME": str(state)}
    if scanner.repository:
        environment["PYTHONPATH"] = scanner.repository
    arguments = ["scan", "-q", str(library), "--workers", str(workers), "--report", str(state) + ".csv"]
    return [scanner.python, "-P", "-m", "orientd", *arguments], environment  # -P: not the orientd of the working folder


def measure(options: argparse.Namespace, scanners: list[Scanner]) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {"plain reading": [], **{scanner.name: [] for scanner in scanners}}
    size = 64 * MEBIBYTE + options.photos * max(2 * photo.stat().st_size for photo in options.library.glob("*.jpg"))
    with ExitStack() as stack:
        place, device = stack.enter_context(disk(options.out / "disk.img", size))
        fill(place, options.library, options.photos)
        limit = stack.enter_context(Limit(device, round(1e6 * options.rate)))
        for _ in range(options.rounds):
            found["plain reading"].append(limited(plain_reading(place), limit, device, dict(os.environ)))
            for scanner in scanners:
                command, environment = scan(scanner, place, options.out, options.workers)
                found[scanner.name].append(limited(command, limit, device, environment))
                _show(scanner.name, found[scanner.name][-1], found["plain reading"][-1], options.photos)
    return found


def _show(name: str, run: Run, plain: Run, number: int) -> None:
    rates = [each.bytes_read / each.seconds / 1e6 for each in (run, plain)]
    print(
        f"{name}: {rates[0]:.1f} MB/s of {rates[1]:.1f} ({rates[0] / rates[1]:.1%}), {run.bytes_read / number / 1e6:.3f} MB read "
        f"a photo ({run.bytes_read / plain.bytes_read:.3f} of the plain reading), {run.cpu_seconds:.1f} s of CPU",
        flush=True,
    )


def summary(found: dict[str, list[Run]], number: int) -> dict[str, dict[str, float]]:
    """Medians over the rounds; the share is that of the plain reading's rate in the same round."""
    plain = found["plain reading"]
    table = {}
    for name, runs in found.items():
        rates = [run.bytes_read / run.seconds / 1e6 for run in runs]
        limits = [run.bytes_read / run.seconds / 1e6 for run in plain]
        table[name] = {
            "MB a second": round(float(np.median(rates)), 1),
            "share of the limit": round(float(np.median(np.divide(rates, limits))), 3),
            "MB read a photo": round(float(np.median([run.bytes_read for run in runs])) / number / 1e6, 3),
            "CPU seconds": round(float(np.median([run.cpu_seconds for run in runs])), 2),
            "seconds": round(float(np.median([run.seconds for run in runs])), 2),
        }
    return table


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--out", type=Path, required=True, help="a folder on a disk faster than the limit")
    found.add_argument("--rate", type=float, default=120, help="MB (1,000,000 bytes) a second")
    found.add_argument("--library", type=Path, required=True, help="a folder of photos, such as benchmarks.photos.make writes")
    found.add_argument("--photos", type=int, default=300, help="how many, copied over and over")
    found.add_argument("--rounds", type=int, default=3)
    found.add_argument("--workers", type=int, default=0, help="of the scan; 0: as many as there are cores")
    found.add_argument("--python", help="a second interpreter to compare with")
    found.add_argument("--repository", help="a second checkout to compare with")
    found.add_argument("--result", type=Path)
    return found


def main() -> None:
    options = parser().parse_args()
    if os.geteuid() != 0 or sys.platform != "linux":
        print("the limit needs root on Linux: nothing was measured", file=sys.stderr)
        sys.exit(2)
    here = str(Path(__file__).resolve().parents[2])
    scanners = [Scanner("this", sys.executable, here)]
    if options.python or options.repository:
        scanners.append(Scanner("other", options.python or sys.executable, options.repository or ""))
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    table = summary(measure(options, scanners), options.photos)
    print(json.dumps(table, indent=1))
    if options.result:
        options.result.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
