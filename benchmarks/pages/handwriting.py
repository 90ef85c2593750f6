"""What `orientd pages` makes of handwritten pages, against the baselines that the editors of their transcriptions drew.

    python -m benchmarks.pages.handwriting --mirrors FOLDER

The pages are those of HTR-United/CREMMA-MSS-19 (French letters, drafts and files of the 19th century), of which a bare copy is
in the folder of mirrors; nothing was fitted to them. How a page lies is the middle one of its longer lines, each weighed by its
length; handwritten lines climb and fall, so the spread of the middle half of them is part of the table. All stand upright as
they are stored; each is shown in one of four turns that is drawn.
"""

import argparse
import random
import re
import statistics
import subprocess
from collections.abc import Iterator
from io import BytesIO
from math import atan2, degrees
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from benchmarks.pages.ours import looked_at

REPOSITORY = "HTR-United+CREMMA-MSS-19"
SEED = 18
LONG = 0.3  # of the width of the page
FEWEST = 3  # long lines


class Written(NamedTuple):
    """A page, the degrees clockwise that straighten it by its middle line, and the spread of the middle half of its lines."""

    path: str
    needs: float
    spread: float
    image: Image.Image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirrors", type=Path, required=True)
    parser.add_argument("--each", action="store_true", help="a line for each page, too")
    given = parser.parse_args()
    draw, found = random.Random(SEED), []
    for page in written(given.mirrors):
        turn = draw.randrange(4) * 90
        answer, _ = looked_at(np.asarray(page.image.rotate(turn, expand=True)))
        off = None
        if answer.angle is not None and answer.turn is not None:
            off = (answer.total - page.needs - turn + 180) % 360 - 180
        found.append((page, answer.verdict, off, answer.confidence))
        if given.each:
            lies = f"{page.needs:.2f} ± {page.spread / 2:.2f}"
            print(page.path, lies, answer.verdict, off, answer.confidence, flush=True)
    said = [(page, off) for page, verdict, off, _ in found if verdict in ("copy", "keep")]
    right = [(page, abs(off)) for page, off in said if abs(off) < 45]
    counts = [len(found), len(said), len(said) - len(right), *(sum(off <= most for _, off in right) for most in (0.5, 1, 2))]
    error = f"{statistics.median(off for _, off in right):.2f}°"
    spread = f"{statistics.median(page.spread for page, *_ in found):.2f}°"
    print(
        "| pages | said | wrong way up | within 0.5° | within 1° | within 2° | middle error | middle spread of a page's lines |"
    )
    print("|---|---|---|---|---|---|---|---|")
    print(f"| {' | '.join(map(str, counts))} | {error} | {spread} |")


def written(mirrors: Path) -> Iterator[Written]:
    """The pages with enough long lines."""
    bare = mirrors / REPOSITORY / "repo"
    names = _git(bare, "ls-tree", "-r", "-z", "--name-only", "HEAD").decode().split("\0")
    for name in sorted(name for name in names if re.search(r"\.jpe?g$", name)):
        if (lines := f"{name.rsplit('.', 1)[0]}.xml") in names:
            slopes = _slopes(_git(bare, "cat-file", "blob", f"HEAD:{lines}"))
            if len(slopes) >= FEWEST:
                middle = _quantile(slopes, 0.5)
                with Image.open(BytesIO(_git(bare, "cat-file", "blob", f"HEAD:{name}"))) as image:
                    yield Written(name, -middle, _quantile(slopes, 0.75) - _quantile(slopes, 0.25), image.convert("RGB"))


def _slopes(data: bytes) -> list[tuple[float, float]]:
    """The degrees by which each long line falls, and its length."""
    root, slopes, width = ElementTree.fromstring(data), [], 0.0
    for element in root.iter():
        if element.tag.endswith("}Page"):
            width = float(element.get("WIDTH", 0))
        if element.tag.endswith("}TextLine") and element.get("BASELINE"):
            points = [float(number) for number in re.split(r"[\s,]+", element.get("BASELINE", "").strip())]
            across, down = points[-2] - points[0], points[-1] - points[1]
            if across >= LONG * width:
                slopes.append((degrees(atan2(down, across)), across))
    return sorted(slopes)


def _quantile(slopes: list[tuple[float, float]], share: float) -> float:
    """That of the slopes, weighed by the lengths."""
    total, so_far = share * sum(length for _, length in slopes), 0.0
    for slope, length in slopes:
        so_far += length
        if so_far >= total:
            return slope
    return slopes[-1][0]


def _git(bare: Path, *words: str) -> bytes:
    return subprocess.run(["git", "-C", bare, *words], capture_output=True, check=True).stdout


if __name__ == "__main__":
    main()
