"""Candidate → Photo: the bytes, the format they are in, the orientation they store, and their fingerprint."""

import hashlib
import os
from typing import Final

from orientd import formats, names
from orientd.errors import DecodeError, ReadError, Refused
from orientd.files import read_whole
from orientd.items import Candidate, Format, Photo

_HEAD_BYTES: Final = 4096
_UNTOUCHED: Final = {
    Format.RAW: "raw files are never changed: turn it in your raw developer, which notes that in its own catalogue",
    Format.JPEG_XL: "JPEG XL is neither judged nor changed: turn it by hand if it is shown wrong",
}


def read(candidate: Candidate, max_bytes: int) -> Photo | None:
    """Read a file once and whole. None if it is no photo and its name does not promise one.

    A file whose name does not promise a photo that can be judged is opened twice: its first bytes decide whether to read it.

    Raises:
        Refused: it is not to be judged: a raw file, JPEG XL, or the walk said so. The file itself is in order.
        ReadError: it cannot be read, is empty, has more than `max_bytes` bytes, or the walk could not examine it.
        DecodeError: its name promises a photo and its content is none.
    """
    if candidate.error:
        raise ReadError(candidate.error)
    if candidate.skip:
        raise Refused(candidate.skip)
    path = candidate.path
    if names.suffix(path) not in names.JUDGED and not _worth_reading(path):
        return None
    data, stat = read_whole(path, max_bytes)
    if not data:
        raise ReadError("it is empty: bring it back from a backup")
    kind = _format(path, data)
    _refuse(kind)
    if kind is Format.UNKNOWN:
        raise DecodeError("its content is that of no known photo format: open it in a viewer, or compare it with a backup")
    return Photo(path, stat, kind, data, formats.stored_orientation(kind, data), hashlib.sha256(data).hexdigest())


def _worth_reading(path: str) -> bool:
    try:
        kind = _format(path, _read_head(path))
    except OSError as error:
        if names.promises_photo(path):
            raise ReadError(f"it cannot be opened: {error.strerror}") from error
        return False
    _refuse(kind)
    return kind is not Format.UNKNOWN or names.promises_photo(path)


def _format(path: str, data: bytes) -> Format:
    """By content; but most raw files are TIFFs inside, and there the name decides."""
    kind = formats.sniff(data)
    return Format.RAW if kind in (Format.TIFF, Format.UNKNOWN) and names.suffix(path) in names.RAW else kind


def _refuse(kind: Format) -> None:
    if kind in _UNTOUCHED:
        raise Refused(_UNTOUCHED[kind])


def _read_head(path: str) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        file = os.open(path, flags | os.O_NOATIME)
    except PermissionError:  # O_NOATIME is for the owner alone
        file = os.open(path, flags)
    try:
        return os.read(file, _HEAD_BYTES)
    finally:
        os.close(file)
