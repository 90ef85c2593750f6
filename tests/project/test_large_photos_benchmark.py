"""The benchmark of large photos runs to its end, and reads what its processes say."""

import subprocess

from benchmarks.measuring import ROOT, script


def test_it_measures_each_kind():
    kinds = ["jpeg", "png", "heic-grid"]
    options = ["--megapixels", "0.5", "--size", "32", "--kinds", *kinds]
    run = subprocess.run(script("cpu.large_photos", *options), capture_output=True, text=True, check=True, cwd=ROOT)
    title, _, *rows = run.stdout.splitlines()
    assert title.startswith("| 810 × 608")
    cells = [row.strip("| ").split(" | ") for row in rows]
    assert [cell[:2] for cell in cells] == [[kind, how] for kind in kinds for how in ("first", "whole")]
    counted = {tuple(cell[:2]): float(cell[4]) for cell in cells}
    assert counted["png", "whole"] > counted["jpeg", "whole"]
