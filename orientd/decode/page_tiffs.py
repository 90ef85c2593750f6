"""The pages of TIFFs: which frames they are, how each looks, and the file with them changed, one page after the other.

A frame that says it is a smaller copy of another is no page. As in `decode.cpu`, importing this module loads Pillow.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import SEEK_END, BytesIO
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, TiffTags

from orientd import orientation as group
from orientd.decode.page_changes import Changes, Turn
from orientd.decode.page_pictures import cropped, gray, swaps_sides, turned
from orientd.decode.page_source import Source, check_size, explained
from orientd.decode.resize import fitting
from orientd.errors import Refused, Stopped
from orientd.reasons import Reason
from orientd.records import Format

_ORIENTATION, _PROFILE = 0x112, 0x8773
_RESOLUTIONS: Final = (282, 283)
_KEPT: Final = (269, 270, 271, 272, 285, 296, 297, 305, 306, 315, 316, 33432)
_CAPTION: Final = 33723  # IPTC
_LOSSY: Final = ("jpeg", "tiff_jpeg", "webp")
_MOST_BYTES: Final = 2**32 - 1  # of a copy: the offsets of a TIFF have 32 bits
_REDUCED: Final = 1  # NewSubfileType, bit 0: a smaller copy of another picture


def frames(data: Source) -> list[int]:
    """The frames that are pages. Raises DecodeError if it is damaged."""
    with explained(Format.TIFF, data):
        return _places(_opened(data))


class TiffPages:
    """The pages of a TIFF, which is gone through once.

    Raises:
        DecodeError: it is damaged.
    """

    def __init__(self, data: Source, frames: Sequence[int]) -> None:
        self._data, self._frames = data, frames
        with explained(Format.TIFF, data):
            self._image = _opened(data)

    def levels(self, page: int, side: int, max_pixels: int) -> NDArray[np.uint8]:
        """The gray levels of a page as viewers show it, its longer side `side` at most.

        Raises:
            DecodeError: it is damaged, too large or not supported.
        """
        with explained(Format.TIFF, self._data):
            image = self._image
            image.seek(self._frames[page])
            check_size(image, max_pixels)
            _load(image)
            return np.asarray(gray(image).resize(fitting(*image.size, side), Image.Resampling.BILINEAR))


def write(data: Source, changes: Changes, file: BinaryIO, max_pixels: int, stop: Callable[[], bool]) -> None:
    """See `page_files.write`. Only one page is held in memory at a time.

    Raises:
        Stopped: `stop` has become true; it is asked before each page.
        DecodeError: it is damaged, too large or not supported.
        Refused: the copy grows too large for a TIFF.
    """
    with explained(Format.TIFF, data):
        _write(_opened(data), changes, file, max_pixels, stop)


def _opened(data: Source) -> TiffImagePlugin.TiffImageFile:
    warnings.filterwarnings("ignore", module=r"PIL\.")  # about metadata, see `CpuDecoder`
    if isinstance(data, bytes):
        return TiffImagePlugin.TiffImageFile(BytesIO(data))
    data.seek(0)
    return TiffImagePlugin.TiffImageFile(data)


def _load(image: TiffImagePlugin.TiffImageFile) -> None:
    """The pixels of a page, turned as it stores, which Pillow does of itself."""
    image.info.pop("xmp", None)  # Pillow would obey the orientation in XMP where there is no other; viewers do not
    image.load()


def _places(image: TiffImagePlugin.TiffImageFile) -> list[int]:
    """The frames that are no smaller copies of others; the first of a file that says that of all."""

    def is_whole(frame: int) -> bool:
        image.seek(frame)
        return not int(image.tag_v2.get(254, 0)) & _REDUCED

    return [frame for frame in range(image.n_frames) if is_whole(frame)] or [0]


def _write(
    image: TiffImagePlugin.TiffImageFile, changes: Changes, file: BinaryIO, max_pixels: int, stop: Callable[[], bool]
) -> None:
    with _pages_of(file) as writer:
        for page, frame in enumerate(_places(image)):
            if stop():
                raise Stopped
            image.seek(frame)
            check_size(image, max_pixels)
            turn = changes.turn(page)
            options = _options(image, turn)
            _load(image)
            made = cropped(turned(image, turn), changes.box(page))
            _save(_little_endian(made), writer, options)
            if file.seek(0, SEEK_END) > _MOST_BYTES:
                raise Refused(Reason.TOO_LARGE, "its copy would be larger than a TIFF can be (4 GiB): split it")
            writer.newFrame()


@contextmanager
def _pages_of(file: BinaryIO) -> Iterator[TiffImagePlugin.AppendingTiffWriter]:
    """Writes page after page. Closed here, as Pillow's writer otherwise goes on writing to the file when it is collected."""
    writer = TiffImagePlugin.AppendingTiffWriter(file)
    try:
        yield writer
    finally:
        BytesIO.close(writer)


def _save(image: Image.Image, writer: BytesIO, options: Mapping[str, Any]) -> None:
    """With the tags that Pillow keeps of itself or, where libtiff does not take one of them, those of the options alone."""
    try:
        image.save(writer, **options)
    except RuntimeError:  # before anything is written
        image.copy().save(writer, **options)


def _little_endian(image: Image.Image) -> Image.Image:
    """The picture in the byte order that all pages of the copy have."""
    return Image.fromarray(np.asarray(image).astype("<u2")) if image.mode == "I;16B" else image


def _options(image: TiffImagePlugin.TiffImageFile, turn: Turn) -> dict[str, Any]:
    """By the tags of the page alone: what Pillow has noted elsewhere may be that of a page before it."""
    compression, tags = image.info.get("compression", "raw"), image.tag_v2
    kept = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in _KEPT:
        if tag in tags:
            kept[tag] = tags[tag]
    if _CAPTION in tags:  # its bytes, which programs state in all types
        kept[_CAPTION] = tags._tagdata[_CAPTION]
        kept.tagtype[_CAPTION] = TiffTags.UNDEFINED
    names = ("x_resolution", "y_resolution")[:: -1 if swaps_sides(group.normalise(tags.get(_ORIENTATION)), turn) else 1]
    resolutions = zip(names, map(tags.get, _RESOLUTIONS), strict=True)
    options = {
        "format": "TIFF",
        "compression": "tiff_adobe_deflate" if compression in _LOSSY else compression,
        "tiffinfo": kept,
        "icc_profile": tags.get(_PROFILE, b""),
    }
    return options | {
        name: value for name, value in resolutions if isinstance(value, int | float | TiffImagePlugin.IFDRational) and value > 0
    }
