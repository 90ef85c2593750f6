"""Sizes, and arrays of pixels in other ones, by Pillow's antialiased bilinear filter."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]
"""Width and height in pixels."""

Goal = Callable[[int, int], Size]
"""The size that is wanted of a picture of a given width and height."""


def fitting(width: int, height: int, side: int) -> Size:
    """The size at the same aspect whose longer side is `side`; no larger than it is."""
    longer = max(width, height, side)
    return max(1, round(width * side / longer)), max(1, round(height * side / longer))


def resized(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """`pixels` of shape (h, w, 3) squeezed to (height, width, 3)."""
    if pixels.shape[:2] == (height, width):
        return np.ascontiguousarray(pixels)
    from PIL import Image  # only where a witness is asked: nothing else here loads Pillow

    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
