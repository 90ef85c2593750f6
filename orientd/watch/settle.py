"""Has this file stopped changing? Pure: the time and the look at the file are handed in.

A file has settled once it looks the same (inode, size, modification time) at two looks at least `quiet` seconds apart, with no
sign of life between them. Three kinds of file are given longer, `stalled` seconds: one that was seen to be written and not yet
seen to be closed, for its writer may only be pausing; a young one whose writer nobody could see; and an empty one, for a writer
may be about to fill it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from orientd.records import Candidate, FileStat

Look = Callable[[str], FileStat | None]


@dataclass(slots=True)
class Settling:
    """The files that are waited for, at most `room` of them: memory does not grow with a burst.

    Times are in seconds on any clock that does not jump. Both queues hold the last look at a file and its time, and are in the
    order of that time, as dicts keep their order.
    """

    quiet: float
    stalled: float
    room: int
    _still: dict[str, tuple[FileStat, float]] = field(default_factory=dict)
    _busy: dict[str, tuple[FileStat, float]] = field(default_factory=dict)

    def touch(self, path: str, stat: FileStat, now: float, *, writing: bool = False) -> bool:
        """Note a sign of life: `writing` if one that is not will follow, when the writer closes the file.

        False if there is no room for one more: the caller must find the file again later.
        """
        if path not in self and not self.free:
            return False
        self.forget(path)
        (self._busy if writing or not stat.size else self._still)[path] = (stat, now)
        return True

    def offer(self, path: str, stat: FileStat, now: float, *, young: bool = False) -> bool:
        """As `touch`, for a file found by looking: one that is waited for already is given no more time. `young` if it was
        written so lately that its writer may only be pausing."""
        return path in self or self.touch(path, stat, now, writing=young)

    def nudge(self, path: str, stat: FileStat, now: float) -> bool:
        """As `touch`, for a change next to the file: a file whose writer is still waited for stays as it is."""
        return path in self._busy or self.touch(path, stat, now)

    def forget(self, path: str) -> None:
        """Stop waiting for a file that was deleted or renamed."""
        self._still.pop(path, None)
        self._busy.pop(path, None)

    def settled(self, now: float, look: Look, most: int) -> Iterator[Candidate]:
        """At most `most` files that have settled; they are no longer waited for. `look` returns None where no file is left.

        A file that has changed since the last look is waited for again, for as long.
        """
        for queue, patience in self._queues():
            while queue and most > 0:
                path, (stat, since) = next(iter(queue.items()))
                if since + patience > now:
                    break
                del queue[path]
                found = look(path)
                if found == stat:
                    most -= 1
                    yield Candidate(path, stat)
                elif found:
                    self.touch(path, found, now, writing=queue is self._busy)

    def next_due(self) -> float | None:
        """When there is something to look at; None if nothing is waited for."""
        return min((next(iter(queue.values()))[1] + patience for queue, patience in self._queues() if queue), default=None)

    @property
    def free(self) -> int:
        """How many more files can be waited for."""
        return max(self.room - len(self), 0)

    def _queues(self) -> tuple[tuple[dict[str, tuple[FileStat, float]], float], ...]:
        return (self._still, self.quiet), (self._busy, self.stalled)

    def __contains__(self, path: str) -> bool:
        return path in self._still or path in self._busy

    def __len__(self) -> int:
        return len(self._still) + len(self._busy)
