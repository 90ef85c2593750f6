"""What a scan of a large Immich server costs of which every photo is known: seconds, processor time and memory.

    python -m benchmarks.immich.listing --photos 50000

The server is the fake of the tests, in a process of its own on the same machine; nothing is judged, and no preview asked for.
"""

import argparse
import sys
import tempfile
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.measuring import Usage, machine, timed

_EDITED = 1000  # one photo in so many has edits, which the listing does not state


def serve(photos: int, pipe: Connection) -> None:
    """Run the fake server until the other end says something."""
    from tests.support.fake_immich import Fake, Running

    fake = Fake()
    for number in range(photos):
        fake.add(b"", f"IMG_{number:06}.jpg", fileCreatedAt=f"2026-01-01T00:00:00.{number:06}Z", checksum=f"{number:028}")
    for held in list(fake.photos.values())[::_EDITED]:
        fake.change(held, [{"action": "rotate", "parameters": {"angle": 90}}])
    listed = list(fake.found({}))
    fake.found = lambda _: listed  # a database does not sort all of it for every page
    server = Running(fake)
    pipe.send(server.url)
    pipe.recv()
    server.stop()


def fill(url: str, key_file: Path, state: Path) -> None:
    """Have all photos known, as if they had been judged."""
    from orientd.config import load
    from orientd.pipeline.immich.address import Server, read_key
    from orientd.pipeline.immich.client import READING, Client, Clock
    from orientd.pipeline.immich.library import Choice, ImmichLibrary
    from orientd.pipeline.stages import make_judge
    from orientd.records import Row, Verdict
    from orientd.state.seen import Seen

    server = Server("large", url, str(key_file))
    client = Client(server, read_key(server, print), Clock())
    library = ImmichLibrary(client, client.greet(READING), Choice())
    config = load(None, {"HOME": str(state), "ORIENTD_STATE_DIR": str(state)}, {})
    with Seen(state, make_judge(config, source=library)[1], print) as seen:
        for one in library.candidates():
            known = Row(one.path, "jpeg", 1440, 1920, turn=0, confidence=0.99, views=1, decision=Verdict.KEEP)
            seen.add([known._replace(size=one.stat.size, mtime_ns=one.stat.mtime_ns, sha256=one.asset.photo.sha256)])
    library.close()
    client.close()


def measure(photos: int, folder: Path) -> Usage:
    """A scan of a server with so many photos, all of them known."""
    from tests.support.fake_immich import KEY

    key_file, state = folder / "key", folder / "state"
    key_file.write_text(KEY)
    key_file.chmod(0o600)
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=serve, args=(photos, there))
    process.start()
    url = here.recv()
    filling = get_context("spawn").Process(target=fill, args=(url, key_file, state))  # else its memory would count
    filling.start()
    filling.join()
    given = ["--url", url, "--key-file", str(key_file), "--name", "large", "--state-dir", str(state)]
    report = folder / "report.csv"
    used = timed([sys.executable, "-m", "orientd", "immich", "scan", *given, "-q", "--report", str(report)])
    here.send("end")
    process.join()
    rows = report.read_text().splitlines()
    assert (len(rows), sum(",keep," in row for row in rows)) == (photos + 1, photos)
    return used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, nargs="+", default=[5_000, 50_000])
    arguments = parser.parse_args()
    print(machine())
    for photos in arguments.photos:
        with tempfile.TemporaryDirectory(prefix="orientd-immich-") as folder:
            used = measure(photos, Path(folder))
        print(f"{photos:,} photos: {used.wall:.1f} s, {used.cpu:.1f} s of processor time, {used.peak:.0f} MiB")


if __name__ == "__main__":
    main()
