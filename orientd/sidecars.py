"""Sidecars on the disk: which file tells of a photo that is never written itself, and which orientation it gives the photo.

There are two customs: `photo.cr2.xmp` (darktable, digiKam) and Adobe's `photo.xmp`. One that is there is obeyed and kept up to
date, whichever its name; two that are there could contradict each other, and then the photo is left alone.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from orientd import files, names
from orientd.disk import DISK, Disk
from orientd.errors import PhotoError, Refused
from orientd.formats import sidecar
from orientd.items import FileStat, Patch, Splice

Naming = Literal["full", "adobe"]

_SUFFIXES: Final = (".xmp", ".XMP")
_LIMIT: Final = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A sidecar, or the place of one to be made: then `data` is empty and `stat` that of a file that is not there."""

    path: str
    data: bytes
    stat: FileStat

    @property
    def orientation(self) -> int | None:
        """What it stores, exactly as found; None if it stores none, or is not there. Raises Refused if that is not clear."""
        try:
            return sidecar.stored(self.data) if self.stat.nlink else None
        except Refused as error:
            raise Refused(f"its sidecar {os.path.basename(self.path)} is not understood: {error}") from error

    def plan(self, orientation: int, photo: str) -> Patch:
        """The patch that makes it, or changes it to, store `orientation` (1–8) for the photo of that path.

        Raises:
            Refused: it cannot be changed safely.
        """
        try:
            if self.stat.nlink:
                return sidecar.plan(self.data, orientation)
        except Refused as error:
            raise Refused(f"its sidecar {os.path.basename(self.path)} cannot be changed safely: {error}") from error
        ending = os.path.splitext(photo)[1][1:] if self.path in _adobe(photo) else ""
        return Patch((Splice(0, b"", sidecar.fresh(orientation, ending)),))


def find(photo: str, naming: Naming, disk: Disk = DISK) -> Sidecar:
    """The sidecar of a photo; if there is none, the place for one by that custom.

    Raises:
        Refused: there are several, or the one that is there cannot be read.
    """
    found = [each for path, _ in _present(photo) if _tells_of(each := _read(path, disk), photo)]
    if len(found) > 1:
        raise Refused(f"it has several sidecars ({', '.join(os.path.basename(each.path) for each in found)}): keep one")
    if found:
        return found[0]
    place = (_full(photo) if naming == "full" else _adobe(photo))[0]
    if os.path.lexists(place):
        raise Refused(f"{os.path.basename(place)} is the sidecar of another photo: use --sidecar-naming full")
    try:
        return Sidecar(place, b"", files.absent(os.stat(os.path.dirname(photo) or os.curdir).st_dev))
    except OSError as error:
        raise Refused(f"its folder cannot be examined ({error.strerror}): scan again") from error


def signature(photo: str) -> str:
    """Tells one state of a photo's sidecars from another without opening them; empty if there are none."""
    return "".join(f"-{stat.inode}-{stat.size}-{stat.mtime_ns}" for _, stat in _present(photo))


def paths(photo: str) -> tuple[str, ...]:
    """Every path that a sidecar of the photo may have."""
    return (*_full(photo), *_adobe(photo))


def photos(path: str) -> Iterator[str]:
    """Every path that the photo may have of which a sidecar at `path` tells; none if that is not the name of a sidecar."""
    stem, suffix = os.path.splitext(path)
    if suffix in _SUFFIXES:
        yield stem
        yield from (stem + cased for ending in sorted(names.NEVER_WRITTEN) for cased in (ending, ending.upper()))


def _present(photo: str) -> Iterator[tuple[str, FileStat]]:
    """Sidecars that are there, each under one name: file systems that ignore case have it under two."""
    known = set()
    for path in paths(photo):
        try:
            stat = files.file_stat(os.lstat(path))
        except (OSError, ValueError):
            continue
        if (stat.dev, stat.inode) not in known:
            known.add((stat.dev, stat.inode))
            yield path, stat


def _read(path: str, disk: Disk) -> Sidecar:
    try:
        return Sidecar(path, *files.read_whole(path, _LIMIT, disk))
    except PhotoError as error:
        raise Refused(f"its sidecar {os.path.basename(path)} cannot be read: {error}") from error


def _tells_of(found: Sidecar, photo: str) -> bool:
    """False for `photo.xmp` if it says that it is for photo.nef and the photo is photo.cr2."""
    if found.path in _full(photo):
        return True
    said = sidecar.extension(found.data).strip().lower()
    if not said and len(namesakes := _namesakes(photo)) > 1:
        raise Refused(f"{os.path.basename(found.path)} does not say whether it is for {' or '.join(sorted(namesakes))}")
    return said in ("", names.suffix(photo)[1:].strip())


def _namesakes(photo: str) -> set[str]:
    """Names of the files that may share `photo.xmp`; a JPEG does not, as programs write into the JPEG itself."""
    stem = os.path.splitext(os.path.basename(photo))[0]
    beside = os.listdir(os.path.dirname(photo) or os.curdir)
    never = (name for name in beside if os.path.splitext(name)[0] == stem and names.suffix(name) in names.NEVER_WRITTEN)
    return {os.path.basename(photo), *never}


def _full(photo: str) -> tuple[str, ...]:
    return tuple(photo + suffix for suffix in _SUFFIXES)


def _adobe(photo: str) -> tuple[str, ...]:
    return tuple(os.path.splitext(photo)[0] + suffix for suffix in _SUFFIXES)
