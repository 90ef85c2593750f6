"""What `orientd pages` makes of real scans and photos of pages, against what is known of them: a table by source.

    python -m benchmarks.pages.scans --mirrors FOLDER [--photos FOLDER]

`lines.tsv` has two points of one long line of each page, in pixels from the upper left corner of the picture as it is stored, in
the order in which the line is read. They were read by eye (2026-11-29): off bands of the picture as it is, never straightened or
otherwise changed but for its size, with a grid laid over them, and then off both ends enlarged four times (OCR-D/assets) or off
the band alone (receipts, in which a dashed or ruled line was taken for want of a long line of text). Old books are curved, so
that other lines of a page may differ from it by half a degree and more. For pajamacoders/ocrDeskew the angle that a page needs
stands in the names of the files (`marks.tsv`). The receipts are those of the photos to learn from, 192 pixels wide.
"""

import argparse
import csv
import hashlib
import statistics
import subprocess
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from io import BytesIO
from math import atan2, degrees
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.pages.ours import looked_at

MARKS = Path(__file__).with_name("marks.tsv")
LINES = Path(__file__).with_name("lines.tsv")
RECEIPTS = "receipts"


class Marked(NamedTuple):
    """A page and the degrees clockwise that make it upright and straight. `sha1` of the file, empty if not noted."""

    source: str
    path: str
    needs: float
    sha1: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirrors", type=Path, required=True)
    parser.add_argument("--photos", type=Path, help="the folder of train-N.zip; without it no receipts")
    parser.add_argument("--each", action="store_true", help="a line for each page, too")
    given = parser.parse_args()
    found = defaultdict(list)
    for page in marked():
        if page.source == RECEIPTS and not given.photos:
            continue
        answer, ms = looked_at(pixels(given.mirrors, given.photos, page))
        total = None if answer.angle is None or answer.turn is None else answer.angle + answer.turn
        off = None if total is None else (total - page.needs + 180) % 360 - 180
        found[page.source].append((answer.verdict, off, ms))
        if given.each:
            print(page.path, f"{page.needs:.2f}", answer.verdict, off, flush=True)
    print("| source | pages | said | of these within 0.5° | within 1° | wrong way up | mean error but for these | ms a page |")
    print("|---|---|---|---|---|---|---|---|")
    for source, answers in found.items():
        said = [abs(off) for verdict, off, _ in answers if verdict in ("copy", "keep") and off is not None]
        near = [off for off in said if off < 45]
        counts = [len(answers), len(said), sum(off <= 0.5 for off in said), sum(off <= 1 for off in said), len(said) - len(near)]
        spent = statistics.mean(ms for *_, ms in answers)
        error = f"{statistics.mean(near):.2f}°" if near else ""
        print(f"| {source} | {' | '.join(map(str, counts))} | {error} | {spent:.0f} |")


def marked() -> Iterator[Marked]:
    with LINES.open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            x1, y1, x2, y2 = (float(row[name]) for name in ("x1", "y1", "x2", "y2"))
            yield Marked(row["source"], row["path"], -degrees(atan2(y2 - y1, x2 - x1)), row["sha1"])
    with MARKS.open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            yield Marked(row["repository"], row["path"], float(row["needs"]))


def pixels(mirrors: Path, photos: Path | None, page: Marked) -> np.ndarray:
    """The page as RGB."""
    if page.source == RECEIPTS:
        assert photos
        archive, member = page.path.split("/", 1)
        with zipfile.ZipFile(photos / archive) as opened:
            data = opened.read(member)
    else:
        repository = mirrors / page.source.replace("/", "+") / "repo"
        data = subprocess.run(
            ["git", "-C", repository, "cat-file", "blob", f"HEAD:{page.path}"], capture_output=True, check=True
        ).stdout
    if page.sha1 and hashlib.sha1(data).hexdigest() != page.sha1:
        raise SystemExit(f"{page.path} is not the file that was marked")
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


if __name__ == "__main__":
    main()
