"""Show that two checkouts behave alike: each scans, changes, verifies and gives back one library, and every step is compared.

    python -m benchmarks.behavior ../shared/corpus ../shared/photos/val-0.zip --before OLD/bin/orientd --after NEW/bin/orientd

The library is the corpus and 500 validation photos, half of them shown turned. Each command runs on a copy of its own in the same
place with the same dates. Compared after every step: the exit code, the report without the columns named by `--new`, and of
every file the bytes, the mode and the time of modification. It ends with 1 and says where, if anything differs.
"""

import argparse
import csv
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from PIL import Image

TURNS = (0, 90, 180, 270, 0, 0)
_BACK = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
_TAG = {0: 1, 90: 8, 180: 3, 270: 6}  # stored, it shows the photo so that it needs that turn
_TIME = 1_700_000_000
_USAGE = 2  # exit code of a command that did nothing, so that nothing would be compared
State = dict[str, tuple[str, int, int]]
Step = tuple[str, int, list[dict[str, str]], State]


def build(corpus: Path, archive: Path, library: Path, limit: int) -> None:
    """Write the library, all of it with one time of modification."""
    shutil.copytree(corpus, library / "corpus")
    with zipfile.ZipFile(archive) as photos:
        for number, name in enumerate(sorted(photos.namelist())[:limit]):
            turn, by_tag = TURNS[number % len(TURNS)], number % 2 == 0
            with Image.open(BytesIO(photos.read(name))) as image:
                shown = image.convert("RGB")
            exif = Image.Exif()
            if turn and by_tag:
                exif[0x0112] = _TAG[turn]
            elif turn:
                shown = shown.transpose(_BACK[turn])
            place = library / Path(name).with_suffix(".jpg")
            place.parent.mkdir(parents=True, exist_ok=True)
            shown.save(place, quality=92, exif=exif)
    for path in library.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (_TIME, _TIME))


def state(library: Path) -> State:
    """Of every file its hash, mode and time of modification."""
    found = {}
    for path in sorted(library.rglob("*")):
        if path.is_file():
            stat = path.stat()
            found[str(path)] = (hashlib.sha256(path.read_bytes()).hexdigest(), stat.st_mode, stat.st_mtime_ns)
    return found


def rows(report: Path, new: set[str]) -> list[dict[str, str]]:
    if not report.exists():
        return []
    with report.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return [{name: value for name, value in row.items() if name not in new} for row in csv.DictReader(file)]


def everything_turned(report: Path, plan: Path, method: str) -> None:
    """A plan that turns every photo of a report by 90°, by its own method or, if one is given, by that."""
    with report.open(newline="", encoding="utf-8") as source, plan.open("w", newline="", encoding="utf-8") as target:
        reader = csv.DictReader(source)
        writer = csv.DictWriter(target, reader.fieldnames or [])
        writer.writeheader()
        change = {"decision": "fix", "turn": "90"} | ({"method": method} if method else {})
        writer.writerows(row | change for row in reader if row["sha256"])


def steps(orientd: str, original: Path, place: Path, new: set[str]) -> Iterator[Step]:
    """Run the commands on a fresh copy of the library at `place`."""
    shutil.rmtree(place, ignore_errors=True)
    library, reports = place / "library", place / "reports"
    shutil.copytree(original, library)
    reports.mkdir()
    os.environ["XDG_STATE_HOME"] = str(place / "state")
    plan, pixels = place / "plan.csv", place / "pixels.csv"
    commands: dict[str, list[str]] = {
        "scan": ["scan", "-q", str(library)],
        "scan again": ["scan", "-q", str(library)],
        "fix": ["scan", "-q", str(library), "--fix"],
        "fix again": ["scan", "-q", str(library), "--fix"],
        "verify": ["verify"],
        "undo": ["undo", "--file", str(library)],
        "sidecars": ["scan", "-q", str(library), "--sidecar", "write"],
        "apply": ["apply", "-q", str(plan)],
        "verify all": ["verify"],
        "scan what was turned": ["scan", "-q", str(library)],
        "undo all": ["undo", "--file", str(library)],
        "pixels": ["apply", "-q", str(pixels)],
        "undo pixels": ["undo", "--file", str(library)],
    }
    for name, arguments in commands.items():
        report = reports / f"{name}.csv"
        if arguments[0] in ("scan", "apply"):
            arguments += ["--report", str(report)]
        done = subprocess.run([orientd, *arguments], capture_output=True, cwd=place, check=False)
        if done.returncode < 0 or done.returncode == _USAGE or (name == "scan" and not report.exists()):
            sys.exit(f"{orientd} {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr.decode()}")
        yield name, done.returncode, rows(report, new), state(library)
        if name == "scan":
            everything_turned(report, plan, "")
            everything_turned(report, pixels, "rotate")


def differences(before: Step, after: Step) -> Iterator[str]:
    """Where two steps of the same name differ, in words."""
    name = before[0]
    if before[1] != after[1]:
        yield f"{name}: exit code {before[1]}, then {after[1]}"
    if len(before[2]) != len(after[2]):
        yield f"{name}: {len(before[2])} rows, then {len(after[2])}"
    for old, new in zip(before[2], after[2], strict=False):
        changed = {key: (old.get(key), new.get(key)) for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
        if changed:
            yield f"{name}: {old.get('path')}: {changed}"
    for path in sorted(before[3].keys() | after[3].keys()):
        if before[3].get(path) != after[3].get(path):
            yield f"{name}: {path}: {before[3].get(path)}, then {after[3].get(path)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--before", type=os.path.abspath, required=True)
    parser.add_argument("--after", type=os.path.abspath, required=True)
    parser.add_argument("--new", default="reason_code", help="columns that only one of them writes, separated by commas")
    parser.add_argument("--limit", type=int, default=500)
    options = parser.parse_args()
    new, found, compared = set(options.new.split(",")), [], 0
    with tempfile.TemporaryDirectory() as folder:
        original, place = Path(folder, "original"), Path(folder, "run")
        build(options.corpus, options.archive, original, options.limit)
        earlier = list(steps(options.before, original, place, new))
        for before, after in zip(earlier, steps(options.after, original, place, new), strict=True):
            found += differences(before, after)
            compared += len(after[2]) + len(after[3])
            print(f"{after[0]}: exit code {after[1]}, {len(after[2])} rows, {len(after[3])} files", flush=True)
    print(*found[:100], f"{len(found)} differences in {compared:,} rows and files", sep="\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
