"""What it costs to decode in child processes, as orientd does by default: processor time with it and without it (--no-isolate).

    python -m benchmarks.cpu.isolation --out /tmp/orientd-isolation --result benchmarks/results

As `benchmarks/writing.py` measures, by its lives of photos; the two ways take turns, round by round, so that other programs on
the machine slow down both. What counts is the ratio. Writes isolation.json.
"""

import argparse
import json
from collections import defaultdict
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import measuring, writing
from benchmarks.measuring import ROOT, first_scan, timed
from benchmarks.writing import ROTATE, Case

KINDS = {
    "0.1 MP JPEG": Case(250, "jpg", (400, 300)),
    "12 MP JPEG": Case(72, "jpg", (4000, 3000)),
    "24 MP JPEG": Case(12, "jpg", (6000, 4000)),
    "12 MP JPEG, turned": Case(4, "jpg", (4000, 3000), ROTATE),
}
THUMBNAILS = "12 MP JPEG, thumbnails first"
COMMANDS = "scan", "apply"
WITHOUT, WITH = "without", "with"


def measure(kinds: dict[str, Case], out: Path, rounds: int) -> dict[str, Any]:
    """By kind of photo and command: CPU ms a photo of both ways, and how much more the children cost, with start-up of a run."""
    cases = {f"{name}, {way}": kinds[name]._replace(isolated=way == WITH) for name, way in product(kinds, (WITHOUT, WITH))}
    found = writing.measure(cases, {"this": ROOT}, out, rounds)
    both = {name: [found[f"{name}, {way}"]["found"]["this"] for way in (WITHOUT, WITH)] for name in kinds}
    return {
        name: {"photos": kinds[name].number, **{each: compared(*(way[each] for way in ways)) for each in COMMANDS}}
        for name, ways in both.items()
    }


def glances(out: Path, rounds: int) -> dict[str, Any]:
    """As `measure` for a scan that looks at thumbnails first; there is no plan to apply of photos that were not read whole."""
    case, tiny = KINDS["12 MP JPEG"], writing.jpegs(out, 1, (64, 48))
    photos, spent = writing.made(out, case), defaultdict(list)
    for _, way in product(range(rounds), (WITHOUT, WITH)):
        settings = ["/usr/bin/env", f"PYTHONPATH={ROOT}", f"ORIENTD_ISOLATE={way == WITH}", "ORIENTD_FIRST_LOOK=thumbnail"]
        start_up, whole = (timed([*settings, *first_scan(paths, out)]).cpu for paths in (tiny, photos))
        spent[way].append((start_up, whole))
    ways = [writing.summary(spent[way], case.number) for way in (WITHOUT, WITH)]
    return {"photos": case.number, "scan": compared(*ways)}


def compared(plain: dict[str, Any], isolated: dict[str, Any]) -> dict[str, Any]:
    """Two ways of the same command; more is the median over the rounds, of which each compares its own pair."""
    pairs = list(zip(plain["rounds"], isolated["rounds"], strict=True))
    return {
        "CPU ms": [plain["CPU ms"], isolated["CPU ms"]],
        "more, %": round(100 * median(there / here - 1 for here, there in pairs), 1),
        "more in each round, %": [round(100 * (there / here - 1), 1) for here, there in pairs],
        "start-up: CPU ms": [plain["start-up: CPU ms"], isolated["start-up: CPU ms"]],
    }


def table(found: dict[str, Any]) -> list[str]:
    lines = ["| CPU ms a photo | photos | scan | with children | more | apply | with children | more |", "|---" * 8 + "|"]
    for name, kind in found.items():
        done = [kind[each] for each in COMMANDS if each in kind]
        cells = [cell for each in done for cell in (*each["CPU ms"], f"{each['more, %']:+.1f} %")]
        lines.append(f"| {' | '.join(map(str, [name, kind['photos'], *cells]))} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--result", type=Path, help="folder for isolation.json (default: that of --out)")
    parser.add_argument("--kinds", nargs="+", choices=[*KINDS, THUMBNAILS], default=[*KINDS, THUMBNAILS])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    out, result = options.out.resolve(), (options.result or options.out).resolve()
    for folder in (out, result):
        folder.mkdir(parents=True, exist_ok=True)
    found = measure({name: KINDS[name] for name in options.kinds if name in KINDS}, out, options.rounds)
    if THUMBNAILS in options.kinds:
        found[THUMBNAILS] = glances(out, options.rounds)
    (result / "isolation.json").write_text(json.dumps({"machine": measuring.machine(), "found": found}, indent=1) + "\n")
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
