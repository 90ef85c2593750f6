"""Close-ups: a few lines of one script and nothing else, as `orientd pages` cuts them from a page that it has straightened.

Leaves of a few lines are drawn, laid askew, made small, straightened and cut by what does so with pages. Their words follow each
other as in the translations of programs (`catalogs`); where there are none for a language half its words are made up, of all
letters of the script, as the few of `words` lack some. Nothing but letters may tell which way is up: lines begin and end
anywhere.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from io import BytesIO
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from orientd.decode import printed, straight
from orientd.decode.printed import SQUARE as SIDE
from orientd.decode.printed import Pixels
from orientd.errors import StateError
from orientd_training.data.pages import catalogs
from orientd_training.data.pages.fonts import Face, Fonts, font, glyphs, raqm
from orientd_training.data.pages.words import Language

_OFTEN: Final = {
    "LATIN": 7.0,
    "HEBREW": 7.0,
    "ARABIC": 7.0,
    "CYRILLIC": 6.0,
    "ARMENIAN": 4.0,
    "GREEK": 4.0,
    "BENGALI": 3.0,
    "DEVANAGARI": 3.0,
    "GEORGIAN": 2.0,
}
"""How often scripts are drawn as against the others: those that look alike upright and upside down need more."""
_BLOCK: Final = 128  # code points that scripts mostly keep to
_OWN_LETTERS_DO: Final = ("LATIN", "CJK", "HANGUL", "HIRAGANA", "KATAKANA")
_SIGNS: Final = ("Mn", "Mc")
_COLUMNS: Final = ("Chinese", "Traditional Chinese", "Japanese")
_LEAST_SPREAD: Final = 8  # of the gray levels of what is not empty
_EACH: Final = 4  # close-ups of a leaf, as many as are read of a page
_READ_AS: Final = "real"  # the group of what is cut from pages


class Script(NamedTuple):
    """What a language is written with."""

    language: Language
    families: tuple[tuple[Face, ...], ...]
    words: tuple[str, ...]


def write(
    out: Path, count: int, seed: int, fonts: Fonts, pages: Path | None = None, words: Sequence[Path] = ()
) -> dict[str, int]:
    """Draw `count` close-ups to `out`/LANGUAGE/NNNNN.png, and cut some from each JPEG below `pages`; how many of each group.

    words: folders of message catalogs.

    Raises:
        ConfigError: such a folder is missing, or a catalog is damaged.
        StateError: `out` cannot be written.
    """
    scripts = [Script(language, families, catalogs.words(words, language)) for language, families in fonts.items()]
    try:
        return dict(Counter(_saved(out, *made) for made in (*islice(_drawn(seed, scripts), count), *_cut(pages, seed))))
    except OSError as error:
        raise StateError(f"{out} cannot be written ({error.strerror or error}): make room, or name another --out") from error


def without(fonts: Fonts, stems: Collection[str]) -> Fonts:
    """The fonts but for files of these names, which can test what was trained on the others."""
    left = {
        language: tuple(
            some for family in families if (some := tuple(face for face in family if Path(face.path).stem not in stems))
        )
        for language, families in fonts.items()
    }
    return {language: families for language, families in left.items() if families}


def _drawn(seed: int, scripts: Sequence[Script]) -> Iterator[tuple[str, str, Image.Image]]:
    alike = Counter(_name(one.language) for one in scripts)
    weights = [_OFTEN.get(_name(one.language), 1.0) / alike[_name(one.language)] for one in scripts]
    number = 0
    while True:
        random = Random(f"{seed} {number}")
        script = random.choices(scripts, weights)[0]
        for place, image in enumerate(closeups(random, script)):
            yield script.language.name, f"{number:05}-{place}", image
        number += 1


def _cut(pages: Path | None, seed: int) -> Iterator[tuple[str, str, Image.Image]]:
    for number, path in enumerate(sorted(pages.rglob("*.jpg")) if pages else ()):
        random = Random(f"{seed} cut {number}")
        with Image.open(path) as page:
            larger = random.uniform(1, 1.5)
            image = page.convert("L").resize((round(page.width * larger), round(page.height * larger)), Image.Resampling.BILINEAR)
        for place, part in enumerate(_parts(np.asarray(image), 2)):
            yield _READ_AS, f"{number:05}-{place}", part


def _saved(out: Path, group: str, name: str, image: Image.Image) -> str:
    folder = out / group.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    image.convert("RGB").save(folder / f"{name}.png", compress_level=1)
    return group


def closeups(random: Random, script: Script) -> list[Image.Image]:
    """The fullest parts, upright, gray, `SIDE` pixels a side, of a leaf with a few lines."""
    finer = random.choice((1, 1.5, 2, 3))
    face, em = random.choice(random.choice(script.families)), 7 * 4.0 ** random.random()
    paper, ink = random.randint(170, 255), random.randint(0, 90)
    wide, lines = random.uniform(6, 28) * em, random.choice((1, 2, 3, 3, 4, 4, 5, 6, 8))
    leaf = Image.new("L", (int(min(wide, 420) * finer) + 80, int(lines * em * 2.3 * finer) + 80), paper)
    if script.language.name in _COLUMNS and random.random() < 0.3:
        _columns(random, leaf, script, face, em * finer, ink)
    else:
        _lines(random, leaf, script, face, em * finer, lines, ink)
    askew = random.uniform(-180, 180) if random.random() < 0.6 else 0.0
    lying = leaf.rotate(askew, Image.Resampling.BICUBIC, expand=True, fillcolor=paper)
    seen = lying.resize((max(1, round(lying.width / finer)), max(1, round(lying.height / finer))), Image.Resampling.BILINEAR)
    level = straight.turned(_worn(random, seen), askew + random.gauss(0, 0.2), paper)
    return [*_parts(level, _EACH)]


def _parts(level: Pixels, most: int) -> Iterator[Image.Image]:
    for part in islice(printed.closeups(level[printed.ink_box(level)]), most):
        if part.std() >= _LEAST_SPREAD:
            yield Image.fromarray(straight.squared(part, SIDE)[..., 0])


def _lines(random: Random, leaf: Image.Image, script: Script, face: Face, em: float, lines: int, ink: int) -> None:
    """Set flush left, flush right, centered, justified or anyhow."""
    draw, opened = ImageDraw.Draw(leaf), font(face, round(em))
    step, align = em * random.uniform(1.15, 2.1), random.choice((0, 0, 0.5, 1, 1, None, "both"))
    left, right, y = 40.0, leaf.width - 40.0, 40.0
    place = random.randrange(max(1, len(script.words)))
    for _ in range(lines):
        share = 1.0 if random.random() < 0.8 else random.uniform(0.2, 1)
        line, place = _line(random, script, face, (right - left) * share, em, place)
        if align == "both":
            _spread(draw, script, line, (left, right), y, opened, ink)
        else:
            at = random.random() if align is None else float(align)
            anchor = "la" if at == 0 else "ra" if at == 1 else "ma"
            text = (script.language.glue or " " * (random.random() < 0.1)).join(line)
            draw.text((left + at * (right - left), y), text, fill=ink, font=opened, anchor=anchor)
        y += step * (1 if random.random() < 0.9 else random.uniform(1.2, 2))


def _spread(
    draw: ImageDraw.ImageDraw,
    script: Script,
    line: list[str],
    box: tuple[float, float],
    y: float,
    opened: ImageFont.FreeTypeFont,
    ink: int,
) -> None:
    """Words with the space between them that makes a line as wide as the box."""
    widths = [opened.getlength(word, direction=_direction(script.language)) for word in line]
    gap = max(0.0, (box[1] - box[0] - sum(widths)) / max(1, len(line) - 1))
    x = box[1] if script.language.rtl else box[0]
    for word, width in zip(line, widths, strict=True):
        draw.text((x - width if script.language.rtl else x, y), word, fill=ink, font=opened, anchor="la")
        x += -(width + gap) if script.language.rtl else width + gap


def _columns(random: Random, leaf: Image.Image, script: Script, face: Face, em: float, ink: int) -> None:
    """From top to bottom and right to left."""
    draw, opened = ImageDraw.Draw(leaf), font(face, round(em))
    letters = [
        letter for word in script.words or script.language.words for letter in word if unicodedata.category(letter) == "Lo"
    ]
    start, step = random.randrange(len(letters)), em * random.uniform(1.2, 1.8)
    x = leaf.width - 40 - em / 2
    while x > 40:
        for place in range(max(2, int((leaf.height - 80) / em * (1 if random.random() < 0.8 else random.random())))):
            draw.text((x, 40 + place * em), letters[start % len(letters)], fill=ink, font=opened, anchor="ma")
            start += 1
        x -= step


def _line(random: Random, script: Script, face: Face, width: float, em: float, place: int) -> tuple[list[str], int]:
    """Words that are about as wide as asked, and where the next line goes on."""
    made: list[str] = []
    opened, language = font(face, round(em)), script.language
    taken = -random.random() * em * 3
    while len(made) < 60 and taken < width:
        if script.words:
            word = script.words[place % len(script.words)]
            place += 1
        else:
            word = _made_up(random, language, face)
        if face.figures and random.random() < 0.04:
            word = str(random.randint(2, 2030))
        elif language.cased and random.random() < 0.06:
            word = word.capitalize() if random.random() < 0.7 else word.upper()
        made.append(word)
        taken += opened.getlength(word + language.glue, direction=_direction(language))
    return (made[:-1] if len(made) > 1 and taken > width + 2 * em else made), place


def _made_up(random: Random, language: Language, face: Face) -> str:
    syllables = _syllables(language, face)
    word = random.choice(language.words)
    if syllables and random.random() < 0.5:
        word = "".join(random.choice(syllables[random.random() < 0.3]) for _ in range(random.randint(1, 7)))
    return word + random.choice((language.stop, language.comma)) if random.random() < 0.08 else word


def _first(language: Language) -> str:
    return next(letter for letter in language.letters if letter.isalpha())


def _name(language: Language) -> str:
    return unicodedata.name(_first(language)).split()[0]


def _direction(language: Language) -> str | None:
    return "rtl" if language.rtl and raqm() else None


@cache
def _syllables(language: Language, face: Face) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The letters of the language's script that the face has; and those with a sign, or themselves where there are none.

    None where the letters of the words say all.
    """
    first, script = _first(language), _name(language)
    if script in _OWN_LETTERS_DO:
        return None
    has = glyphs(font(face, 24))
    block = [chr(code) for code in range(ord(first) // _BLOCK * _BLOCK, ord(first) // _BLOCK * _BLOCK + _BLOCK)]
    own = [letter for letter in block if unicodedata.name(letter, "").startswith(script) and has(letter)]
    letters = tuple(letter for letter in own if unicodedata.category(letter) in ("Lo", "Ll"))
    signs = [letter for letter in own if unicodedata.category(letter) in _SIGNS and "VOWEL" in unicodedata.name(letter)]
    joined = tuple(letter + sign for letter in letters for sign in signs)
    return letters, joined or letters


def _worn(random: Random, image: Image.Image) -> Pixels:
    """Blurred, shaded, noisy and packed, each of them now and then."""
    if random.random() < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(random.uniform(0.2, 0.9)))
    levels = np.asarray(image).astype(np.float32)
    draw = np.random.default_rng(random.getrandbits(32))
    if random.random() < 0.3:
        tall, wide = levels.shape
        slope = draw.uniform(-60, 60, 2)
        levels += np.add.outer(np.linspace(-0.5, 0.5, tall) * slope[0], np.linspace(-0.5, 0.5, wide) * slope[1])
    if random.random() < 0.3:
        levels += draw.normal(0, random.uniform(1, 8), levels.shape)
    image = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    if random.random() < 0.3:
        image.save(packed := BytesIO(), "JPEG", quality=random.randint(30, 90))
        image = Image.open(packed).convert("L")
    return np.asarray(image)
