"""A learned skew model next to the spectrum that `orientd pages` uses, on the same pages: those a cache keeps for validation.

    python -m benchmarks.pages.learned runs/skew/skew.onnx --cache cache/real256 --folder PAGES --limit 100

FOLDER is what CACHE was prepared from. Each page is turned on white by a multiple of 0.5° within ±89°, every other one by half a
turn more. The spectrum gets the whole page, as `orientd pages` does; the model the middle of it that it was trained to see, which
flatters it a little, as the size of the page is not known in practice. Nothing is left out as uncertain.
"""

import argparse
import csv
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from orientd.pages.skew import find_skew
from orientd_training.config import Skew
from orientd_training.evaluate import angles
from orientd_training.export import skew_file
from orientd_training.fit.tasks import Skewed
from PIL import Image

from benchmarks.pages.ours import reduced
from orientd.infer.session import Graph

SEED = 18
PAPER = (255, 255, 255)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=100)
    given = parser.parse_args()
    spec = skew_file.read(given.model)
    if spec is None:
        parser.error(f"{given.model} is no skew model")
    ways = {"the spectrum": _by_spectrum, f"learned ({spec.name})": _by_model(spec, Graph(given.model))}
    wanted, found, spent = [], {name: [] for name in ways}, dict.fromkeys(ways, 0.0)
    for turn, page, side in _pages(given.cache, given.folder, given.limit):
        wanted.append(turn)
        for name, way in ways.items():
            started = time.process_time()
            found[name].append(way(page, side))
            spent[name] += time.process_time() - started
    print(f"| {len(wanted)} pages | within 0.1° | 0.25° | 0.5° | 1° | F1 of 0.5° classes | mean error | median | ms a page |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, its in found.items():
        figures = angles.measured(np.array(wanted), np.array(its))
        cells = [*(f"{share:.1%}" for share in figures["within"].values()), f"{figures['f1']:.3f}"]
        cells += [f"{figures['mean_error']:.2f}°", f"{figures['median_error']:.2f}°", f"{1000 * spent[name] / len(wanted):.0f}"]
        print(f"| {name} | {' | '.join(cells)} |")


def _pages(cache: Path, folder: Path, limit: int) -> Iterator[tuple[float, Image.Image, int]]:
    """The degrees clockwise that straighten a page, the page so turned, and its own shorter side in pixels."""
    with (cache / "manifest.csv").open(newline="", encoding="utf-8") as file:
        names = [row["name"] for row in csv.DictReader(file) if row["split"] == "validation"]
    draw = random.Random(SEED)
    for number, name in enumerate(names[:: max(1, len(names) // limit)][:limit]):
        turn = draw.randrange(-178, 179) / 2 + 180 * (number % 2)
        with Image.open(folder / name) as image:
            page = image.convert("RGB")
        yield turn, page.rotate(turn, Image.Resampling.BICUBIC, expand=True, fillcolor=PAPER), min(page.size)


def _by_spectrum(page: Image.Image, side: int) -> float:
    skew = find_skew(reduced(np.asarray(page)))
    return skew.angle if skew else 0.0


def _by_model(spec: skew_file.SkewSpec, graph: Graph) -> Callable[[Image.Image, int], float]:
    task = Skewed(Skew(part=spec.part))

    def found(page: Image.Image, side: int) -> float:
        middle, half = (page.width / 2, page.height / 2), spec.part * side / 2
        box = (middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)
        seen = page.resize((spec.input_size, spec.input_size), Image.Resampling.BILINEAR, box=box)
        return float(task.found(torch.from_numpy(skew_file.logits(graph, np.asarray(seen)[None]))))

    return found


if __name__ == "__main__":
    main()
