"""Everything that may have arrived in the library → Candidates, each once it has settled.

Two sources feed one waiting room (`settle`). Hints of the kernel say at once where to look. Walks through the whole library find
the rest: what happened before the start, what the kernel could not report, and all that happens on file systems without reports.
A walk is taken on in small steps, only while there is room, so that memory grows neither with the library nor with a burst.
What the cache of judged files knows already never enters the waiting room by way of a walk.
"""

import os
import stat as modes
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from orientd.errors import LibraryUnavailable
from orientd.files.mounts import read_mountinfo
from orientd.files.read import file_stat
from orientd.library import sidecars
from orientd.library.exclude import Exclusion
from orientd.library.walk import steps
from orientd.records import Candidate, FileStat
from orientd.watch.hints import Hint, Hints, Loss
from orientd.watch.roots import Roots
from orientd.watch.settle import Settling

_STEP: Final = 100  # files or folders: of a slow disk, a second
_FOLDERS: Final = 1000  # to be walked one by one; if there are more, the whole library is


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How to watch; times are in seconds.

    observer: auto, inotify or polling. exclude, exclude_more: see `Exclusion`. walk_every: between walks of the library where the
    kernel tells what happens (0: only at the start). poll_every: the same where it does not. room: files waited for at the same
    time. sidecars: photos are to be looked at again when their sidecars change.
    """

    observer: str = "auto"
    exclude: tuple[str, ...] = ()
    exclude_more: tuple[str, ...] = ()
    one_file_system: bool = False
    settle: float = 2.0
    stalled: float = 60.0
    walk_every: float = 3600.0
    poll_every: float = 300.0
    room: int = 20_000
    wait_for_missing: bool = False
    sidecars: bool = False


class Arrivals:
    """What arrives below `paths`, until `close`. Everything but the kernel's hints happens in the caller's thread.

    news: returns those of some candidates that have not been judged in their current state.
    say: called with messages for the user. wake: called by other threads when there is something to do.
    mountinfo: the mounts of this process, see `mounts`.
    on_folder: called for every folder when its watch begins, which may take minutes for all; what it raises is passed on.
    wall: seconds since the epoch, the clock of the dates of files.

    Raises:
        ConfigError: one of the paths is a file.
    """

    def __init__(
        self,
        paths: Sequence[str],
        options: WatchOptions,
        news: Callable[[list[Candidate]], list[Candidate]],
        say: Callable[[str], None],
        wake: Callable[[], None],
        mountinfo: Callable[[], str] = read_mountinfo,
        on_folder: Callable[[], None] = lambda: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._news, self._say, self._wall = news, say, wall
        self._hints = Hints(options.room, wake)
        self._roots = Roots(paths, self._hints, say, mountinfo, on_folder)
        self._walk: Iterator[Candidate | None] | None = None
        self._whole = False
        self._folders: dict[str, None] = {}
        self._walk_at: float | None = None
        self._reported: set[Loss] = set()
        self._stale = False
        self._waiting = Settling(options.settle, options.stalled, options.room)
        self._agree(options)

    def change(self, options: WatchOptions, now: float) -> None:
        """Watch on other terms from now on; what is waited for is waited for still, if it is not excluded now. Raises as `check`
        does."""
        self._walk = None
        self._roots.leave()
        self._reported.clear()
        self._agree(options)
        self.check(now)

    def check(self, now: float) -> None:
        """See whether every root is still there and the same; one that came (back) will be looked through.

        Raises:
            LibraryUnavailable: one is not, and that is not to be waited for.
        """
        if self._roots.check(self._options.observer, self._options.wait_for_missing):
            self._walk_at = now

    def collect(self, now: float) -> None:
        """Take the hints, and go on with a walk by one step."""
        self._exclusion.look_again()
        hints, losses = self._hints.take()
        for path, hint in hints.items():
            self._take(path, hint, now)
            if self._options.sidecars:
                self._take_photos_of(path, now)
        for loss in losses:
            self._lose(loss, now)
        if self._walk is None:
            self._begin_walk(now)
        if self._walk is not None and self._waiting.free >= _STEP:
            self._step(self._walk, now)

    def settled(self, now: float, most: int) -> list[Candidate]:
        """At most `most` files that have settled."""
        self._exclusion.look_again()
        return list(self._waiting.settled(now, self._look_within, most))

    @property
    def walking(self) -> bool:
        """True if `collect` has more to do at once."""
        return self._waiting.free >= _STEP and (self._walk is not None or bool(self._folders))

    def next_settled(self) -> float | None:
        """When the next file will have settled, if nothing happens to it until then."""
        return self._waiting.next_due()

    def next_walk(self) -> float | None:
        """When the library will be looked through next."""
        return self._walk_at if self._walk is None else None

    def look_again(self, at: float) -> None:
        """Look through the library at that time, as something handed out was not dealt with."""
        self._walk_at = at if self._walk_at is None else min(self._walk_at, at)

    def present(self) -> list[str]:
        """The roots that are there, without symbolic links."""
        return self._roots.present()

    def __len__(self) -> int:
        """How many files are waited for."""
        return len(self._waiting)

    def close(self) -> None:
        self._walk = None
        self._roots.close()

    def _agree(self, options: WatchOptions) -> None:
        self._options = options
        self._exclusion = Exclusion(options.exclude, options.exclude_more, self._say)
        self._waiting.quiet, self._waiting.stalled, self._waiting.room = options.settle, options.stalled, options.room

    def _take(self, path: str, hint: Hint, now: float) -> None:
        if not self._roots.reach(path, hint is Hint.FOLDER, self._exclusion.within):
            return
        if hint is Hint.FOLDER:
            self._look_through(path, now)
            return
        found = None if hint is Hint.GONE else self._look(path)
        if found is None:
            self._waiting.forget(path)
        elif not self._waiting.touch(path, found, now, writing=hint is Hint.WRITTEN):
            self._lose(Loss.ROOM, now)

    def _take_photos_of(self, sidecar: str, now: float) -> None:
        """Whatever happens to a sidecar, its photos may be shown otherwise now."""
        for path in sidecars.photos(sidecar):
            found = self._look(path)
            if found and self._roots.reach(path, False, self._exclusion.within) and not self._waiting.nudge(path, found, now):
                self._lose(Loss.ROOM, now)

    def _look(self, path: str) -> FileStat | None:
        """As `look`; None also for a file on a disk that is not to be entered."""
        found = look(path)
        foreign = found and self._options.one_file_system and found.dev not in self._roots.devices()
        return None if foreign else found

    def _look_within(self, path: str) -> FileStat | None:
        """As `_look`; None also for a file that was excluded meanwhile."""
        return self._look(path) if self._roots.reach(path, False, self._exclusion.within) else None

    def _look_through(self, folder: str, now: float) -> None:
        above = folder
        while above not in self._folders and above != (above := os.path.dirname(above)):
            pass
        if above in self._folders:
            return
        if len(self._folders) < _FOLDERS:
            self._folders[folder] = None
        else:
            self._lose(Loss.ROOM, now)

    def _lose(self, loss: Loss, now: float) -> None:
        """See that what was lost is looked for; a walk under way may have passed it already, so there will be another one."""
        if loss is Loss.ENDED:
            self._say(loss.value)
        elif loss not in self._reported:
            self._reported.add(loss)
            self._say(f"{loss.value}. Until then the library is looked through instead.")
        self._stale = self._stale or loss in (Loss.OVERFLOW, Loss.ENDED)
        self.look_again(now + self._options.settle)

    def _begin_walk(self, now: float) -> None:
        if self._walk_at is not None and now >= self._walk_at:
            if self._stale:
                self._stale = False
                self._roots.renew()
                self.check(now)
            self._walk_at, self._whole = None, True
            self._folders.clear()
            folders, exclusion = self._roots.present(), self._exclusion
        elif self._folders:
            folders, exclusion = [next(iter(self._folders))], None  # patterns count from the root: `reach` applies them
            del self._folders[folders[0]]
            self._whole = False
        else:
            return
        try:
            self._walk = steps(folders, exclusion, self._options.one_file_system)
        except LibraryUnavailable:  # a folder that vanished; of a root, `check` finds out
            self._end_walk(now)

    def _end_walk(self, now: float) -> None:
        self._walk = None
        silent_now = self._roots.polled() or Loss.LIMIT in self._reported
        every = self._options.poll_every if silent_now else self._options.walk_every
        if self._whole and every:
            self.look_again(now + every)

    def _step(self, walk: Iterator[Candidate | None], now: float) -> None:
        try:
            chunk = list(islice(walk, _STEP))
        except LibraryUnavailable:
            self.look_again(now + self._options.poll_every)
            chunk = []
        plain = [candidate for candidate in chunk if candidate and not (candidate.skip or candidate.error)]
        for candidate in self._news([each for each in plain if self._roots.reach(each.path, False, self._exclusion.within)]):
            young = self._wall() - candidate.stat.mtime_ns / 1e9 < self._options.stalled
            self._waiting.offer(candidate.path, candidate.stat, now, young=young)
        if len(chunk) < _STEP:
            self._end_walk(now)


def look(path: str) -> FileStat | None:
    """The state of a regular file; None if it is none, or there is nothing."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return file_stat(found) if modes.S_ISREG(found.st_mode) else None
