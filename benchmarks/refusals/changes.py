"""Changes that might turn a photo which orientd refuses, made without anything of orientd: by hand, naively, or by exiftool.

Whether one of them does turn it and harms nothing is judged by others (see run.py); here they are only made.
"""

import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.refusals.heif import by_rotation
from benchmarks.refusals.tiff import block_changes, fresh, turned

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_EXIF: Final = b"Exif\0\0"
_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def changes(path: Path, turn: int, scratch: Path) -> Iterator[tuple[str, bytes]]:
    """Each change by name, and the file it leads to; `scratch` is a name that may be written to."""
    data = path.read_bytes()
    if data[4:8] == b"ftyp":
        yield from by_rotation(data)
        return
    found = list(blocks(data))
    for start, end in found:
        for name, block in block_changes(data[start:end], turn):
            yield name, embedded(data, start, end, block)
    if not found:
        yield from with_fresh(data, fresh(turn))
    yield from by_exiftool(path, turn, scratch)


def by_exiftool(path: Path, turn: int, scratch: Path) -> Iterator[tuple[str, bytes]]:
    """What exiftool makes of it, which rewrites all of EXIF."""
    asked = subprocess.run(["exiftool", "-s3", "-n", "-IFD0:Orientation", str(path)], capture_output=True, text=True, check=False)
    old = int(asked.stdout) if asked.stdout.strip().isdigit() else 1
    scratch.unlink(missing_ok=True)
    tag = f"-IFD0:Orientation={turned(old, turn)}"
    subprocess.run(["exiftool", "-q", "-m", "-n", tag, "-o", str(scratch), str(path)], capture_output=True, check=False)
    if scratch.exists():
        yield "exiftool", scratch.read_bytes()


def blocks(data: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of each TIFF block that may state an orientation: the whole file, EXIF of a JPEG, eXIf, EXIF of a WebP."""
    if data.startswith(_TIFF):
        yield 0, len(data)
    elif data[:2] == b"\xff\xd8":
        yield from ((start + 6, end) for start, end in _segments(data) if data.startswith(_EXIF, start))
    elif _is_png(data) or _is_webp(data):
        for name, start, end in _chunks(data):
            if name in (b"eXIf", b"EXIF"):
                yield start + 6 * data.startswith(_EXIF, start), end


def with_fresh(data: bytes, block: bytes) -> Iterator[tuple[str, bytes]]:
    """A file that has no such block, with one: behind JFIF, before IDAT, or at the end of a WebP."""
    if data[:2] == b"\xff\xd8":
        at = 2 if data[2:4] != b"\xff\xe0" else 4 + int.from_bytes(data[4:6], "big")
        yield "fresh EXIF", data[:at] + b"\xff\xe1" + (len(block) + 8).to_bytes(2, "big") + _EXIF + block + data[at:]
    elif _is_png(data):
        at = next((start - 8 for name, start, _ in _chunks(data) if name == b"IDAT"), None)
        if at:
            body = b"eXIf" + block
            yield "fresh eXIf", data[:at] + len(block).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big") + data[at:]
    elif _is_webp(data) and data[12:16] == b"VP8X":
        end = 8 + int.from_bytes(data[4:8], "little")
        flagged = data[:20] + bytes([data[20] | 8]) + data[21:end] + b"EXIF" + len(block).to_bytes(4, "little") + block
        yield "fresh EXIF", _riff(flagged) + data[end:]


def _is_png(data: bytes) -> bool:
    return data.startswith(_PNG)


def _is_webp(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def _riff(data: bytes) -> bytes:
    return data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:]


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of the payload of each segment of a JPEG before its scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
        if data[at + 1] == 0xFF:
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield at + 4, end
        at = end


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the content of each chunk of a PNG or WebP."""
    png = _is_png(data)
    at = 8 if png else 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big") if png else int.from_bytes(data[at + 4 : at + 8], "little")
        yield (data[at + 4 : at + 8] if png else data[at : at + 4]), at + 8, at + 8 + size
        at += 12 + size if png else 8 + size + size % 2


def embedded(data: bytes, start: int, end: int, block: bytes) -> bytes:
    """The file with another TIFF block there, lengths and checksum made right; the old one where a JPEG has no room for it."""
    changed, stop = data[:start] + block + data[end:], start + len(block)
    if data[:2] == b"\xff\xd8":
        size = len(block) + 8
        return data if size > 0xFFFF else changed[: start - 8] + size.to_bytes(2, "big") + changed[start - 6 :]
    if _is_png(data):
        body = changed[start - 4 : stop]
        return (
            changed[: start - 8]
            + len(block).to_bytes(4, "big")
            + body
            + zlib.crc32(body).to_bytes(4, "big")
            + changed[stop + 4 :]
        )
    return _embedded_in_webp(data, start, end, block) if _is_webp(data) else changed


def _embedded_in_webp(data: bytes, start: int, end: int, block: bytes) -> bytes:
    head = start - 6 if data[start - 6 : start] == _EXIF else start
    content = data[head:start] + block
    rest = data[end + (end - head) % 2 :]
    return _riff(data[: head - 4] + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2) + rest)
