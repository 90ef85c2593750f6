"""Time, processor time and memory of `orientd scan` on drawn photos: the first scan judges, the second only stats.

python benchmarks/scan.py --files 1000 10000 --out /tmp/scan
"""

import argparse
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image


def build(folder: Path, number: int, width: int, height: int) -> float:
    """`number` different JPEGs in folders of 500, smooth with some noise; returns their mean size in MB."""
    random = np.random.default_rng(1)
    noise = random.normal(0, 6, (height, width, 1)).astype(np.float32)
    total = 0
    for i in range(number):
        path = folder / f"{i // 500:04}" / f"{i:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float32)
        Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8)).save(path, quality=90)
        total += path.stat().st_size
    return total / number / 1e6


def timed(*arguments: str) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak resident MiB of one orientd process and nothing else."""
    started = time.perf_counter()
    child = os.posix_spawn(sys.executable, [sys.executable, "-m", "orientd", *arguments], os.environ)
    _, status, usage = os.wait4(child, 0)
    assert status == 0, f"orientd {arguments} ended with {status}"
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--size", default="320x240", help="WIDTHxHEIGHT in pixels")
    parser.add_argument("--workers", default="0")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, {options.workers} workers (0: all cores)")
    print("| files | scan | wall s | CPU s | CPU µs a file | peak MiB |\n|---|---|---|---|---|---|")
    for number in options.files:
        folder = options.out.resolve() / str(number)
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        with ProcessPoolExecutor(1) as pool:  # what this process holds would count as the peak of its children
            megabytes = pool.submit(build, folder / "photos", number, width, height).result()
        for scan in ("first", "second"):
            report = str(folder / f"{scan}.csv")
            wall, cpu, peak = timed("scan", "-q", str(folder / "photos"), "--workers", options.workers, "--report", report)
            kind = f"{number:,} of {options.size}, {megabytes:.2f} MB"
            print(f"| {kind} | {scan} | {wall:.2f} | {cpu:.2f} | {1e6 * cpu / number:.0f} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
