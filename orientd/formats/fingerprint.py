"""What distinguishes a picture from others, whatever orientation its file stores and whatever else it holds.

Programs that change metadata leave the compressed picture as it is. So its hash is the same before and after, and under whatever
name. One that turns pixels makes another picture of it; then only the times noted in EXIF may tell that it is another shot.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Final

from orientd.errors import Refused
from orientd.formats import heif_items, jpeg, png, webp
from orientd.formats.tiff_block import STRIPS, TILES, of_file
from orientd.reasons import Reason
from orientd.records import Format

Marks = frozenset[str]

_TIME: Final = re.compile(rb":(?<=[12]\d{3}:)[01]\d:[0-3]\d [0-2]\d:[0-5]\d:[0-6]\d\0")  # led by a byte that is quickly found
_DATA, _TAKEN = "picture ", "taken "
_METADATA: Final = (b"Exif", b"mime")


def marks(format: Format, data: bytes) -> Marks:  # noqa: A002
    """The hash of the picture data in a whole file, if that is found, and every time that EXIF notes ("2024:05:01 12:30:00")."""
    times = {_TAKEN + data[found.start() - 4 : found.end() - 1].decode("ascii") for found in _TIME.finditer(data)}
    try:
        digest = _digest(data, _PIECES[format](data)) if format in _PIECES else ""
    except Refused:
        digest = ""
    return frozenset(times | ({_DATA + digest} if digest else set()))


def pictures(known: Marks) -> list[str]:
    """The marks that identify picture data: files that share one of them hold the same picture."""
    return [mark for mark in known if mark.startswith(_DATA)]


def is_same(one: Marks, other: Marks) -> bool | None:
    """True if both are marks of the same picture, False if they are of two shots; None if that is not known."""
    if set(pictures(one)) & set(pictures(other)):
        return True
    times = [{mark for mark in known if mark.startswith(_TAKEN)} for known in (one, other)]
    return False if all(times) and times[0].isdisjoint(times[1]) else None


def _digest(data: bytes, pieces: Iterable[tuple[int, int]]) -> str:
    digest, size = sha256(), 0
    for start, end in pieces:
        size += end - start
        if size > len(data):
            raise Refused(Reason.DAMAGED, "its pieces overlap")
        digest.update(memoryview(data)[start:end])
    return digest.hexdigest() if size else ""


def _jpeg(data: bytes) -> Iterator[tuple[int, int]]:
    """The first picture of the file, from its first scan to EOI."""
    *_, scan = jpeg.segments(data)
    yield scan.start, jpeg.end_of_image(data, scan.end)


def _png(data: bytes) -> Iterator[tuple[int, int]]:
    return ((chunk.start, chunk.end) for chunk in png.chunks(data) if chunk.name == b"IDAT")


def _webp(data: bytes) -> Iterator[tuple[int, int]]:
    return ((chunk.start, chunk.end) for chunk in webp.chunks(data) if chunk.name in (b"VP8 ", b"VP8L", b"ALPH"))


def _tiff(data: bytes) -> Iterator[tuple[int, int]]:
    block = of_file(data)
    numbers = {entry.tag: block.numbers(entry) for entry in block.first().entries if entry.tag in (*STRIPS, *TILES)}
    for starts, lengths in (STRIPS, TILES):
        pairs = zip(numbers.get(starts, []), numbers.get(lengths, []), strict=False)
        yield from ((start, start + length) for start, length in pairs)


def _heif(data: bytes) -> Iterator[tuple[int, int]]:
    """All items but EXIF and XMP, in the order of their numbers."""
    listed = heif_items.read(data)
    for item in sorted(listed.locations):
        if item in listed.items and listed.items[item].kind not in _METADATA:
            yield from ((start, start + length) for start, length in listed.content(item).pieces)


_PIECES: Final[dict[Format, Callable[[bytes], Iterator[tuple[int, int]]]]] = {
    Format.JPEG: _jpeg,
    Format.MPO: _jpeg,
    Format.PNG: _png,
    Format.TIFF: _tiff,
    Format.WEBP: _webp,
    Format.HEIF: _heif,
    Format.AVIF: _heif,
}
