"""Render pages of the PDFs that `pages.tsv` does not name, to train on: upright ones with text of their own.

    python -m benchmarks.pages.others --mirrors FOLDER --out PAGES

The PDFs are those of the repositories, of which a bare copy is OWNER+NAME/repo in the folder of mirrors. Up to five pages a
PDF, evenly spread, of 40 words and more, 640 pixels on the longer side; a folder a PDF, so that they are kept together.
"""

import argparse
import csv
import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
from PIL import Image

LIST = Path(__file__).with_name("pages.tsv")
REPOSITORIES = ("applicaai/kleister-nda", "mozilla/pdf.js")
MOST, FEWEST_WORDS, SIDE = 5, 40, 640
POINTS = range(100, 3000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirrors", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with LIST.open() as listed:
        measured = {(row["repository"], row["path"]) for row in csv.DictReader(listed, delimiter="\t")}
    for repository in REPOSITORIES:
        bare = given.mirrors / repository.replace("/", "+") / "repo"
        for path in _git(bare, "ls-tree", "-r", "-z", "--name-only", "HEAD").decode().split("\0"):
            if path.lower().endswith(".pdf") and (repository, path) not in measured:
                folder = given.out / hashlib.sha1(f"{repository}/{path}".encode()).hexdigest()[:12]
                for number, page in _pages(_git(bare, "cat-file", "blob", f"HEAD:{path}")):
                    folder.mkdir(parents=True, exist_ok=True)
                    page.convert("RGB").save(folder / f"{number}.jpg", quality=88)


def _pages(data: bytes) -> Iterator[tuple[int, Image.Image]]:
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError:  # encrypted, or damaged on purpose: a test of pdf.js
        return
    number = len(document)
    for index in sorted({step * number // MOST for step in range(MOST)} if number > MOST else range(number)):
        try:
            page = document[index]
            words = len(page.get_textpage().get_text_range().split())
        except pypdfium2.PdfiumError:
            continue
        if words >= FEWEST_WORDS and not page.get_rotation() and all(int(side) in POINTS for side in page.get_size()):
            yield index, page.render(scale=SIDE / max(page.get_size())).to_pil()


def _git(bare: Path, *words: str) -> bytes:
    """What git prints; nothing of a file that the copy lists and does not hold."""
    return subprocess.run(["git", "-C", bare, *words], capture_output=True).stdout


if __name__ == "__main__":
    main()
