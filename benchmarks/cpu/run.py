"""Everything about the CPU path in one go: against its physical floor, against the plain way, by stage, core and library.

    python -m benchmarks.cpu.run --out /tmp/orientd-cpu --result benchmarks/results
    python -m benchmarks.cpu.run --out /tmp/orientd-quick --quick

Takes 12 minutes on two cores and 10 GB below `--out`; as root it measures a slow disk, too. `--from` names small real photos to
see instead of drawings (see `benchmarks/photos/make.py`), `--steps` only some of the steps: the others stay as they were found
before. Writes cpu.json and the plots. Times are processor time wherever that can be; what is compared takes turns.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import measuring
from benchmarks.measuring import Usage, first_scan, middle, script, timed

TWELVE = "12-MP-420"


@dataclass(frozen=True)
class Scale:
    """How much is done: to measure, or just enough to show that every step works."""

    scenes: int
    reduced: int  # the photos' sides are that many times shorter
    rounds: int
    library: int  # photos in the library that workers share
    growth: Sequence[int]
    tiny: int
    slow: int  # photos on the slow disk


FULL = Scale(24, 1, 3, 288, (1000, 10_000, 100_000), 1_000_000, 300)
QUICK = Scale(2, 10, 1, 8, (20, 40), 60, 4)


class Bench:
    """Where the photos are, and what was found."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.scale = QUICK if options.quick else FULL
        self.out: Path = options.out.resolve()
        self.photos = self.out / "photos"
        self.source: list[object] = ["--from", options.source] if options.source else []
        self.seen = str(options.source.name) if options.source else "drawn scenes"

    def make_photos(self) -> None:
        if not self.photos.is_dir():
            timed(
                script(
                    "photos.make",
                    "--out",
                    self.photos,
                    "--scenes",
                    self.scale.scenes,
                    "--reduced",
                    self.scale.reduced,
                    *self.source,
                )
            )

    @property
    def kinds(self) -> list[Path]:
        return sorted(self.photos.iterdir())

    def library(self) -> Path:
        """Copies of the photos of 12 MP: to orientd, which asks for the path, each is new."""
        place, photos = self.out / "library", sorted((self.photos / TWELVE).iterdir())
        for i in range(self.scale.library):
            folder = place / str(i % 2)
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photos[i % len(photos)], folder / f"{i:04}.jpg")
        return place


