"""Scan, apply, undo and a second scan on a real Immich, with photos of albums of which some are turned.

    python -m benchmarks.immich.trial --url http://127.0.0.1:2283 --key-file admin.key ALBUMS... --out FOLDER

The key is one of an administrator, with all permissions: the photos are uploaded to a fresh user, whom it makes, and nothing that
is there is touched. ALBUMS are folders with a truth.csv (path,turn,owner). What comes of each step is printed; a line that begins
with FAULT is one. Photos that an earlier trial left in FOLDER's library are used again.
"""

import argparse
import csv
import io
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.immich.gate import Gate
from benchmarks.immich.talk import Shown, Talk

_MOST_BYTES = 2**20  # of a file: a server computes long at larger ones


def choose(albums: Sequence[Path], photos: int, turned: int) -> list[tuple[Path, int]]:
    """`photos` random photos, none twice, with the degrees clockwise that make each upright; for `turned` of them not 0."""
    found: dict[str, list[tuple[Path, int]]] = {}
    for folder in albums:
        for row in csv.DictReader((folder / "truth.csv").open()):
            file = folder / row["path"]
            if row["path"].startswith(("upright/", "turned/")) and file.suffix == ".jpg" and file.stat().st_size < _MOST_BYTES:
                found.setdefault(file.name, []).append((file, int(row["turn"])))
    names = random.Random(17).sample(sorted(name for name, both in found.items() if len(both) == 2), photos)
    return [next(one for one in found[name] if bool(one[1]) is (number < turned)) for number, name in enumerate(names)]


@dataclass(frozen=True)
class Done:
    """The JSON that a command printed, the seconds it took, its exit code, and its standard error."""

    lines: list[dict]
    seconds: float
    code: int
    said: str

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(str(one["outcome"]) for one in self.lines if "outcome" in one)


def command(state: Path, *arguments: object) -> list[str]:
    """That of orientd, to be run in `state`."""
    return [sys.executable, "-m", "orientd", *map(str, arguments), "--json", "--state-dir", str(state)]


def orientd(state: Path, *arguments: object, ends: Sequence[int] = (0,)) -> Done:
    """Run a command. Raises RuntimeError if it ends otherwise than so."""
    state.mkdir(exist_ok=True)
    started, line = time.perf_counter(), command(state, *arguments)
    done = subprocess.run(line, cwd=state, capture_output=True, text=True, check=False)
    if done.returncode not in ends:
        raise RuntimeError(f"{' '.join(line)} ended with {done.returncode}: {done.stdout[-2000:]} {done.stderr}")
    lines = [json.loads(each) for each in done.stdout.splitlines()]
    return Done(lines, time.perf_counter() - started, done.returncode, done.stderr)


def small(preview: bytes) -> NDArray[np.float32]:
    return np.asarray(Image.open(io.BytesIO(preview)).convert("L").resize((48, 48)), np.float32)


def turn_of(before: Shown, after: Shown) -> int | None:
    """The degrees clockwise by which one preview is the other; None if by none."""
    there, wanted = small(after.preview), small(before.preview)
    unlike = {turn: float(np.abs(np.rot90(wanted, -turn // 90) - there).mean()) for turn in (0, 90, 180, 270)}
    best = min(unlike, key=lambda turn: unlike[turn])
    return best if unlike[best] < 6 else None


def faults_of_turns(before: dict[str, Shown], after: dict[str, Shown], plan: dict[str, int]) -> Iterator[str]:
    for photo, shown in after.items():
        if (seen := turn_of(before[photo], shown)) != plan.get(photo, 0):
            yield f"{photo}: planned {plan.get(photo, 0)}, shown {seen}"
        if photo not in plan and shown != before[photo]:
            yield f"{photo}: not planned, but changed"
        if not shown.is_whole:
            yield f"{photo}: its original has another SHA-1"


def faults_of_undo(before: dict[str, Shown], after: dict[str, Shown]) -> Iterator[str]:
    for photo, shown in after.items():
        if shown.edits != before[photo].edits:
            yield f"{photo}: edits {before[photo].edits}, now {shown.edits}"
        if shown.preview != before[photo].preview:
            yield f"{photo}: another preview"
        if not shown.is_whole:
            yield f"{photo}: its original has another SHA-1"


def show_faults(what: str, faults: Iterator[str]) -> None:
    found = list(faults)
    print(f"{what}: {len(found)} faults", *(f"FAULT {one}" for one in found), sep="\n", flush=True)


def planned(plan: Path) -> dict[str, int]:
    """The turns of a plan, by the id of each photo."""
    rows = csv.DictReader(plan.open())
    return {row["path"].split("/")[1]: int(row["turn"]) for row in rows if row["decision"] == "fix"}


def prepare(arguments: argparse.Namespace) -> None:
    """A fresh user with the photos; the truth of each by its id, and keys with all permissions and with the least, as files."""
    user, chosen = administrator(arguments).user(), choose(arguments.albums, arguments.photos, arguments.turned)
    arguments.out.mkdir(parents=True)
    user.key_file(arguments.out / "user.key", ["all"])
    user.key_file(arguments.out / "key")
    ids = user.upload_all([file for file, _ in chosen])
    (arguments.out / "truth.json").write_text(json.dumps(dict(zip(ids, (turn for _, turn in chosen), strict=True))))


def administrator(arguments: argparse.Namespace) -> Talk:
    return Talk(arguments.url, arguments.key_file.read_text().strip())


def trial(arguments: argparse.Namespace) -> None:
    out, truth = arguments.out, json.loads((arguments.out / "truth.json").read_text())
    user, settled = Talk(arguments.url, (out / "user.key").read_text()), administrator(arguments).settled
    settled()
    before, plan, state = user.all_shown(list(truth)), out / "plan.csv", out / "state"
    with Gate(arguments.url) as gate:
        scan = ["immich", "scan", "--url", gate.url, "--key-file", out / "key", "--name", "trial", "--overwrite", "--report"]
        seconds = orientd(state, *scan, plan).seconds
        turns = planned(plan)
        right = sum(turn == truth[photo] for photo, turn in turns.items())
        print(f"scan: {seconds:.1f} s; {right} turned ones found, {len(turns) - right} wrong turns")
        done = orientd(state, "apply", plan, ends=(0, 3))
        print(f"apply: {done.seconds:.1f} s, {dict(done.outcomes)}")
        settled()
        show_faults("edited previews as planned, originals whole", faults_of_turns(before, user.all_shown(list(truth)), turns))
        done = orientd(state, "undo", "--yes", ends=(0, 3))
        print(f"undo: {done.seconds:.1f} s, {dict(done.outcomes)}")
        settled()
        show_faults("edits and previews as before, originals whole", faults_of_undo(before, user.all_shown(list(truth))))
        gate.forget()
        seconds = orientd(state, *scan, out / "second.csv").seconds
        show_faults(f"second scan, {seconds:.1f} s: no preview asked for", (call for call in gate.calls if "thumbnail" in call))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("albums", type=Path, nargs="*")
    parser.add_argument("--url", required=True)
    parser.add_argument("--key-file", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--turned", type=int, default=60)
    arguments = parser.parse_args()
    arguments.out = arguments.out.resolve()
    arguments.key_file = arguments.key_file.resolve()
    if not (arguments.out / "truth.json").exists():
        prepare(arguments)
    trial(arguments)


if __name__ == "__main__":
    main()
