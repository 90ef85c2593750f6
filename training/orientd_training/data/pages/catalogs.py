"""Real words, read in place from the translations of programs: compiled message catalogs of GNU gettext.

The layout is that of /usr/share/locale, and of the `locale` folders of programs: CODE/LC_MESSAGES/NAME.mo.
"""

import re
import struct
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from orientd.errors import ConfigError
from orientd_training.data.pages.words import Language

_CODES: Final = {
    "English": ("en", "en_GB"),
    "German": ("de",),
    "French": ("fr",),
    "Spanish": ("es",),
    "Italian": ("it",),
    "Portuguese": ("pt", "pt_BR"),
    "Dutch": ("nl",),
    "Polish": ("pl",),
    "Czech": ("cs",),
    "Swedish": ("sv",),
    "Finnish": ("fi",),
    "Turkish": ("tr",),
    "Vietnamese": ("vi",),
    "Indonesian": ("id",),
    "Hungarian": ("hu",),
    "Romanian": ("ro",),
    "Russian": ("ru",),
    "Ukrainian": ("uk",),
    "Bulgarian": ("bg",),
    "Serbian": ("sr",),
    "Greek": ("el",),
    "Armenian": ("hy",),
    "Georgian": ("ka",),
    "Arabic": ("ar",),
    "Persian": ("fa",),
    "Urdu": ("ur",),
    "Hebrew": ("he",),
    "Hindi": ("hi", "mr"),
    "Nepali": ("ne",),
    "Bengali": ("bn", "bn_IN"),
    "Punjabi": ("pa",),
    "Gujarati": ("gu",),
    "Tamil": ("ta",),
    "Telugu": ("te",),
    "Kannada": ("kn",),
    "Malayalam": ("ml",),
    "Sinhala": ("si",),
    "Thai": ("th",),
    "Lao": ("lo",),
    "Khmer": ("km",),
    "Burmese": ("my",),
    "Chinese": ("zh_CN", "zh_Hans"),
    "Traditional Chinese": ("zh_TW", "zh_Hant"),
    "Japanese": ("ja",),
    "Korean": ("ko",),
    "Amharic": ("am",),
}
_MAGIC: Final = 0x950412DE
_NAMES: Final = "iso_"  # catalogs of thousands of names of languages and places, and hardly a word else
_CODE: Final = re.compile(r"[%{}<>/_=@$&|\\*#^~`\[\]+]|[0-9]")
_MARKS: Final = "\"'“”«»„()…\u200e\u200f\u202a\u202c\ufeff"
_LATIN: Final = re.compile(r"[A-Za-z]")


def words(folders: Sequence[Path], language: Language) -> tuple[str, ...]:
    """The words of a language, in the order of their sentences; none where there are no translations into it.

    Raises:
        ConfigError: a folder is missing, or a catalog is damaged.

    Catalogs in other encodings than UTF-8 are left out.
    """
    if missing := [str(folder) for folder in folders if not folder.is_dir()]:
        raise ConfigError(f"{', '.join(missing)}: no such folder of translations")
    codes = _CODES.get(language.name, ())
    files = (file for folder in folders for code in codes for file in sorted(folder.rglob(f"{code}/LC_MESSAGES/*.mo")))
    texts = dict.fromkeys(text for file in files if not file.name.startswith(_NAMES) for text in _messages(file))
    return tuple(bare for text in texts for word in text.split() if (bare := word.strip(_MARKS)) and _is_word(bare, language))


def _is_word(text: str, language: Language) -> bool:
    if _CODE.search(text) or not any(map(str.isalpha, text)):
        return False
    return language.letters.isascii() or _is_latin(language) or not _LATIN.search(text)


def _is_latin(language: Language) -> bool:
    return any(unicodedata.name(letter, "").startswith("LATIN") for letter in language.letters)


def _messages(file: Path) -> Iterator[str]:
    """The translated texts of a catalog but for its header. The format: the manual of gettext, 10.3."""
    data = file.read_bytes()
    try:
        order = "<" if struct.unpack_from("<I", data)[0] == _MAGIC else ">"
        _, _, number, _, start = struct.unpack_from(f"{order}5I", data)
        spans = [struct.unpack_from(f"{order}2I", data, start + 8 * place) for place in range(number)]
    except struct.error as error:
        raise ConfigError(f"{file} is no message catalog ({error}): remove it") from error
    texts = [data[offset : offset + length] for length, offset in spans]
    if texts and b"charset=utf-8" in texts[0].lower():
        for text in texts[1:]:
            yield from text.decode(errors="replace").replace("_", "").split("\0")
