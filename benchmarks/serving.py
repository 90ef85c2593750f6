"""How much `orientd serve` answers, against what the engine alone does; on this machine alone, bounded in number and in time.

    python -m benchmarks.serving --result benchmarks/results/serving.json

The engine alone is `Detector.predict_many` on the same photos, with as many workers, in a process of its own: what comes on top
is HTTP, and the queue. The photos are made by `photos/make.py`, 12 megapixels of 4 to 5 MB, sent whole with each request; the
clients are threads of this process, with connections that stay open, and take their share of the processors. After that: memory
of the service and its children over many requests with small photos; and how long it is away when it is killed (SIGKILL) under
load and started again, as systemd would, while clients go on asking.
"""

import argparse
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles

from benchmarks.measuring import machine
from benchmarks.photos import make as photos

CLIENTS = (1, 4, 16)
_PATH, _HEADERS = "/v1/orientation", {"Content-Type": "image/jpeg"}
_ALONE = """
import sys, time
from pathlib import Path
from orientd import Detector

paths, requests, seconds = [Path(name).read_bytes() for name in sys.argv[3:]], int(sys.argv[1]), float(sys.argv[2])
detector = Detector()
list(detector.predict_many(paths))
begun, number = time.perf_counter(), 0

def some():
    for place in range(requests):
        if time.perf_counter() - begun > seconds:
            return
        yield paths[place % len(paths)]

for _ in detector.predict_many(some()):
    number += 1
print(number / (time.perf_counter() - begun))
"""


@contextmanager
def served(port: int = 0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The service as a process of its own, and its port."""
    command = [sys.executable, "-m", "orientd", "serve", "--listen", f"127.0.0.1:{port}", "--max-bodies", "1024"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            found = re.search(r":(\d+)/", process.stdout.readline())
            assert found, "orientd serve has ended: run it by hand to see why"
            yield process, int(found[1])
        finally:
            process.terminate()


class Client(threading.Thread):
    """Asks again and again until `more` is false; notes how long each answer took, in seconds, and its status."""

    def __init__(self, port: int, pictures: Sequence[bytes], first: int, more: Callable[[], bool]) -> None:
        super().__init__(name=f"client-{first}")
        self._port, self._pictures, self._place, self._more = port, pictures, first, more
        self.took: list[float] = []
        self.ends: list[float] = []
        self.statuses: Counter[int] = Counter()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        while self._more():
            picture = self._pictures[self._place % len(self._pictures)]
            self._place += 1
            begun = time.perf_counter()
            try:
                connection.request("POST", _PATH, picture, _HEADERS)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                self.statuses[0] += 1
                connection.close()
                time.sleep(0.02)
                continue
            self.ends.append(time.perf_counter())
            self.took.append(self.ends[-1] - begun)
            self.statuses[answer.status] += 1
        connection.close()


def counted(requests: int, seconds: float) -> Callable[[], bool]:
    """True so many times, for all callers together, but not for longer than that."""
    left, end, lock = [requests], time.perf_counter() + seconds, threading.Lock()

    def more() -> bool:
        with lock:
            left[0] -= 1
            return left[0] >= 0 and time.perf_counter() < end

    return more


def load(port: int, pictures: Sequence[bytes], clients: int, requests: int, seconds: float) -> dict[str, float | dict[str, int]]:
    """Requests a second, and milliseconds of the middle and of the slowest hundredth."""
    more = counted(requests, seconds)
    threads = [Client(port, pictures, number, more) for number in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - begun
    took = sorted(one for thread in threads for one in thread.took)
    statuses = sum((thread.statuses for thread in threads), Counter())
    hundredths = quantiles(took, n=100, method="inclusive")
    return {
        "requests": len(took),
        "requests a second": round(len(took) / wall, 2),
        "p50 ms": round(1000 * hundredths[49], 1),
        "p99 ms": round(1000 * hundredths[98], 1),
        "statuses": {str(status): number for status, number in statuses.items()},
    }


def alone(paths: Sequence[Path], requests: int, seconds: float) -> float:
    """Photos a second of the engine in a process of its own."""
    command = [sys.executable, "-c", _ALONE, str(requests), str(seconds), *map(str, paths)]
    return round(float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout), 2)


def resident(process: int) -> float:
    """MiB of a process and its children, each page once for each that has it."""
    children = Path(f"/proc/{process}/task").glob("*/children")
    numbers = [process, *(int(each) for file in children for each in file.read_text().split())]
    sizes = (re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{number}/status").read_text()) for number in numbers)
    return round(sum(int(size[1]) for size in sizes if size) / 1024, 1)


def memory(requests: int, seconds: float, small: Sequence[bytes]) -> dict[str, object]:
    """Memory after each tenth of so many requests."""
    with served() as (process, port):
        sizes, done, end = [], 0, time.perf_counter() + seconds
        for _ in range(10):
            if time.perf_counter() < end:
                done += int(str(load(port, small, 4, requests // 10, end - time.perf_counter())["requests"]))
                sizes.append(resident(process.pid))
    return {"requests": done, "MiB after each tenth": sizes}


def killed(pictures: Sequence[bytes], seconds: float) -> dict[str, object]:
    """How long nobody is answered when it is killed under load and started again at once."""
    stop = threading.Event()
    with served() as (process, port):
        clients = [Client(port, pictures, number, lambda: not stop.is_set()) for number in range(4)]
        for client in clients:
            client.start()
        time.sleep(min(5.0, seconds))
        process.send_signal(signal.SIGKILL)
        killed_at = time.perf_counter()
        process.wait()
        with served(port):
            started = time.perf_counter() - killed_at
            end = time.perf_counter() + seconds
            while time.perf_counter() < end and not any(one.ends and one.ends[-1] > killed_at for one in clients):
                time.sleep(0.01)
            first = time.perf_counter() - killed_at
            time.sleep(min(5.0, seconds))
            stop.set()
            for client in clients:
                client.join()
    statuses = sum((client.statuses for client in clients), Counter())
    return {
        "its address printed again after, s": round(started, 2),
        "first answer after, s": round(first, 2),
        "statuses": {"not reached" if not status else str(status): number for status, number in statuses.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--from", dest="source", type=Path, help="a ZIP archive or a folder of small upright photos")
    parser.add_argument("--requests", type=int, default=400, help="of each number of clients, at most")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each number of clients, at most")
    parser.add_argument("--memory-requests", type=int, default=10_000)
    parser.add_argument("--memory-seconds", type=float, default=900.0)
    parser.add_argument("--result", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        photos.make(Path(name), arguments.photos, arguments.source, photos.KINDS[:1])
        paths = sorted(Path(name).rglob("*.jpg"))
        large = [path.read_bytes() for path in paths]
        found: dict[str, object] = {"machine": machine(), "load of the machine before": os.getloadavg()}
        found["engine alone, photos a second"] = alone(paths, arguments.requests, arguments.seconds)
        with served() as (_, port):
            load(port, large, 2, len(large), arguments.seconds)
            for clients in CLIENTS:
                found[f"{clients} clients"] = load(port, large, clients, arguments.requests, arguments.seconds)
        found["engine alone again, photos a second"] = alone(paths, arguments.requests, arguments.seconds)
        small = [photos._packed(photos.drawn(seed)) for seed in range(8)]
        found["memory"] = memory(arguments.memory_requests, arguments.memory_seconds, small)
        found["killed"] = killed(large, 30.0)
        found["load of the machine after"] = os.getloadavg()
    text = json.dumps(found, indent=2) + "\n"
    if arguments.result:
        arguments.result.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
