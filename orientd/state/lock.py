"""The lock of a state folder: one orientd writes at a time."""

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn, Self

from orientd.errors import StateError
from orientd.reasons import Reason
from orientd.state.database import explained

_LONGEST_NUMBER: Final = 32


class Lock:
    """Lets one process write (or do what `doing` says) at a time: a `flock` on a file in the state directory, freed by the kernel
    at its end. While another process holds it, `wait` is asked again and again whether to try once more.

    Raises:
        StateError: another process holds it, or the state directory cannot be used.
    """

    def __init__(
        self, state_dir: str | os.PathLike[str], doing: str = "writing", wait: Callable[[], bool] = lambda: False
    ) -> None:
        self._doing = doing
        with explained(state_dir):
            os.makedirs(state_dir, mode=0o700, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.open(os.path.join(state_dir, _lock_name(doing)), flags, 0o600)
            try:
                while not self._is_taken():
                    if not wait():
                        self._refuse()
            except BaseException:
                os.close(self._file)
                raise

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refuse(self) -> NoReturn:
        holder = os.pread(self._file, _LONGEST_NUMBER, 0).decode("ascii", "replace").strip() or "unknown"
        raise StateError(f"another orientd is {self._doing} (process {holder}): wait for it to end, or stop it", Reason.IN_USE)

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
