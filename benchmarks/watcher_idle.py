"""What `orientd watch` holds of the memory and uses of the processor when there is nothing to do, from outside.

    python -m benchmarks.watcher_idle PHOTO… --each 200 --rounds 3

Copies of the photos arrive in rounds. After each the watcher is measured at once, and again when it has given back the model.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring import machine

_RELEASE, _IDLE = 3, 30


class Watcher:
    """`orientd watch` as a process of its own, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.library, self._state = folder / "library", folder / "state"
        self.library.mkdir()
        settings = {"STATE_DIR": str(self._state), "RELEASE_AFTER": str(_RELEASE), "SETTLE": "0.5", "LATENCY": "0.5"}
        environment = os.environ | {f"ORIENTD_{name}": value for name, value in settings.items()}
        command = [sys.executable, "-m", "orientd", "watch", str(self.library)]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    def until(self, judged: int) -> None:
        """Wait until it has judged so many photos and is idle."""
        while True:
            if self.process.poll() is not None:
                raise RuntimeError("orientd watch has ended: run it by hand to see why")
            try:
                facts = json.loads((self._state / "watch.json").read_text())
            except (OSError, ValueError):
                facts = {"state": "", "photos": {}}
            if facts["state"] == "idle" and sum(facts["photos"].values()) >= judged:
                return
            time.sleep(0.1)

    def megabytes(self) -> dict[str, float]:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS", "RssAnon"))}
        return {"resident MiB": kilobytes["VmRSS"] // 1024, "of which no file's": kilobytes["RssAnon"] // 1024}

    def seconds(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(watcher: Watcher, photos: Sequence[Path], each: int, rounds: int) -> dict[str, dict[str, float]]:
    watcher.until(0)
    found = {"at the start": watcher.megabytes()}
    time.sleep(2 * _RELEASE)
    found["at the start, model given back"] = watcher.megabytes()
    for number in range(1, rounds + 1):
        for index in range(each):
            shutil.copy(photos[index % len(photos)], watcher.library / f"{number}-{index}.jpg")
        watcher.until(each * number)
        found[f"{each * number} photos judged"] = watcher.megabytes()
        time.sleep(2 * _RELEASE)
        found[f"{each * number} photos judged, model given back"] = watcher.megabytes()
    before = watcher.seconds()
    time.sleep(_IDLE)
    return found | {f"{_IDLE} s idle": {"CPU s": round(watcher.seconds() - before, 2)}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO")
    parser.add_argument("--each", type=int, default=200, help="photos of a round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        watcher = Watcher(Path(folder))
        try:
            found = measure(watcher, options.photos, options.each, options.rounds)
        finally:
            watcher.process.terminate()
            watcher.process.wait(60)
    print(json.dumps({"machine": machine(), "measured": found}, indent=2))


if __name__ == "__main__":
    main()
