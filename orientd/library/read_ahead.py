"""Reading files before they are asked for, in the order in which they will be, so that the disk works while photos are decoded.

A few threads do nothing else. They hand over the bytes themselves, so that every file is read once, also from network drives that
nothing caches; and as they are few, whatever the number of workers, a spinning disk is not torn between many files.
"""

import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, NamedTuple

from orientd.library import filenames
from orientd.records import Candidate, FileStat

Content = tuple[bytes, FileStat]

BYTES: Final = 64 * 2**20
_READERS: Final = 2  # while one waits for a file to be found, the other reads


class _Request(NamedTuple):
    candidate: Candidate
    content: Future[Content]


class ReadAhead:
    """Reads what is expected, at most about `most` bytes ahead of what is asked for.

    `expect` is called by one thread, in the order of need; `read` by any.
    """

    def __init__(self, read: Callable[[Candidate], Content], most: int = BYTES, readers: int = _READERS) -> None:
        """`read` is how a file is read; what it raises is raised where that file is asked for."""
        self._read, self._most, self._held = read, most, 0
        self._pool = ThreadPoolExecutor(readers, thread_name_prefix="orientd-read")
        self._expected: dict[str, _Request] = {}  # not asked for yet
        self._unread: dict[str, _Request] = {}
        self._awaited: dict[str, _Request] = {}  # of the unread ones, those that were asked for
        self._changed = threading.Condition()

    def expect(self, candidates: Iterable[Candidate]) -> None:
        """These will be asked for, in this order, unless `close` comes first. What may be no photo is not read ahead."""
        for candidate in candidates:
            path = candidate.path
            if not filenames.promises_judged(path) or candidate.error or candidate.skip:
                continue
            with self._changed:
                if path in self._expected or path in self._unread:  # network drives may list a file twice
                    continue
                self._expected[path] = self._unread[path] = _Request(candidate, Future())
            self._pool.submit(self._fetch)

    def read(self, candidate: Candidate) -> Content:
        """What the file holds; each expected file may be asked for once, others are read at once."""
        with self._changed:
            entry = self._expected.pop(candidate.path, None)
            if entry and candidate.path in self._unread:
                self._awaited[candidate.path] = entry
                self._changed.notify_all()
        if entry is None:
            return self._read(candidate)
        try:
            return entry.content.result()
        finally:
            with self._changed:
                self._held -= entry.candidate.stat.size
                self._changed.notify_all()

    def close(self) -> None:
        """End the threads, once nobody reads any more. What is expected and has not been read is not read any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._changed:
            self._most = sys.maxsize
            self._changed.notify_all()
        self._pool.shutdown(wait=True)

    def _fetch(self) -> None:
        with self._changed:
            entry = self._changed.wait_for(self._next)
            assert entry
            del self._unread[entry.candidate.path]
            self._awaited.pop(entry.candidate.path, None)
            self._held += entry.candidate.stat.size
        try:
            entry.content.set_result(self._read(entry.candidate))
        except BaseException as error:
            entry.content.set_exception(error)

    def _next(self) -> _Request | None:
        """The first file in order; where there is no room for it, one that was asked for, which does not stay here."""
        first = next(iter(self._unread.values()))
        if not self._held or self._held + first.candidate.stat.size <= self._most:
            return first
        return next(iter(self._awaited.values()), None)
