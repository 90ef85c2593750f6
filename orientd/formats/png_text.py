"""Texts of a PNG, and the EXIF and XMP that programs kept there before there was a chunk for them (PNG specification, 11.3.3).

ImageMagick, exiv2 and exiftool write a *raw profile*: a line with its name, a line with its length in bytes, and its bytes in
hexadecimal digits. The keyword says what it is. Nothing is unpacked beyond 16 MiB.
"""

import re
import zlib
from typing import Final, NamedTuple

from orientd.errors import Refused
from orientd.reasons import Reason

TEXTS: Final = (b"iTXt", b"tEXt", b"zTXt")
XMP: Final = b"XML:com.adobe.xmp"
_RAW_EXIF: Final = (b"Raw profile type exif", b"Raw profile type APP1")
PLAIN_EXIF: Final = "exif"
_RAW_XMP: Final = b"Raw profile type xmp"
_SPELT_OTHERWISE: Final = re.compile(rb"(raw profile type )?(exif|app1|xmp)", re.IGNORECASE)
_XMP_IN_APP1: Final = b"http://ns.adobe.com/xap/1.0/\0"
_EXIF_IN_APP1: Final = b"Exif\0\0"
_INTERNATIONAL: Final = re.compile(rb"([\0\1])\0[^\0]*\0[^\0]*\0")
_PROFILE: Final = re.compile(rb"(\n[^\n]*\n *)(\d{1,10})(\n)([0-9A-Fa-f\s]+)\0?")
_DIGITS_A_LINE: Final = 72
_MOST: Final = 16 * 2**20


class Text(NamedTuple):
    """`head` is the body of the chunk up to the text, `content` the text, which is `packed` there or not."""

    head: bytes
    content: bytes
    packed: bool

    @property
    def body(self) -> bytes:
        """The body of the chunk."""
        return self.head + (zlib.compress(self.content, 9) if self.packed else self.content)


def keyword(body: bytes) -> bytes:
    return body.partition(b"\0")[0]


def is_metadata(data: bytes, start: int, end: int) -> bool:
    """True if the text in the bytes `start` to `end` of a file has a keyword by which some program takes it for EXIF or XMP."""
    zero = data.find(b"\0", start, end)
    word = data[start : end if zero < 0 else zero].strip()
    return word in (XMP, PLAIN_EXIF.encode()) or _SPELT_OTHERWISE.fullmatch(word) is not None


def read(name: bytes, body: bytes) -> Text:
    """The text in a chunk of that name.

    Raises:
        Refused: the chunk is broken, or the text is longer than 16 MiB.
    """
    start = len(keyword(body)) + 1
    if name == b"tEXt":
        return Text(body[:start], body[start:], packed=False)
    if name == b"zTXt":
        packed, start = True, start + 1
        whole = body[start - 1 : start] == b"\0"
    else:
        head = _INTERNATIONAL.match(body, start)
        whole, packed, start = bool(head), bool(head and head[1] == b"\1"), head.end() if head else start
    what = "XMP" if keyword(body) == XMP else f"metadata in an old text chunk ({_printable(keyword(body))})"
    if not whole:
        raise Refused(Reason.BROKEN_METADATA, f"{what} stands in a chunk that is broken")
    return Text(body[:start], _inflated(body[start:], what) if packed else body[start:], packed)


def exif(name: bytes, body: bytes) -> tuple[Text, bytes] | None:
    """The text in a chunk and the EXIF block that it holds, if it holds one.

    Raises:
        Refused: it should hold one and is broken, or has a keyword that only some programs know.
    """
    word = keyword(body)
    if word not in _RAW_EXIF:
        if plain_exif(name, body) is None and word not in (XMP, _RAW_XMP) and _SPELT_OTHERWISE.fullmatch(word.strip()):
            raise Refused(
                Reason.ORIENTATIONS_DISAGREE, f"its metadata stands in an old text chunk ({_printable(word)}): viewers disagree"
            )
        return None
    text, profile = _raw(name, body)
    return None if profile.startswith(_XMP_IN_APP1) else (text, profile.removeprefix(_EXIF_IN_APP1))


def plain_exif(name: bytes, body: bytes) -> bytes | None:
    """The EXIF block that a text chunk holds byte for byte, as no program should write it and Pillow reads it; None if none."""
    if name != b"tEXt" or keyword(body) != PLAIN_EXIF.encode():
        return None
    return body[len(PLAIN_EXIF) + 1 :].removeprefix(_EXIF_IN_APP1)


def xmp(name: bytes, body: bytes) -> bytes:
    """The XMP packet in a chunk; empty if it holds none.

    Raises:
        Refused: it should hold one and is broken.
    """
    word = keyword(body)
    if word == XMP:
        return read(name, body).content
    if word != _RAW_XMP and word not in _RAW_EXIF:
        return b""
    _, profile = _raw(name, body)
    return profile.removeprefix(_XMP_IN_APP1) if word == _RAW_XMP or profile.startswith(_XMP_IN_APP1) else b""


def with_xmp(text: Text, packet: bytes) -> Text:
    """The text of a chunk that held an XMP packet and is to hold another."""
    return text._replace(content=packet) if keyword(text.head) == XMP else with_profile(text, packet)


def with_profile(text: Text, content: bytes) -> Text:
    """The text of a chunk that held EXIF or XMP as a raw profile and is to hold another: its first lines stay, except for the
    length that they state."""
    found = _PROFILE.match(text.content)
    assert found
    old = bytes.fromhex(found[4].decode("ascii"))
    start = next((start for start in (_EXIF_IN_APP1, _XMP_IN_APP1) if old.startswith(start)), b"")
    digits = (start + content).hex().encode("ascii")
    lines = [digits[at : at + _DIGITS_A_LINE] + b"\n" for at in range(0, len(digits), _DIGITS_A_LINE)]
    length = b"%0*d" % (len(found[2]), len(digits) // 2)
    return text._replace(content=found[1] + length + b"\n" + b"".join(lines))


def _raw(name: bytes, body: bytes) -> tuple[Text, bytes]:
    text = read(name, body)
    found = _PROFILE.fullmatch(text.content)
    try:
        profile = bytes.fromhex(found[4].decode("ascii")) if found else b""
    except ValueError:
        profile = b""
    translated = name == b"iTXt" and len(text.head) > len(keyword(body)) + 5  # exiftool takes that for another key
    if not found or len(profile) != int(found[2]) or translated:
        word = _printable(keyword(body))
        raise Refused(Reason.BROKEN_METADATA, f"its metadata stands in an old text chunk ({word}) that is broken")
    return text, profile


def _inflated(packed: bytes, what: str) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, _MOST)
    except zlib.error as error:
        raise Refused(Reason.BROKEN_METADATA, f"broken {what}: {error}") from error
    if not unpacker.eof:
        raise Refused(Reason.BROKEN_METADATA, f"broken {what}: it is cut short, or too long once unpacked")
    return text


def _printable(word: bytes) -> str:
    return repr(word[:80].decode("latin-1"))
