"""The fonts of this machine, and which of them can really write a language."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, features

from orientd.errors import ConfigError
from orientd_training.data.pages.words import LANGUAGES, Language

SYSTEM = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".fonts", Path.home() / ".local/share/fonts")
FIGURES = "0123456789.,:/€$£+@%-"
_ENDINGS = {".ttf", ".otf", ".ttc"}
_NOWHERE = "\U0010fffd"  # the last private code point: what a font shows for it is its sign for "no such glyph"


@dataclass(frozen=True)
class Face:
    """A font file; "" is the font that Pillow brings along. `figures`: it has figures, prices and addresses, too."""

    path: str = ""
    figures: bool = True


Fonts = Mapping[Language, tuple[tuple[Face, ...], ...]]  # the families that can write a language, each with its faces


@lru_cache(256)
def font(face: Face, size: int) -> ImageFont.FreeTypeFont:
    """The face at `size` pixels per em."""
    return _open(face.path, size, ImageFont.Layout.RAQM if raqm() else ImageFont.Layout.BASIC)


@cache
def raqm() -> bool:
    """Whether letters can be shaped and set from right to left."""
    return bool(features.check("raqm"))


def find(folders: Iterable[Path] = (), share: tuple[float, float] = (0, 1)) -> Fonts:
    """What can be written with the fonts below `folders` (those of the system if none are given).

    Args:
        folders: searched with everything below them.
        share: takes only families whose hash, as a number of 0–1, is at least the first and below the second number: what is
            drawn with the fonts of one share can test what was trained on another.

    Raises:
        ConfigError: a folder does not exist, or no font in them can write Latin letters and figures.
    """
    wanted = tuple(folders)
    if missing := [str(folder) for folder in wanted if not folder.is_dir()]:
        raise ConfigError(f"{', '.join(missing)}: no such folder of fonts")
    files = sorted({file for folder in wanted or SYSTEM for file in folder.rglob("*") if file.suffix.lower() in _ENDINGS})
    found: dict[Language, dict[str, list[Face]]] = {language: {} for language in LANGUAGES}
    for file in files:
        name, languages, figures = _abilities(str(file), share)
        for language in languages:
            found[language].setdefault(name, []).append(Face(str(file), figures))
    fonts = {language: tuple(map(tuple, families.values())) for language, families in found.items() if families}
    if not with_figures(fonts):
        raise ConfigError("no font for Latin letters and figures was found: install some or give folders of them with --fonts")
    return fonts


def with_figures(fonts: Fonts) -> list[Face]:
    """The faces for figures and addresses, at most one of a family."""
    return [family[0] for family in fonts.get(LANGUAGES[0], ()) if family[0].figures]


def glyphs(opened: ImageFont.FreeTypeFont) -> Callable[[str], bool]:
    """A test whether the font, opened with the basic layout, has a visible glyph for every character of a text."""
    useless = (_look(opened, ""), _look(opened, _NOWHERE))
    has = cache(lambda letter: _look(opened, letter) not in useless)
    return lambda text: all(map(has, text))


def _abilities(path: str, share: tuple[float, float]) -> tuple[str, list[Language], bool]:
    """The family of a font file, the languages that it can write, and whether it has figures; no language outside `share`."""
    try:
        opened = _open(path, 24, ImageFont.Layout.BASIC)
        family = opened.getname()[0] or path
        if not share[0] <= int(hashlib.sha256(family.encode()).hexdigest()[:8], 16) / 2**32 < share[1]:
            return family, [], False
        covers = glyphs(opened)
        return family, [word for word in LANGUAGES if (raqm() or not word.shaped) and covers(word.letters)], covers(FIGURES)
    except OSError:  # no font, or one of bitmaps
        return path, [], False


def _open(path: str, size: int, layout: ImageFont.Layout) -> ImageFont.FreeTypeFont:
    if path:
        return ImageFont.truetype(path, size, layout_engine=layout)
    built_in = ImageFont.load_default(size)
    assert isinstance(built_in, ImageFont.FreeTypeFont)
    return built_in


def _look(opened: ImageFont.FreeTypeFont, letter: str) -> bytes:
    image = Image.new("L", (72, 56))
    ImageDraw.Draw(image).text((24, 12), letter, fill=255, font=opened)
    return image.tobytes()
