"""Ctrl-C and SIGTERM: the photo in hand is finished first."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orientd.errors import ExitCode


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """A test that becomes true at the first Ctrl-C or SIGTERM: the photo in hand is finished, but not after a second Ctrl-C.

    A third ends the program at once, which harms no photo: a disk that hangs may keep the second from doing so.
    """
    asked = threading.Event()

    def ask(number: int, _: object) -> None:
        if asked.is_set() and number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code(stop: Callable[[], bool], *, faulty: bool) -> ExitCode:
    """INTERRUPTED if somebody asked to stop, else INCOMPLETE if something failed, else OK."""
    if stop():
        return ExitCode.INTERRUPTED
    return ExitCode.INCOMPLETE if faulty else ExitCode.OK
