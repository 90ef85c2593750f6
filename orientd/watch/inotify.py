"""What the kernel reports about the watched folders, as hints: where to look, never what is there.

The only module that uses watchdog. Its threads hand the hints over through a bounded store; a hint that does not fit there, did
not fit in the kernel's queue, or concerns a folder that could not be watched, is reported as lost: the folders must be searched.
"""

import errno
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver, ObservedWatch
from watchdog.observers.inotify import InotifyEmitter, InotifyWatchGroup
from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchCallback,
    WatchDescriptor,
)

from orientd.watch.hints import Hint, Hints, Loss

_EVENTS: Final[list[type[FileSystemEvent]]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]


class Inotify:
    """Watches folders and what is `wanted` of all the folders below them, and fills `hints`.

    `on_folder` is called by `watch` for every folder, as a disk may take minutes to list them all; what it raises ends that.

    Raises:
        OSError: EMFILE, the kernel grants no further instance.
    """

    def __init__(self, hints: Hints, wanted: Callable[[str], bool], on_folder: Callable[[], None]) -> None:
        self._hints = hints
        self._observer = _Observer(_Instance(hints, wanted, on_folder))
        self._observer.start()
        self._watched: dict[str, ObservedWatch] = {}

    def watch(self, folder: str) -> None:
        """Begin to watch; files that are already there are not reported.

        Raises:
            OSError: ENOSPC, the kernel grants no further watch; or the folder is not there.
        """
        self._watched[folder] = self._observer.schedule(
            _Handler(self._hints, folder), folder, recursive=True, event_filter=_EVENTS
        )

    def unwatch(self, folder: str) -> None:
        if watch := self._watched.pop(folder, None):
            self._observer.unschedule(watch)

    def close(self) -> None:
        self._observer.stop()
        self._observer.join()


class _Handler(FileSystemEventHandler):
    def __init__(self, hints: Hints, folder: str) -> None:
        self._put, self._lose, self._folder = hints.put, hints.lose, folder

    def dispatch(self, event: FileSystemEvent) -> None:
        source, target = os.fsdecode(event.src_path), os.fsdecode(event.dest_path)
        if isinstance(event, DirDeletedEvent):
            if source == self._folder:
                self._lose(Loss.ENDED)
        elif event.is_directory:
            self._put(target or source, Hint.FOLDER)
        elif isinstance(event, FileMovedEvent):
            self._put(source, Hint.GONE)
            self._put(target, Hint.TOUCHED)
        elif isinstance(event, FileDeletedEvent):
            self._put(source, Hint.GONE)
        else:
            self._put(source, Hint.WRITTEN if isinstance(event, FileModifiedEvent) else Hint.TOUCHED)


class _Observer(BaseObserver):
    """watchdog's InotifyObserver, but with an instance that reports what it loses."""

    def __init__(self, instance: "_Instance") -> None:
        self._instance = instance
        self._instance.start()
        super().__init__(_Emitter, inotify_fd=self._instance)

    def on_thread_stop(self) -> None:
        self._instance.stop()  # first: the others wait for it, and it may be listing a tree that was moved in
        super().on_thread_stop()
        self._instance.join()


class _Closing(Exception):
    """Takes the thread of an instance out of a tree of folders that it lists."""


class _Emitter(InotifyEmitter):
    def on_thread_start(self) -> None:
        path, mask = os.fsencode(self.watch.path), self.get_event_mask_from_filter()
        self._inotify = _Group(self._inotify_fd, path, event_mask=mask, is_recursive=True)


class _Group(InotifyWatchGroup):
    _inotify_fd: "_Instance"

    def _add_all_callbacks(self, path: bytes) -> None:
        """As watchdog's, which lists every folder, wanted or not, and can neither be ended nor give signs of life meanwhile."""
        pending = [path] if path == self.path or self._inotify_fd.wanted(path) else []
        while pending:
            folder = pending.pop()
            self._inotify_fd.on_folder()
            self._add_callback(folder)
            with suppress(OSError), os.scandir(folder) as entries:  # it may have vanished again
                folders = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
                pending += filter(self._inotify_fd.wanted, folders)

    def _remove_watch_internally(self, wd: WatchDescriptor) -> None:
        """As watchdog's, which ends in a KeyError, and with it all hints, where two folders were known by the same path: one that
        was moved out, and another one of its name that was gone before it."""
        path = self._active_callbacks_by_watch.pop(wd, b"")
        if self._active_callbacks_by_path.get(path) == wd:
            del self._active_callbacks_by_path[path]


class _Instance(InotifyFD):
    def __init__(self, hints: Hints, wanted: Callable[[str], bool], on_folder: Callable[[], None]) -> None:
        self._hints, self._wanted, self._on_folder = hints, wanted, on_folder
        super().__init__()

    def wanted(self, folder: bytes) -> bool:
        return self._wanted(os.fsdecode(folder))

    def on_folder(self) -> None:
        if threading.current_thread() is not self:
            self._on_folder()
        elif not self.should_keep_running():
            raise _Closing

    def run(self) -> None:
        with suppress(_Closing):
            super().run()

    def add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        try:
            return super().add_callback(path, mask, callback, id_)
        except OSError as error:
            if error.errno == errno.ENOSPC:  # watchdog passes over it in silence where it is not the folder asked for
                self._hints.lose(Loss.LIMIT)
            raise

    def _add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        """As watchdog's, which warns of a folder that is watched already: of one made in another just found, both its own event
        and the search of that other tell."""
        watch = self._get_or_create_watch(path, mask)
        watch.callbacks[id_] = callback
        return watch.wd

    def handle_event(self, event: InotifyEvent) -> None:
        """watchdog would stop watching every folder here and restart. The end of each watch is an event again, so more folders
        than the queue holds would make it overflow forever; `Roots.renew` begins with another queue."""
        if event.mask & InotifyConstants.IN_UNMOUNT:
            self._hints.lose(Loss.ENDED)
        if not event.is_queue_overflow:
            super().handle_event(event)
        elif self.should_keep_running():
            self._hints.lose(Loss.OVERFLOW)
