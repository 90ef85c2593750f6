"""Candidate → Photo: the bytes, the format they are in, the orientation they store, and their fingerprint."""

import hashlib
import os
from collections.abc import Callable
from typing import Final

from orientd import formats
from orientd.errors import DecodeError, ReadError, Refused
from orientd.files.syscalls import code_of, open_noatime
from orientd.formats import raw
from orientd.library import filenames, sidecars
from orientd.library.read_ahead import Content
from orientd.library.sidecars import Naming
from orientd.reasons import Reason
from orientd.records import Candidate, Format, Photo

EMPTY: Final = "it is empty: bring it back from a backup"
UNKNOWN: Final = "its content is that of no known photo format: open it in a viewer, or compare it with a backup"
_HEAD_BYTES: Final = 4096
_UNTOUCHED: Final = {
    Format.RAW: (
        Reason.RAW_FILE,
        "raw files are never changed: turn it in your raw developer, or have sidecars written (--sidecar write)",
    ),
    Format.JPEG_XL: (Reason.UNSUPPORTED, "JPEG XL is neither judged nor changed: turn it by hand if it needs it"),
}


def read(candidate: Candidate, whole: Callable[[Candidate], Content], naming: Naming | None = None) -> Photo | None:
    """Read a file once and by `whole`. None if it is no photo and its name does not promise one.

    A file whose name does not promise a photo that can be judged is opened twice: its first bytes decide whether to read it.
    With a `naming` of sidecars raw files are judged, too, and photos that are never written as their sidecars show them: other
    formats without an orientation, and signed content.

    Raises:
        Refused: it is not to be judged: a raw file, JPEG XL, a sidecar is not clear, or the walk said so. The file itself is in
            order.
        ReadError: `whole` cannot read it, it is empty, or the walk could not examine it.
        DecodeError: its name promises a photo and its content is none.
    """
    if candidate.error:
        raise ReadError(candidate.code, candidate.error)
    if candidate.skip:
        raise Refused(candidate.code, candidate.skip)
    path = candidate.path
    if not filenames.promises_judged(path) and not _worth_reading(path, naming):
        return None
    data, stat = whole(candidate)
    if not data:
        raise ReadError(Reason.DAMAGED, EMPTY)
    kind = format_of(path, data)
    refuse(kind, naming)
    if kind is Format.UNKNOWN:
        raise DecodeError(Reason.UNKNOWN_CONTENT, UNKNOWN)
    by_sidecar = naming is not None and formats.needs_sidecar(kind, data)
    noted = sidecars.find(path, naming).orientation if naming and by_sidecar else None
    orientation = formats.stored_orientation(kind, data) if noted is None else noted
    pixels = raw.preview(data) if kind is Format.RAW else data
    return Photo(path, stat, kind, pixels, orientation, hashlib.sha256(data).hexdigest(), by_sidecar)


def _worth_reading(path: str, naming: Naming | None) -> bool:
    try:
        kind = format_of(path, _read_head(path))
    except OSError as error:
        if filenames.promises_photo(path):
            raise ReadError(code_of(error), f"it cannot be opened: {error.strerror}") from error
        return False
    refuse(kind, naming)
    return kind is not Format.UNKNOWN or filenames.promises_photo(path)


def format_of(path: str, data: bytes) -> Format:
    """By content; but most raw files are TIFFs inside, and there the name decides."""
    kind = formats.sniff(data)
    return Format.RAW if kind in (Format.TIFF, Format.UNKNOWN) and filenames.suffix(path) in filenames.RAW else kind


def refuse(kind: Format, naming: Naming | None = None) -> None:
    """Say no to what is never changed itself, unless sidecars are wanted and it may have one.

    Raises:
        Refused: says what to do instead.
    """
    if kind in _UNTOUCHED and not (naming and kind is Format.RAW):
        raise Refused(*_UNTOUCHED[kind])


def _read_head(path: str) -> bytes:
    file = open_noatime(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        return os.read(file, _HEAD_BYTES)
    finally:
        os.close(file)
