"""What it costs to fix photos and to be able to take that back: processor time of scan, apply, verify and undo.

    python -m benchmarks.writing --out /tmp/orientd-changes --result benchmarks/results --against /other/checkout

Upright photos are judged, the report is edited so that each is to be turned, and they go through the four commands; at the end
every byte must be restored. Processor time is that of the command and of all its children, less that of the same command for one
tiny photo, divided by the number of photos. The things compared take turns. Writes changes.json; `--cases` measures some of them
again and leaves the others as they were, `--against` measures another checkout, too.
"""

import argparse
import csv
import json
import shutil
import sys
from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from PIL import Image

from benchmarks import measuring
from benchmarks.measuring import ROOT, timed
from benchmarks.photos import make as photos

COMMANDS = "scan", "apply", "verify", "undo"
TAG, ROTATE = "tag", "rotate"
_TINY = 64, 48
_SMALL = 1280, 960  # so that the thumbnail can be turned without loss
_JPEG = photos.KINDS[0]


class Case(NamedTuple):
    """Photos of a kind, and what is asked for them."""

    number: int
    make: str  # a key of MAKERS
    sides: tuple[int, int]
    method: str = TAG
    isolated: bool = True


CASES = {
    "0.1 MP JPEG": Case(250, "jpg", (400, 300)),
    "12 MP JPEG": Case(24, "jpg", (4000, 3000)),
    "12 MP JPEG, not isolated": Case(24, "jpg", (4000, 3000), isolated=False),
    "12 MP JPEG, turned": Case(4, "jpg", (4000, 3000), ROTATE),
    "12 MP PNG, turned": Case(1, "png", (4000, 3000), ROTATE),
    "12 MP PNG without noise, turned": Case(1, "smooth", (4000, 3000), ROTATE),
    "12 MP WebP, turned": Case(1, "webp", (4000, 3000), ROTATE),
}


def jpegs(folder: Path, number: int, sides: tuple[int, int]) -> list[Path]:
    """So many different photos, as a camera stores them, of `sides` pixels (width, height); made but once."""
    place = folder / f"{number} of {sides[0]} x {sides[1]}"
    if not place.is_dir():
        begun = place.with_suffix(".begun")
        shutil.rmtree(begun, ignore_errors=True)
        photos.make(begun, number, kinds=[_JPEG], sides={_JPEG.megapixels: sides})
        begun.rename(place)
    return sorted((place / photos.folder_of(_JPEG)).iterdir())


def made(folder: Path, case: Case) -> list[Path]:
    if case.make == "jpg":
        return jpegs(folder, case.number, case.sides)
    found = []
    for number, photo in enumerate(jpegs(folder, case.number, case.sides)):
        path = folder / f"{case.make}-{number}-{case.sides[0]}.{'webp' if case.make == 'webp' else 'png'}"
        with Image.open(photo) as seen:
            image = photos.drawn(number).resize(seen.size, Image.Resampling.BICUBIC) if case.make == "smooth" else seen.copy()
        if not path.exists():
            image.info.clear()
            image.save(path, lossless=True)
        found.append(path)
    return found


