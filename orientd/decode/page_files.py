"""The pages of image files: which frames they are, and the file with its pages changed, packed again by Pillow.

What is packed again keeps its format where Pillow can write that: PNG and TIFF without loss, JPEG with the quantization tables of
the source; BMP and GIF become PNG, what else there is JPEG. What is said of the picture is kept; a stored
orientation is carried out. As in `decode.cpu`, importing this module loads Pillow.
"""

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orientd import formats
from orientd import orientation as group
from orientd.decode import page_packing, page_tiffs
from orientd.decode.openers import WITH_METADATA
from orientd.decode.page_changes import Changes, Turn
from orientd.decode.page_pictures import cropped, swaps_sides, transposed, turned
from orientd.decode.page_source import Source, check_size, explained
from orientd.errors import Refused
from orientd.reasons import Reason
from orientd.records import Format

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


def frames(format: Format, data: Source) -> list[int]:  # noqa: A002
    """The frames of a file that are its pages: those of a TIFF that are no smaller copies of others, one of any other.

    Raises:
        DecodeError: it is damaged.
        Refused: it is an animation, of which all but the first picture would be lost.
    """
    if format is Format.TIFF:
        return page_tiffs.frames(data)
    assert isinstance(data, bytes)
    if format in _ANIMATED:
        with explained(format, data):
            image = WITH_METADATA[format](BytesIO(data))
            pictures = getattr(image, "n_frames", 1)
        if pictures > 1:
            raise Refused(Reason.SEVERAL_PICTURES, f"it is an animation of {pictures:,} pictures: only still images are pages")
    return [0]


def write(
    format: Format,  # noqa: A002
    data: Source,
    changes: Changes,
    file: BinaryIO,
    max_pixels: int,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Rewrite a file with its pages changed; none can be `rendered`, as all are pictures.

    Raises:
        Stopped: `stop` has become true; it is asked before each page of a TIFF.
        DecodeError: it is damaged, too large or not supported.
        Refused: the copy of a TIFF grows too large for one.
    """
    if format is Format.TIFF:  # Pillow turns what it stores of itself
        page_tiffs.write(data, changes, file, max_pixels, stop)
        return
    assert isinstance(data, bytes)
    turn = changes.turn(0)
    data, stored = _without_orientation(format, data)
    with explained(format, data):
        image = WITH_METADATA[format](BytesIO(data))
        check_size(image, max_pixels)
        image.load()
        options = page_packing.options(format, image, data)
        shown = transposed(image, stored) if format is not Format.HEIF else image
        made = cropped(turned(shown, turn), changes.box(0))
        if options["format"] == "JPEG" and made.mode not in ("L", "RGB", "CMYK"):
            made = made.convert("RGB")
        made.save(file, **page_packing.true_of_copy(options, made.size, swapped=swaps_sides(stored, turn)))


def jpeg(pixels: NDArray[np.uint8], turn: Turn) -> tuple[bytes, tuple[int, int]]:
    """RGB pixels turned, as a JPEG, and the size of that."""
    image = turned(Image.fromarray(pixels), turn)
    image.save(out := BytesIO(), "JPEG", quality=page_packing.QUALITY, subsampling=0)
    return out.getvalue(), image.size


def _without_orientation(format: Format, data: bytes) -> tuple[bytes, int]:  # noqa: A002
    """The file storing none, and the orientation that it stored."""
    stored = group.normalise(formats.stored_orientation(format, data))
    if stored == group.UPRIGHT or format in (Format.HEIF, Format.AVIF):
        return data, stored
    try:
        return formats.plan(format, data, group.UPRIGHT).apply(data), stored
    except Refused:
        return data, stored
