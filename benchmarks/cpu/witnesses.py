"""What the witnesses cost on one core: processor time per photo, and memory with all of them open.

    python -m benchmarks.cpu.witnesses PHOTO [PHOTO …] [--rounds 5]

Each round asks every witness about every photo in turn (A B C A B C …), so that what else the machine does falls on all
of them. A look of a witness is all that it needs to judge one photo: four turns. The table also has the decoding
for the first look and the decoding for the witnesses (`Decoder.fitted`). All in one process, without isolation.
"""

import argparse
import re
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.measuring import machine
from orientd import formats
from orientd.decode.cpu import CpuDecoder
from orientd.infer import registry
from orientd.records import FileStat, Photo
from orientd.witnesses.opened import SIDE, open_witnesses

Task = Callable[[], object]


def photo(path: Path) -> Photo:
    data = path.read_bytes()
    kind = formats.sniff(data)
    return Photo(str(path), FileStat(0, 0, len(data), 0), kind, data, formats.stored_orientation(kind, data), "")


def largest() -> float:
    """MiB that this process has had resident at most."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def spent(task: Task) -> float:
    """Milliseconds of processor time."""
    begun = time.process_time()
    task()
    return 1000 * (time.process_time() - begun)


def tasks(photos: list[Photo]) -> dict[str, list[Task]]:
    """What is measured, by name, a task for each photo."""
    engine = registry.find("", registry.BUNDLED).open()
    witnesses = open_witnesses(engine, print)
    decoder = CpuDecoder(engine.spec.input_size)
    pictures = [decoder.fitted(each, SIDE).pixels for each in photos]
    found: dict[str, list[Task]] = {
        "decoding for the first look": [lambda each=each: decoder.decode(each, whole=False) for each in photos],
        f"decoding for the witnesses, {SIDE} px": [lambda each=each: decoder.fitted(each, SIDE) for each in photos],
    }
    squares = [decoder.decode(each).pixels for each in photos]
    second = {"the second look, 8 views": [lambda each=each: engine.look_again(each) for each in squares]}
    looks = {name: [lambda w=w, p=p: w.look(p) for p in pictures] for name, w in witnesses.items() if w}
    return found | second | looks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    measured = tasks([photo(path) for path in args.photos])
    rounds = [{name: sum(map(spent, each)) / len(each) for name, each in measured.items()} for _ in range(args.rounds + 1)][1:]
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    print(f"{len(args.photos)} photos, {args.rounds} rounds after one to warm up; ms of processor time a photo")
    for name in measured:
        values = [each[name] for each in rounds]
        print(f"| {name} | {median(values):.1f} | {min(values):.1f}–{max(values):.1f} |")
    print(f"resident at most: {largest():.0f} MiB")


if __name__ == "__main__":
    main()