def planned(report: Path, method: str) -> None:
    """Have every photo of a report turned: to the side that needs no multiple of 16 pixels but of its longer edge."""
    with report.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        turn = 270 if int(row["width"]) > int(row["height"]) else 90
        row |= {"decision": "fix", "turn": str(turn), "method": method}
    with report.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def life(checkout: Path, case: Case, originals: Sequence[Path], place: Path) -> dict[str, float]:
    """Processor seconds by command, of photos that are new to orientd.

    Raises:
        RuntimeError: a command failed, or did not do what it was measured for.
    """
    shutil.rmtree(place, ignore_errors=True)
    library, state, report = place / "library", place / "state", place / "report.csv"
    library.mkdir(parents=True)
    copies = [Path(shutil.copy2(photo, library)) for photo in originals]

    def seconds(*arguments: object) -> float:
        settings = [f"PYTHONPATH={checkout}", f"ORIENTD_ISOLATE={case.isolated}"]
        orientd = ["/usr/bin/env", *settings, sys.executable, "-P", "-m", "orientd"]
        return timed([*orientd, *map(str, arguments), "--state-dir", str(state)]).cpu

    spent = {"scan": seconds("scan", "-q", library, "--workers", 1, "--report", report)}
    planned(report, case.method)
    spent["apply"] = seconds("apply", "-q", report, "--report", place / "done.csv")
    for original, copy in zip(originals, copies, strict=True):
        if shape(original) != (shape(copy)[::-1] if case.method == ROTATE else shape(copy)) or same(original, copy):
            raise RuntimeError(f"{copy} was not turned by {case.method}")
    spent["verify"] = seconds("verify")
    spent["undo"] = seconds("undo", 1)
    if not all(same(*pair) for pair in zip(originals, copies, strict=True)):
        raise RuntimeError(f"undo did not bring back every byte below {library}")
    return spent


def shape(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def measure(cases: dict[str, Case], checkouts: dict[str, Path], out: Path, rounds: int) -> dict[str, Any]:
    """By case, checkout and command: milliseconds a photo (which are seconds for 1,000) in each round, their median, start-up."""
    tiny, originals = jpegs(out, 1, _TINY), {name: made(out, case) for name, case in cases.items()}
    spent: dict[tuple[str, str], list[tuple[dict[str, float], dict[str, float]]]] = defaultdict(list)
    for _, (name, case), (checkout, root) in product(range(rounds), cases.items(), checkouts.items()):
        start_up = life(root, case._replace(method=TAG), tiny, out / "living")
        spent[name, checkout].append((start_up, life(root, case, originals[name], out / "living")))
    shutil.rmtree(out / "living")
    found: dict[str, Any] = {
        name: {"photos": case.number, "found": {each: {} for each in checkouts}} for name, case in cases.items()
    }
    for ((name, checkout), lives), each in product(spent.items(), COMMANDS):
        found[name]["found"][checkout][each] = summary([(few[each], all_[each]) for few, all_ in lives], cases[name].number)
    return found


def summary(pairs: Sequence[tuple[float, float]], number: int) -> dict[str, Any]:
    """Of the seconds for a tiny photo, and for so many photos, in each round."""
    rounds = [round(1000 * (whole - start_up) / number, 2) for start_up, whole in pairs]
    return {"CPU ms": round(median(rounds), 2), "rounds": rounds, "start-up: CPU ms": round(1000 * median(s for s, _ in pairs))}


def table(cases: dict[str, dict[str, Any]]) -> list[str]:
    head = ["CPU ms a photo", "photos", *COMMANDS, "start-up of each"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for case, found in cases.items():
        for name, commands in found["found"].items():
            cells = [f"{case} ({name})", str(found["photos"]), *(str(commands[each]["CPU ms"]) for each in COMMANDS)]
            lines.append(f"| {' | '.join([*cells, ', '.join(str(commands[each]['start-up: CPU ms']) for each in COMMANDS)])} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--result", type=Path, help="folder for changes.json (default: that of --out)")
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="two small photos each: shows that it works and measures nothing")
    options = parser.parse_args()
    out, result = options.out.resolve(), (options.result or options.out).resolve()
    for folder in (out, result):
        folder.mkdir(parents=True, exist_ok=True)
    path = result / "changes.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    checkouts = {"this": ROOT} | ({options.against.name: options.against.resolve()} if options.against else {})
    cases = {name: CASES[name]._replace(number=2, sides=_SMALL) if options.quick else CASES[name] for name in options.cases}
    measured = measure(cases, checkouts, out, options.rounds)
    found |= {name: {"machine": measuring.machine(), **each} for name, each in measured.items()}
    path.write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
