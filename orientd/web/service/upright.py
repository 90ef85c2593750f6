"""The picture that was sent, as a file that every program shows upright, whether it obeys stored orientations or not.

In this order: the very bytes, if nothing is to be done; the orientation that the file stores, where all programs obey it (HEIF,
AVIF) or the pixels lie right already; the pixels without loss, with a proof (JPEG, PNG, lossless WebP); the pixels packed again.
"""

from enum import StrEnum
from typing import Final

from orientd import formats, orientation
from orientd.config import Config
from orientd.decode import admitted
from orientd.decode.children import DECODING
from orientd.decode.isolated import IsolatedPacker
from orientd.decode.page_files import SEVERAL
from orientd.errors import Refused
from orientd.reasons import Reason
from orientd.records import Format, Photo
from orientd.write import rotate

_OBEYED: Final = (Format.HEIF, Format.AVIF)


class How(StrEnum):
    """What was changed."""

    NOTHING = "nothing"
    ORIENTATION = "orientation"
    """The orientation that the file stores; not a sample of the picture."""
    PIXELS = "pixels"
    """The pixels were turned without loss."""
    PACKED = "packed"
    """The pixels were turned and packed again: without loss in PNG, TIFF, BMP and GIF, not in what stores them with loss."""


class Upright:
    """Makes such files; used from several threads at once. What decodes runs in child processes."""

    def __init__(self, config: Config) -> None:
        self._memory, self._packer, self._rotate = config.max_memory, IsolatedPacker(config.max_pixels), rotate.isolated(DECODING)

    def turned(self, photo: Photo, quarters: int, rest: float = 0.0) -> tuple[bytes, How]:
        """The file turned by so many degrees clockwise from how viewers show it; by any angle only packed again.

        Raises:
            PhotoError: it is damaged, or holds several pictures of which all but one would be lost.
            TimeoutError, MemoryError: it takes more than a picture may.
        """
        if not rest and (patched := self._patched(photo, quarters)):
            return patched
        with admitted.room(self._memory, photo):
            self.check_single(photo)
            return self._packer.turned(photo, quarters, rest), How.PACKED

    def check_single(self, photo: Photo) -> None:
        """Raises Refused if a file has several pages or is an animation, DecodeError if that cannot be determined."""
        if photo.format in SEVERAL and (pages := self._packer.count(photo)) > 1:
            raise Refused(Reason.SEVERAL_PICTURES, f"it has {pages:,} pages: send each by itself")

    def _patched(self, photo: Photo, quarters: int) -> tuple[bytes, How] | None:
        stored, new = orientation.normalise(photo.orientation), orientation.turned(photo.orientation, quarters)
        shows_right = stored == orientation.UPRIGHT or photo.format in _OBEYED
        if quarters == 0 and shows_right:
            return photo.data, How.NOTHING
        try:
            if new == orientation.UPRIGHT or photo.format in _OBEYED:
                return formats.plan(photo.format, photo.data, new).apply(photo.data), How.ORIENTATION
            with admitted.room(self._memory, photo):
                patch = self._rotate.plan(photo.format, photo.data, new)
            return patch.apply(photo.data), How.PIXELS
        except Refused:
            return None
