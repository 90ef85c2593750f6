"""Photos as small JPEGs for the page, kept in memory within a bound.

They are shown as viewers show them now; the page turns them, which costs nothing and takes no second picture.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from orientd.config import Config
from orientd.library.paths import real_place
from orientd.library.source import ServedPhotos
from orientd.pipeline.pictures import Pictures, Shown

SIDES: Final = (320, 1600)
"""Longer sides in pixels: of a card, and of the large view."""
BYTES: Final = 96 * 2**20

_Key = tuple[str, int, object]


class Previews:
    """Makes previews for several threads at once, and keeps those used last, `most` bytes of them."""

    def __init__(
        self, config: Config, roots: Callable[[], Sequence[str]], most: int = BYTES, served: ServedPhotos | None = None
    ) -> None:
        """`roots` gives the real folders, or photos, that may be read; what was read may be shown again. For `served` see
        `Pictures`."""
        self._pictures, self._most = Pictures(config, roots, served), most
        self._kept: OrderedDict[_Key, Shown] = OrderedDict()
        self._held, self._lock = 0, threading.Lock()

    def warm(self) -> None:
        """Have a decoder ready for the first photo: its libraries take longer to load than a photo takes."""
        self._pictures.warm()

    def get(self, path: str, side: int) -> Shown:
        """The photo at a path, its longer side `side` pixels or, if it has fewer, as it is.

        Raises:
            PhotoError: it may not be read, cannot be, or cannot be decoded.
        """
        path = real_place(path)
        key = (path, side, self._pictures.state(path))
        with self._lock:
            if kept := self._kept.get(key):
                self._kept.move_to_end(key)
                return kept
        made = self._pictures.get(path, side)
        self._keep(key, made)
        return made

    def _keep(self, key: _Key, made: Shown) -> None:
        with self._lock:
            if key in self._kept or len(made.jpeg) > self._most:
                return
            self._kept[key] = made
            self._held += len(made.jpeg)
            while self._held > self._most:
                _, dropped = self._kept.popitem(last=False)
                self._held -= len(dropped.jpeg)
