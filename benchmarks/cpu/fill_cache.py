"""Fill orientd's memory as if every file below a folder had been judged and is upright.

python -m benchmarks.cpu.fill_cache FOLDER STATE
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from orientd.config import load
from orientd.library.walk import walk
from orientd.pipeline import stages
from orientd.records import Row, Verdict


def rows(folder: str) -> Iterator[Row]:
    for candidate in walk([folder]):
        yield Row(
            candidate.path,
            "jpeg",
            64,
            48,
            turn=0,
            confidence=0.999,
            probabilities=(0.99, 0.004, 0.003, 0.003),
            views=1,
            decision=Verdict.KEEP,
            size=candidate.stat.size,
            mtime_ns=candidate.stat.mtime_ns,
            sha256="0" * 64,
        )


def main() -> None:
    folder, state = os.path.realpath(sys.argv[1]), Path(sys.argv[2])
    config = load(None, os.environ, {"state_dir": str(state)})
    _, identity = stages.make_judge(config)
    with stages.open_seen(config, identity, print) as seen:
        for row in rows(folder):
            seen.add([row])


if __name__ == "__main__":
    main()
