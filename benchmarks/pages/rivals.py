"""What the packages deskew and jdeskew find on the same pages: FOLDER/rivals.csv. Runs in an environment that has both.

RIVALS/bin/python benchmarks/pages/rivals.py /dev/shm/pages --limit 100
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from deskew import determine_skew
from jdeskew.estimator import get_angle
from PIL import Image

WAYS = {
    "deskew": lambda gray: determine_skew(gray, min_angle=-89, max_angle=89, min_deviation=0.1),
    "jdeskew": lambda gray: get_angle(gray, angle_max=89),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, default=10**9)
    given = parser.parse_args()
    with (given.folder / "truth.csv").open() as truth, (given.folder / "rivals.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "by", "angle", "ms"))
        rows = list(csv.DictReader(truth))
        for row in rows[:: max(1, len(rows) // given.limit)]:
            with Image.open(given.folder / row["file"]) as image:
                gray = np.asarray(image.convert("L"))
            for name, find in WAYS.items():
                started = time.process_time()
                try:
                    found = find(gray)
                except Exception as error:
                    print(row["file"], name, error)
                    found = None
                ms = (time.process_time() - started) * 1000
                writer.writerow((row["file"], name, "" if found is None else -float(found), round(ms, 1)))
            file.flush()


if __name__ == "__main__":
    main()
