"""Asking the witnesses about a photo. They are opened when the first photo needs them; none of them can make a photo fail."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial

from orientd.judge.panel import Question
from orientd.records import Evidence, Notify, Photo, Picture
from orientd.witnesses.opened import Witness

_log = logging.getLogger(__name__)


class Bench:
    """The witnesses of a run; used from several threads at once."""

    def __init__(
        self,
        names: Iterable[str],
        opened: Callable[[], Mapping[str, Witness | None]],
        fitted: Callable[[Photo], Picture],
        notify: Notify,
    ) -> None:
        """`names` are those that are worth asking, in the order in which they are asked; `opened` opens all that can be, and
        says which cannot. `fitted` returns the photo as viewers show it, at the size that witnesses get. `notify` is called once
        for a witness that fails.
        """
        self._names = tuple(names)
        self._opened, self._fitted, self._notify = opened, fitted, notify
        self._lock = threading.Lock()
        self._witnesses: Mapping[str, Witness | None] | None = None
        self._failed: set[str] = set()

    def questions(self, photo: Photo) -> list[Question]:
        """How to ask each about a photo, which is decoded when the first of them is asked."""
        picture = cache(partial(self._picture, photo))
        return [(name, partial(self._ask, name, picture)) for name in self._names]

    def _picture(self, photo: Photo) -> Picture | None:
        try:
            return self._fitted(photo)
        except Exception as error:  # the network has seen it; what is damaged comes out before anything is written
            _log.debug("%s: the witnesses cannot see it", photo.path, exc_info=error)
            return None

    def _ask(self, name: str, picture: Callable[[], Picture | None]) -> Evidence | None:
        witness, seen = self._all().get(name), picture()
        if witness is None or seen is None:
            return None
        try:
            return witness.look(seen.pixels)
        except Exception as error:
            self._tell(name, error)
            return None

    def _all(self) -> Mapping[str, Witness | None]:
        with self._lock:
            if self._witnesses is None:
                self._witnesses = self._opened()
            return self._witnesses

    def _tell(self, name: str, error: Exception) -> None:
        _log.debug("the witness %s failed", name, exc_info=error)
        with self._lock:
            first = name not in self._failed
            self._failed.add(name)
        if first:
            self._notify(f"the witness {name!r} failed at a photo ({error}): it is judged without it")
