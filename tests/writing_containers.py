"""Small photos without a turn in every container but JPEG, stored in every way that decides how an orientation is written."""

from functools import cache

import heifs
import jpegs
import numpy as np
import scenes
import stills
from PIL import Image

from orientd.orientation import UPRIGHT

NO_TAG = jpegs.Recipe(orientations=())


def _noise(kind: str, **options: object) -> bytes:
    pixels = np.random.default_rng(7).integers(0, 255, (48, 64, 3), np.uint8)
    return scenes.encode(Image.fromarray(pixels), kind, **options)


# What happens to each: a value is overwritten, a block grows or is moved, a block or property is added, two pages are changed.
WAYS = {
    "png: overwritten": lambda: _noise("PNG", exif=scenes.exif(UPRIGHT)),
    "png: grows": lambda: stills.png(stills.Png(exif=NO_TAG)),
    "png: added": lambda: _noise("PNG"),
    "png: two pages": lambda: stills.png(stills.Png(exif=jpegs.Recipe(), xmp="attribute", xmp_late=True, others=(PADDING,))),
    "webp: overwritten": lambda: _noise("WEBP", exif=scenes.exif(UPRIGHT)),
    "webp: grows": lambda: stills.webp(stills.Webp(exif=NO_TAG)),
    "webp: added": lambda: _noise("WEBP", lossless=True),
    "tiff: overwritten": lambda: _noise("TIFF", tiffinfo={scenes.ORIENTATION: UPRIGHT}),
    "tiff: moved": lambda: _noise("TIFF"),
    "heif: overwritten": lambda: heifs.build(heifs.Recipe(turns=("irot0",), thumbnail=("irot0",))),
    "heif: added": lambda: heifs.build(heifs.Recipe()),
    "avif: overwritten": lambda: heifs.build(heifs.Recipe(brand="avif", turns=("irot0",), alpha=("irot0",))),
    "avif: added": lambda: _noise("AVIF"),
}
PADDING = stills.png_chunk(b"tEXt", b"Comment\0" + b"-" * 7700)


@cache
def way(number: int) -> bytes:
    return list(WAYS.values())[number]()


def draw(number: int) -> bytes:
    """A photo without a turn; the number decides how it comes to store one."""
    return way(number % len(WAYS))
