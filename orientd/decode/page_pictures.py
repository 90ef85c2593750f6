"""Pictures of pages: turned, cropped and in shades of gray. As in `decode.cpu`, importing this module loads Pillow."""

from math import ceil, floor
from typing import Any, Final

import numpy as np
from PIL import Image

from orientd import orientation as group
from orientd.decode.page_changes import WHOLE, Box, Turn
from orientd.decode.resize import fitting
from orientd.errors import DecodeError
from orientd.reasons import Reason

QUARTERS: Final = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}
"""Quarter turns, in degrees clockwise, as Pillow names them."""


def turned(image: Image.Image, turn: Turn) -> Image.Image:
    """A loaded picture turned clockwise, as large as it takes, on the color of its paper; quarter turns lose nothing."""
    quarters, rest = turn
    image = image.transpose(QUARTERS[quarters]) if quarters else image
    if not rest:
        return image
    fewer_bits = image.mode == "1"
    if fewer_bits or image.mode in ("P", "PA", "La"):
        image = image.convert("L" if fewer_bits else "RGBA" if image.has_transparency_data else "RGB")
    if image.mode.startswith("I;16"):  # Pillow mixes up their bytes
        levels = Image.fromarray(np.asarray(image).astype(np.float32))
        made = levels.rotate(-rest, Image.Resampling.BICUBIC, expand=True, fillcolor=_paper(levels))
        return Image.fromarray(np.asarray(made).clip(0, 65535).round().astype(np.uint16))
    made = image.rotate(-rest, Image.Resampling.BICUBIC, expand=True, fillcolor=_paper(image))
    return made.point(lambda level: 255 if level > 127 else 0, "1") if fewer_bits else made


def cropped(image: Image.Image, box: Box) -> Image.Image:
    """The part of a picture in a box, to whole pixels outwards."""
    left, upper, right, lower = box
    sides = floor(left * image.width), floor(upper * image.height), ceil(right * image.width), ceil(lower * image.height)
    return image if box == WHOLE else image.crop(sides)


def gray(image: Image.Image) -> Image.Image:
    """A loaded picture in 256 shades, what is transparent on white. Raises DecodeError where nobody knows how."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise DecodeError(Reason.UNSUPPORTED, "its pixels have 32 bits, which is not supported: turn it by hand if it needs it")
    if not image.has_transparency_data:
        return image.convert("L")
    seen = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("L")


def transposed(image: Image.Image, stored: int) -> Image.Image:
    """A loaded picture as the orientation that its file stores (1–8) shows it."""
    if stored == group.UPRIGHT:
        return image
    return Image.fromarray(np.ascontiguousarray(group.apply(np.asarray(image), stored)))


def swaps_sides(stored: int, turn: Turn) -> bool:
    """True if what was across is up and down in the copy."""
    return group.swaps_sides(stored) != (turn[0] in (90, 270))


def _paper(image: Image.Image) -> Any:
    """The color of the paper: of each band the middle one of the lighter half."""
    some = np.asarray(image.resize(fitting(*image.size, 256), Image.Resampling.NEAREST))
    some = some.reshape(some.shape[0] * some.shape[1], -1)
    light = some[:, :3].sum(axis=1, dtype=np.float64) * (-1 if image.mode == "CMYK" else 1)
    middle = np.median(some[light >= np.median(light)], axis=0)
    return tuple(int(level) for level in middle) if len(middle) > 1 else int(middle[0])
