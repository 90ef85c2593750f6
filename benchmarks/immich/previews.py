"""How many previews a second a real Immich gives, by the number of connections, and what the server computes for each.

    python -m benchmarks.immich.previews --url http://127.0.0.1:2283 --out FOLDER [--server-pid PID]

FOLDER is that of a trial (`benchmarks.immich.trial`). Every preview is asked for by the client that a scan uses, and thrown away.
"""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.measuring import machine
from orientd.pipeline.immich.address import Server, read_key
from orientd.pipeline.immich.client import READING, Client, Clock

_TICKS = os.sysconf("SC_CLK_TCK")


def computed(pid: int) -> float:
    """The processor seconds of a process and of its children that are there."""
    if not pid:
        return 0.0
    children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS + sum(map(computed, children))


def measured(client: Client, photos: Sequence[str], connections: int, pid: int) -> Iterator[float]:
    """Previews a second, their mean size in kB, and the processor's milliseconds a preview: here, and in the server."""
    here, there, started = time.process_time(), computed(pid), time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        size = sum(pool.map(lambda photo: len(client.preview(photo, edited=False)[0]), photos))
    yield len(photos) / (time.perf_counter() - started)
    yield size / len(photos) / 1000
    yield (time.process_time() - here) * 1000 / len(photos)
    yield (computed(pid) - there) * 1000 / len(photos)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--server-pid", type=int, default=0)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    server = Server("real", given.url, str(given.out / "key"))
    client = Client(server, read_key(server, print), Clock())
    client.greet(READING)
    photos = [each["id"] for each in client.page(1, {"size": 1000})[0]]
    print(machine(), f"load {os.getloadavg()[0]:.0f}", f"{len(photos)} previews a row")
    for _ in range(given.rounds):
        for connections in given.connections:
            speed, size, ours, theirs = measured(client, photos, connections, given.server_pid)
            print(
                f"{connections}: {speed:.1f} a second of {size:.0f} kB; {ours:.1f} ms here, {theirs:.1f} ms in the server",
                flush=True,
            )
    client.close()


if __name__ == "__main__":
    main()
