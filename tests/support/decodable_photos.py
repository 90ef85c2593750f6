"""Photos drawn for the tests of decoding, in every container and encoding that is judged."""

from io import BytesIO

import numpy as np
import pillow_heif
from PIL import Image

from orientd import formats
from orientd.records import FileStat, Photo

SIZE = 64
ORIENTATION = 0x0112

# The ways to store a picture, and the most by which a decoded value may differ from the drawn one.
ENCODINGS = {
    "jpeg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}, 12),
    "progressive": ("JPEG", {"quality": 95, "subsampling": "4:2:0", "progressive": True}, 40),
    "png": ("PNG", {}, 0),
    "webp": ("WEBP", {"quality": 95}, 40),
    "webp-lossless": ("WEBP", {"lossless": True}, 0),
    "tiff": ("TIFF", {}, 0),
    "tiff-lzw": ("TIFF", {"compression": "tiff_lzw"}, 0),
    "tiff-jpeg": ("TIFF", {"compression": "jpeg", "quality": 95}, 40),
    "avif": ("AVIF", {"quality": 95, "subsampling": "4:4:4"}, 12),
    "heif": ("HEIF", {"quality": 95, "chroma": 444}, 12),
    "heif-grid": ("HEIF", {"quality": 95, "chroma": 444, "tile_size": 64}, 12),
    "bmp": ("BMP", {}, 0),
    "jpeg2000": ("JPEG2000", {}, 0),
}


def scene(width=192, height=128):
    """A smooth picture that no turn or mirror maps onto itself."""
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width]).reshape(2, 1, 1)
    return np.stack([255 * x, 255 * y, 255 * np.exp(-8 * ((x - 0.2) ** 2 + (y - 0.3) ** 2))], axis=-1).astype(np.uint8)


def encode(picture, kind, **options):
    """A file of `picture`, an array or an image."""
    file = BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    if kind == "HEIF":
        pillow_heif.from_pillow(image).save(file, **options)
    else:
        image.save(file, kind, **options)
    return file.getvalue()


def exif(value, tag=ORIENTATION):
    block = Image.Exif()
    block[tag] = value
    return block.tobytes()


def store(name, picture=None, stored=None, **more):
    kind, options, _ = ENCODINGS[name]
    if stored is not None:
        more["exif"] = exif(stored)
    return encode(scene() if picture is None else picture, kind, **options, **more)


def photo(data, kind=None):
    kind = kind or formats.sniff(data)
    return Photo("photo", FileStat(0, 0, 0, 0), kind, data, formats.stored_orientation(kind, data), "")


def square(picture):
    return np.asarray(Image.fromarray(picture).resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def difference(one, other):
    return int(np.abs(one.astype(int) - other.astype(int)).max())
