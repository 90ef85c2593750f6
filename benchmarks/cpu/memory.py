"""The memory and processor time of a scan by the number of its workers, where witnesses are asked about all photos.

    python -m benchmarks.cpu.memory FOLDER [--workers 1 2 4 8] [--rounds 2] [--against /other/checkout]

A first scan of the folder, which should hold photos of a real library, finds those that the first look was not enough for; copies
of these are scanned, by each checkout in turns. "largest" is what the scan's own process had resident at most, as the kernel
counts it; "all" what that process and its decoding children had together at most (PSS, looked at five times a second). Scans must
report the same to the byte, whatever the workers and the checkout.
"""

import argparse
import csv
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.measuring import ROOT, machine

_EVERY = 0.2


class Run(NamedTuple):
    """Seconds of processor time, and MiB at most of the largest process and of all together."""

    cpu: float
    largest: float
    together: float


def scan(checkout: Path, photos: Path, out: Path, workers: int) -> tuple[Run, bytes]:
    """A first scan of `photos`, measured, and its report."""
    with TemporaryDirectory(dir=out) as state:
        report = Path(state, "report.csv")
        arguments = ["scan", "-q", str(photos), "--workers", str(workers), "--state-dir", state, "--report", str(report)]
        command = [sys.executable, "-P", "-m", "orientd", *arguments]  # -P: not the orientd of the working folder
        return watched(command, os.environ | {"PYTHONPATH": str(checkout)}), report.read_bytes()


def watched(command: Sequence[str], environment: dict[str, str]) -> Run:
    """Run a command, and look at the memory of its processes all the time; fails if it does."""
    child = os.posix_spawn(command[0], command, environment, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    together = 0.0
    while not (ended := os.wait4(child, os.WNOHANG))[0]:
        together = max(together, sum(map(shared_out, family(child))))
        time.sleep(_EVERY)
    _, status, usage = ended
    if code := os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"{' '.join(command)} ended with {code}")
    return Run(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, together)


def family(process: int) -> Iterator[int]:
    """A process and all that it started."""
    yield process
    for listed in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            for each in listed.read_text().split():
                yield from family(int(each))


def shared_out(process: int) -> float:
    """MiB of a process, of each page that several have its share; 0 once it has ended."""
    with suppress(OSError):
        if found := re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{process}/smaps_rollup").read_text(), re.MULTILINE):
            return int(found[1]) / 1024
    return 0.0


def hard(report: bytes) -> list[Path]:
    """The photos of a report that witnesses were asked about."""
    return [Path(row["path"]) for row in csv.DictReader(report.decode().splitlines()) if row["evidence"]]


def lay_out(photos: Iterable[Path], place: Path) -> None:
    place.mkdir()
    for number, photo in enumerate(photos):
        shutil.copy(photo, place / f"{number:04}{photo.suffix}")


def measure(checkouts: dict[str, Path], place: Path, out: Path, workers: Sequence[int], rounds: int) -> dict[str, list[Run]]:
    """The runs by number of workers and checkout."""
    found: dict[str, list[Run]] = {}
    answers = None
    for _ in range(rounds):
        for number in workers:
            for name, checkout in checkouts.items():
                run, report = scan(checkout, place, out, number)
                answers = answers or report
                if report != answers:
                    raise RuntimeError(f"{name} with {number} workers does not report what the first scan did")
                found.setdefault(f"{number} | {name}", []).append(run)
                print(f"{name}, {number} workers: {run.cpu:.2f} s, {run.largest:.0f} and {run.together:.0f} MiB", file=sys.stderr)
    return found


def table(found: dict[str, list[Run]]) -> str:
    lines = ["| workers | checkout | CPU s, median (each) | largest MiB | all MiB |", "|---|---|---|---|---|"]
    for name, runs in found.items():
        seconds = f"{median(run.cpu for run in runs):.2f} ({', '.join(f'{run.cpu:.2f}' for run in runs)})"
        most = f"{max(run.largest for run in runs):.0f} | {max(run.together for run in runs):.0f}"
        lines.append(f"| {name} | {seconds} | {most} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--against", type=Path, help="another checkout")
    options = parser.parse_args()
    checkouts = {"this": ROOT} | ({options.against.name: options.against.resolve()} if options.against else {})
    with TemporaryDirectory() as name:
        out = Path(name)
        photos = hard(scan(ROOT, options.folder, out, os.cpu_count() or 1)[1])
        if not photos:
            parser.error(f"{options.folder} holds no photo that a witness is asked about: name a larger library")
        lay_out(photos, out / "hard")
        found = measure(checkouts, out / "hard", out, options.workers, options.rounds)
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    print(f"{len(photos)} photos, {options.rounds} rounds\n\n{table(found)}")


if __name__ == "__main__":
    main()
