"""What the steps of `benchmarks/gpu/run.py` share: the drawn photos, the measuring, and what is written down."""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.photos.scenery import scenery
from orientd import formats, orientation
from orientd.decode.gpu_eligible import Frame, frame
from orientd.records import FileStat, Photo

ORIENTATION = 0x0112
QUERY = ["memory.used", "utilization.gpu", "utilization.memory", "utilization.jpeg", "power.draw"]
Framed = tuple[Photo, Frame]


@dataclass
class Scale:
    """How much is done: for a GPU, or just enough to show that every step works."""

    device: int | None
    sides: Sequence[tuple[int, int]]
    different: int  # drawn photos of each size
    files: int  # in the library of the whole scan
    seconds: float  # of each measurement
    batches: Sequence[int]  # of photos to decode
    looks: Sequence[int]  # pictures seen at once
    lanes: Sequence[int]
    shares: Sequence[float]
    workers: Sequence[int]


ON_GPU = Scale(
    device=0,
    sides=((4000, 3000), (6000, 4000)),
    different=64,
    files=2000,
    seconds=3,
    batches=(16, 32, 64, 128),
    looks=(8, 32, 64, 128, 256),
    lanes=(1, 2, 4),
    shares=(0.0, 0.65, 0.9, 1.0),
    workers=(4, 8, 16, 32),
)
ON_CPU = Scale(None, ((640, 480), (800, 600)), 16, 40, 0.2, (4, 8), (4, 8), (1, 2), (0.9,), (1, 4))


@dataclass
class Bench:
    """What the steps share, and what they found."""

    scale: Scale
    photos: list[Framed]
    folder: Path
    ends: float
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)

    def note(self, step: str, what: str, value: Any, unit: str = "") -> None:
        self.found.setdefault(step, {})[what] = value
        shown = (
            f"{value:,.3g}"
            if isinstance(value, float) and abs(value) < 100
            else f"{value:,.0f}"
            if isinstance(value, float)
            else value
        )
        self.rows.append((step, what, f"{shown} {unit}".strip()))
        print(f"{step} | {what} | {shown} {unit}", flush=True)

    def run(self, step: Callable[["Bench"], None]) -> None:
        name, started = step.__name__, time.monotonic()
        if started > self.ends:
            self.note(name, "skipped", "no time left")
            return
        with Watch() as watch:
            try:
                step(self)
            except Exception as error:  # the next step may still show something
                self.note(name, "FAILED", " ".join(f"{type(error).__name__}: {error}".split())[:300])
        for what, value in watch.summary().items():
            self.note(name, what, value)
        self.note(name, "took", time.monotonic() - started, "s")

    def write(self, out: Path) -> None:
        """After each step, so that a run that is cut off leaves what it had."""
        lines = ["| step | what | |", "|---|---|---|", *(f"| {step} | {what} | {value} |" for step, what, value in self.rows)]
        (out / "gpu.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (out / "gpu.json").write_text(json.dumps(self.found, indent=1) + "\n", encoding="utf-8")

    def rate(self, task: Callable[[Sequence[Framed]], object], batch: int, threads: int = 1) -> float:
        """Photos per second that `task` gets through, by `threads` threads on batches of `batch`."""
        source, lock, done = cycle(self.photos), threading.Lock(), [0] * threads
        task(list(islice(source, batch)))  # pipelines are built, kernels chosen
        started = time.monotonic()

        def work(number: int) -> None:
            while time.monotonic() - started < self.scale.seconds:
                with lock:
                    chunk = list(islice(source, batch))
                task(chunk)
                done[number] += batch

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
        return sum(done) / (time.monotonic() - started)


class Watch:
    """What nvidia-smi sees meanwhile; nothing where there is none."""

    def __enter__(self) -> "Watch":
        command = ["nvidia-smi", f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader,nounits", "-lms", "200"]
        try:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except OSError:
            self._process = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.terminate()
            self._said = self._process.communicate()[0]

    def summary(self) -> dict[str, float]:
        if not self._process:
            return {}
        lines = [line.split(",") for line in self._said.splitlines() if line.count(",") == len(QUERY) - 1]
        columns = {name: [_number(line[at]) for line in lines] for at, name in enumerate(QUERY)}
        peaks = {f"{name}, most": max(values) for name, values in columns.items() if values and name == "memory.used"}
        means = {f"{name}, mean": float(np.mean(values)) for name, values in columns.items() if values and name != "memory.used"}
        return peaks | means


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def draw(job: tuple[int, int, int, int, str]) -> str:
    """One different JPEG, with sensor-like noise, quality 90, 4:2:0; returns its path.

    It is shown upright, however it is stored, but for one in 16, which is shown as it is stored.
    """
    seed, width, height, stored, path = job
    random = np.random.default_rng(seed)
    smooth = scenery(random).resize((width, height), Image.Resampling.BICUBIC)
    pixels = (np.asarray(smooth, np.float32) + random.normal(0, 6, (height, width, 1))).clip(0, 255).astype(np.uint8)
    if seed % 16 != 7:
        pixels = orientation.apply(pixels, orientation.inverse(stored))
    exif = Image.Exif()
    exif[ORIENTATION] = stored
    Image.fromarray(pixels).save(path, "JPEG", quality=90, exif=exif)
    return path


def library(scale: Scale, folder: Path) -> list[Framed]:
    """The drawn photos; below `folder`/all as many files as a scan is measured on, each photo under many names."""
    (folder / "all").mkdir()
    jobs = [
        (1000 * kind + number, *sides, number % 8 + 1, str(folder / f"{kind}-{number}.jpg"))
        for kind, sides in enumerate(scale.sides)
        for number in range(scale.different if kind == 0 else max(2, scale.different // 8))
    ]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        paths = list(pool.map(draw, jobs))
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                _copy, zip([folder / "all" / f"{number:05}.jpg" for number in range(scale.files)], cycle(paths), strict=False)
            )
        )
    photos = [photo(Path(path).read_bytes(), path) for path in paths]
    return [(each, found) for each in photos if (found := frame(each))]


def _copy(names: tuple[Path, str]) -> None:
    """A file of the same photo that differs in what follows the picture."""
    to, source = names
    shutil.copyfile(source, to)
    with to.open("ab") as file:
        file.write(to.name.encode())


def photo(data: bytes, path: str = "") -> Photo:
    kind = formats.sniff(data)
    return Photo(path, FileStat(0, 0, len(data), 0), kind, data, formats.stored_orientation(kind, data), "")
