"""How the cost of a scan grows with the library, from outside: processor time, wall time and peak memory.

The files are tiny, so that all but the photos is measured: the walk, the memory of what was judged, the report. To judge a
million takes an hour, so for that many the memory is filled without (`fill_cache.py`), and the second scan is measured.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import Usage, first_scan, scan, script, timed

_WALK = "import sys; from orientd.library.walk import walk; print(sum(1 for _ in walk(sys.argv[1:])))"


def figures(usage: Usage, files: int) -> dict[str, float]:
    return {
        "wall s": round(usage.wall, 2),
        "CPU s": round(usage.cpu, 2),
        "CPU µs a file": round(1e6 * usage.cpu / files, 1),
        "peak MiB": round(usage.peak),
    }


def judged(folders: Sequence[Path], out: Path, files: int, workers: int) -> dict[str, Any]:
    """A first scan of so many tiny files, and a second one."""
    first = first_scan(folders, out, workers)
    state = Path(first[first.index("--state-dir") + 1])
    return {"first scan": figures(timed(first), files), "second scan": figures(timed(scan(folders, state, workers)), files)}


def known(folder: Path, out: Path, files: int) -> dict[str, Any]:
    """The walk of so many tiny files, by orientd and by find, and a scan of them if all were judged before."""
    state = out / "states" / "known"
    timed(script("cpu.fill_cache", folder, state))
    return {
        "walk": figures(timed([sys.executable, "-c", _WALK, str(folder)]), files),
        "find with lstat": figures(timed([shutil.which("find") or "find", str(folder), "-printf", "%s %T@\n"]), files),
        "second scan": figures(timed(scan([folder], state)), files),
    }


def measure(out: Path, steps: Sequence[int], most: int, workers: int) -> dict[str, Any]:
    """Results by number of files, each a multiple of the first of `steps`; the files are deleted afterwards."""
    place = out / "tiny"
    try:
        timed(script("photos.make", "--out", out, "--scenes", 0, "--tiny", most, "--folders-of", steps[0]))
        folders = sorted(place.iterdir())
        found: dict[str, Any] = {}
        for number in steps:
            chosen = folders[: number // steps[0]]
            found[str(number)] = judged(chosen, out, number, workers)
        return found | {f"{most} known": known(place, out, most)}
    finally:
        shutil.rmtree(place, ignore_errors=True)
