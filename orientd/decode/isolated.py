"""Decoding and turning pixels in child processes (see `children`), which hostile bytes may kill without ending the run."""

import os
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from orientd.decode import Decoder
from orientd.decode.children import CHILDREN, DECODING, Children, Limits
from orientd.errors import DecodeError, Refused
from orientd.records import Format, Patch, Photo, Picture, Splice

TURNING: Final = Limits(3600.0, max(DECODING.memory, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")))
"""The limits for rewriting one file."""


class IsolatedDecoder:
    """A `Decoder` that has child processes decode."""

    def __init__(
        self, input_size: int, max_pixels: int = 400_000_000, children: Children = CHILDREN, limits: Limits = DECODING
    ) -> None:
        """As `CpuDecoder`; `limits` are what decoding one photo may take."""
        self._settings = {"size": input_size, "max_pixels": max_pixels}
        self._children, self._limits = children, limits

    def decode(self, photo: Photo, *, whole: bool = True) -> Picture:
        """See `Decoder.decode`; raises as `Children.ask`."""
        said, pixels = self._ask("decode", photo, whole=whole)
        return self._picture(said, pixels)

    def fitted(self, photo: Photo, side: int) -> Picture:
        """See `Decoder.fitted`; raises as `Children.ask`."""
        said, pixels = self._ask("fitted", photo, side=side)
        return self._picture(said, pixels)

    def glance(self, photo: Photo) -> Picture | None:
        """As `CpuDecoder.glance`; None also where the thumbnail makes the decoder crash. Raises as `decode` but for that."""
        try:
            said, pixels = self._ask("glance", photo)
        except DecodeError:
            return None
        return self._picture(said, pixels) if pixels else None

    def _ask(self, task: str, photo: Photo, **more: int) -> tuple[dict[str, Any], bytes]:
        question = {"task": task, "format": photo.format, "orientation": photo.orientation, **self._settings, **more}
        return self._children.ask(question, [photo.data], self._limits)

    def _picture(self, said: dict[str, Any], pixels: bytes) -> Picture:
        shape = (*said["shape"], 3)
        return Picture(np.frombuffer(pixels, np.uint8).reshape(shape), said["width"], said["height"], said["whole"])


def second_reader(data: bytes, children: Children = CHILDREN) -> int | None:
    """As `cpu.second_reader`; raises as `Children.ask`."""
    seen: int | None = children.ask({"task": "second_reader"}, [data])[0]["orientation"]
    return seen


def decoder(input_size: int, max_pixels: int, *, isolate: bool) -> Decoder:
    """One that decodes in child processes if `isolate`, else in this one."""
    if isolate:
        return IsolatedDecoder(input_size, max_pixels)
    from orientd.decode.cpu import CpuDecoder  # Pillow is loaded only where it is needed

    return CpuDecoder(input_size, max_pixels)


def make_second_reader(*, isolate: bool) -> Callable[[bytes], int | None]:
    """`cpu.second_reader`, in child processes if `isolate`."""
    if isolate:
        return second_reader
    from orientd.decode import cpu

    return cpu.second_reader


class IsolatedRotator:
    """A `Rotator` that has child processes turn and check. One of them may take as much memory as the machine has, and an hour:
    packing a photo of 200 megapixels takes minutes."""

    def __init__(self, *, jpeg: bool = True, children: Children = CHILDREN, limits: Limits = TURNING) -> None:
        """With `jpeg` the library is there that JPEGs need; `limits` are what one photo may take."""
        self._jpeg, self._children, self._limits = jpeg, children, limits

    def plan(self, format: Format, data: bytes, orientation: int) -> Patch:  # noqa: A002
        """See `Rotator.plan`; raises as that and `Children.ask`."""
        said, new = self._ask("plan", format, orientation, data)
        splices, end = [], 0
        for offset, old, size in said["splices"]:
            splices.append(Splice(offset, data[offset : offset + old], new[end : end + size]))
            end += size
        return Patch(tuple(splices))

    def check(self, format: Format, old: bytes, new: bytes, orientation: int) -> None:  # noqa: A002
        """See `Rotator.check`; raises as that and `Children.ask`."""
        self._ask("check", format, orientation, old, new)

    def _ask(self, task: str, format_: Format, orientation: int, *parts: bytes) -> tuple[dict[str, Any], bytes]:
        question = {"task": task, "format": format_, "orientation": orientation, "jpeg": self._jpeg}
        try:
            return self._children.ask(question, parts, self._limits)
        except DecodeError as error:
            raise Refused(error.code, str(error)) from error


class IsolatedPacker:
    """Packs image files again, see `page_files`, in child processes. Each method raises as that and as `Children.ask`."""

    def __init__(self, max_pixels: int, children: Children = CHILDREN, limits: Limits = DECODING) -> None:
        self._max_pixels, self._children, self._limits = max_pixels, children, limits

    def count(self, photo: Photo) -> int:
        """How many pages a file has."""
        number: int = self._ask("pages", photo)[0]["pages"]
        return number

    def turned(self, photo: Photo, quarters: int, rest: float) -> bytes:
        """The file with its first page turned clockwise, packed again; it may be of another format then."""
        return self._ask("turned_page", photo, quarters=quarters, rest=rest)[1]

    def _ask(self, task: str, photo: Photo, **more: float) -> tuple[dict[str, Any], bytes]:
        question = {"task": task, "format": photo.format, "max_pixels": self._max_pixels, **more}
        return self._children.ask(question, [photo.data], self._limits)
