"""A simulated phone, and everything that may go wrong meanwhile, in real time: afterwards every photo that exists was judged once
as it is, every one sideways or upside down was put right once, and nothing has grown.

As root the library is a small disk of its own, which is filled and made read-only; otherwise these two are left out. The kernel's
queue overflows as nobody reads it for a while, and the clock on the wall jumps by decades.
"""

import logging
import os
import random
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from support import sky_library
from support.watcher import deaf

from orientd.config import load
from orientd.pipeline import run as pipeline
from orientd.records import Row, Verdict
from orientd.state.journal import Journal
from orientd.watch import worker
from orientd.watch.daemon import Daemon
from orientd.watch.sd_notify import Systemd

pytestmark = pytest.mark.slow

PATIENCE = 240.0
LIMITS = Path("/proc/sys/fs/inotify")
QUEUED, WATCHES = (int((LIMITS / name).read_text()) for name in ("max_queued_events", "max_user_watches"))
TURNS = (0, 90, 180, 270)
DATES = (0, -1_000_000_000, 4_000_000_000)  # 1970, 1938, 2096
JUMPS = (0.0, 1.2e9, -1.5e9, 3600.0)  # seconds, wave by wave


class Wall:
    """The clock on the wall, for this whole process; it jumps when it is told to."""

    def __init__(self, monkeypatch):
        self.ahead, self.time, self.time_ns = 0.0, time.time, time.time_ns
        monkeypatch.setattr(time, "time", lambda: self.time() + self.ahead)
        monkeypatch.setattr(time, "time_ns", lambda: self.time_ns() + int(self.ahead * 1e9))

    def local(self):
        return time.localtime(time.time())


class Soak:
    """The watcher in a thread, and what it did by photo."""

    def __init__(self, folder, model, state, local=time.localtime, **settings):
        options = {"model": str(model), "settle": "0.3", "latency": "0.2", "walk_every": "4", "poll_every": "4", "stalled": "10"}
        config = load(None, {"HOME": str(state)}, options | {"fix": "true", "workers": "2", "state_dir": str(state)} | settings)
        self.judged, self.fixed, self.lock = Counter(), Counter(), threading.Lock()
        log = logging.getLogger("orientd.soak")
        self.daemon = Daemon(config, [str(folder)], lambda: config, "orientd watch", Systemd(), log, local=local)
        counted = self.daemon.work._counted
        self.daemon.work._counted = lambda stages: self.spy(counted(stages))
        self.thread = threading.Thread(target=self.run, name="soak")
        self.error = None

    def spy(self, stages):
        def record(rows):
            with self.lock:
                self.judged.update((row.path, row.size, row.mtime_ns) for row in rows if row.sha256)
            stages.record(rows)

        def act(row):
            done = stages.act(row)
            if done.outcome == "fixed":
                with self.lock:
                    self.fixed[row.path] += 1
            return done

        return pipeline.Stages(stages.lookup, stages.judge, act, record)

    def run(self):
        try:
            self.daemon.run()
        except BaseException as error:
            self.error = error
        finally:
            self.daemon.close()

    def calm(self, right):
        """Wait until every one of the photos is right, and nothing is waited for any more."""
        deadline, left = time.monotonic() + PATIENCE, list(right)
        while left or len(self.daemon.arrivals) or self.daemon.metrics.state != "idle":
            assert self.error is None, self.error
            assert time.monotonic() < deadline, (len(left), left[:3], self.daemon.metrics.facts())
            left = [path for path in left if sky_library.shown_turned(path)]
            time.sleep(0.2)

    def runs(self):
        with Journal(self.daemon.config.state_dir) as journal:
            return len(journal.runs())

    def count(self, name):
        return self.daemon.metrics.facts()["photos"].get(name, 0)

    @contextmanager
    def held(self):
        """Nothing is judged within."""
        self.daemon._throttle.hold("the test", time.monotonic() + PATIENCE)
        yield
        self.daemon._throttle.hold("", 0.0)
        self.daemon._wakeup.wake()

    def start(self):
        self.thread.start()
        wait(lambda: self.daemon.metrics.state == "idle" or self.error)

    def stop(self):
        self.daemon._signal = 15
        if not self.error:
            self.daemon._wakeup.wake()
        self.thread.join(60)
        assert not self.thread.is_alive()


@contextmanager
def small_disk(folder):
    """A file system of its own where that is permitted; gives whether it is."""
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "none", folder], capture_output=True, check=False)
    try:
        yield made.returncode == 0
    finally:
        if made.returncode == 0:
            subprocess.run(["umount", "--lazy", folder], check=True)


