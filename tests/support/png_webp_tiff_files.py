"""Builds PNG, WebP and TIFF files by hand, as odd as the specifications allow, and tells what differs between two of them.

Nothing here shares code with what it tests. As in `jpeg_files`, a file is built from a recipe, and EXIF blocks come from there.
"""

import hashlib
import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np
import tifffile
from PIL import Image
from support import jpeg_files
from support.jpeg_files import ASCII, BYTE, LONG, RATIONAL, SHORT, Tag
from support.referee import may_become, may_become_xmp, strays

from orientd import orientation
from orientd.errors import Refused
from orientd.formats import plan, sniff, stored_orientation
from orientd.records import Patch

WIDTH, HEIGHT = 24, 16
PIXELS = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
ALPHA = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)


def exif_block(recipe: jpeg_files.Recipe | None, prefix: bool) -> list[bytes]:
    """The body of an EXIF chunk, if there is to be one; `prefix` puts the header of a JPEG's EXIF segment before it."""
    return [] if recipe is None else [b"Exif\0\0" * prefix + jpeg_files.tiff(recipe)]


@dataclass(frozen=True)
class Png:
    exif: jpeg_files.Recipe | None = None
    prefix: bool = False
    late: bool = False
    xmp: str = ""
    xmp_value: int = 1
    xmp_late: bool = False
    palette: bool = False
    parts: int = 1
    others: tuple[bytes, ...] = ()
    trailer: bytes = b""


def png_chunk(name: bytes, body: bytes = b"") -> bytes:
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")


def png_xmp(packet: bytes, compressed: bool = False) -> bytes:
    text = zlib.compress(packet) if compressed else packet
    return png_chunk(b"iTXt", b"XML:com.adobe.xmp\0" + bytes([compressed, 0]) + b"\0\0" + text)


def png(recipe: Png) -> bytes:
    """A PNG whose chunks stand in the order that the recipe asks for."""
    rows = PIXELS[:, :, :1] % 2 if recipe.palette else PIXELS
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    step = -(-len(packed) // recipe.parts)
    header = WIDTH.to_bytes(4, "big") + HEIGHT.to_bytes(4, "big") + bytes([8, 3 if recipe.palette else 2, 0, 0, 0])
    exif = [png_chunk(b"eXIf", body) for body in exif_block(recipe.exif, recipe.prefix)]
    xmp = [png_xmp(jpeg_files.packet(recipe.xmp, recipe.xmp_value))] if recipe.xmp else []
    before = [*recipe.others, *([] if recipe.xmp_late else xmp), *([] if recipe.late else exif)]
    after = [*(xmp if recipe.xmp_late else []), *(exif if recipe.late else [])]
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header),
            png_chunk(b"PLTE", bytes(range(6))) if recipe.palette else b"",
            *before,
            *(png_chunk(b"IDAT", packed[at : at + step]) for at in range(0, len(packed), step)),
            *after,
            png_chunk(b"IEND") + recipe.trailer,
        ]
    )


