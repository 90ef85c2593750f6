"""Processor time of each stage of judging one photo, on one thread, beside the plain way to do it.

python benchmarks/stages.py
"""

import platform
import time
from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image

from orientd import formats
from orientd.app import model_path
from orientd.config import Config
from orientd.decode.cpu import CpuDecoder
from orientd.infer import Engine
from orientd.items import FileStat, Photo

ROUNDS = 7


def photo() -> bytes:
    """A JPEG of 12 megapixels, smooth with some noise."""
    random = np.random.default_rng(1)
    coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), np.uint8)).resize((4000, 3000), Image.Resampling.BICUBIC)
    pixels = np.asarray(coarse, np.float32) + random.normal(0, 6, (3000, 4000, 1))
    file = BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def plainly(data: bytes, size: int) -> None:
    Image.open(BytesIO(data)).convert("RGB").resize((size, size), Image.Resampling.BILINEAR)


def medians(tasks: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median milliseconds of processor time of each task; they take turns, so that a noisy moment hits all of them."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(ROUNDS):
        for name, task in tasks.items():
            started = time.process_time()
            task()
            times[name].append(1000 * (time.process_time() - started))
    return {name: float(np.median(values)) for name, values in times.items()}


def main() -> None:
    engine, data = Engine(model_path(Config())), photo()
    size = engine.spec.input_size
    held, decoder = Photo("", FileStat(0, 0, 0, 0), formats.sniff(data), data, None, ""), CpuDecoder(size)
    pixels = np.random.default_rng(2).integers(0, 256, (64, size, size, 3), np.uint8)

    def by(batch: int) -> Callable[[], object]:
        return lambda: [engine._session.run(None, {"pixels": pixels[i : i + batch]}) for i in range(0, 64, batch)]

    looks = {f"64 looks by batches of {batch}": by(batch) for batch in (1, 8, 16)}
    found = medians({"decode, scaled": lambda: decoder.decode(held), "decode, plainly": lambda: plainly(data, size), **looks})
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    print(f"{machine}; a JPEG of 12 MP, {len(data) / 1e6:.1f} MB; median of {ROUNDS} rounds")
    print("| stage | CPU ms |\n|---|---|")
    for name, milliseconds in found.items():
        per_look = f" ({milliseconds / 64:.2f} a look)" if "looks" in name else ""
        print(f"| {name} | {milliseconds:.1f}{per_look} |")


if __name__ == "__main__":
    main()
