"""How fast the parts of a plan become one: rows a second, and memory, of `orientd plan merge`.

    python -m benchmarks.merging --out /dev/shm/merging

Parts of made-up rows, as long as real ones, of folders of 200 photos, each owned as `scan --shard` would have it; no photo is
there, and the journal is empty. Twice with the same rows in all, in few parts and in many; the second line shows what memory
depends on. Prints what it measured.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import Usage, timed
from orientd import __version__
from orientd.library.shard import Shard, WalkOrder
from orientd.records import Row, Verdict
from orientd.report.csv_file import CsvReport
from orientd.report.manifest import Manifest, sha256_of

ROOT = "/photos"
_IN_FOLDER = 200


def rows(number: int) -> Iterator[Row]:
    """In the order of the walk; none asks for a write."""
    for i in range(number):
        path = f"{ROOT}/{i // _IN_FOLDER:07}/a photo with a name {i % _IN_FOLDER:04}.jpg"
        yield Row(
            path, "jpeg", 4000, 3000, 1, 0, 0.9998, (0.9990, 0.0004, 0.0003, 0.0003), 1, Verdict.KEEP, size=4_000_000 + i,
            mtime_ns=1_700_000_000_123_456_789 + i, sha256=f"{i:064x}",
        )  # fmt: skip


def parts(folder: Path, number: int, of: int) -> list[Path]:
    """Plans of `number` rows in all, each with its manifest."""
    folder.mkdir(parents=True)
    shards = [Shard(each + 1, of) for each in range(of)]
    reports = [CsvReport(str(folder / f"{shard.number}.csv")) for shard in shards]
    owners: dict[str, CsvReport] = {}
    order = WalkOrder([ROOT])
    last = order.of(ROOT, is_folder=True)
    for row in rows(number):
        above, last = last, order.of(row.path)
        assert above < last
        place = row.path.rpartition("/")[0]
        if place not in owners:
            owners = {place: next(report for shard, report in zip(shards, reports, strict=True) if shard.owns(place))}
        owners[place].write(row)
    for shard, report in zip(shards, reports, strict=True):
        path = report.finish()
        manifest = Manifest(shard.number, of, __version__, "orientd", "", {}, [ROOT], [], [], [], {}, sha256_of(path))
        manifest.leave(path)
    return [folder / f"{shard.number}.csv" for shard in shards]


def merge(made: list[Path], folder: Path) -> Usage:
    words = ["plan", "merge", *map(str, made), "--out", str(folder / "plan.csv"), "-q", "--state-dir", str(folder / "state")]
    return timed([sys.executable, "-m", "orientd", *words])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder that is not there yet")
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 1_000_000], help="rows in all")
    parser.add_argument("--parts", type=int, nargs="+", default=[4, 64])
    given = parser.parse_args(arguments)
    for number in given.rows:
        for of in given.parts:
            folder = given.out / f"{number}-{of}"
            usage = merge(parts(folder / "parts", number, of), folder)
            speed = number / usage.wall
            print(
                f"{number:,} rows in {of} parts: {usage.wall:.1f} s, {speed:,.0f} rows a second, {usage.peak:.0f} MiB", flush=True
            )


if __name__ == "__main__":
    main()
