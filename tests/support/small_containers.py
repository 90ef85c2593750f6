"""Small photos without a turn in every container but JPEG, stored in every way that decides how an orientation is written."""

from functools import cache

import numpy as np
from PIL import Image
from support import decodable_photos, heif_files, jpeg_files, png_webp_tiff_files

from orientd.orientation import UPRIGHT

NO_TAG = jpeg_files.Recipe(orientations=())


def _noise(kind: str, **options: object) -> bytes:
    pixels = np.random.default_rng(7).integers(0, 255, (48, 64, 3), np.uint8)
    return decodable_photos.encode(Image.fromarray(pixels), kind, **options)


# What happens to each: a value is overwritten, a block grows or is moved, a block or property is added, two pages are changed.
WAYS = {
    "png: overwritten": lambda: _noise("PNG", exif=decodable_photos.exif(UPRIGHT)),
    "png: grows": lambda: png_webp_tiff_files.png(png_webp_tiff_files.Png(exif=NO_TAG)),
    "png: added": lambda: _noise("PNG"),
    "png: two pages": lambda: png_webp_tiff_files.png(
        png_webp_tiff_files.Png(exif=jpeg_files.Recipe(), xmp="attribute", xmp_late=True, others=(PADDING,))
    ),
    "webp: overwritten": lambda: _noise("WEBP", exif=decodable_photos.exif(UPRIGHT)),
    "webp: grows": lambda: png_webp_tiff_files.webp(png_webp_tiff_files.Webp(exif=NO_TAG)),
    "webp: added": lambda: _noise("WEBP", lossless=True),
    "tiff: overwritten": lambda: _noise("TIFF", tiffinfo={decodable_photos.ORIENTATION: UPRIGHT}),
    "tiff: moved": lambda: _noise("TIFF"),
    "heif: overwritten": lambda: heif_files.build(heif_files.Recipe(turns=("irot0",), thumbnail=("irot0",))),
    "heif: added": lambda: heif_files.build(heif_files.Recipe()),
    "avif: overwritten": lambda: heif_files.build(heif_files.Recipe(brand="avif", turns=("irot0",), alpha=("irot0",))),
    "avif: added": lambda: _noise("AVIF"),
}
PADDING = png_webp_tiff_files.png_chunk(b"tEXt", b"Comment\0" + b"-" * 7700)


@cache
def way(number: int) -> bytes:
    return list(WAYS.values())[number]()


def draw(number: int) -> bytes:
    """A photo without a turn; the number decides how it comes to store one."""
    return way(number % len(WAYS))
