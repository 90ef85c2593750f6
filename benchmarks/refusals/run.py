"""Which files of public test suites orientd refuses, why, whether that was needed, and whether what it writes is right.

    python -m benchmarks.refusals.files MIRRORS --out FOLDER          # lays out the files of files.tsv
    python -m benchmarks.refusals.run FOLDER --orientd .venv/bin/orientd --out /tmp/before
    python -m benchmarks.refusals.run FOLDER --orientd OTHER/.venv/bin/orientd --out /tmp/after --before /tmp/before

A file counts only if its content is the one listed. Each is scanned, turned by 90° and by 180° with a plan, verified and taken
back, all by the command, so that the same script measures any checkout. What was written is judged by exiftool (no other tag may
differ), by two decoders (the turn that was asked for), and by its bytes and time after `undo`. For what was refused it is tried
whether another hand could have turned it: see changes.py. Needs exiftool, heif-convert and pyvips, but no
orientd of its own. A file that ends the process is found by halving, and is a row. Writes found.json and table.md.
"""

import argparse
import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.refusals import referee
from benchmarks.refusals.changes import changes
from benchmarks.refusals.files import Listed, fitting, read_list
from benchmarks.refusals.table import BY_DESIGN, reason_of, table
from benchmarks.refusals.tiff import only_previews
from benchmarks.refusals.views import NOTHING, SEEN, Viewer

TURNS: Final = (90, 180)
STEPS: Final = ("write", "weigh")
TOGETHER: Final = 100
_TIME: Final = 1_500_000_000_123_456_789
_BY_SIDECAR: Final = frozenset({"raw", "gif", "bmp", "jpeg2000"})
Found = dict[str, Any]


class Died(Exception):
    """A command ended by a signal or an error of its own, or took far too long."""


