"""Gray levels turned by any angle, by Pillow, on the gray of their paper."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def paper(levels: Pixels) -> int:
    """The gray of the paper of a page (height, width): the middle one of its lighter half, each hundredth pixel asked."""
    some = levels[::10, ::10]
    return int(np.median(some[some >= np.median(some)]))


def turned(levels: Pixels, angle: float, fill: int) -> Pixels:
    """Gray levels turned by `angle` degrees clockwise, as large as it takes; what is new is of the level `fill`."""
    image = Image.fromarray(levels).rotate(-angle, Image.Resampling.BILINEAR, expand=True, fillcolor=fill)
    return np.asarray(image)


def squared(levels: Pixels, side: int) -> Pixels:
    """Gray levels squeezed to a square of RGB pixels, (side, side, 3)."""
    small = Image.fromarray(levels).resize((side, side), Image.Resampling.BILINEAR)
    return np.repeat(np.asarray(small)[..., None], 3, axis=2)
