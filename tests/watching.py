"""A watcher whose clock the test turns, on real folders with real events of the kernel."""

import itertools
import logging
import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from orientd.config import load
from orientd.daemon import Daemon
from orientd.inotify import Hint
from orientd.service import Systemd

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
PATIENCE = 30.0  # for what another thread has to do; on a machine that is not busy it takes milliseconds


class Ear:
    """Knows when the kernel has told everything: its events come in order, so a mark comes last."""

    def __init__(self, arrivals, bell):
        self.arrivals, self.bell, self.marks, self.heard = arrivals, bell, itertools.count(), set()
        self.put, arrivals._hints.put = arrivals._hints.put, self.spy

    def spy(self, path, hint):
        self.put(path, hint)
        self.heard.add((os.path.basename(path), hint))

    def hear(self):
        for root in self.arrivals.present() if self.arrivals._roots._inotify else ():
            mark = f".mark{next(self.marks)}"  # hidden, so that it is passed over
            Path(root, mark).touch()
            deadline = time.monotonic() + PATIENCE
            while (mark, Hint.TOUCHED) not in self.heard:
                assert time.monotonic() < deadline, "the kernel told nothing"
                self.bell.wait(0.1)
            os.unlink(os.path.join(root, mark))


@contextmanager
def deaf(arrivals, folder):
    """Nobody reads within what the kernel tells, and its queue is full from the start: whatever happens is lost."""
    instance, reading = arrivals._roots._inotify._observer._instance, threading.Event()
    hear = instance.handle_event
    instance.handle_event = lambda event: reading.wait(PATIENCE) and hear(event)
    try:
        for _ in range(int(QUEUE.read_text())):
            Path(folder, ".noise").touch()
            os.unlink(os.path.join(folder, ".noise"))
        yield
    finally:
        instance.handle_event = hear
        reading.set()


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
        super().__init__(self.read(), roots, self.read, "orientd watch", self.told, log, lambda: self.now, lambda: self.day)
        self.ear = Ear(self.arrivals, self._bell)

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
