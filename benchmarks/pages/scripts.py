"""Which way is up on drawn pages of many scripts: real words in Noto fonts, turned by any angle. A table, a line for each script.

    python -m benchmarks.pages.scripts --mirrors FOLDER --fonts check

The words are those of Immich's translations (of the mirror wafield/immich, `i18n/LANGUAGE.json`), none of them committed; the
fonts are Debian's fonts-noto-core. What was chosen on such pages was so on those of the fonts `fit`, seed 1.
"""

import argparse
import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from orientd.decode.resize import fitting
from orientd.decode.skew import SIDE
from orientd.pages.judge import judge
from orientd.pipeline.page_run import make_ask

NOTO = Path("/usr/share/fonts/truetype/noto")
SCRIPTS = {
    # script: language, fonts to fit by, fonts to check by
    "Latin": ("en", ("NotoSerif-Regular",), ("NotoSans-Regular", "NotoSans-Italic")),
    "Vietnamese": ("vi", ("NotoSerif-Regular",), ("NotoSans-Regular", "NotoSans-Bold")),
    "Cyrillic": ("ru", ("NotoSerif-Regular",), ("NotoSans-Regular", "NotoSans-Bold")),
    "Greek": ("el", ("NotoSerif-Regular",), ("NotoSans-Regular", "NotoSans-Bold")),
    "Armenian": ("hy", ("NotoSerifArmenian-Regular",), ("NotoSansArmenian-Regular", "NotoSansArmenian-Bold")),
    "Georgian": ("ka", ("NotoSerifGeorgian-Regular",), ("NotoSansGeorgian-Regular", "NotoSansGeorgian-Bold")),
    "Hebrew": ("he", ("NotoSerifHebrew-Regular",), ("NotoSansHebrew-Regular", "NotoRashiHebrew-Regular", "NotoSansHebrew-Bold")),
    "Arabic": ("ar", ("NotoNaskhArabic-Regular",), ("NotoKufiArabic-Regular", "NotoSansArabic-Regular")),
    "Persian": ("fa", ("NotoNaskhArabic-Regular",), ("NotoKufiArabic-Regular", "NotoNastaliqUrdu-Regular")),
    "Devanagari": ("hi", ("NotoSerifDevanagari-Regular",), ("NotoSansDevanagari-Regular", "NotoSansDevanagari-Bold")),
    "Bengali": ("bn", ("NotoSerifBengali-Regular",), ("NotoSansBengali-Regular", "NotoSansBengali-Bold")),
    "Tamil": ("ta", ("NotoSerifTamil-Regular",), ("NotoSansTamil-Regular", "NotoSansTamil-Bold")),
    "Telugu": ("te", ("NotoSerifTelugu-Regular",), ("NotoSansTelugu-Regular", "NotoSansTelugu-Bold")),
    "Thai": ("th", ("NotoSerifThai-Regular",), ("NotoSansThai-Regular", "NotoLoopedThai-Regular")),
    "Malayalam": ("ml", ("NotoSerifMalayalam-Regular",), ("NotoSansMalayalam-Regular", "NotoSansMalayalam-Bold")),
    "Kannada": ("kn", ("NotoSerifKannada-Regular",), ("NotoSansKannada-Regular", "NotoSansKannada-Bold")),
}
_MISSING = "?!…\"'()“”«»-–:;؟،\u200b\u200c\u200d\u200e\u200f"
"""What not every font has."""
_LETTERS = re.compile(r"[A-Za-z{}<>/_=]")


class Drawn(NamedTuple):
    """A page as it is judged, and the degrees clockwise that make it upright."""

    script: str
    lines: int
    levels: np.ndarray
    needs: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirrors", type=Path, required=True)
    parser.add_argument("--fonts", choices=("fit", "check"), default="check")
    parser.add_argument("--each", type=int, default=40, help="pages of each script")
    parser.add_argument("--seed", type=int, default=2)
    given = parser.parse_args()
    ask = make_ask()
    said: dict[str, list[str]] = defaultdict(list)
    for page in pages(given.mirrors, given.fonts, given.each, given.seed):
        found = judge(page.levels, ask)
        off = abs((found.total - page.needs + 180) % 360 - 180)
        said[page.script].append(found.verdict if found.verdict == "unsure" else "right" if off < 45 else "wrong")
    print("| script | pages | right | unsure | wrong |")
    print("|---|---|---|---|---|")
    for script, answers in [*said.items(), ("all", [*chain(*said.values())])]:
        print(f"| {script} | {len(answers)} | {' | '.join(str(answers.count(one)) for one in ('right', 'unsure', 'wrong'))} |")


def pages(mirrors: Path, fonts: str, each: int, seed: int) -> Iterator[Drawn]:
    """Pages of each script, of 2 to 30 lines."""
    for place, (script, (language, fit, check)) in enumerate(SCRIPTS.items()):
        said = words(mirrors, language, latin=script in ("Latin", "Vietnamese"))
        random = np.random.default_rng([seed, place])
        for number in range(each):
            names = fit if fonts == "fit" else check
            lines = int(random.choice((2, 4, 8, 16, 30)))
            image = drawn(said, names[number % len(names)], lines, random)
            needs = float(random.uniform(-180, 180))
            lying = image.rotate(needs, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
            levels = np.asarray(lying.resize(fitting(*lying.size, SIDE), Image.Resampling.BILINEAR))
            yield Drawn(script, lines, levels, needs)


def words(mirrors: Path, language: str, *, latin: bool) -> list[str]:
    """The words of a language in the order of its sentences, without those in Latin letters."""
    repository = mirrors / "wafield+immich" / "repo"
    blob = subprocess.run(
        ["git", "-C", repository, "cat-file", "blob", f"HEAD:i18n/{language}.json"], capture_output=True, check=True
    )
    texts = " ".join(text for text in json.loads(blob.stdout).values() if isinstance(text, str))
    bare = [word.strip(_MISSING) for word in texts.split()]
    return [word for word in bare if word and not re.search(r"[{}<>/_=]" if latin else _LETTERS, word)]


def drawn(said: list[str], font: str, lines: int, random: np.random.Generator) -> Image.Image:
    """An upright page of words that follow each other somewhere."""
    size = int(random.integers(22, 44))
    face = ImageFont.truetype(NOTO / f"{font}.ttf", size)
    image = Image.new("L", (1240, 1754), 255)
    draw, start = ImageDraw.Draw(image), int(random.integers(0, len(said) // 2))
    right = any("\u0590" <= letter <= "\u08ff" for letter in "".join(said[:50]))
    for line in range(min(lines, int(1500 // (size * 1.6)))):
        text = ""
        while draw.textlength(f"{text} {said[start % len(said)]}", face) < 1000 * (0.5 if line % 6 == 5 else 1):
            text, start = f"{text} {said[start % len(said)]}".strip(), start + 1
        place = (1120, 120 + line * size * 1.6) if right else (120, 120 + line * size * 1.6)
        draw.text(place, text, fill=20, font=face, anchor="ra" if right else "la")
    return image


if __name__ == "__main__":
    main()
