"""Photos of Immich for people to look at: on the page, in a report, by `inspect`. The key stays here."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from orientd.config import Config
from orientd.errors import OrientdError, ReadError, Refused, Stopped
from orientd.pipeline.immich.client import Clock
from orientd.pipeline.immich.connections import Connections
from orientd.pipeline.immich.now import ask
from orientd.reasons import Reason
from orientd.records import Method, Notify, Photo

_PATIENCE: Final = 10.0  # seconds: somebody sits before it
_AGAIN_AFTER: Final = 30.0
"""Seconds until a server is tried again that could not be used."""


class ImmichPhotos:
    """A `ServedPhotos`. No server is asked before the first photo of it; whatever is wrong with it is said of each photo."""

    def __init__(self, config: Config, notify: Notify, stop: Callable[[], bool] = lambda: False) -> None:
        self._closed = threading.Event()
        clock = Clock(lambda: self._closed.is_set() or stop())
        self._connect = Connections(config, clock, notify, patience=_PATIENCE, again_after=_AGAIN_AFTER)

    def state(self, path: str) -> str:
        """See `ServedPhotos.state`."""
        with self._worded():
            return ask(self._connect, path).photo.sha256

    def read(self, path: str) -> Photo:
        """See `ServedPhotos.read`. Raises Refused, too, where Immich does not show yet how it was edited last."""
        with self._worded():
            return ask(self._connect, path).up_to_date()

    def checked(self, path: str) -> Callable[[Photo, int], tuple[Method, str, None]]:
        """The stage *plan* of a photo: it raises Refused if Immich would not turn it. Raises PhotoError if it cannot be asked."""
        with self._worded():
            reason, code = ask(self._connect, path).refusal

        def check(_: Photo, __: int) -> tuple[Method, str, None]:
            if reason:
                raise Refused(code, reason)
            return Method.IMMICH, "", None

        return check

    def close(self) -> None:
        self._closed.set()
        self._connect.close()

    @contextmanager
    def _worded(self) -> Iterator[None]:
        try:
            yield
        except OrientdError as error:
            raise ReadError(Reason.NOT_REACHABLE, str(error)) from error
        except (Stopped, RuntimeError) as error:  # httpx raises the latter where its client was closed meanwhile
            if isinstance(error, RuntimeError) and not self._closed.is_set():
                raise
            raise ReadError(Reason.INTERRUPTED, "stopped before the server answered") from error
