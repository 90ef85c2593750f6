"""A simulated phone, and everything that may go wrong meanwhile, in real time: afterwards every photo that exists was judged once
as it is, every one shown wrong was put right once, and nothing has grown.

As root the library is a small disk of its own, which is filled, made read-only and given a tiny event queue; otherwise these
three are left out.
"""

import logging
import os
import random
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import skies

from orientd import pipeline
from orientd.config import load
from orientd.daemon import Daemon
from orientd.service import Systemd

pytestmark = pytest.mark.slow

PATIENCE = 240.0
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
TURNS = (0, 90, 180, 270)


class Soak:
    """The watcher in a thread, and what it did by photo."""

    def __init__(self, folder, model, state):
        options = {"model": str(model), "settle": "0.3", "latency": "0.2", "walk_every": "4", "stalled": "30", "fix": "true"}
        config = load(None, {"HOME": str(state)}, options | {"workers": "2", "state_dir": str(state)})
        self.judged, self.fixed, self.lock = Counter(), Counter(), threading.Lock()
        self.daemon = Daemon(config, [str(folder)], lambda: config, "orientd watch", Systemd(), logging.getLogger("orientd.soak"))
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
            left = [path for path in left if skies.shown_turned(path)]
            time.sleep(0.2)

    def count(self, name):
        return self.daemon.metrics.facts()["photos"].get(name, 0)

    @contextmanager
    def held(self):
        """Nothing is judged within."""
        self.daemon._held_until = time.monotonic() + PATIENCE
        yield
        self.daemon._held_until = 0.0
        self.daemon._bell.ring()

    def start(self):
        self.thread.start()
        wait(lambda: self.daemon.metrics.state == "idle" or self.error)

    def stop(self):
        self.daemon._signal = 15
        self.daemon._bell.ring()
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


@contextmanager
def tiny_queue():
    """Inotify instances made within overflow after a few events, where root may say so; gives whether they do."""
    try:
        before = QUEUE.read_text()
        QUEUE.write_text("16")
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        QUEUE.write_text(before)


def photo_bytes(folder, number, by_tag=True):
    return skies.draw(folder / "drawn.jpg", TURNS[number % 4], by_tag, seed=number).read_bytes()


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
            os.utime(path, (0, chance.choice([0, 4_000_000_000])))
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
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
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


def test_a_phone_is_synced_for_a_while(tmp_path, model, caplog):
    caplog.set_level(logging.INFO, logger="orientd")
    folder, scratch = tmp_path / "photos", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    with small_disk(folder) as own_disk:
        with tiny_queue() as overflows:
            soak = Soak(folder, model, tmp_path / "state")
            paths, before = [], None
            soak.start()
        try:
            for wave in range(3):
                with ThreadPoolExecutor(4) as phones:
                    numbers = [range(1000 * wave + 250 * phone, 1000 * wave + 250 * phone + 200) for phone in range(4)]
                    waves = [phones.submit(sync, folder, scratch / f"{wave}{i}", n, wave * 4 + i) for i, n in enumerate(numbers)]
                    paths += [path for each in waves for path in each.result()]
                soak.calm(paths)
                before = before or resources()
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
        assert ("max_queued_events" in caplog.text) == overflows
        needed = {str(path) for path in paths}
        times = {}
        for (path, _, _), count in soak.judged.items():
            times.setdefault(path, []).append(count)
        assert [path for path in needed if path not in times] == []
        assert {path: counts for path, counts in times.items() if path in needed and max(counts) > 1} == {}
        assert {path: count for path, count in soak.fixed.items() if count > 1} == {}
        wrong = [str(path) for path in (*paths, *troubled) if int(path.stem.rpartition("-")[2]) % 4]
        assert [path for path in wrong if soak.fixed[path] != 1 and "renamed" not in path and path in needed] == []
        assert [path for path in (*paths, *troubled) if skies.shown_turned(path)] == []
        print("MB, descriptors, threads", before, after, soak.daemon.metrics.facts())
        assert after[0] - before[0] < 40, "megabytes"
        assert after[1] - before[1] <= 2, "descriptors"
        assert after[2] == before[2], "threads"
    assert [thread.name for thread in threading.enumerate() if "orientd" in thread.name] == []
