"""Photos whose sidecar stores another orientation than they do themselves, shown as the sidecar says."""

from dataclasses import replace
from typing import Final

from orientd import formats, orientation
from orientd.judge.judge import Decode
from orientd.records import Format, Photo, Picture

_TURNED_BY_LIBRARY: Final = (Format.TIFF, Format.HEIF, Format.AVIF)  # as the file says, whatever `Photo.orientation` is


def as_noted(decode: Decode) -> Decode:
    """The same decoding; of a photo that is turned by its sidecar alone, the picture is the one that this shows."""

    def decoded(photo: Photo, *, whole: bool = True) -> Picture:
        if not photo.by_sidecar or photo.format not in _TURNED_BY_LIBRARY:
            return decode(photo, whole=whole)
        own = orientation.normalise(formats.stored_orientation(photo.format, photo.data))
        picture = decode(replace(photo, orientation=own), whole=whole)
        noted = orientation.then(orientation.inverse(own), orientation.normalise(photo.orientation))
        return replace(picture, pixels=orientation.apply(picture.pixels, noted).copy())

    return decoded
