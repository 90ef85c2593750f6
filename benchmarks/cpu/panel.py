"""What the panel of witnesses costs a photo: a scan by the model in use, and by another, A B A B.

    python -m benchmarks.cpu.panel FOLDER --model BEFORE.onnx

FOLDER should hold upright photos of a real library, as nearly all photos of one are. Processor time is that of the whole command,
with its child processes, one worker, nothing remembered; memory is the most that one of these processes had resident so far.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory


def milliseconds(folder: Path, model: str) -> float:
    """Processor time for each file of the folder."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with TemporaryDirectory() as place:
        command = [sys.executable, "-m", "orientd", "scan", "-q", str(folder), "--workers", "1"]
        command += ["--state-dir", place, "--report", os.path.join(place, "report.csv"), *(["--model", model] if model else [])]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return round(1000 * spent / sum(path.is_file() for path in folder.rglob("*")), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", required=True, help="the model without a panel")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    for _ in range(options.rounds):
        for name, model in (("without", options.model), ("panel", "")):
            found = {name: milliseconds(options.folder, model)}
            memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
            print(json.dumps({**found, "MiB": memory}), flush=True)


if __name__ == "__main__":
    main()
