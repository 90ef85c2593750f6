"""The benchmark of large photos runs to its end, and reads what its processes say."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "large_photos.py"


def test_it_measures_each_kind():
    kinds = ["jpeg", "png", "heic-grid"]
    options = ["--megapixels", "0.5", "--size", "32", "--kinds", *kinds]
    run = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, check=True)
    title, _, *rows = run.stdout.splitlines()
    assert title.startswith("| 810 × 608")
    cells = [row.strip("| ").split(" | ") for row in rows]
    assert [cell[:2] for cell in cells] == [[kind, how] for kind in kinds for how in ("first", "whole")]
    counted = {tuple(cell[:2]): float(cell[4]) for cell in cells}
    assert counted["png", "whole"] > counted["jpeg", "whole"]
