"""Pixels that a program holds, as a photo: a PNG of what it shows."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from orientd import orientation
from orientd.decode.cpu import displayable
from orientd.errors import DecodeError
from orientd.reasons import Reason

PillowImage = Image.Image


def as_png(given: object) -> bytes:
    """A PNG of a Pillow image as its EXIF has it shown, or of an array of uint8, (h, w), (h, w, 3) or (h, w, 4).

    Raises:
        DecodeError: the file behind a Pillow image cannot be decoded.
        TypeError, ValueError: it is none of these.
    """
    if isinstance(given, Image.Image):
        pixels = _shown(given)
    elif isinstance(given, np.ndarray):
        pixels = _checked(given)
    else:
        raise TypeError(f"a path, bytes, a Pillow image or an array was expected, not {type(given).__name__}")
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _shown(image: Image.Image) -> NDArray[np.uint8]:
    try:
        image.load()  # after which Pillow has turned a TIFF, and says so
        exif = Image.Exif()
        exif.load(image.info.get("exif", b""))
        pixels = np.asarray(displayable(image))
    except Exception as error:  # as in `cpu`: parsers of hostile bytes raise anything
        raise DecodeError(Reason.DAMAGED, f"Pillow cannot decode it: {error}") from error
    stored = orientation.UPRIGHT if image.format == "TIFF" else orientation.normalise(exif.get(ExifTags.Base.Orientation))
    return orientation.apply(pixels, stored).copy()


def _checked(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    colors = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or colors not in (1, 3, 4) or not array.size:
        raise ValueError(f"an array of uint8, (h, w), (h, w, 3) or (h, w, 4), was expected, not {array.dtype} {array.shape}")
    return np.ascontiguousarray(array[..., 0] if array.ndim == 3 and colors == 1 else array)
