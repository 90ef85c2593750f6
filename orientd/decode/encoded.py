"""Pixels as a JPEG, to be shown to a person: a browser knows neither HEIC nor raw files."""

from typing import Final

import numpy as np
import simplejpeg

from orientd.records import Picture

_QUALITY: Final = 82


def jpeg(picture: Picture) -> bytes:
    """The pixels of a picture, as viewers show it, without any metadata."""
    pixels = np.ascontiguousarray(picture.pixels)
    encoded: bytes = simplejpeg.encode_jpeg(pixels, _QUALITY, "RGB", "420", fastdct=True)
    return encoded
