"""What is asked of a library, wherever its photos are: folders here (`walk` and `PhotoReader`), or a photo server."""

from collections.abc import Callable, Iterable
from typing import Protocol

from orientd.records import Candidate, Photo, Picture


class Source(Protocol):
    """Opens the candidates that were listed, for several threads at once; `glances`: `glance` may return something before."""

    glances: bool

    def expect(self, candidates: Iterable[Candidate]) -> None:
        """These will be opened, in this order."""

    def open(self, candidate: Candidate) -> Photo | None:
        """The photo as it is to be judged, or None if it is none; raises PhotoError."""

    def glance(self, candidate: Candidate, look: Callable[[Photo], Picture | None]) -> tuple[Photo, Picture] | None:
        """The photo, and its picture by `look`, from what can be read without opening the whole file; None if nothing can."""

    def close(self) -> None:
        """Nothing that is expected is opened any more."""


class ServedPhotos(Protocol):
    """Photos of servers by their paths, one at a time, for people to look at; asked by several threads at once."""

    def state(self, path: str) -> str:
        """The fingerprint that its row would have now; raises PhotoError."""

    def read(self, path: str) -> Photo:
        """The photo as its server shows it now, `sha256` that fingerprint; raises PhotoError."""

    def close(self) -> None:
        """Nothing is asked any more; a thread that waits for an answer is released."""
