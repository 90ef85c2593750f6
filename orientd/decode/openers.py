"""How Pillow opens a file of each format: by the class for that format, or by a function where the class does not suffice.

What is named opens nothing but its format, whereas Image.open tries them all and warns above 89 million pixels. JPEGs and PNGs,
whose segments and chunks Pillow reads one by one in Python, are given up beyond a number that real files stay far below.
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
from orientd.errors import DecodeError
from orientd.reasons import Reason
from orientd.records import Format

AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # every worker would start one for each core


_MOST_READS: Final = 2**21  # two to four for each segment or chunk, one for each stray byte: a few seconds


class _Counted(BytesIO):
    """The bytes of a file, which is read in so many pieces and no more."""

    _left = _MOST_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file. Raises DecodeError once it has been read too often."""
        self._left -= 1
        if self._left < 0:
            raise DecodeError(Reason.DAMAGED, "it has more pieces than any program writes: compare it with a backup")
        return super().read(size)


def _jpeg(file: BytesIO) -> JpegImageFile:
    return JpegImageFile(_Counted(file.getvalue()))


def _png(file: BytesIO) -> PngImageFile:
    return PngImageFile(_Counted(file.getvalue()))


def bare_png(file: BytesIO) -> PngImageFile:
    """The PNG without its texts and color profile, which Pillow would unpack only to give the photo up beyond 1 MiB."""
    return _png(BytesIO(formats.png.bare(file.getvalue())))


OPENERS: Final[Mapping[Format, Callable[[BytesIO], ImageFile]]] = {
    Format.JPEG: _jpeg,
    Format.MPO: _jpeg,
    Format.PNG: bare_png,
    Format.WEBP: WebPImageFile,
    Format.TIFF: TiffImageFile,
    Format.HEIF: pillow_heif.HeifImageFile,
    Format.AVIF: AvifImagePlugin.AvifImageFile,
    Format.BMP: BmpImageFile,
    Format.GIF: GifImageFile,
    Format.JPEG2000: Jpeg2KImageFile,
    Format.RAW: _jpeg,  # the preview
}
"""What opens a file for its pixels alone: no texts and no color profile of a PNG."""
WITH_METADATA: Final[Mapping[Format, Callable[[BytesIO], ImageFile]]] = {**OPENERS, Format.PNG: _png}
"""What opens a file for all that it holds."""
