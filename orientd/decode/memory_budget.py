"""Memory: how much there is, who may take some next, and the return of freed memory to the system.

The last concerns glibc, for a program that runs for months next to others; other C libraries have neither call and need none.
"""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Condition
from typing import Final

_M_ARENA_MAX: Final = -8  # malloc.h
_MEBIBYTE: Final = 2**20
_LIMITS: Final = ("memory.high", "memory.max")  # of a control group (Linux, Documentation/admin-guide/cgroup-v2)
_SHARE: Final = 2  # decoding gets one half, the model and all else the other
_LEAST: Final = 256 * _MEBIBYTE


class Budget:
    """Memory that several threads share, in bytes: who wants some waits until what the others have leaves room for it.

    They get it in the order in which they came, so that one that needs much is not passed over forever; who needs more than
    there is has all of it alone.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._queue: deque[object] = deque()
        self._changed = Condition()

    @contextmanager
    def taking(self, need: int) -> Iterator[None]:
        """Have `need` bytes for as long as the context lasts."""
        need, me = min(need, self._limit), object()
        with self._changed:
            self._queue.append(me)
            try:
                self._changed.wait_for(lambda: self._queue[0] is me and self._taken + need <= self._limit)
                self._taken += need
            finally:
                self._queue.remove(me)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._taken -= need
                self._changed.notify_all()


def for_decoding(mebibytes: int, root: Path = Path("/")) -> int:
    """The bytes that photos under way may take: `mebibytes` or, if 0, half of what is free here and allowed to this process.

    What is allowed are the limits of its control group, such as `MemoryHigh` of a systemd unit. /proc and /sys are below `root`.
    """
    return mebibytes * _MEBIBYTE or max(min([_free(root), *_allowed(root)]) // _SHARE, _LEAST)


def _free(root: Path) -> int:
    with suppress(OSError, ValueError, IndexError):
        for line in (root / "proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _allowed(root: Path) -> Iterator[int]:
    """The limits of this process's control group, and of those that it is in."""
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            if line.startswith("0::/"):
                group = Path(line.removeprefix("0::/"))
                for folder in (group, *group.parents):
                    yield from _limits(root / "sys/fs/cgroup" / folder)


def _limits(folder: Path) -> Iterator[int]:
    for name in _LIMITS:
        with suppress(OSError, ValueError):  # the outermost group has none, and "max" is no number
            yield int((folder / name).read_text(encoding="ascii"))
