"""What the kernel's events say of a library: where to look, and what was lost."""

import threading
from collections.abc import Callable
from enum import Enum


class Hint(Enum):
    """What is known of a path: a file that is being WRITTEN will be TOUCHED once more, when its writer closes it."""

    TOUCHED = "touched"
    WRITTEN = "written"
    GONE = "gone"
    FOLDER = "folder"


class Loss(Enum):
    """Why hints are missing: there were too many (ROOM, OVERFLOW), folders could not be watched (LIMIT, INSTANCES), or are no
    longer watched (ENDED)."""

    ROOM = "more happened at once than is kept"
    OVERFLOW = (
        "more happened at once than the kernel's queue holds; it is longer with: sysctl fs.inotify.max_queued_events=131072"
    )
    LIMIT = (
        "there are more folders than the kernel may watch for this user; raise the limit with: "
        "sysctl fs.inotify.max_user_watches=1048576"
    )
    INSTANCES = "too many programs watch folders for this user; raise the limit with: sysctl fs.inotify.max_user_instances=1024"
    ENDED = "a watched folder was unmounted or deleted: what is there now is watched and looked through"


class Hints:
    """The hints that nobody has taken yet, one per path, at most `room` of them; filled by any thread."""

    def __init__(self, room: int, wake: Callable[[], None]) -> None:
        self._room, self._wake = room, wake
        self._lock = threading.Lock()
        self._hints: dict[str, Hint] = {}
        self._losses: set[Loss] = set()

    def put(self, path: str, hint: Hint) -> None:
        with self._lock:
            first = not self._hints
            if path in self._hints or len(self._hints) < self._room:
                self._hints[path] = hint
            else:
                self._losses.add(Loss.ROOM)
        if first:
            self._wake()

    def lose(self, loss: Loss) -> None:
        with self._lock:
            self._losses.add(loss)
        self._wake()

    def forget(self, *losses: Loss) -> None:
        """These are looked for already."""
        with self._lock:
            self._losses.difference_update(losses)

    def take(self) -> tuple[dict[str, Hint], set[Loss]]:
        """All of them, in the order in which their paths first came up; and what was lost."""
        with self._lock:
            taken = self._hints, self._losses
            self._hints, self._losses = {}, set()
        return taken
