"""How Pillow opens a file of each format: by the class for that format, or by a function where the class does not suffice.

What is named opens nothing but its format, whereas Image.open tries them all and warns above 89 million pixels.
"""

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Final

import pillow_heif
from PIL import AvifImagePlugin
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from orientd import formats
from orientd.records import Format

AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # every worker would start one for each core


def bare_png(file: BytesIO) -> PngImageFile:
    """The PNG without its texts and color profile, which Pillow would unpack only to give the photo up beyond 1 MiB."""
    return PngImageFile(BytesIO(formats.png.bare(file.getvalue())))


OPENERS: Final[Mapping[Format, Callable[[BytesIO], ImageFile]]] = {
    Format.JPEG: JpegImageFile,
    Format.MPO: JpegImageFile,
    Format.PNG: bare_png,
    Format.WEBP: WebPImageFile,
    Format.TIFF: TiffImageFile,
    Format.HEIF: pillow_heif.HeifImageFile,
    Format.AVIF: AvifImagePlugin.AvifImageFile,
    Format.BMP: BmpImageFile,
    Format.GIF: GifImageFile,
    Format.JPEG2000: Jpeg2KImageFile,
    Format.RAW: JpegImageFile,  # the preview
}
"""What opens a file for its pixels alone: no texts and no color profile of a PNG."""
WITH_METADATA: Final[Mapping[Format, Callable[[BytesIO], ImageFile]]] = {**OPENERS, Format.PNG: PngImageFile}
"""What opens a file for all that it holds."""
