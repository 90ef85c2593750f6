"""What finding skew and way up of a page of A4 at 200 dots an inch costs, from decoded pixels: processor time, the least of five.

python -m benchmarks.pages.speed --mirrors FOLDER
"""

import argparse
import csv
import statistics
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.pages.ours import looked_at
from benchmarks.pages.render import LIST, rendered

PAGES = 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirrors", type=Path, required=True)
    given = parser.parse_args()
    with LIST.open() as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["repository"].startswith("applicaai")][:PAGES]
    spent = []
    for row in rows:
        image = rendered(given.mirrors, row, 200).rotate(3, Image.Resampling.BICUBIC, fillcolor=255)
        pixels = np.asarray(image.convert("RGB"))
        spent.append(min(looked_at(pixels)[1] for _ in range(5)))
    print(
        f"{len(spent)} pages: median {statistics.median(spent):.0f} ms, mean {statistics.mean(spent):.0f}, most {max(spent):.0f}"
    )


if __name__ == "__main__":
    main()
