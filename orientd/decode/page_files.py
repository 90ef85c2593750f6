"""The pages of image files: how many there are, how each looks, and the file with its pages turned, packed again by Pillow.

What is packed again keeps its format where Pillow can write that: PNG and TIFF without loss, JPEG with the quantization tables of
the source; BMP and GIF become PNG, what else there is JPEG. Resolution, color profile, EXIF and texts are kept; a stored
orientation is carried out. As in `decode.cpu`, importing this module loads Pillow.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import SEEK_END, BytesIO
from math import ceil, floor
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, TiffTags
from PIL.ImageFile import ImageFile

from orientd import formats
from orientd import orientation as group
from orientd.decode import faults
from orientd.decode.cpu import _OPENERS
from orientd.decode.resize import fitting
from orientd.errors import DecodeError, Refused, Stopped
from orientd.reasons import Reason
from orientd.records import Format

Source = bytes | BinaryIO
"""The bytes of a file or, of a TIFF, the file itself, of which as much is read as is needed."""

Turn = tuple[int, float]
"""A quarter turn, then what is left of a turn, in degrees clockwise."""
Box = tuple[float, float, float, float]
"""Left, upper, right and lower side, as shares of the width and the height of a picture, 0 to 1."""
WHOLE: Final[Box] = (0.0, 0.0, 1.0, 1.0)
NOT_CROPPED: Final[Mapping[int, Box]] = {}

SUFFIXES: Final[Mapping[Format, str]] = {
    Format.BMP: ".png",
    Format.GIF: ".png",
    Format.HEIF: ".jpg",
    Format.AVIF: ".jpg",
    Format.JPEG2000: ".jpg",
    Format.MPO: ".jpg",
}
"""What is added to the name of a file whose copy is in another format."""

_ANIMATED: Final = (Format.PNG, Format.WEBP, Format.GIF)
SEVERAL: Final = (Format.TIFF, *_ANIMATED)
"""What may hold several pictures and is not refused for its format alone."""
QUARTERS: Final = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}
"""Quarter turns, in degrees clockwise, as Pillow names them."""
_ORIENTATION, _EXIF_IFD, _SIZE_TAGS, _PROFILE = 0x112, 0x8769, (0xA002, 0xA003), 0x8773
_RESOLUTIONS: Final = (282, 283)
_KEPT_IN_TIFF: Final = (269, 270, 271, 272, 285, 296, 297, 305, 306, 315, 316, 33432)
_CAPTION: Final = 33723  # IPTC
_QUALITY: Final = 95
_NOT_TURNED: Final[Turn] = (0, 0.0)
_LOSSY_IN_TIFF: Final = ("jpeg", "tiff_jpeg", "webp")
_SEARCHED: Final = 64 * 2**20  # bytes that a file not held in memory may have to be searched for what is wrong with it
_MOST_OF_A_TIFF: Final = 2**32 - 1  # bytes: its offsets have 32 bits
_REDUCED: Final = 1  # NewSubfileType, bit 0: a smaller copy of another picture


def frames(format: Format, data: Source) -> list[int]:  # noqa: A002
    """The frames of a file that are its pages: those of a TIFF that are no smaller copies of others, one of any other.

    Raises:
        DecodeError: it is damaged.
        Refused: it is an animation, of which all but the first picture would be lost.
    """
    if format is Format.TIFF:
        with explained(format, data):
            return _places(_tiff(data))
    assert isinstance(data, bytes)
    if format in _ANIMATED:
        with explained(format, data):
            image = (PngImagePlugin.PngImageFile if format is Format.PNG else _OPENERS[format])(BytesIO(data))
            pictures = getattr(image, "n_frames", 1)
        if pictures > 1:
            raise Refused(Reason.SEVERAL_PICTURES, f"it is an animation of {pictures:,} pictures: only still images are pages")
    return [0]


class TiffPages:
    """The pages of a TIFF, which is gone through once.

    Raises:
        DecodeError: it is damaged.
    """

    def __init__(self, data: Source, frames: Sequence[int]) -> None:
        self._data, self._frames = data, frames
        with explained(Format.TIFF, data):
            self._image = _tiff(data)

    def levels(self, page: int, side: int, max_pixels: int) -> NDArray[np.uint8]:
        """The gray levels of a page as viewers show it, its longer side `side` at most.

        Raises:
            DecodeError: it is damaged, too large or not supported.
        """
        with explained(Format.TIFF, self._data):
            image = self._image
            image.seek(self._frames[page])
            _check_size(image, max_pixels)
            _load(image)
            return np.asarray(_gray(image).resize(fitting(*image.size, side), Image.Resampling.BILINEAR))


def write(
    format: Format,  # noqa: A002
    data: Source,
    turns: Mapping[int, Turn],
    file: BinaryIO,
    max_pixels: int,
    stop: Callable[[], bool] = lambda: False,
    crops: Mapping[int, Box] = NOT_CROPPED,
) -> None:
    """Rewrite a file with those pages turned whose numbers, from 0, are in `turns`, as viewers show them, and those in `crops`
    cropped to their box, once turned.

    Raises:
        Stopped: `stop` has become true; it is asked before each page.
        DecodeError: it is damaged, too large or not supported.
    """
    if format is Format.TIFF:  # Pillow turns what it stores of itself
        with explained(format, data):
            _write_tiff(_tiff(data), turns, crops, file, max_pixels, stop)
        return
    assert isinstance(data, bytes)
    data, stored = _without_orientation(format, data)
    with explained(format, data):
        image = (PngImagePlugin.PngImageFile if format is Format.PNG else _OPENERS[format])(BytesIO(data))
        _check_size(image, max_pixels)
        options = _PACKED.get(format, _as_jpeg)(image, data)
        if "dpi" in options and _swaps_sides(stored, turns.get(0, _NOT_TURNED)):
            options["dpi"] = options["dpi"][::-1]
        image.load()
        shown = _transposed(image, stored) if format is not Format.HEIF else image
        made = _cropped(turned(shown, turns.get(0, _NOT_TURNED)), crops.get(0, WHOLE))
        if options["format"] == "JPEG" and made.mode not in ("L", "RGB", "CMYK"):
            made = made.convert("RGB")
        made.save(file, **options)


def jpeg(pixels: NDArray[np.uint8], turn: Turn) -> tuple[bytes, tuple[int, int]]:
    """RGB pixels turned, as a JPEG, and the size of that."""
    image = turned(Image.fromarray(pixels), turn)
    image.save(out := BytesIO(), "JPEG", quality=_QUALITY, subsampling=0)
    return out.getvalue(), image.size


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


def _cropped(image: Image.Image, box: Box) -> Image.Image:
    """The part of a picture in a box, to whole pixels outwards."""
    left, upper, right, lower = box
    sides = floor(left * image.width), floor(upper * image.height), ceil(right * image.width), ceil(lower * image.height)
    return image if box == WHOLE else image.crop(sides)


def _paper(image: Image.Image) -> Any:
    """The color of the paper: of each band the middle one of the lighter half."""
    some = np.asarray(image.resize(fitting(*image.size, 256), Image.Resampling.NEAREST))
    some = some.reshape(some.shape[0] * some.shape[1], -1)
    light = some[:, :3].sum(axis=1, dtype=np.float64) * (-1 if image.mode == "CMYK" else 1)
    middle = np.median(some[light >= np.median(light)], axis=0)
    return tuple(int(level) for level in middle) if len(middle) > 1 else int(middle[0])


def _gray(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise NotImplementedError("pixels of 32 bits")
    if not image.has_transparency_data:
        return image.convert("L")
    seen = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("L")


def _tiff(data: Source) -> TiffImagePlugin.TiffImageFile:
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


def _without_orientation(format: Format, data: bytes) -> tuple[bytes, int]:  # noqa: A002
    """The file storing none, and the orientation that it stored."""
    stored = group.normalise(formats.stored_orientation(format, data))
    if stored == group.UPRIGHT or format in (Format.HEIF, Format.AVIF):
        return data, stored
    try:
        return formats.plan(format, data, group.UPRIGHT).apply(data), stored
    except Refused:
        return data, stored


def _transposed(image: Image.Image, stored: int) -> Image.Image:
    if stored == group.UPRIGHT:
        return image
    return Image.fromarray(np.ascontiguousarray(group.apply(np.asarray(image), stored)))


def _swaps_sides(stored: int, turn: Turn) -> bool:
    """True if what was across is up and down in the copy."""
    return group.swaps_sides(stored) != (turn[0] in (90, 270))


def _write_tiff(
    image: TiffImagePlugin.TiffImageFile,
    turns: Mapping[int, Turn],
    crops: Mapping[int, Box],
    file: BinaryIO,
    max_pixels: int,
    stop: Callable[[], bool],
) -> None:
    """One page after the other, of which only one is held in memory. Raises Refused if the copy grows too large for a TIFF."""
    with _pages_of(file) as writer:
        for page, frame in enumerate(_places(image)):
            if stop():
                raise Stopped
            image.seek(frame)
            _check_size(image, max_pixels)
            turn = turns.get(page, _NOT_TURNED)
            options = _tiff_options(image, turn)
            _load(image)
            made = _cropped(turned(image, turn), crops.get(page, WHOLE))
            _save(_little_endian(made), writer, options)
            if file.seek(0, SEEK_END) > _MOST_OF_A_TIFF:
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


def _tiff_options(image: TiffImagePlugin.TiffImageFile, turn: Turn) -> dict[str, Any]:
    """By the tags of the page alone: what Pillow has noted elsewhere may be that of a page before it."""
    compression, tags = image.info.get("compression", "raw"), image.tag_v2
    kept = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in _KEPT_IN_TIFF:
        if tag in tags:
            kept[tag] = tags[tag]
    if _CAPTION in tags:  # its bytes, which programs state in all types
        kept[_CAPTION] = tags._tagdata[_CAPTION]
        kept.tagtype[_CAPTION] = TiffTags.UNDEFINED
    names = ("x_resolution", "y_resolution")[:: -1 if _swaps_sides(group.normalise(tags.get(_ORIENTATION)), turn) else 1]
    resolutions = zip(names, map(tags.get, _RESOLUTIONS), strict=True)
    options = {
        "format": "TIFF",
        "compression": "tiff_adobe_deflate" if compression in _LOSSY_IN_TIFF else compression,
        "tiffinfo": kept,
        "icc_profile": tags.get(_PROFILE, b""),
    }
    return options | {
        name: value for name, value in resolutions if isinstance(value, int | float | TiffImagePlugin.IFDRational) and value > 0
    }


def _as_jpeg(image: ImageFile, data: bytes) -> dict[str, Any]:
    """With the tables of the source if that is a JPEG."""
    options = {"format": "JPEG", "quality": _QUALITY, **_details(image, "icc_profile", "dpi")}
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        del options["quality"]
        options |= {"qtables": image.quantization, **_details(image, "xmp", "comment")}
        if (sampling := JpegImagePlugin.get_sampling(image)) >= 0:
            options["subsampling"] = sampling
        if image.info.get("progressive"):
            options["progressive"] = True
    return options | _exif(image)


def _as_png(image: ImageFile, data: bytes) -> dict[str, Any]:
    texts = PngImagePlugin.PngInfo()
    for key, text in getattr(image, "text", {}).items():
        texts.add_itxt(key, text)
    return {"format": "PNG", "pnginfo": texts, **_details(image, "icc_profile", "dpi"), **_exif(image)}


def _as_webp(image: ImageFile, data: bytes) -> dict[str, Any]:
    lossless = b"VP8L" in data[:64]
    options = {"format": "WEBP", "lossless": lossless, "quality": 100 if lossless else _QUALITY, "exact": True}
    return options | _details(image, "icc_profile", "xmp") | _exif(image)


_PACKED: Final[Mapping[Format, Callable[[ImageFile, bytes], dict[str, Any]]]] = {
    Format.PNG: _as_png,
    Format.BMP: _as_png,
    Format.GIF: _as_png,
    Format.WEBP: _as_webp,
}


def _details(image: ImageFile, *names: str) -> dict[str, Any]:
    return {name: image.info[name] for name in names if image.info.get(name)}


def _exif(image: ImageFile) -> dict[str, Any]:
    """Without the orientation, which was applied, and without the thumbnail and the size, which are no longer true."""
    found = image.getexif()
    found.pop(_ORIENTATION, None)
    inner = found.get_ifd(_EXIF_IFD)
    for tag in _SIZE_TAGS:
        inner.pop(tag, None)
    return {"exif": found.tobytes()} if len(found) else {}


def _check_size(image: ImageFile, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise DecodeError(
            Reason.TOO_LARGE, f"it has {image.width} × {image.height} pixels, more than the limit of {max_pixels:,}"
        )


@contextmanager
def explained(format: Format, data: Source) -> Iterator[None]:  # noqa: A002
    """Whatever goes wrong with that file becomes a DecodeError, but for what is Refused."""
    try:
        yield
    except (DecodeError, Refused, MemoryError, OSError) as error:
        if isinstance(error, OSError) and error.errno is None:  # Pillow's own; those of the disk have a number
            raise DecodeError(*faults.reason(format, _searched(data), error)) from error
        raise
    except Exception as error:  # parsers of hostile bytes raise anything
        raise DecodeError(*faults.reason(format, _searched(data), error)) from error


def _searched(data: Source) -> bytes:
    """All of it or, if that is much, nothing: by a part of it a whole file would be called cut short."""
    if isinstance(data, bytes):
        return data
    data.seek(0)
    front = data.read(_SEARCHED + 1)
    return front if len(front) <= _SEARCHED else b""
