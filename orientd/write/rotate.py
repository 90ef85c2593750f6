"""Turns pixels without loss and proves that it did: of JPEGs, by the TurboJPEG library of libjpeg-turbo 2.0 or later, of PNGs and
of lossless WebPs.

The library moves whole blocks of DCT coefficients and changes signs and places within them; nothing is decoded and encoded again.
It is perfect only if the sides that become the top and the left are a multiple of the coding unit (8 or 16 pixels); anything else
is refused here. The legacy function `tjTransform` is called, since every version has it, 3 included (https://libjpeg-turbo.org,
turbojpeg.h).

The proof for JPEG: the new file is turned back, and its tables and scans must be, byte for byte, those of the old file sent
through the same coder without a turn. Equal bytes decode to equal coefficients, and the coder loses none, so every coefficient
and every quantizer of the old file can be restored from the new one. Other decoders show that the turn is the right one: they
must see the same picture before and after; their pixels prove no more, as a decoder rounds a turned block a little differently.

A PNG or a lossless WebP is unpacked and packed again: turned back, it must hold the same samples, in their full depth, for
Pillow and for the reader of `formats.lossless`. Lossy files are never packed again.
"""

from collections.abc import Callable, Collection, Iterable
from functools import cache, partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from orientd import orientation as group
from orientd.decode.children import Limits
from orientd.decode.isolated import IsolatedRotator
from orientd.errors import DecodeError, EngineUnavailable, Refused
from orientd.formats.lossless import jpeg as jpeg_core
from orientd.formats.lossless import png, webp
from orientd.reasons import Reason
from orientd.records import FileStat, Format, Method, Patch, Photo
from orientd.write.change import Rotate as Rotate
from orientd.write.turbojpeg import TurboJpeg

Reader = Callable[[bytes], NDArray[Any]]

TAG_IGNORED: Final = frozenset({Format.PNG, Format.WEBP})  # older programs ignore it in PNG, browsers in WebP
_LOOK_SIZE: Final = 64
_TOLERANCE: Final = 8  # levels of 255; in 360 turns of photos it was 2 at the most, in 9 of pure noise 3


class Rotator:
    """Plans turns of pixels and proves each. May be used from several threads at a time.

    Raises:
        EngineUnavailable: JPEGs are among what is to be turned, and the library is not there.
    """

    def __init__(self, *, jpeg: bool = True) -> None:
        from orientd.decode import lossless
        from orientd.decode.cpu import CpuDecoder

        self._plans = {Format.PNG: self._png, Format.WEBP: self._webp}
        self._library = TurboJpeg() if jpeg else None
        if self._library:
            self._plans[Format.JPEG] = self._jpeg
        self._decoder = CpuDecoder(_LOOK_SIZE)
        self._pixels, self._turned_webp = lossless.pixels, lossless.turned_webp

    def plan(self, format: Format, data: bytes, orientation: int) -> Patch:  # noqa: A002
        """The patch that turns the pixels of a whole file as `orientation` (1–8) says, and leaves it to be shown as stored.

        Raises:
            Refused: it cannot be done without loss, something in the file would not be turned with it, or the proof failed.
        """
        if format not in self._plans:
            raise Refused(Reason.NOT_LOSSLESS, f"the pixels of {format.name} are never turned")
        try:
            return self._plans[format](data, orientation)
        except DecodeError as error:
            raise Refused(error.code, str(error)) from error

    def check(self, format: Format, old: bytes, new: bytes, orientation: int) -> None:  # noqa: A002
        """See that the file `new` stores the pixels of `old` as `orientation` (1–8) shows them: to the sample, or to the
        coefficient of a JPEG. Without the library it is a small picture of a JPEG that must look alike.

        Raises:
            Refused: it does not, or one of them cannot be decoded.
        """
        try:
            if format is Format.JPEG:
                self._check_jpeg(self._seen(old, orientation), old, new, orientation)
            elif format is Format.PNG:
                _check_samples(old, new, orientation, (png.samples, partial(self._pixels, Format.PNG)), png.others)
            elif format is Format.WEBP:
                _check_samples(old, new, orientation, (partial(self._pixels, Format.WEBP),), webp.others)
            else:
                raise Refused(Reason.NOT_LOSSLESS, f"the pixels of {format.name} are never turned")
        except DecodeError as error:
            raise Refused(error.code, str(error)) from error

    def _jpeg(self, data: bytes, orientation: int) -> Patch:
        """Nothing that does not decode whole ever reaches the library."""
        assert self._library
        before = self._seen(data, orientation)
        patch = jpeg_core.plan(data, orientation, self._library.turn)
        self._check_jpeg(before, data, patch.apply(data), orientation)
        return patch

    def _check_jpeg(self, before: NDArray[np.uint8], old: bytes, new: bytes, orientation: int) -> None:
        """`before` is what a decoder sees in `old`, turned."""
        after = self._seen(new, group.UPRIGHT)
        if self._library:
            back = self._library.turn(new, group.inverse(orientation))
            if jpeg_core.bare(back) != jpeg_core.bare(self._library.turn(old, group.UPRIGHT)):
                raise Refused(Reason.NOT_LOSSLESS, "turned back it would not be the same to the bit")
        if not alike(before, after):
            raise Refused(Reason.NOT_LOSSLESS, "turned it would look different")

    def _png(self, data: bytes, orientation: int) -> Patch:
        patch = png.plan(data, orientation)
        self.check(Format.PNG, data, patch.apply(data), orientation)
        return patch

    def _webp(self, data: bytes, orientation: int) -> Patch:
        patch = webp.plan(data, orientation, self._turned_webp)
        self.check(Format.WEBP, data, patch.apply(data), orientation)
        return patch

    def _seen(self, data: bytes, orientation: int) -> NDArray[np.uint8]:
        photo = Photo("", FileStat(0, 0, 0, 0), Format.JPEG, data, orientation, "")
        return self._decoder.decode(photo).pixels


