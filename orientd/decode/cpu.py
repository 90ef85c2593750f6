"""Decoding by libjpeg-turbo, Pillow and libheif, without a GPU.

Pixels are decoded as they are stored and squeezed to a square, or made smaller; then, in one place, they are turned as the stored
orientation says, so that the eight values give the same pixels turned in eight ways, to the bit. What the libraries do of their
own accord: Pillow turns TIFFs on load, libheif obeys `irot` and `imir`, as viewers do, and both are turned back, as far as
`Photo.orientation` tells how; Pillow leaves AVIFs as stored and reports `irot` and `imir` as the orientation.
EXIF is ignored in HEIF and AVIF. Only the first picture of a file is decoded; what is transparent is shown on white.

A file cut short is an error in every format. Damage that leaves the length as it was is noticed where the codec can tell: always
in PNG, mostly in JPEG, seldom in WebP, JPEG 2000, HEIF and AVIF, which carry no checksums; never in what is left unread of a
progressive JPEG (see `progressive`). For TIFF, WebP and GIF Pillow's own limit of 179 million pixels holds below `max_pixels`,
and libtiff says on stderr what is wrong with a TIFF. Importing this module loads Pillow: do it when a decoder is built.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Final

import numpy as np
import pillow_heif
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL import __version__ as pillow_version

from orientd import formats, orientation
from orientd.decode import faults, flaws, heif_tiles, progressive
from orientd.decode.openers import OPENERS
from orientd.decode.resize import Goal, Size, fitting
from orientd.decode.thumbnail import glance
from orientd.errors import DecodeError
from orientd.formats import jpeg_frame
from orientd.reasons import Reason
from orientd.records import FileStat, Format, Photo, Picture

_JPEGS: Final = (Format.JPEG, Format.MPO, Format.RAW)
_SECOND_READER_SIZE: Final = 32
_SCAN: Final = b"\xff\xda\0"  # the marker and the first byte of its length; two bytes alone are in any video behind a picture
_MOST_SCANS: Final = 1000  # of a progressive JPEG: each goes through all blocks, however few its bytes; programs write a dozen
_TURNED_BY_LIBRARY: Final = (Format.TIFF, Format.HEIF)

_HARMLESS: Final = re.compile("Could not determine subsampling")  # some that are in use, such as 4:1:0, have no name in TurboJPEG


def second_reader(data: bytes) -> int | None:
    """The orientation that others see in a photo, once it decoded whole: a second opinion on what was written.

    Pillow reports it, from EXIF, or from `irot` and `imir` in AVIF. For HEIF it reports none; libheif's pixels show it there.

    Raises:
        DecodeError: it is damaged, cut short or not supported, so it must not be written.
    """
    kind = formats.sniff(data)
    if kind is Format.HEIF:
        return _seen(data)
    if kind is Format.TIFF:  # numbers of 32 bits are none that can be judged, and whole all the same
        CpuDecoder(_SECOND_READER_SIZE).load(_photo(kind, data))
    else:
        _shown(kind, data)
    found: int | None = OPENERS[kind](BytesIO(data)).getexif().get(ExifTags.Base.Orientation)
    return found


def _seen(data: bytes) -> int:
    """The orientation of a HEIF, found by comparing how libheif shows it with how it shows the same file turned by 90 degrees.

    In doubt, the orientation that the file states."""
    stated = orientation.normalise(formats.stored_orientation(Format.HEIF, data))
    other = orientation.turned(stated, 90)
    here = _shown(Format.HEIF, data)
    there = _shown(Format.HEIF, formats.plan(Format.HEIF, data, other).apply(data))
    turns = {orientation.turned(other, turn): orientation.apply(there, orientation.from_turn(turn)) for turn in orientation.TURNS}
    return min(turns, key=lambda value: (int(np.abs(turns[value].astype(int) - here).sum()), value != stated))


def _shown(kind: Format, data: bytes) -> NDArray[np.uint8]:
    """Decoded whole, in small, as the library shows it."""
    return CpuDecoder(_SECOND_READER_SIZE).decode(_photo(kind, data)).pixels


def _photo(kind: Format, data: bytes) -> Photo:
    return Photo("", FileStat(0, 0, 0, 0), kind, data, None, "")


def versions() -> dict[str, str]:
    """The decoding libraries in use and their versions."""
    libraries = {"simplejpeg": simplejpeg.__version__, "Pillow": pillow_version, "pillow-heif": pillow_heif.__version__}
    return libraries | {"libheif": pillow_heif.libheif_version()}


class CpuDecoder:
    """Decodes on one core; a JPEG straight from its compressed data at about the size wanted."""

    def __init__(self, input_size: int, max_pixels: int = 400_000_000) -> None:
        """`input_size` is the side of the square in pixels; photos of more than `max_pixels` pixels are not decoded."""
        self._size = input_size
        self._max_pixels = max_pixels
        warnings.filterwarnings("ignore", module=r"PIL\.")  # about metadata; catching them per photo is not thread-safe

    def decode(self, photo: Photo, *, whole: bool = True) -> Picture:
        """See `Decoder.decode`; `width` and `height` of the Picture are as stored, before any turn that is known."""
        return self._decoded(photo, lambda width, height: (self._size, self._size), whole)

    def fitted(self, photo: Photo, side: int) -> Picture:
        """See `Decoder.fitted`."""
        return self._decoded(photo, lambda width, height: fitting(width, height, side), whole=False)

    def _decoded(self, photo: Photo, goal: Goal, whole: bool) -> Picture:
        with _explained(photo):
            return self._decode(photo, goal, whole)

    def load(self, photo: Photo) -> None:
        """See that the library decodes all of the first picture, whatever its pixels are.

        Raises:
            DecodeError: as `decode`.
        """
        with _explained(photo):
            self._open(photo).load()

    def glance(self, photo: Photo) -> Picture | None:
        """See `thumbnail.glance`."""
        return glance(photo, self._size, self._max_pixels)

    def _decode(self, photo: Photo, goal: Goal, whole: bool) -> Picture:
        image, part = self._open(photo), None
        stored = _stored_orientation(image, photo)
        width, height = image.size
        if photo.format in _JPEGS:
            part = None if whole else _part_of_jpeg(image, photo.data, goal(width, height))
            image = part or _jpeg(image, photo.data, goal(width, height))
        elif photo.format is Format.HEIF and not whole:
            part = heif_tiles.reduced(photo.data, image, goal, pillow_heif.HeifImageFile)
            width, height = image.size[::-1] if part and orientation.swaps_sides(stored) else image.size
            image = part or image
        image = displayable(image)
        if photo.format in _TURNED_BY_LIBRARY and part is None and stored != orientation.UPRIGHT:
            image = Image.fromarray(orientation.apply(np.asarray(image), orientation.inverse(stored)).copy())
            width, height = image.size
        small = _squeezed(image, goal(width, height))
        return Picture(orientation.apply(small, stored).copy(), width, height, whole=part is None)

    def _open(self, photo: Photo) -> Image.Image:
        if photo.format not in OPENERS:
            raise DecodeError(Reason.UNSUPPORTED, f"{photo.format.name} files cannot be decoded")
        if photo.format is Format.HEIF:
            _check_boxes(photo.data)
        if photo.format in _JPEGS and (reason := jpeg_frame.unsupported(photo.data)):
            raise DecodeError(Reason.UNSUPPORTED, reason)
        image = OPENERS[photo.format](BytesIO(photo.data))
        if image.width * image.height > self._max_pixels:
            raise DecodeError(
                Reason.TOO_LARGE, f"it has {image.width} × {image.height} pixels, more than the limit of {self._max_pixels:,}"
            )
        if "progressive" in image.info and photo.data.count(_SCAN) > _MOST_SCANS:
            raise DecodeError(
                Reason.TOO_LARGE, f"it has more than {_MOST_SCANS:,} scans, which would take too long: compare it with a backup"
            )
        return image


@contextmanager
def _explained(photo: Photo) -> Iterator[None]:
    """Whatever goes wrong with that photo becomes a DecodeError."""
    try:
        yield
    except (DecodeError, MemoryError):  # short memory is this machine's fault, not the photo's
        raise
    except Exception as error:  # parsers of hostile bytes raise anything: OSError, struct.error, IndexError…
        raise DecodeError(*faults.reason(photo.format, photo.data, error)) from error


def _stored_orientation(image: Image.Image, photo: Photo) -> int:
    image.info.pop("xmp", None)  # Pillow would obey the orientation in XMP where EXIF has none; viewers do not
    if photo.format is Format.AVIF:
        return orientation.normalise(image.getexif().get(ExifTags.Base.Orientation))
    return orientation.normalise(photo.orientation)


def _jpeg(image: Image.Image, data: bytes, size: Size) -> Image.Image:
    """The RGB or gray pixels reduced by the inverse DCT to no less than `size` on either side; whole if one is smaller already,
    or if the file is not certain to be of a kind that is reduced.

    TurboJPEG notices damage, but stops at flaws too that are none, so these are taken out. Pillow notices truncation alone; it
    gets what TurboJPEG cannot decode at all.
    """
    frame = jpeg_frame.only(data)
    try:
        return _strictly(data, size, image.size)
    except ValueError as error:
        if not _HARMLESS.search(str(error)):
            if frame is None or frame.is_usual:
                raise
            raise DecodeError(
                Reason.UNSUPPORTED, f"it is {frame.kind}, and cannot be decoded ({error}): convert it to a baseline JPEG"
            ) from error
    if frame is not None and frame.is_reducible:
        image.draft("RGB", size)
    return image


def _strictly(data: bytes, size: Size, stored: Size) -> Image.Image:
    """What TurboJPEG decodes without a warning once the flaws that cost no pixel are taken out; `stored` is the size it has.

    Raises:
        ValueError: the warning that is left.
    """
    for _ in range(flaws.MOST):
        try:
            return _turbo(data, size, stored)
        except ValueError as error:
            repaired = flaws.without(data, str(error))
            if repaired is None:
                raise
            data = repaired
    raise ValueError("it has more flaws than any camera writes")


def _turbo(data: bytes, size: Size, stored: Size) -> Image.Image:
    """The buffer is made for the reduced picture, so these very bytes must be of a kind that is reduced."""
    frame = jpeg_frame.only(data)
    is_reducible = frame is not None and frame.is_reducible
    is_large = stored[0] >= size[0] and stored[1] >= size[1]
    width, height = size if is_reducible and is_large else (0, 0)  # 0: do not reduce; a few pixels would become even fewer
    is_gray = frame is not None and not frame.is_usual and len(frame.components) == 1  # lossless ones are never made RGB
    pixels = simplejpeg.decode_jpeg(data, "GRAY" if is_gray else "RGB", min_height=height, min_width=width)
    return Image.fromarray(pixels[..., 0] if is_gray else pixels)


def _part_of_jpeg(image: Image.Image, data: bytes, size: Size) -> Image.Image | None:
    """As `_jpeg` from a part of the data; None if it takes the whole, or on a fault, which decoding the whole reports."""
    is_large = all(-(-stored // 8) >= wanted for stored, wanted in zip(image.size, size, strict=True))
    part = progressive.abridged(data) if is_large else None  # where TurboJPEG reduces to 1/8
    if part is None:
        return None
    try:
        return Image.fromarray(simplejpeg.decode_jpeg(part, "RGB", min_height=size[1], min_width=size[0]))
    except ValueError:
        return None


def displayable(image: Image.Image) -> Image.Image:
    """The loaded pixels as RGB, or as RGBA if any are transparent."""
    if image.mode in ("I", "F"):
        raise NotImplementedError("pixels of 32 bits")
    if image.mode == "La":
        image = image.convert("LA")  # which alone leads on
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _squeezed(image: Image.Image, size: Size) -> NDArray[np.uint8]:
    """`image` squeezed to `size` by an antialiased bilinear filter, on white."""
    image = image.resize(size, Image.Resampling.BILINEAR)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return np.asarray(image)


def _check_boxes(data: bytes) -> None:
    """Fail if a HEIF file ends within its media data (ISO/IEC 14496-12, 4.2): libheif leaves missing tiles grey in silence."""
    start = 0
    while start + 8 <= len(data):
        size, kind = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8]
        if size == 1:
            size = int.from_bytes(data[start + 8 : start + 16], "big")
        if kind == b"mdat" and start + size > len(data):
            raise DecodeError(Reason.DAMAGED, "it is cut short: compare it with a backup")
        if size < 8:
            return
        start += size
