"""What `orientd pages` makes of rendered pages, and in what time: FOLDER/ours.csv and a table.

python -m benchmarks.pages.ours /dev/shm/pages
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from PIL import Image

from orientd.decode.resize import fitting
from orientd.decode.skew import SIDE, find_skew
from orientd.pages.judge import Finding, judge
from orientd.pipeline.page_run import make_ask

COLUMNS = ("file", "skew", "angle", "angle_confidence", "turn", "confidence", "decision", "ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    with (given.folder / "truth.csv").open() as truth, (given.folder / "ours.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in csv.DictReader(truth):
            with Image.open(given.folder / row["file"]) as image:
                pixels = np.asarray(image.convert("RGB"))
            found, ms = looked_at(pixels)
            skew = find_skew(reduced(pixels))
            said = (found.angle, found.angle_confidence, found.turn, found.confidence, found.verdict)
            writer.writerow((row["file"], skew.angle if skew else None, *said, round(ms, 1)))


def looked_at(pixels: np.ndarray) -> tuple[Finding, float]:
    """The finding from decoded RGB pixels, and the milliseconds of processor time that it took."""
    started = time.process_time()
    found = judge(reduced(pixels), ask)
    return found, (time.process_time() - started) * 1000


def reduced(pixels: np.ndarray) -> np.ndarray:
    """The gray levels that are judged."""
    image = Image.fromarray(pixels).convert("L")
    return np.asarray(image.resize(fitting(*image.size, SIDE), Image.Resampling.BILINEAR))


ask = make_ask()

if __name__ == "__main__":
    main()