def printed(command: Sequence[str]) -> Any:
    """What a script prints as JSON."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 2:
        return {"skipped": done.stderr.strip()}
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr}")
    return json.loads(done.stdout)


def start_up(bench: Bench) -> dict[str, float]:
    """A scan of an empty folder, and the help."""
    empty = bench.out / "empty"
    empty.mkdir(exist_ok=True)
    nothing = middle([timed(first_scan([empty], bench.out)) for _ in range(3 * bench.scale.rounds)])
    helping = middle([timed([sys.executable, "-m", "orientd", "--help"]) for _ in range(bench.scale.rounds)])
    return {"wall s": round(nothing.wall, 3), "CPU s": round(nothing.cpu, 3), "help: wall s": round(helping.wall, 3)}


def floor(bench: Bench) -> Any:
    return printed(script("cpu.floor", *bench.kinds, "--rounds", min(2, bench.scale.rounds)))


def plain(bench: Bench) -> Any:
    return printed(script("cpu.plain", *bench.kinds, "--photos", min(8, bench.scale.scenes - 1)))


def whole(bench: Bench, *options: str) -> dict[str, Any]:
    """Processor time of the real command on one core by kind of photo; what an empty folder costs is taken off."""
    empty = bench.out / "empty"
    empty.mkdir(exist_ok=True)
    rounds: dict[Path, list[Usage]] = {folder: [] for folder in [empty, *bench.kinds]}
    for _ in range(bench.scale.rounds):
        for folder, usages in rounds.items():
            usages.append(timed([*first_scan([folder], bench.out), *options]))
    nothing = middle(rounds.pop(empty)).cpu
    return {
        folder.name: {
            "CPU ms": round(1000 * (middle(usages).cpu - nothing) / bench.scale.scenes, 2),
            "CPU ms with start-up": round(1000 * middle(usages).cpu / bench.scale.scenes, 2),
            "peak MiB": round(middle(usages).peak),
        }
        for folder, usages in rounds.items()
    }


def stages(bench: Bench) -> dict[str, Any]:
    """Milliseconds a photo by stage, the median of rounds in turns; start-up in milliseconds a run."""
    rounds: dict[str, list[dict[str, float]]] = {folder.name: [] for folder in bench.kinds}
    times = bench.out / "times.json"
    for _ in range(min(2, bench.scale.rounds)):
        for folder in bench.kinds:
            arguments = first_scan([folder], bench.out)[3:]
            timed(script("cpu.stopwatch", "--out", times, "--", *arguments))
            rounds[folder.name].append(json.loads(times.read_text()))

    def milliseconds(name: str, runs: list[dict[str, float]]) -> float:
        return round(1000 * median(run[name] for run in runs) / (1 if name == "start-up" else bench.scale.scenes), 2)

    return {kind: {name: milliseconds(name, runs) for name in runs[0]} for kind, runs in rounds.items()}


def workers(bench: Bench) -> dict[str, Any]:
    """Throughput by workers in one process, and of two processes of one worker on halves; without the time of start-up."""
    place, cores = bench.library(), os.cpu_count() or 1
    numbers = sorted({1, 2, *(2**i for i in range(2, 10) if 2**i < cores), cores})

    def alone(number: int) -> Usage:
        return timed(first_scan([place], bench.out, number))

    runs: dict[str, Callable[[], Usage]] = {f"{number} in one process": partial(alone, number) for number in numbers}
    runs["2 in two processes"] = lambda: timed(*(first_scan([half], bench.out) for half in sorted(place.iterdir())))
    found: dict[str, list[Usage]] = {name: [] for name in runs}
    for _ in range(bench.scale.rounds):
        for name, run in runs.items():
            found[name].append(run())
    nothing, one = start_up(bench), middle(found["1 in one process"])
    table = {}
    for name, usages in found.items():
        usage = middle(usages)
        table[name] = {
            "photos a second": round(bench.scale.library / (usage.wall - nothing["wall s"]), 2),
            "times one": round((one.wall - nothing["wall s"]) / (usage.wall - nothing["wall s"]), 3),
            "times one by CPU time": round(one.cpu / usage.cpu * int(name.split()[0]), 3),
            "CPU ms": round(1000 * (usage.cpu - nothing["CPU s"]) / bench.scale.library, 2),
            "wall s": round(usage.wall, 2),
            "peak MiB": round(usage.peak),
        }
    shutil.rmtree(place)
    return table


def memory(bench: Bench) -> dict[str, float]:
    """Peak of two workers on photos of all kinds, and on those of 24 MP alone."""
    once = timed(first_scan([bench.photos], bench.out, 2))
    large = timed(first_scan([folder for folder in bench.kinds if folder.name.startswith("24")], bench.out, 2))
    return {"all kinds: peak MiB": round(once.peak), "24 MP: peak MiB": round(large.peak)}


def grown(bench: Bench) -> Any:
    from benchmarks.cpu import growth

    return growth.measure(bench.out, bench.scale.growth, bench.scale.tiny, min(2, os.cpu_count() or 1))


def slow_disk(bench: Bench) -> Any:
    result = bench.out / "slow.json"
    rounds = ["--rounds", bench.scale.rounds, "--photos", bench.scale.slow, "--library", bench.photos / TWELVE]
    done = subprocess.run(
        script("cpu.slow_disk", "--out", bench.out, "--result", result, *rounds), stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        return {"skipped": done.stderr.strip().splitlines()[-1]}
    return json.loads(result.read_text())


STEPS: dict[str, Callable[[Bench], Any]] = {
    "start-up": start_up,
    "floor": floor,
    "plain": plain,
    "whole": whole,
    "thumbnails": lambda bench: whole(bench, "--first-look", "thumbnail"),
    "stages": stages,
    "workers": workers,
    "memory": memory,
    "growth": grown,
    "slow disk": slow_disk,
}


def times(more: float, less: float) -> str:
    """How many times as much; a run so short that its start-up outweighs it measures nothing."""
    return f"{more / less:.1f}" if less > 0 else "not measured"


def targets(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What was aimed at, what was aimed at in figures, and what came of it."""
    rows = []
    if {"whole", "floor"} <= set(found):
        for kind, seen in found["whole"].items():
            ratio = seen["CPU ms"] / found["floor"][kind]["floor ms"]
            rows.append((f"{kind}: CPU time, times the floor", "≤ 1.5" if kind == TWELVE else "", f"{ratio:.2f}"))
            if "total" in found.get("plain", {}).get(kind, {}):
                less = times(found["plain"][kind]["total"], seen["CPU ms"])
                rows.append((f"{kind}: times less than the plain way", "≥ 10" if kind == TWELVE else "", less))
    if {"thumbnails", "plain"} <= set(found) and "total" in found["plain"].get(TWELVE, {}):
        less = times(found["plain"][TWELVE]["total"], found["thumbnails"][TWELVE]["CPU ms"])
        rows.append((f"{TWELVE}, thumbnails first: times less than the plain way", "≥ 10", less))
    if "workers" in found:
        rows.append(("two cores, times one", "≥ 1.9", f"{found['workers']['2 in one process']['times one']:.2f}"))
        rows.append(("two processes, times one", "", f"{found['workers']['2 in two processes']['times one']:.2f}"))
    if "memory" in found:
        rows.append(
            (
                "peak memory of 2 workers, MiB, without the children that decode",
                "< 477 (500 MB)",
                f"{max(found['memory'].values())}",
            )
        )
    if "start-up" in found:
        rows.append(("start-up, s", "< 1", f"{found['start-up']['wall s']:.2f}"))
    if "growth" in found:
        judged = [float(each["first scan"]["CPU s"]) for each in found["growth"].values() if "first scan" in each]
        rows.append(("ten times the files, times the CPU time", "10", ", ".join(f"{b / a:.1f}" for a, b in pairwise(judged))))
    if "this" in found.get("slow disk", {}):
        rows.append(("slow disk, share of its limit", "≥ 0.90", f"{found['slow disk']['this']['share of the limit']:.3f}"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--result", type=Path, help="folder for cpu.json and the plots (default: that of --out)")
    parser.add_argument("--from", dest="source", type=Path)
    parser.add_argument("--quick", action="store_true", help="tiny photos, once: shows that it works and measures nothing")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    options = parser.parse_args()
    bench, result = Bench(options), (options.result or options.out).resolve()
    for folder in (bench.out, result):
        folder.mkdir(parents=True, exist_ok=True)
    path = result / "cpu.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    bench.make_photos()
    found["machine"] = {**measuring.machine(), "photos show": bench.seen}
    for step in options.steps:
        found[step] = STEPS[step](bench)
        print(step, json.dumps(found[step], indent=1), flush=True)
        path.write_text(json.dumps(found, indent=1) + "\n")
    print("\n| | aimed at | found |\n|---|---|---|")
    for row in targets(found):
        print(f"| {' | '.join(row)} |")
    if {"stages", "floor", "workers"} <= set(found):
        timed(script("cpu.plots", path))


if __name__ == "__main__":
    main()
