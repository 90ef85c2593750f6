"""What the benchmarks of the CPU path share: processes measured from outside, and the machine they ran on.

Imports nothing heavy: the kernel counts what this process holds towards the peak of the children it starts.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from itertools import count
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
_numbers = count()


@dataclass(frozen=True)
class Usage:
    """Wall and processor seconds, and peak resident MiB of the largest process."""

    wall: float
    cpu: float
    peak: float


def timed(*commands: list[str]) -> Usage:
    """Run commands at the same time, and nothing else; fails if one does."""
    started = time.perf_counter()
    children = [os.posix_spawn(command[0], command, os.environ, file_actions=_SILENT) for command in commands]
    usages = []
    for child, command in zip(children, commands, strict=True):
        _, status, usage = os.wait4(child, 0)
        if code := os.waitstatus_to_exitcode(status):
            raise RuntimeError(f"{' '.join(command)} ended with {code}")
        usages.append(usage)
    wall, cpu = time.perf_counter() - started, sum(usage.ru_utime + usage.ru_stime for usage in usages)
    return Usage(wall, cpu, max(usage.ru_maxrss for usage in usages) / 1024)


_SILENT = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]


def middle(usages: Sequence[Usage]) -> Usage:
    """The median of each; the highest peak."""
    return Usage(median(u.wall for u in usages), median(u.cpu for u in usages), max(u.peak for u in usages))


def scan(paths: Sequence[Path], state: Path, workers: int = 1) -> list[str]:
    """A scan that knows only what `state` knows; without one there, a first scan."""
    report = state / f"{next(_numbers)}.csv"
    state.mkdir(parents=True, exist_ok=True)
    arguments = ["scan", "-q", *map(str, paths), "--workers", str(workers), "--state-dir", str(state), "--report", str(report)]
    return [sys.executable, "-m", "orientd", *arguments]


def first_scan(paths: Sequence[Path], out: Path, workers: int = 1) -> list[str]:
    """A scan with a state folder of its own below `out`."""
    return scan(paths, out / "states" / f"{os.getpid()}-{next(_numbers)}", workers)


def script(name: str, *arguments: object) -> list[str]:
    """The command for another script, named by its module below `benchmarks`; to be run in the repository root."""
    return [sys.executable, "-m", f"benchmarks.{name}", *map(str, arguments)]


def machine() -> dict[str, str | int]:
    """Where and when, and of what."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc/cpuinfo") else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False)
    listed = subprocess.run([sys.executable, "-m", "orientd", "models", "--json"], capture_output=True, text=True, check=True)
    model = next(each for each in map(json.loads, listed.stdout.splitlines()) if each["in_use"])
    libraries = {name: version(name) for name in ("onnxruntime", "numpy", "pillow", "simplejpeg")}
    return {
        "date": date.today().isoformat(),
        "processor": (names or [platform.machine()])[0],
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **libraries,
        "commit": commit.stdout.strip(),
        "model": f"{model['name']}, {model['input_size']} px, SHA-256 {model['sha256'][:16]}",
    }
