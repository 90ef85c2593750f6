"""Whole pictures to the sample, by Pillow: to compare two files, and to turn a lossless WebP, which only a library can pack.

As in `decode.cpu`, importing this module loads Pillow.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.WebPImagePlugin import WebPImageFile

from orientd import orientation as group
from orientd.decode import faults
from orientd.decode.openers import OPENERS
from orientd.errors import DecodeError
from orientd.records import Format

_EFFORT: Final = 4  # of 0 to 6


def pixels(format: Format, data: bytes) -> NDArray[Any]:  # noqa: A002
    """The pixels of a PNG or WebP as they are stored, of shape (height, width, …), in whatever way Pillow has them in memory.

    Raises:
        DecodeError: it is damaged, cut short or not supported.
    """
    with _faults_explained(format, data):
        image = OPENERS[format](BytesIO(data))
        return np.asarray(image.convert("RGBA") if format is Format.WEBP else image)


def turned_webp(data: bytes, orientation: int) -> bytes:
    """A lossless WebP without metadata that stores the pixels of `data` as `orientation` (1–8) shows them, hidden ones too.

    Raises:
        DecodeError: `data` is damaged, cut short or not supported.
    """
    with _faults_explained(Format.WEBP, data):
        shown = group.apply(np.asarray(WebPImageFile(BytesIO(data))), orientation)
        Image.fromarray(np.ascontiguousarray(shown)).save(out := BytesIO(), "WEBP", lossless=True, exact=True, method=_EFFORT)
        return out.getvalue()


@contextmanager
def _faults_explained(format: Format, data: bytes) -> Iterator[None]:  # noqa: A002
    try:
        yield
    except MemoryError:  # this machine's fault, not the photo's
        raise
    except Exception as error:  # parsers of hostile bytes raise anything
        raise DecodeError(*faults.reason(format, data, error)) from error
