"""Photos as small JPEGs, for people to look at: read as `apply` reads them, and decoded at reduced size.

A plan may come from anyone, so that a photo is read only where the folders that may be read hold it, and no symbolic link is
followed on the way; one on a server comes from there, if servers may be asked.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, NamedTuple

import numpy as np

from orientd.config import Config, processors
from orientd.decode import admitted, encoded
from orientd.decode.by_sidecar import as_noted
from orientd.errors import PhotoError, ReadError, Refused
from orientd.files.read import read_whole
from orientd.library import photo as reading
from orientd.library.paths import below, real_place
from orientd.library.read_ahead import Content
from orientd.library.source import ServedPhotos
from orientd.reasons import Reason
from orientd.records import ON_SERVERS, Candidate, FileStat, Format, Photo, Picture, Row, Status
from orientd.report.html_page import Card

SIDE: Final = 320
_OUTSIDE: Final = "not shown: it is outside the folders named or, if none is, outside all that was ever scanned"
_CHANGED: Final = "not shown: it has changed since it was judged"
_ONLY_FOLDERS: Final = "not shown: it lies on a server, and folders were named"


class Shown(NamedTuple):
    """A photo as a JPEG, with its sides in pixels, and the SHA-256 of the file that it was made of, or its row's fingerprint."""

    jpeg: bytes
    width: int
    height: int
    sha256: str


class Pictures:
    """Makes pictures for several threads at once. `roots` gives the real folders, or photos, that may be read; None is any.

    `served` reads photos of servers; without it these are not shown.
    """

    def __init__(
        self, config: Config, roots: Callable[[], Sequence[str]] | None = None, served: ServedPhotos | None = None
    ) -> None:
        self._roots, self._served, self._limit, self._naming = roots, served, config.max_bytes, config.sidecar_naming
        decoder = admitted.decoder(SIDE, config.max_pixels, config.max_memory, isolate=config.isolate)
        self._fitted = as_noted(decoder.fitted)

    def warm(self) -> None:
        """Have a decoder ready for the first photo: its libraries take longer to load than a photo takes."""
        square = Picture(np.zeros((8, 8, 3), np.uint8), 8, 8)
        with suppress(PhotoError, OSError, MemoryError, RuntimeError):  # the first photo will show it
            self._fitted(Photo("", FileStat(0, 0, 0, 0), Format.JPEG, encoded.jpeg(square), None, ""), SIDE)

    def state(self, path: str) -> object:
        """What distinguishes one state of a photo from another, without targets of links. Raises PhotoError for one on a server
        that cannot be asked."""
        if path.startswith(ON_SERVERS):
            return self._on_servers().state(path)
        try:
            found = os.lstat(path)
        except (OSError, ValueError):
            return FileStat(0, 0, 0, 0)
        return FileStat(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)

    def get(self, path: str, side: int = SIDE) -> Shown:
        """The photo at a path as viewers show it, of at most `side` pixels on the longer side.

        Raises:
            PhotoError: it may not be read, cannot be, or cannot be decoded.
        """
        try:
            photo = self._on_servers().read(path) if path.startswith(ON_SERVERS) else self._read(real_place(path))
            picture = self._fitted(photo, side)
            height, width, _ = picture.pixels.shape
            return Shown(encoded.jpeg(picture), width, height, photo.sha256)
        except (OSError, MemoryError, RuntimeError) as error:  # TimeoutError is an OSError
            raise ReadError(Reason.UNEXPECTED, f"not shown: {error}") from error

    def _on_servers(self) -> ServedPhotos:
        if self._served is None:
            raise Refused(Reason.NOT_ALLOWED, _ONLY_FOLDERS)
        return self._served

    def _read(self, place: str) -> Photo:
        """Whatever it is, if it is a photo: a raw file by its preview, and as its sidecar has it, if that is clear."""
        if self._roots is not None and not below(place, self._roots()):
            raise Refused(Reason.NOT_ALLOWED, _OUTSIDE)
        candidate = Candidate(place, FileStat(0, 0, 0, 0))
        try:
            found = reading.read(candidate, self._whole, self._naming)
        except Refused:
            found = reading.read(candidate, self._whole)
        if found is None:
            raise Refused(Reason.NOT_A_PHOTO, "not shown: it is no photo")
        return found

    def _whole(self, candidate: Candidate) -> Content:
        return read_whole(candidate.path, self._limit)


def cards(config: Config, rows: Iterable[Row], pictures: Pictures, stop: Callable[[], bool]) -> Iterator[Card]:
    """The rows of photos with their pictures, in order; no more once `stop` is true."""

    def card(row: Row) -> Card:
        if stop():
            return Card(row)
        try:
            shown = pictures.get(row.path)
        except PhotoError as error:
            return Card(row, note=str(error))
        except Exception as error:  # a parser's bug met by one strange file must not cost the others their pictures
            return Card(row, note=f"not shown: unexpected {type(error).__name__}")
        is_known = shown.sha256 == row.sha256 or row.outcome is Status.FIXED
        return Card(row, shown.jpeg, shown.width, shown.height) if is_known else Card(row, note=_CHANGED)

    with ThreadPoolExecutor(config.workers or processors.available(), thread_name_prefix="orientd-picture") as pool:
        for made in pool.map(card, rows):
            if stop():
                return
            yield made