class Survey:
    """Puts files through the command, in groups; `scratch` is a folder of its own."""

    def __init__(self, orientd: Path, scratch: Path, viewer: Viewer) -> None:
        self._orientd, self._scratch, self._viewer = orientd, scratch, viewer

    def __call__(self, files: Sequence[Listed], folder: Path) -> list[Found]:
        """One finding a file, in order; a crash that only a group of files causes is noted with the first of them."""
        try:
            return self._group([each.place(folder) for each in files], files)
        except Died as death:
            print(f"{len(files)} files from {files[0].path} on: {death}", file=sys.stderr, flush=True)
            if len(files) == 1:
                return [{**files[0]._asdict(), "died": str(death)}]
            half = len(files) // 2
            found = self(files[:half], folder) + self(files[half:], folder)
            if not any("died" in each or "died together" in each for each in found):
                found[0]["died together"] = str(death)  # memory written over kills where it happens to matter
            return found

    def _group(self, sources: Sequence[Path], files: Sequence[Listed]) -> list[Found]:
        shutil.rmtree(self._scratch, ignore_errors=True)
        copies = [self._copied(number, source) for number, source in enumerate(sources)]
        scanned = self._report("scan", "scan", "--sidecar", "write", "--workers", "1", str(self._photos))
        found = [_result_of(each, scanned.get(str(copy))) for each, copy in zip(files, copies, strict=True)]
        for turn in TURNS:
            self._turn(turn, sources, copies, found)
        changed = [
            (source, Path(trial["changed"])) for source, each in zip(sources, found, strict=True) for trial in _written(each)
        ]
        tags = referee.changed_tags([pair for pair in changed if not _is_sidecar(*pair)])
        for source, each in zip(sources, found, strict=True):
            self._judge(source, each, tags)
        return found

    @property
    def _photos(self) -> Path:
        return self._scratch / "photos"

    def _copied(self, number: int, source: Path) -> Path:
        copy = self._photos / f"{number:03}" / source.name
        copy.parent.mkdir(parents=True)
        shutil.copyfile(source, copy)
        os.utime(copy, ns=(_TIME, _TIME + number * 10**9))
        return copy

    def _turn(self, turn: int, sources: Sequence[Path], copies: Sequence[Path], found: list[Found]) -> None:
        """Turn all, keep what came of it for the judges, and take it back."""
        state, plan = f"state-{turn}", self._scratch / f"plan-{turn}.csv"
        _write_plan(plan, copies, [_method(each) for each in found], turn)
        applied = self._report(state, "apply", "--sidecar-naming", "full", str(plan), str(self._photos))
        rows = [applied.get(str(copy), {}) for copy in copies]
        for number, (source, copy, row) in enumerate(zip(sources, copies, rows, strict=True)):
            trial = {"outcome": row.get("outcome", "no row"), "reason": row.get("reason", ""), "changed": ""}
            sidecar = copy.with_name(copy.name + ".xmp")
            written = copy if copy.read_bytes() != source.read_bytes() else sidecar if sidecar.exists() else None
            if written:
                kept = self._scratch / f"after-{turn}" / f"{number:03}" / written.name
                kept.parent.mkdir(parents=True)
                shutil.copy2(written, kept)
                trial["changed"] = str(kept)
            found[number].setdefault("turns", {})[turn] = trial
        verified = self._run("verify", "--state-dir", str(self._scratch / state))
        undone = (
            self._run("undo", "--yes", "--state-dir", str(self._scratch / state))
            if any(row.get("outcome") == "fixed" for row in rows)
            else ""
        )
        for number, (source, copy) in enumerate(zip(sources, copies, strict=True)):
            trial = found[number]["turns"][turn]
            trial["not undone"] = _left_behind(source, copy, number)
            trial["verify"] = [line for line in verified.splitlines() if f"/photos/{number:03}/" in line]
            if trial["not undone"]:
                trial["undo"] = undone[-500:]

    def _judge(self, source: Path, found: Found, tags: dict[str, list[str]]) -> None:
        turns = found["turns"]
        written = {turn: Path(trial["changed"]) for turn, trial in turns.items() if trial["changed"]}
        photos = {turn: path for turn, path in written.items() if not _is_sidecar(source, path)}
        for turn, path in written.items():
            if turn not in photos:
                turns[turn]["faults"] = referee.sidecar_faults(source, path, turn)
        if photos:
            seen = self._viewer.compared(source, photos)
            for turn, path in photos.items():
                turns[turn].update(seen=seen[turn], tags=tags[str(path)])

    def _report(self, state: str, *arguments: str) -> dict[str, dict[str, str]]:
        """The rows of a command that writes a report, by path."""
        report = self._scratch / f"{state}-{arguments[0]}.csv"
        self._run(*arguments, "-q", "--state-dir", str(self._scratch / state), "--report", str(report))
        with report.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return {row["path"]: row for row in csv.DictReader(file)}

    def _run(self, *arguments: str) -> str:
        """What the command says.

        Raises:
            Died: it did not end as it should.
        """
        try:
            done = subprocess.run([str(self._orientd), *arguments], capture_output=True, text=True, timeout=900, check=False)
        except subprocess.TimeoutExpired:
            raise Died(f"{arguments[0]}: no end after 900 seconds") from None
        if done.returncode not in (0, 3):
            cause = signal.Signals(-done.returncode).name if done.returncode < 0 else f"exit code {done.returncode}"
            raise Died(f"{arguments[0]}: {cause}: {done.stderr.strip()[-300:]}")
        return done.stdout + done.stderr


def _written(found: Found) -> list[Found]:
    return [trial for trial in found["turns"].values() if trial["changed"]]


def _is_sidecar(photo: Path, written: Path) -> bool:
    return written.name == photo.name + ".xmp"


def weigh(found: Found, source: Path, scratch: Path, viewer: Viewer) -> None:
    """Note of a file that was refused or called an error whether others can read it, and whether it could have been turned."""
    refused = "died" in found or any(not trial["changed"] for trial in found["turns"].values())
    if refused or found["decision"] == "error":
        found["readable"] = viewer.readable(source)
    found["design"] = bool(BY_DESIGN.search(reason_of(found))) and not only_previews(source.read_bytes())
    if refused and not found["design"] and not any(said.startswith(NOTHING) for said in found["readable"].values()):
        found["harmless"] = _harmless(source, scratch / source.name, viewer)


