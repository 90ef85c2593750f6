"""What `orientd pages` makes of real scans and photos of pages, against `marks.tsv`: a table by repository.

    python -m benchmarks.pages.scans --mirrors FOLDER

`needs` is in degrees clockwise. For OCR-D/assets it was read by eye, off the ends of one long line in the middle of each page,
which had been straightened first so that the line could be followed; books lie curved, so that other lines of a page may differ
from it by half a degree. For pajamacoders/ocrDeskew it stands in the names of the files.
"""

import argparse
import csv
import statistics
import subprocess
from collections import defaultdict
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.pages.ours import looked_at

MARKS = Path(__file__).with_name("marks.tsv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirrors", type=Path, required=True)
    parser.add_argument("--each", action="store_true", help="a line for each page, too")
    given = parser.parse_args()
    found = defaultdict(list)
    with MARKS.open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            answer, ms = looked_at(pixels(given.mirrors, row))
            total = None if answer.angle is None or answer.turn is None else answer.angle + answer.turn
            off = None if total is None else (total - float(row["needs"]) + 180) % 360 - 180
            found[row["repository"]].append((answer.verdict, off, ms))
            if given.each:
                print(row["path"], row["needs"], answer.verdict, off)
    print("| source | pages | said | of these within 0.5° | within 1° | wrong way up | mean error but for these | ms a page |")
    print("|---|---|---|---|---|---|---|---|")
    for source, answers in found.items():
        said = [abs(off) for verdict, off, _ in answers if verdict in ("copy", "keep") and off is not None]
        near = [off for off in said if off < 45]
        counts = [len(answers), len(said), sum(off <= 0.5 for off in said), sum(off <= 1 for off in said), len(said) - len(near)]
        spent = statistics.mean(ms for *_, ms in answers)
        print(f"| {source} | {' | '.join(map(str, counts))} | {statistics.mean(near):.2f}° | {spent:.0f} |")


def pixels(mirrors: Path, row: dict[str, str]) -> np.ndarray:
    """The page as RGB."""
    repository = mirrors / row["repository"].replace("/", "+") / "repo"
    blob = subprocess.run(["git", "-C", repository, "cat-file", "blob", f"HEAD:{row['path']}"], capture_output=True, check=True)
    with Image.open(BytesIO(blob.stdout)) as image:
        return np.asarray(image.convert("RGB"))


if __name__ == "__main__":
    main()