def split_png(data: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Name and body of each chunk, and what follows IEND; fails if a checksum is wrong."""
    place, found = 8, []
    while not found or found[-1][0] != b"IEND":
        size, name = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        body, checksum = data[place + 8 : place + 8 + size], data[place + 8 + size : place + 12 + size]
        assert checksum == zlib.crc32(name + body).to_bytes(4, "big"), f"checksum of {name!r}"
        found.append((name, body))
        place += 12 + size
    return found, data[place:]


def with_checksums(data: bytes) -> bytes:
    """The PNG with checksums that fit, as far as its chunks can be followed."""
    place = 8
    while place + 12 <= len(data):
        end = place + 8 + int.from_bytes(data[place : place + 4], "big")
        if end + 4 <= len(data):
            data = data[:end] + zlib.crc32(data[place + 4 : end]).to_bytes(4, "big") + data[end + 4 :]
        place = end + 4
    return data


def png_changes(before: bytes, after: bytes) -> list[str]:
    """What differs between two PNGs and may not: a line for each."""
    (old, old_end), (new, new_end) = split_png(before), split_png(after)
    if len(new) == len(old) + 1 and new[1][0] == b"eXIf" and len(new[1][1]) == 26:
        del new[1]
    names = [name for name, _ in old]
    if new[1][0] == b"eXIf" in names[names.index(b"IDAT") :]:
        old = with_exif_first(old)
    return _chunk_changes(old, new) + ([] if old_end == new_end else ["the trailer changed"])


def with_exif_first(chunks: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Those chunks of a PNG with eXIf right behind IHDR."""
    exif = [chunk for chunk in chunks if chunk[0] == b"eXIf"]
    return [chunks[0], *exif, *(chunk for chunk in chunks[1:] if chunk not in exif)]


def png_with_exif_first(data: bytes) -> bytes:
    """The PNG with eXIf, if it has one, right behind IHDR."""
    chunks, trailer = split_png(data)
    return data[:8] + b"".join(png_chunk(*chunk) for chunk in with_exif_first(chunks)) + trailer


def _chunk_changes(old: list[tuple[bytes, bytes]], new: list[tuple[bytes, bytes]]) -> list[str]:
    if [name for name, _ in old] != [name for name, _ in new]:
        return ["chunks appeared, vanished or changed places"]
    pairs = zip(old, new, strict=True)
    return [f"{name!r} changed" for (name, a), (_, b) in pairs if a != b and not _may_become(name, a, b)]


def _may_become(name: bytes, old: bytes, new: bytes) -> bool:
    if name in (b"eXIf", b"EXIF"):
        header = b"" if old.startswith(b"Exif\0\0") else b"Exif\0\0"
        return may_become(header + old, header + new)
    return name in (b"iTXt", b"XMP ") and may_become_xmp(old, new)


@dataclass(frozen=True)
class Webp:
    kind: str = "lossy"
    exif: jpeg_files.Recipe | None = None
    prefix: bool = False
    xmp: str = ""
    xmp_value: int = 1
    xmp_first: bool = False
    profile: bytes = b""
    unknown: bytes = b""
    flags: int = 0
    trailer: bytes = b""

    @property
    def extended(self) -> bool:
        return bool(self.exif or self.xmp or self.profile or self.unknown or self.flags or self.kind == "alpha")


def webp_chunk(name: bytes, body: bytes) -> bytes:
    return name + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


@cache
def bitstream(kind: str) -> list[tuple[bytes, bytes]]:
    """The chunks of the picture: VP8, VP8L (with or without alpha), or ALPH and VP8."""
    alpha = ALPHA // 2 if kind in ("alpha", "lossless alpha") else ALPHA
    out = io.BytesIO()
    Image.fromarray(np.concatenate([PIXELS, alpha], 2)).save(out, "WEBP", lossless=kind.startswith("lossless"), method=0)
    return [chunk for chunk in split_webp(out.getvalue())[0] if chunk[0] in (b"VP8 ", b"VP8L", b"ALPH")]


def webp(recipe: Webp) -> bytes:
    """A WebP, simple if nothing asks for more."""
    picture = [webp_chunk(*chunk) for chunk in bitstream(recipe.kind)]
    if not recipe.extended:
        return riff(*picture) + recipe.trailer
    exif = [webp_chunk(b"EXIF", body) for body in exif_block(recipe.exif, recipe.prefix)]
    xmp = [webp_chunk(b"XMP ", jpeg_files.packet(recipe.xmp, recipe.xmp_value))] if recipe.xmp else []
    profile = [webp_chunk(b"ICCP", recipe.profile)] if recipe.profile else []
    unknown = [webp_chunk(b"MINE", recipe.unknown)] if recipe.unknown else []
    announced = (0x20, profile), (0x10, "alpha" in recipe.kind), (0x08, exif), (0x04, xmp)
    flags = recipe.flags | sum(bit for bit, there in announced if there)
    metadata = [*xmp, *exif] if recipe.xmp_first else [*exif, *xmp]
    return riff(webp_header(flags), *profile, *picture, *unknown, *metadata) + recipe.trailer


def webp_header(flags: int) -> bytes:
    sides = (WIDTH - 1).to_bytes(3, "little") + (HEIGHT - 1).to_bytes(3, "little")
    return webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sides)


