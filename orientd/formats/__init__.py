"""What a file is, which orientation it stores, and the bytes that would change it: pure functions from bytes to values.

One file per container; `_WRITERS` lists those that can be written.
"""

from collections.abc import Callable
from typing import Final

from orientd.errors import Refused, Signed
from orientd.formats import c2pa, heif, jpeg, mpo, png, raw, tiff, webp
from orientd.formats.magic import sniff
from orientd.reasons import Reason
from orientd.records import Format, Patch

__all__ = ["can_write", "needs_sidecar", "plan", "sniff", "stored_orientation"]

_READERS: Final[dict[Format, Callable[[bytes], int | None]]] = {
    Format.JPEG: jpeg.stored,
    Format.MPO: jpeg.stored,
    Format.PNG: png.stored,
    Format.TIFF: tiff.stored,
    Format.WEBP: webp.stored,
    Format.HEIF: heif.stored,
    Format.AVIF: heif.stored,
    Format.RAW: raw.stored,
}
_WRITERS: Final[dict[Format, Callable[[bytes, int], Patch]]] = {
    Format.JPEG: jpeg.plan,
    Format.MPO: mpo.plan,
    Format.PNG: png.plan,
    Format.TIFF: tiff.plan,
    Format.WEBP: webp.plan,
    Format.HEIF: heif.plan,
    Format.AVIF: heif.plan,
}


def stored_orientation(format: Format, data: bytes) -> int | None:  # noqa: A002
    """The EXIF orientation a whole file stores, where viewers look for it and exactly as found: it may be 0, 9 or negative.

    None if the container has none, it is absent, or what should hold it cannot be read. XMP is not consulted. HEIF and AVIF
    viewers obey `irot` and `imir` instead of EXIF: for these it is the value (1–8) that shows what the two make together.
    """
    reader = _READERS.get(format)
    return reader(data) if reader else None


def can_write(format: Format) -> bool:  # noqa: A002
    """True if the container has a place for an orientation that viewers obey; for others there are sidecars."""
    return format in _WRITERS


def needs_sidecar(format: Format, data: bytes) -> bool:  # noqa: A002
    """True if a file is never written itself, so that only a sidecar can show it turned: its container is none that can be
    written, or its content is signed."""
    return not can_write(format) or c2pa.is_signed(format, data)


def plan(format: Format, data: bytes, orientation: int) -> Patch:  # noqa: A002
    """The patch that makes a whole file store `orientation` (1–8) and changes nothing else; empty if it already does.

    Raises:
        Signed: its content is signed, whatever else may be said against a change.
        Refused: the file cannot be changed safely, or its container cannot be written; the message says why.
        ValueError: `orientation` is not one of the eight.
    """
    if orientation not in range(1, 9):
        raise ValueError(f"orientation must be 1 to 8, not {orientation}")
    if format not in _WRITERS:
        instead = "" if format in (Format.JPEG_XL, Format.UNKNOWN) else ": have a sidecar written (--sidecar write)"
        raise Refused(Reason.FORMAT_NEVER_WRITTEN, f"{format.name.replace('_', ' ')} cannot be written{instead}")
    if c2pa.is_signed(format, data):
        raise Signed(c2pa.REASON)
    return _WRITERS[format](data, orientation)
