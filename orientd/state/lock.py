"""The lock of a state folder: one orientd writes at a time."""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Self

from orientd.errors import Busy, Stopped
from orientd.records import Notify
from orientd.state.database import explained

_LONGEST_NUMBER: Final = 32
_LOOK: Final = 0.1


class Lock:
    """Lets one process write (or do what `doing` says) at a time: a `flock` on a file in the state directory, which the kernel
    frees when the process ends. While another process holds it, `wait` is called with a message; True means to try again.

    Raises:
        Busy: another process holds it.
        StateError: the state directory cannot be used.
    """

    def __init__(
        self, state_dir: str | os.PathLike[str], doing: str = "writing", wait: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._doing = doing
        with explained(state_dir):
            os.makedirs(state_dir, mode=0o700, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.open(os.path.join(state_dir, _lock_name(doing)), flags, 0o600)
            try:
                while not self._is_taken():
                    if not wait(self._held()):
                        raise Busy(f"{self._held()}: wait for it to end, or stop it")
            except BaseException:
                os.close(self._file)
                raise

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _held(self) -> str:
        holder = os.pread(self._file, _LONGEST_NUMBER, 0).decode("ascii", "replace").strip() or "unknown"
        return f"another orientd is {self._doing} (process {holder})"

    def _is_taken(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        found = os.fstat(self._file)
        if found.st_nlink != 1 or found.st_size > _LONGEST_NUMBER:
            raise ValueError("its lock is a file of another program")
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        return True


@dataclass
class Waiting:
    """Waits while another orientd writes, for `seconds` at most; for a watcher, which pauses, for `for_watcher` seconds if that
    is longer. `notify` is called once with the reason for waiting. Once `stop` is true, a wait raises Stopped.
    """

    state_dir: str
    seconds: float
    stop: Callable[[], bool]
    notify: Notify
    for_watcher: float = 0.0
    sleep: Callable[[float], None] = lambda seconds: time.sleep(seconds)
    _looks: int = field(default=0, init=False)

    def __call__(self, held: str) -> bool:
        """True after a pause, to try again; false if it has waited long enough. `held` says who holds the lock."""
        watched = is_locked(self.state_dir, "watching")
        if self._looks * _LOOK >= max(self.seconds, self.for_watcher if watched else 0.0):
            return False
        if self.stop():
            if self.seconds or self._looks:
                raise Stopped
            return False
        if not self._looks:
            self.notify("a watcher of orientd is writing: waiting for it to pause" if watched else f"{held}: waiting for it")
        self._looks += 1
        self.sleep(_LOOK)
        return True


def is_locked(state_dir: str | os.PathLike[str], doing: str = "writing") -> bool:
    """True if a process holds the `Lock`."""
    with suppress(OSError), open(os.path.join(state_dir, _lock_name(doing)), "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _lock_name(doing: str) -> str:
    return "lock" if doing == "writing" else f"{doing}.lock"
