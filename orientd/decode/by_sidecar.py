"""Photos whose sidecar stores another orientation than they do themselves, shown as the sidecar says."""

from collections.abc import Callable
from dataclasses import replace
from typing import Concatenate, Final, ParamSpec

from orientd import formats, orientation
from orientd.records import Format, Photo, Picture

P = ParamSpec("P")

_TURNED_BY_LIBRARY: Final = (Format.TIFF, Format.HEIF, Format.AVIF)  # as the file says, whatever `Photo.orientation` is


def as_noted(decode: Callable[Concatenate[Photo, P], Picture]) -> Callable[Concatenate[Photo, P], Picture]:
    """The same decoding; of a photo that is turned by its sidecar alone, the picture is the one that this shows.

    decode: that of a `Decoder`, or its `fitted`.
    """

    def decoded(photo: Photo, /, *args: P.args, **kwargs: P.kwargs) -> Picture:
        if not photo.by_sidecar or photo.format not in _TURNED_BY_LIBRARY:
            return decode(photo, *args, **kwargs)
        own = orientation.normalise(formats.stored_orientation(photo.format, photo.data))
        picture = decode(replace(photo, orientation=own), *args, **kwargs)
        noted = orientation.then(orientation.inverse(own), orientation.normalise(photo.orientation))
        return replace(picture, pixels=orientation.apply(picture.pixels, noted).copy())

    return decoded
