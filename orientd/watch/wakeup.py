"""What wakes the loop: events, signals and the clock."""

import os
import select
import signal
from contextlib import suppress
from typing import Self


class Wakeup:
    """Wakes the one thread that waits: woken by any thread and, once `hear_signals` was called, by every signal.

    An Event would not do: a signal handler that sets it while its thread is just waiting for it locks that thread up.
    """

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._read_end, select.POLLIN)
        self._before: int | None = None

    def hear_signals(self) -> None:
        """Be woken by every signal that has a handler; for the main thread."""
        self._before = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)

    def wake(self) -> None:
        with suppress(BlockingIOError):  # woken more often than it waited: it will wake
            os.write(self._write_end, b"!")

    def wait(self, seconds: float | None) -> None:
        """Wait until `wake` is called, for at most that many seconds (None: no limit)."""
        if self._poll.poll(None if seconds is None else max(seconds, 0) * 1000):
            os.read(self._read_end, 65536)

    def close(self) -> None:
        if self._before is not None:
            signal.set_wakeup_fd(self._before)
        os.close(self._read_end)
        os.close(self._write_end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