def photo_bytes(folder, number, by_tag=True):
    return sky_library.draw(folder / "drawn.jpg", TURNS[number % 4], by_tag, seed=number).read_bytes()


def sync(folder, scratch, numbers, seed):
    """One phone: whole files under a temporary name, slow writers that pause, renames, deletions, odd dates."""
    chance, kept = random.Random(seed), []
    scratch.mkdir()
    for number in numbers:
        data, path = photo_bytes(scratch, number), folder / f"{number % 7}" / f"{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        way = chance.random()
        if way < 0.5:
            temporary = path.with_name(f".{path.name}.Xy12Zw")
            temporary.write_bytes(data)
            temporary.rename(path)
        elif way < 0.9:
            path.write_bytes(data)
        else:
            with path.open("wb", buffering=0) as file:
                for start in range(0, len(data), len(data) // 3 + 1):
                    file.write(data[start : start + len(data) // 3 + 1])
                    time.sleep(chance.uniform(0, 0.5))
        if way % 0.1 < 0.005:
            os.utime(path, (0, chance.choice(DATES)))
        if chance.random() < 0.05:
            path.unlink(missing_ok=True)
            continue
        if chance.random() < 0.05:
            path = path.rename(path.with_name(f"renamed-{path.name}"))
        kept.append(path)
    return kept


def moved_in(folder, scratch, folders, photos):
    """A tree of that many directories, moved in at once."""
    paths = []
    for number in range(folders):
        (scratch / "tree" / f"{number % 50}" / f"{number}").mkdir(parents=True)
    for number in range(photos):
        place = Path("tree", f"{number % 50}", f"{number}", f"{number}.jpg")
        (scratch / place).write_bytes(photo_bytes(scratch, number))
        paths.append(folder / place)
    subprocess.run(["mv", scratch / "tree", folder / "tree"], check=True)
    return paths


def without_space(soak, folder, scratch):
    """Photos that have to grow, on a disk that is full for a while."""
    paths = [folder / "full" / f"{number}.jpg" for number in range(1, 12) if number % 4]
    paths[0].parent.mkdir()
    filler = folder / ".filler"
    with soak.held():
        for number, path in enumerate(paths, 1):
            path.write_bytes(photo_bytes(scratch, number, by_tag=False))
        fill(filler)
    wait(lambda: soak.count("failed"))
    filler.unlink()
    return paths


def fill(file):
    with file.open("wb", buffering=0) as opened, pytest.raises(OSError, match="No space"):
        for _ in iter(lambda: opened.write(bytes(1 << 20)), 0):
            pass


def read_only(soak, folder, scratch):
    """Photos on a disk that is mounted read-only for a while."""
    failed = soak.count("failed")
    paths = [folder / "locked" / f"{number}.jpg" for number in range(1, 8) if number % 4]
    paths[0].parent.mkdir()
    with soak.held():
        for number, path in enumerate(paths, 1):
            path.write_bytes(photo_bytes(scratch, number))
        # Whoever has just closed a file there makes the mount busy for a moment.
        wait(lambda: subprocess.run(["mount", "-o", "remount,ro", folder], capture_output=True).returncode == 0)
    wait(lambda: soak.count("failed") > failed)
    subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
    return paths


def wait(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def resources():
    status = Path("/proc/self/status").read_text()
    megabytes = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024
    return megabytes, len(os.listdir("/proc/self/fd")), threading.active_count()


@pytest.mark.alone
def test_a_phone_is_synced_for_a_while(tmp_path, model, caplog, monkeypatch):
    wall = Wall(monkeypatch)
    caplog.set_level(logging.INFO, logger="orientd")
    folder, scratch = tmp_path / "photos", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    with small_disk(folder) as own_disk:
        soak = Soak(folder, model, tmp_path / "state", wall.local)
        paths, before = [], None
        soak.start()
        try:
            for wave in range(3):
                wall.ahead = JUMPS[wave]
                with deaf(soak.daemon.arrivals, folder) if wave == 1 else nullcontext(), ThreadPoolExecutor(4) as phones:
                    numbers = [range(1000 * wave + 250 * phone, 1000 * wave + 250 * phone + 200) for phone in range(4)]
                    waves = [phones.submit(sync, folder, scratch / f"{wave}{i}", n, wave * 4 + i) for i, n in enumerate(numbers)]
                    paths += [path for each in waves for path in each.result()]
                soak.calm(paths)
                before = before or resources()
            wall.ahead = JUMPS[3]
            paths += moved_in(folder, scratch, 5000, 200)
            soak.calm(paths)
            troubled = []
            if own_disk:
                troubled = [*without_space(soak, folder, scratch), *read_only(soak, folder, scratch)]
                soak.calm(troubled)
            after = resources()
        finally:
            soak.stop()
        assert soak.error is None
        assert "max_queued_events" in caplog.text
        assert {path.stat().st_mtime // 10 for path in paths} >= {date // 10 for date in DATES}, "odd dates were among them"
        assert soak.runs() in (len(JUMPS), len(JUMPS) + 1), "a day is a run; it may be midnight"
        needed = {str(path) for path in paths}
        times = {}
        for (path, _, _), count in soak.judged.items():
            times.setdefault(path, []).append(count)
        assert [path for path in needed if path not in times] == []
        assert {path: counts for path, counts in times.items() if path in needed and max(counts) > 1} == {}
        assert {path: count for path, count in soak.fixed.items() if count > 1} == {}
        wrong = [str(path) for path in (*paths, *troubled) if int(path.stem.rpartition("-")[2]) % 4]
        assert [path for path in wrong if soak.fixed[path] != 1 and "renamed" not in path and path in needed] == []
        assert [path for path in (*paths, *troubled) if sky_library.shown_turned(path)] == []
        print("MB, descriptors, threads", before, after, soak.daemon.metrics.facts())
        assert after[0] - before[0] < 40, "megabytes"
        assert after[1] - before[1] <= 2, "descriptors"
        assert after[2] == before[2], "threads"
    assert [thread.name for thread in threading.enumerate() if "orientd" in thread.name] == []


class StandIn:
    """A judge to which everything is upright; it opens nothing."""

    batch = 1

    def __call__(self, candidates):
        return [
            Row(each.path, size=each.stat.size, mtime_ns=each.stat.mtime_ns, decision=Verdict.KEEP, sha256="0")
            for each in candidates
        ]


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setattr(worker, "make_judge", lambda *_: (StandIn(), "stand-in"))
    monkeypatch.setattr(worker.Worker, "_timed", lambda self, judge: judge)


@pytest.mark.alone
def test_a_burst_of_50_000_files_is_absorbed(tmp_path, model, stand_in):
    """More than wait at the same time, and more events than the kernel's queue holds."""
    number, room = 50_000, 2000
    folder = tmp_path / "photos"
    folder.mkdir()
    soak = Soak(folder, model, tmp_path / "state", walk_every="3600", waiting_room=str(room))
    most = [0, 0]

    def look():
        most[0] = max(most[0], len(soak.daemon.arrivals))
        most[1] = max(most[1], len(soak.daemon.arrivals._hints._hints))
        return sum(soak.judged.values()) >= number

    soak.start()
    try:
        before = resources()
        for index in range(number):
            place = folder / f"{index // 1000}"
            if index % 1000 == 0:
                place.mkdir()
            (place / f"{index}.jpg").write_bytes(b"x")
            if index % 1000 == 0:
                look()
        wait(lambda: look() or soak.error)
        soak.calm([])
        after = resources()
    finally:
        soak.stop()
    assert soak.error is None
    assert len(soak.judged) == number
    assert set(soak.judged.values()) == {1}
    assert 0 < most[0] <= room
    assert most[1] <= room
    print("MB, descriptors, threads", before, after, most, soak.daemon.metrics.facts())
    assert after[0] - before[0] < 40, "megabytes"
    assert after[1:] == before[1:], "descriptors, threads"


@pytest.mark.skipif(min(WATCHES, 60_000) < QUEUED + 5000, reason="too few folders are watched here, or too many events kept")
def test_more_folders_than_the_queue_holds_overflow_once(tmp_path, model, stand_in, caplog):
    """The end of a watch is an event: to begin all of them anew must not make the queue overflow again, for ever."""
    folder = tmp_path / "photos"
    for number in range(QUEUED + 1000):
        (folder / f"{number // 200}" / f"{number}").mkdir(parents=True)
    soak = Soak(folder, model, tmp_path / "state", walk_every="3600", release_after="1000000")
    losses, lose = [], soak.daemon.arrivals._hints.lose
    soak.daemon.arrivals._hints.lose = lambda loss: (losses.append(loss), lose(loss))
    soak.start()
    try:
        with deaf(soak.daemon.arrivals, folder):
            (folder / "new").mkdir()
        wait(lambda: losses)
        (folder / "new" / "a.jpg").write_bytes(b"x")
        wait(lambda: soak.judged)
        soak.calm([])
        (folder / "new" / "b.jpg").write_bytes(b"x")
        wait(lambda: len(soak.judged) == 2)
        soak.calm([])
    finally:
        soak.stop()
    assert soak.error is None
    assert len(losses) == 1
