"""Render the pages of `pages.tsv`, each turned by a known angle of the whole circle.

    python -m benchmarks.pages.render --mirrors FOLDER --out /dev/shm/pages

The list was sorted by eye: every page on it has a right way up, and none was looked at to build or to fit `orientd pages`.
The PDFs are those of the repositories, of which a bare copy is OWNER+NAME/repo in the folder of mirrors. OUT gets a PNG a
page and truth.csv: file, the degrees clockwise that make it upright, words, dots an inch, repository.
"""

import argparse
import csv
import random
import subprocess
from pathlib import Path

import pypdfium2
from PIL import Image

LIST = Path(__file__).with_name("pages.tsv")
DPI = (100, 150, 200, 250, 300)
SEED = 18


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirrors", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dpi", type=int, help="the same for all pages")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    draw = random.Random(SEED)
    with LIST.open() as listed, (given.out / "truth.csv").open("w") as truth:
        writer = csv.writer(truth)
        writer.writerow(("file", "turn", "words", "dpi", "repository"))
        for number, row in enumerate(csv.DictReader(listed, delimiter="\t")):
            turn, dpi = draw.randrange(-359, 361) / 2, draw.choice(DPI)
            dpi = given.dpi or dpi
            name = f"{number:03}.png"
            rendered(given.mirrors, row, dpi).rotate(turn, Image.Resampling.BICUBIC, expand=True, fillcolor=255).save(
                given.out / name, compress_level=1
            )
            writer.writerow((name, turn, row["words"], dpi, row["repository"]))


def rendered(mirrors: Path, row: dict[str, str], dpi: int) -> Image.Image:
    """A page as its PDF shows it, in gray."""
    repository = mirrors / row["repository"].replace("/", "+") / "repo"
    blob = subprocess.run(["git", "-C", repository, "cat-file", "blob", f"HEAD:{row['path']}"], capture_output=True, check=True)
    document = pypdfium2.PdfDocument(blob.stdout)
    return document[int(row["page"]) - 1].render(scale=dpi / 72, grayscale=True).to_pil()


if __name__ == "__main__":
    main()
