"""Sidecars on the disk: which file belongs to a photo, and which orientation it gives the photo.

There are two customs: `photo.cr2.xmp` (darktable, digiKam) and Adobe's `photo.xmp`. Of a photo that is never written itself, one
that is there is obeyed and kept up to date, whichever its name; two could contradict each other, so the photo is left alone then.
A photo that is to be written itself must have none that stores an orientation: that would contradict the photo afterwards.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from orientd.errors import PhotoError, Refused, Signed
from orientd.files import read
from orientd.files.syscalls import DISK, Disk
from orientd.formats import sidecar
from orientd.library import filenames
from orientd.orientation import normalise
from orientd.reasons import Reason
from orientd.records import FileStat, Patch, Splice

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
            raise Refused(
                Reason.SIDECAR_UNCLEAR, f"its sidecar {os.path.basename(self.path)} is not understood: {error}"
            ) from error

    def plan(self, orientation: int, photo: str) -> Patch:
        """The patch that makes it, or changes it to, store `orientation` (1–8) for the photo of that path.

        Raises:
            Refused: it cannot be changed safely.
        """
        try:
            if self.stat.nlink:
                return sidecar.plan(self.data, orientation)
        except Refused as error:
            raise Refused(
                Reason.SIDECAR_UNCLEAR, f"its sidecar {os.path.basename(self.path)} cannot be changed safely: {error}"
            ) from error
        ending = os.path.splitext(photo)[1][1:] if self.path in _adobe(photo) else ""
        return Patch((Splice(0, b"", sidecar.fresh(orientation, ending)),))


def find(photo: str, naming: Naming, disk: Disk = DISK) -> Sidecar:
    """The sidecar of a photo; if there is none, the place for one by that custom.

    Raises:
        Refused: there are several, or the one that is there cannot be read.
    """
    found = [each for path, _ in _present(photo) if _describes(each := _read(path, disk), photo)]
    if len(found) > 1:
        raise Refused(
            Reason.SIDECAR_UNCLEAR,
            f"it has several sidecars ({', '.join(os.path.basename(each.path) for each in found)}): keep one",
        )
    if found:
        return found[0]
    place = (_full(photo) if naming == "full" else _adobe(photo))[0]
    if os.path.lexists(place):
        raise Refused(
            Reason.SIDECAR_UNCLEAR, f"{os.path.basename(place)} is the sidecar of another photo: use --sidecar-naming full"
        )
    try:
        return Sidecar(place, b"", read.absent(os.stat(os.path.dirname(photo) or os.curdir).st_dev))
    except OSError as error:
        raise Refused(Reason.SIDECAR_UNCLEAR, f"its folder cannot be examined ({error.strerror}): scan again") from error


def check_silent(photo: str, disk: Disk = DISK) -> None:
    """Check that no file next to a photo would contradict the photo once the photo itself is written.

    Raises:
        Signed: a manifest of its content is there (C2PA technical specification 2.2, section 11.4).
        Refused: a sidecar stores an orientation, or one that is there cannot be read.
    """
    manifest = os.path.splitext(photo)[0] + ".c2pa"
    if os.path.lexists(manifest):
        raise Signed(
            f"its content is signed by {os.path.basename(manifest)} (C2PA), which any change would break: turn it in a program"
            " that keeps sidecars"
        )
    for name, orientation in _stated(photo, disk):
        raise Refused(
            Reason.SIDECAR_CONTRADICTS,
            f"its sidecar {name} stores an orientation ({orientation}), which would contradict the photo: turn it in the program"
            " that keeps the sidecar, or remove the orientation from the sidecar",
        )


def contradiction(photo: str, orientation: int | None, disk: Disk = DISK) -> str:
    """What a sidecar stores against a photo that was written and stores `orientation` (None: none); empty if none is known to."""
    with suppress(Refused):
        for name, noted in _stated(photo, disk):
            if normalise(noted) != normalise(orientation):
                return f"its sidecar {name} stores another orientation ({noted}): turn it in the program that keeps the sidecar"
    return ""


def _stated(photo: str, disk: Disk) -> Iterator[tuple[str, int]]:
    """Name and orientation of each sidecar that stores one for the photo.

    Raises:
        Refused: one that is there cannot be read, or is not clear.
    """
    for path, _ in _present(photo):
        found = _read(path, disk)
        if found.orientation is not None and _describes(found, photo):
            yield os.path.basename(path), found.orientation


def signature(photo: str) -> str:
    """Distinguishes one state of a photo's sidecars from another without opening them; empty if there are none."""
    return "".join(f"-{stat.inode}-{stat.size}-{stat.mtime_ns}" for _, stat in _present(photo))


def paths(photo: str) -> tuple[str, ...]:
    """Every path that a sidecar of the photo may have."""
    return (*_full(photo), *_adobe(photo))


def photos(path: str) -> Iterator[str]:
    """Every path that the photo of a sidecar at `path` may have; none if that is not the name of a sidecar."""
    stem, suffix = os.path.splitext(path)
    if suffix in _SUFFIXES:
        yield stem
        yield from (stem + cased for ending in sorted(filenames.PHOTOS) for cased in (ending, ending.upper()))


def _present(photo: str) -> Iterator[tuple[str, FileStat]]:
    """Sidecars that are there, each under one name: file systems that ignore case have it under two."""
    known = set()
    for path in paths(photo):
        try:
            stat = read.file_stat(os.lstat(path))
        except (OSError, ValueError):
            continue
        if (stat.dev, stat.inode) not in known:
            known.add((stat.dev, stat.inode))
            yield path, stat


def _read(path: str, disk: Disk) -> Sidecar:
    try:
        return Sidecar(path, *read.read_whole(path, _LIMIT, disk))
    except PhotoError as error:
        raise Refused(Reason.SIDECAR_UNCLEAR, f"its sidecar {os.path.basename(path)} cannot be read: {error}") from error


def _describes(found: Sidecar, photo: str) -> bool:
    """True if it belongs to that photo. `photo.xmp` may say for which extension it is; if not, it is that of the raw file: into
    other photos programs write themselves. Without a raw file it is that of the only photo of this name.

    Raises:
        Refused: it may belong to several photos.
    """
    if found.path in _full(photo):
        return True
    if said := sidecar.extension(found.data).strip().lower():
        return said == filenames.suffix(photo)[1:].strip()
    own, namesakes = os.path.basename(photo), _namesakes(photo)
    likely = {name for name in namesakes if filenames.suffix(name) in filenames.RAW} or namesakes
    if own in likely and len(likely) > 1:
        raise Refused(
            Reason.SIDECAR_UNCLEAR, f"{os.path.basename(found.path)} does not say whether it is for {' or '.join(sorted(likely))}"
        )
    return own in likely


def _namesakes(photo: str) -> set[str]:
    """Names of the photos that may share `photo.xmp`, this one among them."""
    stem = os.path.splitext(os.path.basename(photo))[0]
    siblings = os.listdir(os.path.dirname(photo) or os.curdir)
    others = (name for name in siblings if os.path.splitext(name)[0] == stem and filenames.promises_photo(name))
    return {os.path.basename(photo), *others}


def _full(photo: str) -> tuple[str, ...]:
    return tuple(photo + suffix for suffix in _SUFFIXES)


def _adobe(photo: str) -> tuple[str, ...]:
    return tuple(os.path.splitext(photo)[0] + suffix for suffix in _SUFFIXES)
