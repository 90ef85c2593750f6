"""JPEGs with EXIF thumbnails, as cameras write them, or as programs leave them that turn or crop the photo alone."""

import io

from PIL import Image
from support import jpeg_files
from support.jpeg_files import LONG, SHORT, Tag


def encoded(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def reduced(image, sides=(160, 120), bars=(0, 0, 0)):
    """A thumbnail as cameras make it: of one shape whatever that of the photo."""
    small = image.copy()
    small.thumbnail(sides)
    whole = Image.new("RGB", sides, bars)
    whole.paste(small, ((sides[0] - small.width) // 2, (sides[1] - small.height) // 2))
    return whole


def exif(thumbnail, stored=None, stored_small=None):
    first = [Tag(0x0112, SHORT, stored.to_bytes(2, "big"))] if stored else []
    start = 8 + 6 + 12 * len(first)

    def second(at):
        tags = [Tag(0x0103, SHORT, b"\0\6")]
        tags += [Tag(0x0112, SHORT, stored_small.to_bytes(2, "big"))] if stored_small else []
        return [*tags, Tag(0x0201, LONG, at.to_bytes(4, "big")), Tag(0x0202, LONG, len(thumbnail).to_bytes(4, "big"))]

    at = start + len(jpeg_files.directory(second(0), start, "big"))
    head = b"MM\0*" + (8).to_bytes(4, "big") + jpeg_files.directory(first, 8, "big", start)
    return head + jpeg_files.directory(second(at), start, "big") + thumbnail


def photo(image, thumbnail, stored=None, stored_small=None, **options):
    data = encoded(image, quality=90, **options)
    small = encoded(thumbnail, quality=80) if isinstance(thumbnail, Image.Image) else thumbnail
    return data[:2] + jpeg_files.app1(exif(small, stored, stored_small)) + data[2:]