def _harmless(source: Path, tried: Path, viewer: Viewer) -> dict[str, Any]:
    """The first change that two decoders see and that changes no other tag, or what was against each."""
    against: dict[str, list[str]] = {}
    for name, data in changes(source, TURNS[0], tried):
        tried.write_bytes(data)
        seen = viewer.compared(source, {TURNS[0]: tried})[TURNS[0]]
        blame = [f"{decoder}: {said}" for decoder, said in seen.items() if said != SEEN]
        blame = blame or (["only one decoder"] if len(seen) < 2 else referee.harm(source, tried))
        if not blame:
            return {"by": name, "against": against}
        against[name] = blame[:3]
    return {"against": against}


def _result_of(each: Listed, row: dict[str, str] | None) -> Found:
    """What a scan says of a file; without a row it was passed over."""
    names = ("format", "orientation", "turn", "decision", "reason")
    return {**each._asdict(), **{name: row[name] if row else "" for name in names}}


def _method(found: Found) -> str:
    return "sidecar" if found["format"] in _BY_SIDECAR else "tag"


def _write_plan(plan: Path, copies: Sequence[Path], methods: Sequence[str], turn: int) -> None:
    with plan.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "turn", "decision", "method", "size", "mtime_ns", "sha256"])
        for copy, method in zip(copies, methods, strict=True):
            stat, digest = copy.stat(), hashlib.sha256(copy.read_bytes()).hexdigest()
            writer.writerow([copy, turn, "fix", method, stat.st_size, stat.st_mtime_ns, digest])


def _left_behind(source: Path, copy: Path, number: int) -> list[str]:
    """What is not as it was before the change."""
    left = [] if copy.read_bytes() == source.read_bytes() else ["its bytes"]
    left += [] if copy.stat().st_mtime_ns == _TIME + number * 10**9 else ["its time"]
    return left + [f"a new file {other.name}" for other in sorted(copy.parent.iterdir()) if other != copy]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path)
    parser.add_argument("--orientd", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--before", type=Path, help="the --out of another run, to be compared with")
    parser.add_argument("--every", type=int, default=1, help="only every Nth file")
    parser.add_argument("--only", type=Path, help="a list of hashes, as planned.py writes it: only these files")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--work", type=Path, help="folder for copies, best in memory, such as /dev/shm/survey")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    folder, work, viewer = options.files.resolve(), (options.work or options.out / "work").resolve(), Viewer()
    if "write" in options.steps:
        survey = Survey(options.orientd.absolute(), work, viewer)
        only = set(options.only.read_text().split()) if options.only else None
        listed = [each for each in read_list() if only is None or each.blob in only]
        _write_all(survey, list(fitting(listed, folder))[:: options.every], folder, options.out / "found.json")
    if "weigh" in options.steps:
        _weigh_all(folder, work / "tried", viewer, options.out / "found.json")
    viewer.close()
    found = json.loads((options.out / "found.json").read_text())
    before = json.loads((options.before / "found.json").read_text()) if options.before else None
    (options.out / "table.md").write_text(table(found, before))
    print(table(found, before))


def _write_all(survey: Survey, files: Sequence[Listed], folder: Path, result: Path) -> None:
    """In the order of their hashes, so that a part is a fair sample; continues where an earlier run was interrupted."""
    found: list[Found] = json.loads(result.read_text()) if result.exists() else []
    done = {each["blob"] for each in found}
    left = sorted((each for each in files if each.blob not in done), key=lambda each: each.blob)
    for start in range(0, len(left), TOGETHER):
        found += survey(left[start : start + TOGETHER], folder)
        result.write_text(json.dumps(found, indent=1))
        print(f"{len(found)} of {len(files)}", file=sys.stderr, flush=True)


def _weigh_all(folder: Path, scratch: Path, viewer: Viewer, result: Path) -> None:
    found = json.loads(result.read_text())
    scratch.mkdir(parents=True, exist_ok=True)
    left = [each for each in found if "readable" not in each]
    for number, each in enumerate(left):
        weigh(each, Listed(each["repository"], each["path"], each["blob"]).place(folder), scratch, viewer)
        if number % 100 == 0:
            result.write_text(json.dumps(found, indent=1))
            print(f"weighed {number} of {len(left)}", file=sys.stderr, flush=True)
    result.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
