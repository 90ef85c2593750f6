"""A watcher whose clock the test turns, on real folders with real events of the kernel.

The fixtures are for the tests of watching alone: each of their files takes by name those that it needs.
"""

import itertools
import logging
import os
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

from orientd.config import load
from orientd.files.mounts import read_mountinfo
from orientd.watch.arrivals import Arrivals, WatchOptions
from orientd.watch.daemon import Daemon
from orientd.watch.hints import Hint
from orientd.watch.sd_notify import Systemd
from orientd.watch.wakeup import Wakeup

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
TERMS = WatchOptions(settle=2, stalled=60, walk_every=1000, poll_every=100)
_READ_AT_ONCE = 10_000  # more events than watchdog takes out of the queue before it handles the first of them
PATIENCE = 120.0  # for what another thread has to do; on a machine that is not busy it takes milliseconds


class Ear:
    """Knows when the kernel has told everything: its events come in order, so the end of a mark comes last."""

    def __init__(self, arrivals, wakeup):
        self.arrivals, self.wakeup, self.marks, self.gone = arrivals, wakeup, itertools.count(), Counter()
        self.put, arrivals._hints.put = arrivals._hints.put, self.spy

    def spy(self, path, hint):
        self.put(path, hint)
        if hint is Hint.GONE:
            self.gone[path] += 1
            self.wakeup.wake()

    def hear(self):
        for root in self.arrivals.present() if self.arrivals._roots._inotify else ():
            mark = Path(root, f".mark{next(self.marks)}")  # hidden, so that it is passed over
            mark.touch()
            mark.unlink()
            deadline = time.monotonic() + PATIENCE
            while self.gone[str(mark)] < self.tellers(root):
                assert time.monotonic() < deadline, "the kernel told nothing"
                self.wakeup.wait(0.1)

    def tellers(self, root):
        """How many threads tell of a root, each in its own time: of one within another, both."""
        groups = [emitter._inotify for emitter in self.arrivals._roots._inotify._observer.emitters]
        return max(sum(os.fsencode(root) in group._active_callbacks_by_path for group in groups if group), 1)


@contextmanager
def deaf(arrivals, folder):
    """Nobody reads within what the kernel tells, and its queue is full from the start: whatever happens is lost."""
    instance, reading = arrivals._roots._inotify._observer._instance, threading.Event()
    hear = instance.handle_event
    instance.handle_event = lambda event: reading.wait(PATIENCE) and hear(event)
    noise = [Path(folder, f".noise{number}") for number in range(2)]  # by turns: of one file, equal events would be one
    try:
        for file in noise:
            file.touch()
        for number in range(int(QUEUE.read_text()) + _READ_AT_ONCE):
            os.utime(noise[number % 2])
        yield
    finally:
        for file in noise:
            file.unlink()
        instance.handle_event = hear
        reading.set()


class Library:
    """Arrivals with a clock, and everything that was said."""

    def __init__(self, *paths, terms=TERMS, silent="ext4", known=(), ahead=10_000.0):
        self.now, self.said, self.offered, self.known = 0.0, [], [], set(known)
        self.mountinfo, self.slow = f"1 0 0:1 / / rw - {silent} x rw\n", 0.0
        self.wakeup = Wakeup()
        roots = [str(path) for path in paths]
        self.arrivals = Arrivals(roots, terms, self.news, self.said.append, self.wakeup.wake, self.mounts)
        self.arrivals._wall = lambda: time.time() + ahead
        self.ear = Ear(self.arrivals, self.wakeup)

    def news(self, candidates):
        self.offered += [candidate.path for candidate in candidates]
        self.now += self.slow
        return [candidate for candidate in candidates if candidate.path not in self.known]

    def mounts(self):
        return self.mountinfo or read_mountinfo()

    def start(self):
        self.arrivals.check(self.now)
        self.look_around()
        return self

    def look_around(self):
        for _ in range(10_000):
            self.arrivals.collect(self.now)
            if not self.arrivals.walking:
                return
        raise AssertionError("it never rests")

    def after(self, seconds):
        """Names of what settled meanwhile."""
        end, found = self.now + seconds, []
        for _ in range(10_000):
            self.look_around()
            found += [os.path.basename(candidate.path) for candidate in self.arrivals.settled(self.now, 1000)]
            times = (self.arrivals.next_settled(), self.arrivals.next_walk())
            due = min((time for time in times if time is not None), default=None)
            if due is None or due > end:
                self.now = end
                return sorted(found)
            self.now = max(self.now, due)
        raise AssertionError("it never rests")

    def hear(self):
        """Wait until the kernel has told everything up to now."""
        self.ear.hear()
        self.look_around()

    @property
    def waiting(self):
        """Names of what is waited for, once everything up to now was told."""
        self.hear()
        waiting = self.arrivals._waiting
        return {os.path.basename(path) for path in [*waiting._still, *waiting._busy]}

    def close(self):
        self.arrivals.close()
        self.wakeup.close()


@pytest.fixture
def photos(tmp_path):
    """An empty folder."""
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
def watched():
    """Make a Library of folders, started and closed again."""
    made = []

    def make(*paths, **more):
        made.append(Library(*paths, **more))
        return made[-1].start()

    yield make
    for library in made:
        library.close()


@pytest.fixture(autouse=True)
def model_of_skies(monkeypatch, model, caplog):
    """The model of every Watcher; what it logs is kept."""
    monkeypatch.setenv("ORIENTD_MODEL", str(model))
    caplog.set_level(logging.INFO, logger="orientd")


def put(path, data=b"photo"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


class Told:
    """A systemd that listens."""

    watchdog = 60.0

    def __init__(self):
        self.messages = []

    def __getattr__(self, name):
        assert hasattr(Systemd, name)
        return lambda *text: self.messages.append(" ".join([name, *map(str, text)]))


class Watcher(Daemon):
    """`settings` are those of the configuration, as text, by name."""

    def __init__(self, *roots, **settings):
        self.settings = {"settle": "2", "latency": "1", "workers": "1", **settings}
        self.now, self.day, self.told = 1000.0, time.struct_time((2026, 5, 1, 12, 0, 0, 4, 121, 0)), Told()
        log = logging.getLogger("orientd.test")
        roots = [str(root) for root in roots]
        self.ahead = 10_000.0  # of the dates of files: that they were written just now is for the tests that say so
        clocks = (lambda: self.now, lambda: self.day, lambda: time.time() + self.ahead)
        super().__init__(self.read(), roots, self.read, "orientd watch", self.told, log, *clocks)
        self.ear = Ear(self.arrivals, self._wakeup)

    def read(self):
        environment = {name: os.environ[name] for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME") if name in os.environ}
        return load(None, environment, {"model": os.environ["ORIENTD_MODEL"], **self.settings})

    def begin(self):
        self.work.prepare()
        self.arrivals.check(self.now)
        return self

    def after(self, seconds):
        """Let that much time go by, with all that the kernel told of until now."""
        self.ear.hear()
        end = self.now + seconds
        for _ in range(10_000):
            rest = self._turn(self.now)
            if self._stopping() or (rest and self.now + rest > end):
                break
            self.now += rest
            self.ear.hear()
        else:
            raise AssertionError("it never rests")
        self.now = end

    @property
    def photos(self):
        return dict(self.metrics._photos)

    def __enter__(self):
        return self.begin()

    def __exit__(self, *_):
        self.close()
