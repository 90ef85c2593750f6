"""How photos are opened: read ahead of need, whole, or at first only as far as a glance at their thumbnail takes."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from orientd import formats
from orientd.config import Config
from orientd.files.read import read_front, read_whole
from orientd.library import filenames
from orientd.library import photo as read
from orientd.library.read_ahead import Content, ReadAhead
from orientd.library.sidecars import Naming
from orientd.records import Candidate, Photo, Picture

FRONT = 256 * 1024
"""Bytes from the start of a file for a glance. 24 megapixels take up to 10 MB, and 1 % of the height must be in it."""


class PhotoReader:
    """Opens photos for several threads at once; `close` it where anything was expected."""

    def __init__(self, config: Config, naming: Naming | None, *, glances: bool = False) -> None:
        """Without `glances` every photo is read whole at once."""
        self._limit, self._naming, self.glances = config.max_bytes, naming, glances
        self._ahead = ReadAhead(self._start)

    def expect(self, candidates: Iterable[Candidate]) -> None:
        """These will be opened, in this order (see `ReadAhead.expect`)."""
        self._ahead.expect(candidates)

    def open(self, candidate: Candidate) -> Photo | None:
        """See `read.read`."""
        return read.read(candidate, self._whole if self._is_for_a_glance(candidate) else self._ahead.read, self._naming)

    def glance(self, candidate: Candidate, look: Callable[[Photo], Picture | None]) -> tuple[Photo, Picture] | None:
        """A JPEG by its thumbnail as `look` sees it (see `Decoder.glance`), and what is known of it, without bytes and SHA-256.

        None if it is to be opened. Raises whatever reading it and `look` do; `open` will explain it.
        """
        if not self._is_for_a_glance(candidate):
            return None
        data, stat = self._ahead.read(candidate)
        kind = formats.sniff(data)
        if self._naming and formats.needs_sidecar(kind, data):
            return None
        photo = Photo(candidate.path, stat, kind, data, formats.stored_orientation(kind, data), "")
        picture = look(photo)
        return (replace(photo, data=b""), picture) if picture else None

    def close(self) -> None:
        self._ahead.close()

    def _start(self, candidate: Candidate) -> Content:
        return read_front(candidate.path, FRONT) if self._is_for_a_glance(candidate) else self._whole(candidate)

    def _whole(self, candidate: Candidate) -> Content:
        return read_whole(candidate.path, self._limit)

    def _is_for_a_glance(self, candidate: Candidate) -> bool:
        plain = not (candidate.error or candidate.skip) and filenames.promises_jpeg(candidate.path)
        return self.glances and plain and 2 * FRONT < candidate.stat.size <= self._limit