def split_webp(data: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Name and body of each chunk, and what follows the RIFF part; fails if a size or the padding is wrong."""
    place, end, found = 12, 8 + int.from_bytes(data[4:8], "little"), []
    while place < end:
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        found.append((data[place : place + 4], data[place + 8 : place + 8 + size]))
        place += 8 + size
        assert data[place : place + size % 2] == b"\0" * (size % 2), "padding"
        place += size % 2
    assert place == end <= len(data), "size"
    return found, data[end:]


def webp_changes(before: bytes, after: bytes) -> list[str]:
    """What differs between two WebPs and may not: a line for each."""
    (old, old_end), (new, new_end) = split_webp(before), split_webp(after)
    changes = [] if old_end == new_end else ["the trailer changed"]
    if len(new) == len(old) + 2 and len(old) == 1:
        alpha = 0x10 if old[0][0] == b"VP8L" and old[0][1][4] & 0x10 else 0
        if webp_chunk(*new.pop(0)) != webp_header(8 | alpha):
            changes.append("a wrong header appeared")
    if len(new) == len(old) + 1 and new[-1][0] == b"EXIF" and len(new.pop()[1]) == 26 and old[0][0] == b"VP8X":
        old[0] = b"VP8X", bytes([old[0][1][0] | 8]) + old[0][1][1:]
    return changes + _chunk_changes(old, new)


@dataclass(frozen=True)
class Tiff:
    order: str = "little"
    orientations: tuple[tuple[int, int], ...] = ((SHORT, 1),)
    strips: int = 1
    compression: int = 1
    directory_first: bool = False
    odd: bool = False
    exif: bool = False
    xmp: str = ""
    xmp_value: int = 1
    more: tuple[Tag, ...] = ()
    without: tuple[int, ...] = ()
    follows: int = 0
    trailer: bytes = b""


def tiff(recipe: Tiff) -> bytes:
    """An RGB TIFF: header, then the picture and the directory in either order."""
    order, header = recipe.order, {"little": b"II*\0", "big": b"MM\0*"}[recipe.order]
    rows = -(-HEIGHT // recipe.strips)
    pieces = [PIXELS[at : at + rows].tobytes() for at in range(0, HEIGHT, rows)]
    pieces = [zlib.compress(piece) for piece in pieces] if recipe.compression == 8 else pieces
    picture = b"".join(pieces) + bytes(recipe.odd)
    at, exif_at = 8, 0
    for _ in range(3):  # as in `jpeg_files.tiff`: each pass knows better where things will stand
        start = 8 if recipe.directory_first else 8 + len(picture) + len(picture) % 2
        tags = _tiff_tags(recipe, [at + sum(map(len, pieces[:n])) for n in range(len(pieces))], pieces, rows, exif_at)
        directory = jpeg_files.directory(tags, start, order, recipe.follows)
        exif_at = start + len(directory)
        if recipe.exif:
            directory += jpeg_files.directory([Tag(0x9003, ASCII, b"2020:01:02 03:04:05\0")], exif_at, order)
        at = 8 + len(directory) if recipe.directory_first else 8
    body = directory + picture if recipe.directory_first else picture.ljust(start - 8, b"\0") + directory
    return header + start.to_bytes(4, order) + body + recipe.trailer


def _tiff_tags(recipe: Tiff, offsets: list[int], pieces: list[bytes], rows: int, exif_at: int) -> list[Tag]:
    def numbers(tag: int, type_: int, *values: int) -> Tag:
        return Tag(tag, type_, b"".join(jpeg_files.integer(type_, value, recipe.order) for value in values))

    tags = [
        numbers(0x100, SHORT, WIDTH),
        numbers(0x101, SHORT, HEIGHT),
        numbers(0x102, SHORT, 8, 8, 8),
        numbers(0x103, SHORT, recipe.compression),
        numbers(0x106, SHORT, 2),
        Tag(0x10F, ASCII, b"a camera of mine\0"),
        numbers(0x111, LONG, *offsets),
        *(numbers(0x112, *each) for each in recipe.orientations),
        numbers(0x115, SHORT, 3),
        numbers(0x116, SHORT, rows),
        numbers(0x117, LONG, *map(len, pieces)),
        Tag(0x11A, RATIONAL, (72).to_bytes(4, recipe.order) + (1).to_bytes(4, recipe.order)),
        *([Tag(0x2BC, BYTE, jpeg_files.packet(recipe.xmp, recipe.xmp_value))] if recipe.xmp else []),
        *([numbers(0x8769, LONG, exif_at)] if recipe.exif else []),
    ]
    kept = [tag for tag in tags if tag.tag not in recipe.without]
    return sorted([*kept, *recipe.more], key=lambda tag: tag.tag)


def tiff_changes(before: bytes, after: bytes) -> list[str]:
    """What differs between two TIFFs and may not: a line for each."""
    grown = len(after) > len(before)
    changes = [f"byte {place} changed" for place in strays(before, after) if not (grown and place in range(4, 8))]
    if grown:
        start = int.from_bytes(after[4:8], {b"I": "little", b"M": "big"}[after[:1]])
        padding = len(before) % 2
        if start != len(before) + padding or after[len(before) : start] != bytes(padding):
            changes.append("the directory does not stand at the end")
        old, new = entries(before), entries(after)
        if len(new) != len(old) + 1 or [entry for entry in new if entry[:2] not in (b"\x12\1", b"\1\x12")] != old:
            changes.append("another entry changed")
        if len(after) != start + 2 + 12 * len(new) + 4 or after[-4:] != bytes(4):
            changes.append("more than a directory appeared")
    return changes


def entries(data: bytes) -> list[bytes]:
    """The entries of IFD0, 12 bytes each."""
    order = {b"I": "little", b"M": "big"}[data[:1]]
    start = int.from_bytes(data[4:8], order)
    end = start + 2 + 12 * int.from_bytes(data[start : start + 2], order)
    return [data[at : at + 12] for at in range(start + 2, end, 12)]


CHANGES = {"png": png_changes, "webp": webp_changes, "tiff": tiff_changes}


def pillow_reads(data: bytes) -> int | None:
    with Image.open(io.BytesIO(data)) as image:
        value = image.getexif().get(0x0112)
    return value[0] if isinstance(value, bytes) else value


def pixels(data: bytes) -> bytes:
    """The pixels as they are stored, whatever the orientation."""
    if data[:2] in (b"II", b"MM"):
        return tifffile.imread(io.BytesIO(data)).tobytes()
    with Image.open(io.BytesIO(data)) as image:
        return image.mode.encode() + image.tobytes()


def check_patch(data: bytes, value: int) -> Patch:
    """The patch, once everything that must hold of any patch has been asserted."""
    format_ = sniff(data)
    patch = plan(format_, data, value)
    after = patch.apply(data)
    assert patch.inverse().apply(after) == data
    assert CHANGES[format_](data, after) == []
    assert pixels(after) == pixels(data)
    assert plan(format_, after, value) == Patch(())
    if patch.splices or stored_orientation(format_, data) is not None:
        assert stored_orientation(format_, after) == pillow_reads(after) == value
    return patch


def judge_damaged(data: bytes, value: int) -> None:
    """Nothing but Refused comes of a damaged file, or a patch that can be taken back and changes no pixel."""
    format_ = sniff(data)
    try:
        patch = plan(format_, data, value)
    except Refused:
        return
    after = patch.apply(data)
    assert patch.inverse().apply(after) == data
    assert not patch.splices or stored_orientation(format_, after) == value
    assert decoded(after) == decoded(data)


def decoded(data: bytes) -> bytes | None:
    """What tells the pixels as they are stored from others, by Pillow; None if it cannot. A damaged file may claim gigabytes."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as image:  # of damaged metadata
            stored = image.getexif().get(0x0112) if image.format == "TIFF" else 1
            shown = np.asarray(image)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, RuntimeError, struct.error, Image.DecompressionBombError):
        return None
    turned = orientation.apply(shown, orientation.inverse(orientation.normalise(stored)))
    return repr(turned.shape).encode() + hashlib.sha256(np.ascontiguousarray(turned).data).digest()
