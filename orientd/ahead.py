"""Reading files before they are asked for, in the order in which they will be, so that the disk works while photos are decoded.

A few threads do nothing else. They hand over the bytes themselves, so that every file is read once, also from network drives that
nothing caches; and as they are few, whatever the number of workers, a spinning disk is not torn between many files.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from orientd import names
from orientd.items import Candidate, FileStat

Content = tuple[bytes, FileStat]

BYTES: Final = 64 * 2**20
_READERS: Final = 2  # while one waits for a file to be found, the other reads


class ReadAhead:
    """Reads what is expected, at most about `most` bytes ahead of what is asked for.

    `expect` is called by one thread, in the order of need; `read` by any.
    """

    def __init__(self, read: Callable[[Candidate], Content], most: int = BYTES, readers: int = _READERS) -> None:
        """`read` is how a file is read; what it raises is raised where that file is asked for."""
        self._read, self._most = read, most
        self._pool = ThreadPoolExecutor(readers, thread_name_prefix="orientd-read")
        self._expected: dict[str, tuple[Future[Content], int]] = {}
        self._held = self._waiting = 0
        self._changed = threading.Condition()

    def expect(self, candidates: Iterable[Candidate]) -> None:
        """These will be asked for, in this order, unless `close` comes first. What may be no photo is not read ahead."""
        for candidate in candidates:
            if names.promises_judged(candidate.path) and not (candidate.error or candidate.skip):
                size = candidate.stat.size
                self._expected[candidate.path] = self._pool.submit(self._fetch, candidate), size

    def read(self, candidate: Candidate) -> Content:
        """What the file holds; each expected file may be asked for once, others are read at once."""
        future, size = self._expected.pop(candidate.path, (None, 0))
        if future is None:
            return self._read(candidate)
        self._change(waiting=1)
        try:
            return future.result()
        finally:
            self._change(waiting=-1, held=-size)

    def close(self) -> None:
        """End the threads. What is expected and has not been read is not read any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._change(waiting=1)
        self._pool.shutdown(wait=True)

    def _fetch(self, candidate: Candidate) -> Content:
        size = candidate.stat.size
        with self._changed:
            # Who waits may need this file or one behind it, so then the limit counts for nothing.
            self._changed.wait_for(lambda: self._waiting or not self._held or self._held + size <= self._most)
            self._held += size
        return self._read(candidate)

    def _change(self, *, waiting: int = 0, held: int = 0) -> None:
        with self._changed:
            self._waiting += waiting
            self._held += held
            self._changed.notify_all()
