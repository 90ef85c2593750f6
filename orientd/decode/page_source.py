"""The bytes of image files whose pages are wanted, and what is said where they cannot be read."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from PIL.ImageFile import ImageFile

from orientd.decode import faults
from orientd.errors import DecodeError, Refused
from orientd.reasons import Reason
from orientd.records import Format

Source = bytes | BinaryIO
"""The bytes of a file or, of a TIFF, the file itself, of which as much is read as is needed."""

_SEARCHED: Final = 64 * 2**20  # bytes that a file not held in memory may have to be searched for what is wrong with it


def check_size(image: ImageFile, max_pixels: int) -> None:
    """Raises DecodeError if it has more pixels."""
    if image.width * image.height > max_pixels:
        raise DecodeError(
            Reason.TOO_LARGE, f"it has {image.width} × {image.height} pixels, more than the limit of {max_pixels:,}"
        )


@contextmanager
def explained(format: Format, data: Source) -> Iterator[None]:  # noqa: A002
    """Whatever goes wrong with that file becomes a DecodeError, but for what is Refused."""
    try:
        yield
    except (DecodeError, Refused, MemoryError, OSError) as error:
        if isinstance(error, OSError) and error.errno is None:  # Pillow's own; those of the disk have a number
            raise DecodeError(*faults.reason(format, _searched(data), error)) from error
        raise
    except Exception as error:  # parsers of hostile bytes raise anything
        raise DecodeError(*faults.reason(format, _searched(data), error)) from error


def _searched(data: Source) -> bytes:
    """All of it or, if that is much, nothing: by a part of it a whole file would be called cut short."""
    if isinstance(data, bytes):
        return data
    data.seek(0)
    front = data.read(_SEARCHED + 1)
    return front if len(front) <= _SEARCHED else b""
