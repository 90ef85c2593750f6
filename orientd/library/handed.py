"""One photo that a program hands over, by its path or as bytes."""

import hashlib
import os
from collections.abc import Callable

from orientd import formats
from orientd.errors import DecodeError, ReadError
from orientd.files.syscalls import code_of
from orientd.library.photo import UNKNOWN, format_of, refuse
from orientd.reasons import Reason
from orientd.records import Candidate, FileStat, Format, Photo


def by_path(path: str, read: Callable[[Candidate], Photo | None]) -> Photo:
    """The photo at a path, links on the way to it resolved, as `read` reads it, whose PhotoError this raises, too.

    Raises:
        ReadError: there is none, or it is no photo.
    """
    try:
        real = os.path.realpath(path, strict=True)
        found = os.stat(real)
    except (OSError, ValueError) as error:
        code = code_of(error) if isinstance(error, OSError) else Reason.VANISHED
        raise ReadError(code, f"it cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    stat = FileStat(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_nlink)
    photo = read(Candidate(real, stat)) if os.path.isfile(real) else None
    if photo is None:
        raise ReadError(Reason.NOT_A_PHOTO, "not a photo" if os.path.isfile(real) else "it is no file")
    return photo


def by_bytes(data: bytes, name: str = "") -> Photo:
    """The photo in the bytes of a whole file, whose format is known from the content alone: most raw files then count as TIFFs,
    unless their `name` is given.

    Raises:
        Refused: it is never judged.
        DecodeError: it is no photo.
    """
    kind = format_of(name, data)
    refuse(kind)
    if kind is Format.UNKNOWN:
        raise DecodeError(Reason.UNKNOWN_CONTENT, UNKNOWN)
    return Photo(
        "", FileStat(0, 0, len(data), 0), kind, data, formats.stored_orientation(kind, data), hashlib.sha256(data).hexdigest()
    )
