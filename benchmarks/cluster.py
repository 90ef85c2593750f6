"""What a scan by a Ray cluster costs: against a plain scan on the same cores, and the rows a second that its driver can take.

    python -m benchmarks.cluster --photos FOLDER --number 2000 --out /dev/shm/cluster
    python -m benchmarks.cluster --rows 200000 --out /dev/shm/cluster

The first scans so many photos below the folder (copies of them, in folders of 100) plainly with one and with two workers, and by
local clusters of one and of two nodes with one processor each; start-up is in all of it. The efficiency is the time of the plain
scan with so many workers divided by that of the cluster, by the clock and by the processor: other work on the machine distorts
the former. The processor time of a cluster is that of all its processes and of the driver, looked at twice a second.

The second has a cluster of two nodes whose workers judge nothing but answer at once, so that the driver is what limits, with its
memory of photos and its report; the photos are made up, none is there. Both print what they measured.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path

from benchmarks.measuring import scan, timed

_STORE = 80 * 2**20
_IN_FOLDER = 100


@contextmanager
def cluster(nodes: int) -> Iterator[str]:
    """A local cluster with one processor on each of so many nodes, and none on its first; `auto` finds it. Its folder."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    os.environ |= {"RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-m", "benchmarks.cluster", "--hold", str(nodes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin
        assert holder.stdout
        for line in holder.stdout:
            if line == "ready\n":
                break
        yield folder
        holder.stdin.close()
    shutil.rmtree(folder)


def hold(nodes: int) -> None:
    """Be that cluster until standard input ends."""
    from ray.cluster_utils import Cluster

    held = Cluster()
    held.add_node(num_cpus=0, object_store_memory=_STORE, include_dashboard=False)
    for _ in range(nodes):
        held.add_node(num_cpus=1, object_store_memory=_STORE)
    print("ready", flush=True)
    sys.stdin.read()
    held.shutdown()


def copied(folder: Path, number: int, out: Path) -> Path:
    """Copies of so many photos below a folder, in folders of 100."""
    library = out / "photos"
    found = islice(sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".avif")), number)
    for place, path in enumerate(found):
        copy = library / f"{place // _IN_FOLDER:03}" / f"{place:05}{path.suffix}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return library


class ProcessorTime:
    """Seconds of processor time of all processes that have an environment with that value, as long as the context lasts."""

    def __init__(self, value: str) -> None:
        self._value, self._before, self._last = value.encode(), {}, {}  # type: ignore[var-annotated]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow)

    def __enter__(self) -> "ProcessorTime":
        self._before = self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        ticks = sum(found - self._before.get(pid, 0) for pid, found in self._last.items())
        return ticks / os.sysconf("SC_CLK_TCK")

    def _follow(self) -> None:
        while not self._ended.wait(0.5):
            self._last |= self._look()

    def _look(self) -> dict[int, int]:
        found = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with suppress(OSError):
                    if self._value in (folder / "environ").read_bytes():
                        cells = (folder / "stat").read_bytes().rpartition(b")")[2].split()
                        found[int(folder.name)] = int(cells[11]) + int(cells[12])
        return found


def against_plain(library: Path, out: Path) -> None:
    for workers in (1, 2):
        plain = timed(scan([library], out / f"plain-{workers}", workers))
        with cluster(workers) as folder, ProcessorTime(folder) as processor:
            spread = timed([*scan([library], out / f"cluster-{workers}", 1), "--cluster", "auto"])
        busy = processor.seconds
        print(
            f"{workers} workers: plain {plain.wall:.1f} s, {plain.cpu:.1f} s of processor; "
            f"cluster {spread.wall:.1f} s, {busy:.1f} s; "
            f"efficiency {plain.wall / spread.wall:.0%} by the clock, {plain.cpu / busy:.0%} by the processor; "
            f"driver {spread.cpu:.1f} s of processor, {spread.peak:.0f} MiB; load {os.getloadavg()[0]:.0f}",
            flush=True,
        )


def rows_a_second(number: int, out: Path) -> None:
    """What the driver takes, by `Cluster.run` and with all that a scan does to a row, from workers that judge nothing."""
    from orientd.config import Config
    from orientd.pipeline.cluster import actors
    from orientd.pipeline.cluster.scan import Cluster
    from orientd.pipeline.run import Stages
    from orientd.pipeline.stages import recorder
    from orientd.records import Candidate, FileStat
    from orientd.report.csv_file import CsvReport, default_report
    from orientd.state.seen import Seen

    actors.Judging = Answering  # type: ignore[misc, assignment]
    walked = (
        Candidate(f"/photos/{i // _IN_FOLDER:06}/a photo with a name {i:08}.jpg", FileStat(1, i, 4_000_000, i))
        for i in range(number)
    )
    state = out / "rows"
    state.mkdir(parents=True)
    report = CsvReport(default_report(datetime.now(), str(state)))
    with cluster(2), Seen(state, "", print) as seen:
        stages = Stages(seen.lookup, lambda _: (), lambda row: row, recorder(seen))
        rows = Cluster("auto", Config()).run(
            walked, stages, roots=[], judged_by="", writes=False, stop=lambda: False, notify=print
        )
        taken, began, began_by_cpu = 0, 0.0, 0.0
        for row in rows:
            if not taken:
                began, began_by_cpu = time.perf_counter(), time.process_time()
            report.write(row)
            taken += 1
        wall, cpu = time.perf_counter() - began, time.process_time() - began_by_cpu
    report.finish()
    print(f"{taken:,} rows: {taken / wall:,.0f} a second; {taken / cpu:,.0f} a second of the driver's processor")


class Answering:
    """In place of a worker: as long a row as a real one for each photo, at once."""

    def __init__(self, *_: object) -> None:
        pass

    def hello(self, _: Sequence[str]) -> object:
        from orientd.pipeline.cluster.judging import Hello

        return Hello("", os.getpid(), [])

    def judge(self, candidates: Sequence[object]) -> object:
        from benchmarks.merging import rows

        likes = rows(len(candidates))
        return [row._replace(path=each.path) for row, each in zip(likes, candidates, strict=True)], []  # type: ignore[attr-defined]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder that is not there yet")
    parser.add_argument("--photos", type=Path, help="folder with photos, .jpg or .avif")
    parser.add_argument("--number", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--hold", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.hold:
        hold(given.hold)
        return
    if given.photos:
        library = copied(given.photos, given.number, given.out)
        against_plain(library, given.out)
    if given.rows:
        rows_a_second(given.rows, given.out)


if __name__ == "__main__":
    main()
