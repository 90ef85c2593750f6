"""Measure what users get: a folder of upright and wrongly shown photos is scanned, fixed and taken back by the real command.

    python -m benchmarks.false_turns ../shared/photos/val-0.zip --out /tmp/library --result library.json

Every photo of the archive counts as upright as viewers show it. The library holds it twice: upright, and shown turned by 90, 180
or 270°, alternately by its tag and by its pixels. The result is the number of false turns per 1,000 upright photos and the share
of turned photos fixed, per album and overall, at the default policy. `--fix` must leave each fixed photo shown upright, a second
`--fix` must write nothing, and `undo` must restore every byte.
"""

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections import Counter, defaultdict
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

from orientd.orientation import from_turn, inverse, normalise, then
from orientd.report.plan import read_plan

TURNS = (90, 180, 270)
_BACK = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


def build(archive: Path, library: Path, limit: int | None) -> dict[str, int]:
    """Write the library; returns by path the turn (degrees clockwise) each photo needs."""
    needs = {}
    with zipfile.ZipFile(archive) as photos:
        for i, name in enumerate(sorted(photos.namelist())[:limit]):
            with Image.open(BytesIO(photos.read(name))) as image:
                upright = ImageOps.exif_transpose(image).convert("RGB")
            turn, by_tag = TURNS[i % 3], i % 2 == 0
            folder = library / Path(name).parent
            folder.mkdir(parents=True, exist_ok=True)
            needs[_save(upright, folder / f"{Path(name).stem}-upright.jpg", 1)] = 0
            shown = inverse(from_turn(turn))
            stored, tag = (upright, shown) if by_tag else (upright.transpose(_BACK[turn]), 1)
            needs[_save(stored, folder / f"{Path(name).stem}-{turn}-{'tag' if by_tag else 'pixels'}.jpg", tag)] = turn
    return needs


def _save(image: Image.Image, path: Path, tag: int) -> str:
    exif = Image.Exif()
    if tag != 1:
        exif[0x0112] = tag
    image.save(path, quality=92, exif=exif)
    return str(path)


def orientd(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "orientd", *arguments], check=False, stdout=subprocess.DEVNULL).returncode


def hashes(paths: list[str]) -> dict[str, str]:
    return {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths}


def rows(report: Path) -> list[dict[str, str]]:
    with report.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def tally(found: list[dict[str, str]], needs: dict[str, int], library: Path) -> dict[str, Counter[str]]:
    """Counts per album: upright, false (turned though upright), turned, `mended` (fixed; the key of results that are kept), worse
    (turned to a wrong side)."""
    albums: dict[str, Counter[str]] = defaultdict(Counter)
    for row in found:
        need, album = needs[row["path"]], str(Path(row["path"]).parent.relative_to(library))
        fixed = row["decision"] == "fix"
        for name in (album, "all"):
            counts = albums[name]
            counts["turned" if need else "upright"] += 1
            counts["unsure"] += row["decision"] == "unsure"
            counts["false"] += fixed and not need
            counts["mended"] += fixed and need and int(row["turn"]) == need
            counts["worse"] += fixed and need and int(row["turn"]) != need
    return albums


def still_wrong(needs: dict[str, int], before: dict[str, int], fixed: set[str]) -> list[str]:
    """Photos that were fixed and are not shown turned as their row said."""
    wrong = []
    for path, turn in before.items():
        with Image.open(path) as image:
            stored = normalise(image.getexif().get(0x0112))
        start = inverse(from_turn(needs[path])) if path.endswith("-tag.jpg") else 1
        if path in fixed and stored != then(start, from_turn(turn)):
            wrong.append(path)
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--result", type=Path)
    options = parser.parse_args()
    library, report = options.out.resolve() / "photos", options.out.resolve() / "scan.csv"
    os.environ["XDG_STATE_HOME"] = str(options.out.resolve() / "state")
    needs = build(options.archive, library, options.limit)
    old = hashes(list(needs))
    assert orientd("scan", "-q", str(library), "--report", str(report)) == 0
    assert hashes(list(needs)) == old, "a dry run changed a file"
    albums = tally(rows(report), needs, library)
    planned = {row.path: row.turn or 0 for row in read_plan(str(report))}
    assert orientd("scan", "-q", str(library), "--fix", "--report", str(options.out / "fix.csv")) == 0
    changed = {path for path, digest in hashes(list(needs)).items() if digest != old[path]}
    assert changed == set(planned), "--fix did not write exactly what the dry run listed"
    assert not still_wrong(needs, planned, changed)
    assert orientd("scan", "-q", str(library), "--fix", "--report", str(options.out / "again.csv")) == 0
    assert {row["outcome"] for row in rows(options.out / "again.csv")} == {""}, "a second --fix wrote something"
    assert orientd("undo", "--yes") == 0
    assert hashes(list(needs)) == old, "undo did not bring back every byte"
    _show(albums)
    if options.result:
        options.result.write_text(json.dumps(albums, indent=1, sort_keys=True))


def _show(albums: dict[str, Counter[str]]) -> None:
    print("| album | upright | false turns | per 1,000 | turned | fixed | worse | unsure |\n|---|---|---|---|---|---|---|---|")
    for name, c in sorted(albums.items(), key=lambda item: (item[0] == "all", item[0])):
        rate, share = 1000 * c["false"] / max(c["upright"], 1), c["mended"] / max(c["turned"], 1)
        cells = [name, c["upright"], c["false"], f"{rate:.2f}", c["turned"], f"{share:.1%}", c["worse"], c["unsure"]]
        print(f"| {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    main()
