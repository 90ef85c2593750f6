"""TIFF files: the orientation stored in IFD0 (TIFF 6.0, p. 36)."""

from orientd.errors import Refused
from orientd.formats import tiff_block


def stored(data: bytes) -> int | None:
    """The orientation of the first image, exactly as found; None if there is none that can be read."""
    try:
        return tiff_block.stored(data)
    except Refused:
        return None
