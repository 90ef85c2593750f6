"""The pages of TIFFs: which frames they are, how each looks, and the file with them changed, one page after the other.

A frame that says it is a smaller copy of another is no page. As in `decode.cpu`, importing this module loads Pillow.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from orientd import orientation as group
from orientd.decode import deep_tiffs, page_tags
from orientd.decode.copied_metadata import RESOLUTIONS, SIZE, photoshop, upright_xmp
from orientd.decode.page_changes import NOT_TURNED, WHOLE, Box, Changes, Turn
from orientd.decode.page_pictures import cropped, gray, swaps_sides, turned
from orientd.decode.page_source import Source, check_size, explained
from orientd.decode.page_tags import EXIF, UNDEFINED, Pieces, Tag, Tags, number
from orientd.decode.resize import fitting
from orientd.errors import Refused, Stopped
from orientd.formats.tiff_block import ORIENTATION
from orientd.formats.tiff_layout import SHORT, Order
from orientd.reasons import Reason
from orientd.records import Format

_XMP, _PHOTOSHOP = 700, 34377
_OF_THE_PIXELS: Final = frozenset(
    {
        *range(255, 267),
        *range(277, 282),
        284,
        *range(290, 294),
        301,
        317,
        *range(320, 329),
        330,
        *range(338, 348),
        *range(512, 533),
    }
    | {33550, 33922, 34264, 37724}
)
"""What is said of how they are stored, or of places on them: by maps, and by the layers of Photoshop."""
_LOSSY: Final = ("jpeg", "tiff_jpeg", "webp")
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
    writer = page_tags.Writer(file, page_tags.order_of(image))
    for page, frame in enumerate(_places(image)):
        if stop():
            raise Stopped
        image.seek(frame)
        check_size(image, max_pixels)
        turn, box = changes.turn(page), changes.box(page)
        as_it_is = (turn, box, group.normalise(image.tag_v2.get(ORIENTATION))) == (NOT_TURNED, WHOLE, group.UPRIGHT)
        pieces = page_tags.pieces(image) if as_it_is else None
        tags, pieces = (page_tags.read(image), pieces) if pieces else _made(image, turn, box)
        try:
            writer.add(tags, pieces)
        except OverflowError:
            raise Refused(Reason.TOO_LARGE, "its copy would be larger than a TIFF can be (4 GiB): split it") from None


def _made(image: TiffImagePlugin.TiffImageFile, turn: Turn, box: Box) -> tuple[Tags, Pieces]:
    """A page turned and cropped, and packed again, by its own tags: what Pillow noted elsewhere may be of a page before it."""
    order, said, stored = page_tags.order_of(image), page_tags.read(image), group.normalise(image.tag_v2.get(ORIENTATION))
    if (samples := deep_tiffs.samples(image)) is not None:
        made = deep_tiffs.changed(group.apply(samples, stored), turn, box, inks=deep_tiffs.is_inks(image))
        size, (tags, pieces) = (made.shape[1], made.shape[0]), deep_tiffs.packed(made, order, said)
    else:
        stated = image.info.get("compression", "raw")
        compression = "tiff_adobe_deflate" if stated in _LOSSY else stated
        _load(image)
        picture = cropped(turned(image, turn), box)
        size, (tags, pieces) = picture.size, _packed(picture, compression, order)
    return _kept(said, order, size, swapped=swaps_sides(stored, turn)) | tags, pieces


def _kept(said: Tags, order: Order, size: tuple[int, int], *, swapped: bool) -> Tags:
    """What is said of a page but for its pixels, made true of a copy that has this width and height."""
    kept = {tag: value for tag, value in said.items() if tag not in _OF_THE_PIXELS}
    if ORIENTATION in kept:
        kept[ORIENTATION] = number(order, group.UPRIGHT, SHORT)
    for tag, change in ((_XMP, upright_xmp), (_PHOTOSHOP, partial(photoshop, swapped=swapped))):
        if isinstance(found := kept.get(tag), Tag):
            kept[tag] = Tag(UNDEFINED, change(found.data))
    if swapped:
        across, up = RESOLUTIONS
        kept |= {there: said[here] for here, there in ((across, up), (up, across)) if here in said}
    if isinstance(inner := kept.get(EXIF), dict):
        kept[EXIF] = inner | {tag: number(order, side) for tag, side in zip(SIZE, size, strict=True) if tag in inner}
    return kept


def _packed(picture: Image.Image, compression: str, order: Order) -> tuple[Tags, Pieces]:
    """What a TIFF of a picture, and nothing else, says of its pixels; and these, packed."""
    picture = picture.copy()  # which knows no tags of the file it comes from
    picture.info = {}
    picture.save(held := BytesIO(), "TIFF", compression=compression)
    packed = _opened(held.getvalue())
    tags, pieces = page_tags.read(packed), page_tags.pieces(packed)
    assert pieces
    return tags if page_tags.order_of(packed) == order else page_tags.swapped(tags), pieces
