"""Folders and zips of upright photos, and a photo of them as the square that the serving decoder makes of it."""

import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

import numpy as np
from numpy.typing import NDArray

from orientd import formats
from orientd.decode.cpu import CpuDecoder
from orientd.decode.resize import resized
from orientd.errors import ConfigError, DecodeError
from orientd.library import filenames
from orientd.library.walk import walk
from orientd.records import FileStat, Photo, Picture

_NO_STAT = FileStat(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Member:
    """A photo of a source, not yet read; `unread` says why it never will be.

    `group` is the top folder of its `name` inside the source, `folder` the deepest, and `stamp` changes when its content does.
    """

    source: str
    name: str
    group: str
    folder: str
    stamp: str
    unread: str = ""


class Sources:
    """Folders and zips, open while it is used as a context manager."""

    def __init__(self, paths: Sequence[Path], middle: int = 0) -> None:
        """With `middle` the squares are the middles of the photos, so many pixels wide, and not whole photos squeezed."""
        self._paths, self._middle = paths, middle
        self._zips: dict[str, zipfile.ZipFile] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Open the zips.

        Raises:
            ConfigError: a source does not exist, or is neither a folder nor a zip that can be read.
        """
        with ExitStack() as stack:
            for path in self._paths:
                if path.is_file():
                    self._zips[str(path)] = stack.enter_context(_zip(path))
                elif not path.is_dir():
                    raise ConfigError(f"{path} is neither a folder nor a zip of photos: is the path right?")
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def members(self) -> Iterator[Member]:
        """All photos in the order of the sources and, within one, of names."""
        for path in self._paths:
            yield from _zipped(str(path), self._zips[str(path)]) if str(path) in self._zips else _below(path)

    def square(self, member: Member, decoder: CpuDecoder) -> NDArray[np.uint8] | str:
        """The photo upright and squeezed to a square, or its middle, or the reason why there is none."""
        if self._middle:
            seen = self.fitted(member, decoder, 2 * self._middle)
            return seen if isinstance(seen, str) else _middle(seen, self._middle)
        return self._decoded(member, lambda photo: decoder.decode(photo))

    def fitted(self, member: Member, decoder: CpuDecoder, side: int) -> NDArray[np.uint8] | str:
        """The photo upright at its own aspect, its longer side that many pixels at most, or the reason why there is none."""
        return self._decoded(member, lambda photo: decoder.fitted(photo, side))

    def _decoded(self, member: Member, decode: Callable[[Photo], Picture]) -> NDArray[np.uint8] | str:
        try:
            data = self._read(member)
            kind = formats.sniff(data)
            return decode(Photo(member.name, _NO_STAT, kind, data, formats.stored_orientation(kind, data), "")).pixels
        except (OSError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error, DecodeError) as error:
            return str(error) or type(error).__name__

    def _read(self, member: Member) -> bytes:
        if archive := self._zips.get(member.source):
            return archive.read(member.name)
        return Path(member.source, member.name).read_bytes()


def _middle(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The middle square of a picture in its own aspect, at that size: in a squeezed one a turned line has another angle."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return resized(pixels[top : top + side, left : left + side], size, size)


def _zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path} is not a zip that can be read ({error}): give folders or zips of photos") from error


def _zipped(source: str, archive: zipfile.ZipFile) -> Iterator[Member]:
    for info in sorted(archive.infolist(), key=lambda info: info.filename):
        path = PurePosixPath(info.filename)
        if not info.is_dir() and filenames.worth_opening(path.name) and all(map(filenames.worth_entering, path.parts[:-1])):
            group = path.parts[0] if len(path.parts) > 1 else Path(source).stem
            folder = str(path.parent) if len(path.parts) > 1 else source
            yield Member(source, info.filename, group, folder, f"{info.file_size} {info.CRC}")


def _below(source: Path) -> Iterator[Member]:
    root = os.path.realpath(source)
    for candidate in walk([str(source)]):
        name = os.path.relpath(candidate.path, root)
        group = name.split(os.sep)[0] if os.sep in name else os.path.basename(root)
        stamp = f"{candidate.stat.size} {candidate.stat.mtime_ns}"
        yield Member(str(source), name, group, os.path.dirname(candidate.path), stamp, candidate.error or candidate.skip)
