"""The tags of TIFF pages, byte for byte, and a TIFF written page by page (TIFF 6.0, section 2; EXIF 2.32, section 4.6.2).

Values keep their bytes, so a copy has the byte order of its original. What counts bytes from the start of the file is written
anew: pixels, and the directories of EXIF, GPS and interoperability. Maker notes and other directories are left out, as nobody
knows what in them does. As in `decode.cpu`, importing this module loads Pillow.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, BinaryIO, Final, NamedTuple, cast

import numpy as np
from PIL import TiffImagePlugin

from orientd.formats.tiff_block import MAKER_NOTE, STRIPS, TILES
from orientd.formats.tiff_layout import CLASSIC, SHORT, Order

HEADS: Final[Mapping[Order, bytes]] = {"little": b"II*\0", "big": b"MM\0*"}
LONG, UNDEFINED = 4, 7
EXIF: Final = 0x8769
_GPS, _INTEROPERABILITY, _SUB_IMAGES, _FREE, _OLD_JPEG = 0x8825, 0xA005, 0x014A, (0x0120, 0x0121), range(0x0200, 0x020A)
_SIGNATURE: Final = 0xCD41  # C2PA: any change breaks it
_PLACES: Final = (EXIF, _GPS, _INTEROPERABILITY, _SUB_IMAGES, MAKER_NOTE, _SIGNATURE, *_FREE, *_OLD_JPEG, *STRIPS, *TILES)
_COMPRESSION, _OLD_STYLE = 259, 6
_CAPTION: Final = 33723  # IPTC: bytes, which programs state in all types
_UNITS: Final = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8}  # type → bytes whose order counts
_KNOWN: Final = CLASSIC.sizes.keys() - {13}
_MOST_BYTES: Final = 2**32 - 1  # offsets have 32 bits


class Tag(NamedTuple):
    """The value of a tag, as the file of a certain byte order stores it."""

    type: int
    data: bytes


Tags = dict[int, "Tag | Tags"]
"""A directory; one below it in place of its offset."""


def number(order: Order, value: int, type_: int = LONG) -> Tag:
    """A tag that is one whole number."""
    return Tag(type_, value.to_bytes(CLASSIC.sizes[type_], order))


def numbers(order: Order, values: Iterable[int], type_: int = LONG) -> Tag:
    return Tag(type_, b"".join(number(order, value, type_).data for value in values))


def order_of(image: TiffImagePlugin.TiffImageFile) -> Order:
    """The byte order of its file."""
    return "little" if image.tag_v2.prefix == b"II" else "big"


def read(image: TiffImagePlugin.TiffImageFile) -> Tags:
    """All tags of the page at which a TIFF is, without those that say where something is in the file."""
    return _read(image.tag_v2, cast(BinaryIO, image.fp), (EXIF, _GPS))


def _read(directory: TiffImagePlugin.ImageFileDirectory_v2, file: BinaryIO, below: Collection[int]) -> Tags:
    found: Tags = {}
    for tag, data in directory._tagdata.items():
        if tag in below:
            if deeper := _below(directory, tag, file):
                found[tag] = deeper
        elif tag not in _PLACES and directory.tagtype[tag] in _KNOWN:
            found[tag] = Tag(UNDEFINED if tag == _CAPTION else directory.tagtype[tag], data)
    return found


def _below(directory: TiffImagePlugin.ImageFileDirectory_v2, tag: int, file: BinaryIO) -> Tags:
    """The directory to which a tag points; nothing if it cannot be read."""
    deeper = TiffImagePlugin.ImageFileDirectory_v2(_header(directory), group=tag)
    try:
        file.seek(cast(int, directory[tag]))
        deeper.load(file)
    except (OSError, TypeError, ValueError, OverflowError):
        return {}
    return _read(deeper, file, (_INTEROPERABILITY,) if tag == EXIF else ())


def _header(directory: TiffImagePlugin.ImageFileDirectory_v2) -> bytes:
    """That of a file whose directories are built as this one."""
    order: Order = "little" if directory.prefix == b"II" else "big"
    version, offsets = (43, 12) if directory._bigtiff else (42, 4)
    return cast(bytes, directory.prefix) + version.to_bytes(2, order) + bytes(offsets)


def swapped(tags: Tags) -> Tags:
    """The tags of a file of the other byte order."""
    return {tag: swapped(value) if isinstance(value, dict) else _swapped(value) for tag, value in tags.items()}


def _swapped(tag: Tag) -> Tag:
    unit = _UNITS.get(tag.type, 1)
    return Tag(tag.type, np.frombuffer(tag.data, f"u{unit}").byteswap().tobytes())


class Pieces(NamedTuple):
    """The packed pixels of a page, in strips or, if `tiled`, in tiles."""

    data: Iterable[bytes]
    tiled: bool = False


def pieces(image: TiffImagePlugin.TiffImageFile) -> Pieces | None:
    """Those of the page at which a TIFF is, read one by one; None if it does not say where they all are."""
    for places, lengths in (TILES, STRIPS):
        if image.tag_v2.get(_COMPRESSION) == _OLD_STYLE:  # its tables are elsewhere
            return None
        starts, sizes = (_whole(image.tag_v2.get(tag)) for tag in (places, lengths))
        if starts and len(starts) == len(sizes):
            return Pieces(_parts(cast(BinaryIO, image.fp), starts, sizes), (places, lengths) == TILES)
    return None


def _whole(value: Any) -> list[int]:
    found = list(value) if isinstance(value, tuple) else [value]
    return found if all(isinstance(one, int) for one in found) else []


def _parts(file: BinaryIO, starts: Iterable[int], sizes: Iterable[int]) -> Iterable[bytes]:
    for start, size in zip(starts, sizes, strict=True):
        file.seek(start)
        data = file.read(size)
        if len(data) < size:
            raise OSError("image file is truncated")
        yield data


class Writer:
    """Writes a TIFF to a new and empty file, page after page."""

    def __init__(self, file: BinaryIO, order: Order) -> None:
        self._file, self._order = file, order
        file.write(HEADS[order] + bytes(4))
        self._link = 4

    def add(self, tags: Tags, found: Pieces) -> None:
        """Add a page. Raises OverflowError if the file would become larger than a TIFF can be."""
        places, lengths = [], []
        for data in found.data:
            places.append(self._file.tell())
            lengths.append(len(data))
            self._file.write(data + bytes(len(data) % 2))
            self._check_size()
        names = TILES if found.tiled else STRIPS
        said: Tags = {tag: value for tag, value in tags.items() if isinstance(value, dict) or value.data}
        said |= {name: numbers(self._order, values) for name, values in zip(names, (places, lengths), strict=True)}
        start = self._file.tell()
        packed, link = self._directory(said, start)
        self._file.write(packed)
        self._check_size()
        self._file.seek(self._link)
        self._file.write(number(self._order, start).data)
        self._file.seek(start + len(packed))
        self._link = start + link

    def _check_size(self) -> None:
        if self._file.tell() > _MOST_BYTES:
            raise OverflowError("more than 4 GiB")

    def _directory(self, tags: Tags, start: int) -> tuple[bytes, int]:
        """A directory that starts there, its values behind it; and where in it the place of the next one is to be written."""
        link = CLASSIC.counted + CLASSIC.entry * len(tags)
        behind = bytearray()
        entries = []
        for tag, value in sorted(tags.items(), key=lambda item: item[0]):
            place = start + link + CLASSIC.offset + len(behind)
            if isinstance(value, dict):
                behind += self._directory(value, place)[0]
                value = number(self._order, place)
            elif len(value.data) > CLASSIC.offset:
                behind += value.data + bytes(len(value.data) % 2)
            entries.append(self._entry(tag, value, place))
        return CLASSIC.directory_bytes(self._order, entries, 0) + bytes(behind), link

    def _entry(self, tag: int, value: Tag, place: int) -> bytes:
        inside = len(value.data) <= CLASSIC.offset
        head = number(self._order, tag, SHORT).data + number(self._order, value.type, SHORT).data
        count = number(self._order, len(value.data) // CLASSIC.sizes[value.type]).data
        return head + count + (value.data.ljust(CLASSIC.offset, b"\0") if inside else number(self._order, place).data)
