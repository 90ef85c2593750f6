"""A set of threads that answers what is asked of it, in groups, from a queue that has an end."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")
R = TypeVar("R")
_NAME: Final = "orientd-serve"


class Full(Exception):
    """There is no room left in the queue."""


class Load(NamedTuple):
    """How many tasks wait, and how many are being worked on."""

    waiting: int
    working: int


class Workers(Generic[T, R]):
    """Used from any thread. The owner must `close` them."""

    def __init__(
        self,
        work: Callable[[Sequence[T]], Sequence[R | Exception]],
        threads: int,
        most: int,
        batch: int = 1,
        latency: float = 0.0,
    ) -> None:
        """`work` answers a group, in its order, an exception for what failed; it is called by `threads` at the same time.

        At most `most` tasks wait. A group has up to `batch`, for which a thread waits `latency` seconds at most.
        """
        self._work, self._most, self._batch, self._latency = work, most, batch, latency
        self._waiting: deque[tuple[T, Future[R]]] = deque()
        self._working, self._closed = 0, False
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._run, name=f"{_NAME}-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def ask(self, tasks: Sequence[T]) -> list[Future[R]]:
        """What will be the answers. One that is cancelled before its turn costs nothing.

        Raises:
            Full: not all of them find room; then none is taken.
        """
        found: list[Future[R]] = [Future() for _ in tasks]
        with self._changed:
            self._drop_cancelled()
            if self._closed or len(self._waiting) + len(tasks) > self._most:
                raise Full
            self._waiting.extend(zip(tasks, found, strict=True))
            self._changed.notify_all()
        return found

    @property
    def load(self) -> Load:
        with self._changed:
            return Load(len(self._waiting), self._working)

    @property
    def are_well(self) -> bool:
        """False once one of them has ended."""
        return not self._closed and all(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Take nothing more, and end once what is in hand is answered; what waits is cancelled."""
        with self._changed:
            self._closed = True
            for _, answer in self._waiting:
                answer.cancel()
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _drop_cancelled(self) -> None:
        if any(answer.cancelled() for _, answer in self._waiting):
            self._waiting = deque(pair for pair in self._waiting if not pair[1].cancelled())

    def _run(self) -> None:
        while group := self._next():
            try:
                self._answer(group)
            finally:
                with self._changed:
                    self._working -= len(group)

    def _next(self) -> list[tuple[T, Future[R]]]:
        """The next group, those cancelled left out; empty once closed."""
        with self._changed:
            while not self._closed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                self._gather()
                taken = [self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))]
                if group := [pair for pair in taken if pair[1].set_running_or_notify_cancel()]:
                    self._working += len(group)
                    return group
        return []

    def _gather(self) -> None:
        """Wait for more, a short while, until there is a whole group."""
        until = time.monotonic() + self._latency
        while not self._closed and 0 < len(self._waiting) < self._batch and (left := until - time.monotonic()) > 0:
            self._changed.wait(left)

    def _answer(self, group: Sequence[tuple[T, Future[R]]]) -> None:
        try:
            answers = self._work([task for task, _ in group])
        except Exception as error:
            answers = [error] * len(group)
        for (_, future), answer in zip(group, answers, strict=True):
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
