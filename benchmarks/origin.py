"""What made the photos of albums, what their cameras' sensors say, and what a voice of the camera would bring the panel and cost.

    orientd-train calibrate orientd.onnx --albums fit --albums judge --false-per-1000 0 --out out  # keeps what the witnesses say
    python -m benchmarks.origin fit judge --evidence out/evidence-….jsonl --apart brunospunkt --apart einsou …

The folders are those that `albums/make.py` builds. The camera may speak for *upright* alone: on a photo that was turned for the
test its sensor is right, and in life it is the sensor, or the program after it, that erred. So each turned photo is counted
twice: as if its sensor agreed with the wrong orientation, and as if it said nothing. Other voices are fitted on other owners.
"""

import argparse
import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from orientd_training.evaluate.panel_fit import heard
from orientd_training.evaluate.panel_table import ladder
from orientd_training.evaluate.panel_trial import Heard, folds, said_by_others
from orientd_training.evaluate.predictions import Looks, Shown, shown
from orientd_training.evaluate.score import judged
from orientd_training.evaluate.statistics import bootstrap, poisson
from PIL import Image

from orientd import formats
from orientd.formats.origin import Origin, origin
from orientd.infer import registry
from orientd.infer.spec import ModelSpec
from orientd.judge.panel import PanelSpec
from orientd.judge.policy import Policy
from orientd.orientation import normalise

AGREES, TURNED, OTHER, FLAT, UNLIKE, NONE = (
    "agrees",
    "pixels turned since",
    "contradicts",
    "flat or askew",
    "not comparable",
    "none",
)
MARKS = {"upright": "upright", "wrong": "really sideways or upside down", "unclear": "no right way up"}
SCANNERS = ("noritsu", "scan", "epson perfection", "frontier")
EDITORS = ("adobe", "capture one", "darktable", "gimp", "google", "heic.online", "instagram", "photopea", "photo gallery")
EDITORS += ("photos", "picasa", "quicktime", "rawtherapee", "snapseed")
META = b"FBMD"  # what Meta's services write into the IPTC block
WEIGHTS = {"heard at 1.0": 1.0, "heard at 3.0": 3.0, "never turned against it": 60.0}
CAMERALESS = "EXIF that names no camera"
PRIORS = {f"{CAMERALESS}: {factor} times the odds of being wrong": factor for factor in (2.0, 4.0, 8.0)}
FALSE = (0, 1, 2, 4, 8)


class Seen(NamedTuple):
    """What is known of one photo of the albums."""

    name: str
    owner: str
    mark: str
    made: str
    make: str
    sensor: str


def kind(data: bytes, found: Origin | None) -> str:
    """What made a file, by what it says."""
    if found and found.held:
        return "camera, with a reading of its sensor"
    words = " ".join(found[:3]).lower() if found else ""
    if any(name in words for name in SCANNERS):
        return "scanner"
    if found and any(name in found.software.lower() for name in EDITORS):
        return "editor"
    if found and found.make:
        return "camera, without a reading"
    if META in data[:65536]:
        return "a service of Meta"
    return CAMERALESS if found else "no EXIF"


def sensor(found: Origin | None, stored: int | None, size: tuple[int, int]) -> str:
    """How the stored orientation stands to the sensor's. A portrait that is stored upright was turned by a program: sensors for
    pictures lie, so that no more than its side can be compared."""
    if not found or not found.held:
        return NONE
    if found.held.orientation is None:
        return FLAT
    said, (width, height) = normalise(stored), size
    if said not in (1, 3, 6, 8) or width == height:
        return UNLIKE
    if width > height:
        return AGREES if said == found.held.orientation else OTHER
    return TURNED if said in (1, 3) and found.held.orientation in (6, 8) else OTHER