def planner(method: str, *, isolate: bool = True) -> Rotate | None:
    """What plans turns of pixels (see `Rotator.plan`), in child processes if `isolate`; None if `method` asks for none.

    AUTO leaves to the tag, without a word, what has readers that obey it.

    Raises:
        EngineUnavailable: ROTATE asks for JPEGs, and the library is not there.
    """
    if method == Method.ROTATE:
        return _rotator(jpeg=True, isolate=isolate).plan
    if method == Method.AUTO:
        rotator = _rotator(jpeg=False, isolate=isolate)
        return lambda format_, data, orientation: rotator.plan(format_, data, orientation) if format_ in TAG_IGNORED else None
    return None


@cache
def checker() -> Callable[[Format, bytes, bytes, int], None]:
    """`Rotator.check` in child processes, with the library if it is there."""
    try:
        return _rotator(jpeg=True, isolate=True).check
    except EngineUnavailable:
        return _rotator(jpeg=False, isolate=True).check


def isolated(limits: Limits) -> IsolatedRotator:
    """A `Rotator` in child processes, each photo within these limits; it refuses JPEGs where the library for them is missing."""
    try:
        TurboJpeg()  # a child would not find it either
    except EngineUnavailable:
        return IsolatedRotator(jpeg=False, limits=limits)
    return IsolatedRotator(limits=limits)


def planner_of(formats: Collection[str], *, isolate: bool = True) -> Rotate | None:
    """As `planner`, for a plan that says rotate in rows of these formats: without JPEGs among them the library may be missing."""
    if not formats:
        return None
    return planner(Method.AUTO if TAG_IGNORED.issuperset(formats) else Method.ROTATE, isolate=isolate)


def _rotator(*, jpeg: bool, isolate: bool) -> Rotator | IsolatedRotator:
    if not isolate:
        return Rotator(jpeg=jpeg)
    if jpeg:
        TurboJpeg()  # a child would not find it either
    return IsolatedRotator(jpeg=jpeg)


def alike(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """True if two pictures of the same shape differ nowhere by more than a decoder's rounding."""
    return int(np.abs(one.astype(np.int16) - other.astype(np.int16)).max()) <= _TOLERANCE


def _check_samples(
    old: bytes, new: bytes, orientation: int, readers: Iterable[Reader], others: Callable[[bytes], object]
) -> None:
    """What every reader sees in the new file must be, turned back, what it sees in the old one, sample for sample."""
    back = group.inverse(orientation)
    for read in readers:
        if not np.array_equal(read(old), group.apply(read(new), back)):
            raise Refused(Reason.NOT_LOSSLESS, "turned back it would not be the same to the sample")
    if others(old) != others(new):
        raise Refused(Reason.NOT_LOSSLESS, "its metadata would change")
