"""PNG: the orientation in the eXIf chunk and the patch that changes it (PNG specification, third edition, 5 and 11.3.4.5).

Chunks follow one another and none but Apple's iDOT counts bytes outside itself, so a chunk may be added or may grow
before or behind the range that iDOT counts. Every checksum of the file is verified first; bytes after IEND stay as they are.
Where IEND is missing, or its name is damaged, the file must end with a whole chunk, and all of the picture must be there.

EXIF in a text chunk instead moves to a chunk of its own, whole: of programs that read both kinds some prefer the one, some
the other, and none puts them together, so a small new block would hide the old one, or would not be seen itself. EXIF behind the
picture moves before it, where it must be to state a turn: browsers and libvips do not look behind.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final, NamedTuple

from orientd import orientation as group
from orientd.errors import Refused
from orientd.formats import png_picture, png_text, tiff_block, tiff_patch, xmp
from orientd.formats.png_text import TEXTS
from orientd.reasons import Reason
from orientd.records import Patch, Splice

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_HEAD: Final = struct.Struct(">I4s")
_MOST: Final = 2**20  # chunks; of the usual 8 KiB they hold a picture of 8 GiB
_MOST_PACKETS: Final = 8  # texts with EXIF or XMP, of which a sound file has one or two; each may be packed a thousandfold
_NEEDED: Final = frozenset({b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT"})  # of the ancillary chunks, to show the picture
_REFUSED: Final = {
    b"acTL": (Reason.SEVERAL_PICTURES, "an animated PNG (APNG) is no photo"),
    b"fcTL": (Reason.SEVERAL_PICTURES, "an animated PNG (APNG) is no photo"),
    b"zxIf": (Reason.UNUSUAL, "its EXIF is stored in a form that few programs read (zxIf)"),
}


class Chunk(NamedTuple):
    """The body is the bytes `start` to `end` of the file, its length and name come just before, its checksum just after."""

    name: bytes
    start: int
    end: int


def chunks(data: bytes) -> Iterator[Chunk]:
    """The chunks from the first to IEND, or to the end of a file without one; their checksums are not looked at.

    Raises:
        Refused: on reaching anything but a whole chunk, or more of them, or of texts with metadata, than any program writes.
    """
    if not data.startswith(SIGNATURE):
        raise Refused(Reason.DAMAGED, "not a PNG: it does not start with the signature")
    place, packets = len(SIGNATURE), 0
    for _ in range(_MOST):
        if place + 12 > len(data):
            raise Refused(Reason.DAMAGED, f"cut short, or a chunk has a bad length at byte {place}")
        length, name = _HEAD.unpack_from(data, place)
        start, end = place + 8, place + 8 + length
        if end + 4 > len(data):
            raise Refused(Reason.DAMAGED, f"cut short, or a chunk has a bad length at byte {place}")
        packets += name in TEXTS and png_text.is_metadata(data, start, end)
        if packets > _MOST_PACKETS:
            raise Refused(Reason.BROKEN_METADATA, "it has more texts with metadata than any program writes")
        yield Chunk(name, start, end)
        place = end + 4
        if name == b"IEND" or place == len(data):
            return
    raise Refused(Reason.DAMAGED, "it has more chunks than any picture needs")


def texts(data: bytes, found: Iterable[Chunk]) -> list[Chunk]:
    """Those of the chunks that are texts with the keyword of EXIF or XMP."""
    return [chunk for chunk in found if chunk.name in TEXTS and png_text.is_metadata(data, chunk.start, chunk.end)]


def stored(data: bytes) -> int | None:
    """The orientation, exactly as found; None if there is none that can be read."""
    try:
        for chunk in chunks(data):
            if chunk.name == b"eXIf":
                return tiff_block.stored(data[tiff_block.start_within(data, chunk.start) : chunk.end])
    except Refused:
        pass
    return None


def plan(data: bytes, orientation: int) -> Patch:
    """The patch that makes the file store `orientation` (1–8) in EXIF, and in XMP where that stores one.

    Raises:
        Refused: the file cannot be changed safely; the message says why.
    """
    found = _checked(data)
    value = stored(data)
    digits = {chunk: _digits(data, chunk) for chunk in texts(data, found)}
    xmp.check_agreement(value, [digit for each in digits.values() for digit in each])
    splices = _exif(data, found, orientation)
    for chunk, each in digits.items():
        if packet(data, chunk)[0] is None:
            splices += _repacked(data, found, chunk, xmp.patch(each, orientation))
        else:
            splices += _rewritten(data, chunk, xmp.patch(each, orientation))
    return Patch(tuple(sorted(splices, key=lambda splice: splice.offset)))


def packet(data: bytes, chunk: Chunk) -> tuple[int | None, bytes]:
    """The XMP that a text chunk holds, none if empty, and where it starts in the file; None if it is not there byte for byte.

    Raises:
        Refused: it is broken.
    """
    body = data[chunk.start : chunk.end]
    text = png_text.xmp(chunk.name, body)
    plain = chunk.name == b"iTXt" and body.endswith(text) and png_text.keyword(body) == png_text.XMP
    return (chunk.end - len(text) if plain else None), text


def bare(data: bytes) -> bytes:
    """The file without the chunks that do not affect its pixels, such as texts: decoders unpack these, within limits."""
    kept, place = [], 0
    try:
        for chunk in chunks(data):
            if chunk.name[:1].islower() and chunk.name not in _NEEDED:
                kept.append(memoryview(data)[place : chunk.start - 8])
                place = chunk.end + 4
    except Refused:
        pass  # a decoder will report what is wrong
    return b"".join([*kept, memoryview(data)[place:]]) if kept else data


def whole(name: bytes, body: bytes) -> bytes:
    """A chunk with its length and its checksum."""
    return len(body).to_bytes(4, "big") + name + body + _checksum(name + body)


def _checked(data: bytes) -> list[Chunk]:
    """All chunks of a file that is in order: the right ones in the right places, each with its checksum."""
    found = list(chunks(data))
    last = found[-1]
    if last.name != b"IEND" and not _is_whole(data, found):
        raise Refused(Reason.DAMAGED, f"cut short, or a chunk has a bad length at byte {last.end + 4}")
    for chunk in found:
        if not _is_sound(data, chunk) and not (chunk is last and last.name != b"IEND"):
            raise Refused(Reason.DAMAGED, f"damaged: the checksum of the chunk at byte {chunk.start - 8} is wrong")
        if chunk.name in _REFUSED:
            raise Refused(*_REFUSED[chunk.name])
    names = [chunk.name for chunk in found]
    if names[0] != b"IHDR" or names.count(b"IHDR") > 1:
        raise Refused(Reason.DAMAGED, "not a standard PNG: it does not start with IHDR, or has two")
    if [name for name, _ in groupby(names)].count(b"IDAT") != 1:
        raise Refused(Reason.DAMAGED, "its picture is missing, or other chunks stand within it")
    if names.count(b"eXIf") > 1:
        raise Refused(Reason.BROKEN_METADATA, "two EXIF chunks")
    return found


def _is_sound(data: bytes, chunk: Chunk) -> bool:
    return data[chunk.end : chunk.end + 4] == _checksum(data[chunk.start - 4 : chunk.end])


def _is_whole(data: bytes, found: list[Chunk]) -> bool:
    """True of a file without IEND if all chunks are sound, but perhaps for the name of IEND, and all of the picture is there."""
    *before, last = found
    is_end = last.start == last.end and data[last.end : last.end + 4] == _checksum(b"IEND")
    if not all(_is_sound(data, chunk) for chunk in before) or not (is_end or _is_sound(data, last)):
        return False
    bodies = (data[chunk.start : chunk.end] for chunk in found if chunk.name == b"IDAT")
    return png_picture.is_whole(data[found[0].start : found[0].end], bodies)


def _digits(data: bytes, chunk: Chunk) -> list[xmp.Digit]:
    """The orientations in a text chunk, if it holds XMP, at their offsets in the file, or in the packet where that is packed."""
    start, text = packet(data, chunk)
    if start is not None:
        return xmp.find_within(data, start, chunk.end)
    return xmp.find(text)


def _repacked(data: bytes, found: list[Chunk], chunk: Chunk, splices: list[Splice]) -> list[Splice]:
    """The splice of a whole text chunk, for those within the packet that it holds."""
    if not splices:
        return []
    text = png_text.read(chunk.name, data[chunk.start : chunk.end])
    changed = Patch(tuple(sorted(splices, key=lambda splice: splice.offset))).apply(packet(data, chunk)[1])
    return [_replaced(data, found, chunk, whole(chunk.name, png_text.with_xmp(text, changed).body))]


def _replaced(data: bytes, found: list[Chunk], chunk: Chunk, new: bytes) -> Splice:
    start, end = chunk.start - 8, chunk.end + 4
    if len(new) != end - start:
        _check_growth(data, found, start)
    return Splice(start, data[start:end], new)


def _exif(data: bytes, found: list[Chunk], orientation: int) -> list[Splice]:
    """A fresh chunk comes right behind IHDR, as nothing else must precede it, and so does a late one that is to state a turn."""
    chunk = next((chunk for chunk in found if chunk.name == b"eXIf"), None)
    old = _old_exif(data, found)
    if (plain := _plain_exif(data, found)) and not chunk:
        return _copied(data, found, plain, orientation)
    if chunk and orientation != group.UPRIGHT and any(each.name == b"IDAT" for each in found[: found.index(chunk)]):
        return _brought_forward(data, found, chunk, orientation) + (_old_replaced(data, found, old, orientation) if old else [])
    if chunk:
        splices = tiff_patch.patch_within(data, tiff_block.start_within(data, chunk.start), chunk.end, orientation)
    else:
        block = _patched(old.block, orientation) if old else tiff_patch.fresh(orientation)
        splices = [Splice(found[0].end + 4, b"", whole(b"eXIf", block))]
    if any(len(splice.old) != len(splice.new) for splice in splices):
        _check_growth(data, found, splices[-1].offset)
    splices = _rewritten(data, chunk, splices) if chunk else splices
    return splices + (_old_replaced(data, found, old, orientation if chunk else None) if old else [])


def _brought_forward(data: bytes, found: list[Chunk], chunk: Chunk, orientation: int) -> list[Splice]:
    """The splices that take the chunk from behind the picture before it; none if it stores that orientation already."""
    start, first = tiff_block.start_within(data, chunk.start), found[0].end + 4
    block = _patched(data[start : chunk.end], orientation)
    if block == data[start : chunk.end]:
        return []
    if len(block) != chunk.end - start:
        _check_growth(data, found, first)
    new = whole(b"eXIf", data[chunk.start : start] + block)
    return [Splice(first, b"", new), Splice(chunk.start - 8, data[chunk.start - 8 : chunk.end + 4], b"")]


def _copied(data: bytes, found: list[Chunk], plain: Chunk, orientation: int) -> list[Splice]:
    """The splice of an eXIf chunk behind the text chunk that it copies: who reads both takes the later one."""
    _check_growth(data, found, plain.end + 4)
    block = png_text.plain_exif(plain.name, data[plain.start : plain.end])
    assert block is not None
    return [Splice(plain.end + 4, b"", whole(b"eXIf", _patched(block, orientation)))]


def _plain_exif(data: bytes, found: list[Chunk]) -> Chunk | None:
    """The text chunk that holds EXIF as it is, which Pillow alone reads, and only where no eXIf chunk follows it.

    Raises:
        Refused: there are several, it comes too late to be followed by one, or it states a turn that others do not see.
    """
    blocks = [(chunk, png_text.plain_exif(chunk.name, data[chunk.start : chunk.end])) for chunk in texts(data, found)]
    plain = [(chunk, block) for chunk, block in blocks if block is not None]
    if not plain:
        return None
    (chunk, block), names = plain[0], [chunk.name for chunk in found]
    at, picture = found.index(chunk), names.index(b"IDAT")
    alone = b"eXIf" not in names
    followed = at < picture if alone else at < names.index(b"eXIf") < picture
    if len(plain) > 1 or not followed or _old_exif(data, found) or (alone and group.normalise(tiff_block.stored(block)) != 1):
        raise Refused(
            Reason.ORIENTATIONS_DISAGREE, f"its metadata stands in an old text chunk ({png_text.PLAIN_EXIF!r}): viewers disagree"
        )
    return chunk


class _OldExif(NamedTuple):
    """The EXIF block that a text chunk holds."""

    chunk: Chunk
    text: png_text.Text
    block: bytes


def _old_exif(data: bytes, found: list[Chunk]) -> _OldExif | None:
    """The only one there is, if it states the same orientation as the eXIf chunk, or as none."""
    held = [(chunk, png_text.exif(chunk.name, data[chunk.start : chunk.end])) for chunk in texts(data, found)]
    old = [_OldExif(chunk, *each) for chunk, each in held if each]
    if len(old) > 1:
        raise Refused(Reason.BROKEN_METADATA, "EXIF stands in two old text chunks")
    for each in old:
        stated, value = tiff_block.stored(each.block), stored(data)
        if group.normalise(stated) != group.normalise(value):
            says = "nothing" if value is None else value
            raise Refused(
                Reason.ORIENTATIONS_DISAGREE,
                f"EXIF in an old text chunk says {stated}, its own chunk says {says}: viewers disagree about this photo",
            )
        for chunk in found:
            if chunk.name == b"eXIf" and None in (stated, value) and not data[: chunk.end].endswith(each.block):
                raise Refused(
                    Reason.CANNOT_GROW,
                    "EXIF stands in its own chunk and otherwise in an old text chunk, so that it cannot grow in step",
                )
    return old[0] if old else None


def _old_replaced(data: bytes, found: list[Chunk], old: _OldExif, orientation: int | None) -> list[Splice]:
    """The splice that takes the old text chunk out or, with an orientation, keeps it in step."""
    if orientation is None:
        return [_replaced(data, found, old.chunk, b"")]
    block = _patched(old.block, orientation)
    new = whole(old.chunk.name, png_text.with_profile(old.text, block).body)
    return [] if block == old.block else [_replaced(data, found, old.chunk, new)]


def _patched(block: bytes, orientation: int) -> bytes:
    splices = tiff_patch.patch(block, orientation)
    return Patch(tuple(sorted(splices, key=lambda splice: splice.offset))).apply(block)


def _check_growth(data: bytes, found: list[Chunk], place: int) -> None:
    """Nothing counts bytes across `place`, where the file grows."""
    last = max(chunk.end for chunk in found if chunk.name == b"IDAT")
    if any(chunk.name == b"iDOT" and chunk.end <= place < last for chunk in found):
        raise Refused(Reason.CANNOT_GROW, "Apple's iDOT chunk counts the bytes before the picture, so the EXIF chunk cannot grow")
    if max(data.find(b"AXS!", found[-1].end), data.find(b"AXS*", found[-1].end)) >= 0:
        raise Refused(Reason.CANNOT_GROW, "an AFCP trailer counts from the start of the file, so the file cannot grow")


def _rewritten(data: bytes, chunk: Chunk, splices: list[Splice]) -> list[Splice]:
    """The splices within the body of a chunk, together with those of its length and its checksum."""
    if not splices:
        return []
    inside = Patch(tuple(Splice(splice.offset - chunk.start, splice.old, splice.new) for splice in splices))
    body = inside.apply(data[chunk.start : chunk.end])
    added = b"".join(splice.new for splice in splices if splice.offset == chunk.end)
    length, checksum = data[chunk.start - 8 : chunk.start - 4], data[chunk.end : chunk.end + 4]
    head = Splice(chunk.start - 8, length, len(body).to_bytes(4, "big"))
    tail = Splice(chunk.end, checksum, added + _checksum(chunk.name + body))
    return [*([head] if added else []), *(splice for splice in splices if splice.offset < chunk.end), tail]


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")