def read(folder: Path) -> Iterable[Seen]:
    with (folder / "truth.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if not row["path"].startswith("turned/")]
    for row in rows:
        data = (folder / row["path"]).read_bytes()
        which = formats.sniff(data)
        found = origin(which, data)
        with Image.open(folder / row["path"]) as image:
            said = sensor(found, formats.stored_orientation(which, data), image.size)
        made, mark = kind(data, found), MARKS[row["path"].partition("/")[0]]
        yield Seen(f"{folder.name}/{row['path']}", row["owner"], mark, made, found.make.split(" ")[0] if found else "", said)


def table(first: str, columns: Sequence[str], rows: Iterable[tuple[str, Sequence[object]]]) -> None:
    print(f"\n| {first} | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for name, cells in rows:
        print(f"| {name} | {' | '.join(map(str, cells))} |")


def per_1000(count: int, n: int) -> str:
    low, high = (1000 * bound / n for bound in poisson(count))
    return f"{1000 * count / n:.1f} ({low:.1f}–{high:.1f})"


def by_origin(photos: Sequence[Seen]) -> None:
    rows = defaultdict(Counter)
    for photo in photos:
        for name in (photo.made, "all"):
            rows[name][photo.mark] += 1
    marks = tuple(MARKS.values())
    counted = [
        (name, c, c["upright"] + c["really sideways or upside down"])
        for name, c in sorted(rows.items(), key=lambda row: -row[1].total())
    ]
    head = ("photos", *marks, "wrong per 1,000 (95 %)")
    table("made by", head, [(name, (c.total(), *(c[m] for m in marks), per_1000(c[marks[1]], n))) for name, c, n in counted])


def by_sensor(photos: Sequence[Seen]) -> None:
    columns = (AGREES, TURNED, OTHER, FLAT, UNLIKE, NONE)
    for first, key in (("mark", "mark"), ("maker of the camera", "make")):
        rows = defaultdict(Counter)
        for photo in photos:
            if key == "mark" or photo.sensor != NONE:
                rows[getattr(photo, key)][photo.sensor] += 1
        order = sorted(rows.items(), key=lambda row: -row[1].total())
        table(first, columns, [(name or "(none)", [counts[column] for column in columns]) for name, counts in order])


def bundled() -> ModelSpec:
    return registry.find("", registry.BUNDLED).spec()


def listen(evidence: Path, photos: Sequence[Seen]) -> tuple[list[Seen], Heard]:
    """What the witnesses said of the photos that count as upright."""
    known = {photo.name: photo for photo in photos}
    lines = [json.loads(line) for line in evidence.read_text(encoding="utf-8").splitlines() if line.strip()]
    said = [line for line in lines if "views" in line and line["name"] in known]
    chosen = [known[line["name"]] for line in said]
    spec = bundled()
    names, owners = tuple(photo.name for photo in chosen), tuple(photo.owner for photo in chosen)
    looks = Looks(np.array([line["views"] for line in said]), names, owners, spec.temperature, spec.temperature_views)
    scores = {name: np.array([line["scores"][name] or (0.0,) * 4 for line in said]) for name in said[0]["scores"]}
    return chosen, Heard(looks, scores)


def with_camera(seen: Shown, speaks: NDArray[np.bool_], weight: float, errs: bool) -> Shown:
    """Once the camera of some photos says, so strongly, that they are upright as they are; `errs`: also of those that are not."""
    second = seen.second.copy()
    ways = slice(None) if errs else slice(0, 1)
    second[speaks, ways, 0] *= np.exp(weight)
    return seen._replace(second=second / second.sum(-1, keepdims=True))


def voice(photos: Sequence[Seen], heard_of: Heard) -> None:
    policy = PanelSpec.from_json(bundled().panel).policy
    seen = heard(shown(heard_of.looks), said_by_others(heard_of, folds(heard_of.looks.groups)))
    anyhow = judged(seen, replace(policy, min_confidence=0.0))
    order = [i for i in np.argsort(-anyhow.confidence[:, 0]) if anyhow.fixed[i, 0]]
    sets = {"agrees": {AGREES}, "agrees, or pixels turned since": {AGREES, TURNED}}
    speaking = {name: np.array([photo.sensor in which for photo in photos]) for name, which in sets.items()}
    steps = [step for step in (1, 2, 4, 8, 16, 32) if step < len(order)] + [len(order)]
    rows = [
        (name, [f"{its.sum()} ({its.mean():.1%})", *(int(its[order[:step]].sum()) for step in steps)])
        for name, its in speaking.items()
    ]
    table("the sensor", ["photos", *(f"of the {step} nearest to a false turn" for step in steps)], rows)
    plain, owners = judged(seen, policy), heard_of.looks.groups
    rows = [("no voice of the camera", _cells(seen, policy))]
    for name, its in speaking.items():
        for how, weight in WEIGHTS.items():
            for case, errs in (("silent where the photo is wrong", False), ("agrees with what is wrong", True)):
                heard_too = with_camera(seen, its, weight, errs)
                now = judged(heard_too, policy)
                lost = np.stack([now.mended - plain.mended, np.full(len(its), 3)], 1)
                low, high = bootstrap(lost, owners, lambda sums: 100 * sums[:, 0] / sums[:, 1])
                cells = [
                    *_cells(heard_too, policy)[:-1],
                    f"{100 * lost[:, 0].sum() / lost[:, 1].sum():+.1f} ({low:+.1f} to {high:+.1f})",
                ]
                rows.append((f"{name}; {how}; {case}", cells))
    for name, factor in PRIORS.items():
        its = np.array([photo.made == CAMERALESS for photo in photos])
        odds = np.where(its, factor, 1.0)[:, None, None]
        second = seen.second * np.where(np.arange(4) > 0, odds, 1.0)
        rows.append((name, _cells(seen._replace(second=second / second.sum(-1, keepdims=True)), policy)))
    table("voice", [*(f"fixed at {n}" for n in FALSE), "false turns", "fixed", "points of it (95 %)"], rows)


def _cells(seen: Shown, policy: Policy) -> list[str]:
    score = judged(seen, policy).score()
    return [*(f"{100 * share:.1f}" for share in ladder(seen, policy, FALSE)), str(score.false), f"{100 * score.mended:.1f}", ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--evidence", type=Path, help="what `orientd-train calibrate` kept of the witnesses' words")
    parser.add_argument(
        "--apart", action="append", default=[], metavar="OWNER", help="no personal album: fits and judges no voice"
    )
    given = parser.parse_args()
    photos = [photo for folder in given.folders for photo in read(folder)]
    by_origin(photos)
    by_sensor(photos)
    if given.evidence:
        voice(*listen(given.evidence, [photo for photo in photos if photo.owner not in given.apart]))


if __name__ == "__main__":
    main()
