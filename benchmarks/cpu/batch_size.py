"""Processor time of a look by the size of the batch, on one thread: is there anything to gain by batches on a CPU?

python -m benchmarks.cpu.batch_size
"""

import platform
import time
from collections.abc import Callable

import numpy as np

from orientd.config import Config
from orientd.infer.engine import Engine
from orientd.pipeline.stages import chosen_model

ROUNDS = 7


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
    engine = Engine(chosen_model(Config()).path)
    size = engine.spec.input_size
    pixels = np.random.default_rng(2).integers(0, 256, (64, size, size, 3), np.uint8)

    def by(batch: int) -> Callable[[], object]:
        return lambda: [engine._session.run(None, {"pixels": pixels[i : i + batch]}) for i in range(0, 64, batch)]

    found = medians({f"64 looks by batches of {batch}": by(batch) for batch in (1, 8, 16)})
    print(f"{platform.machine()}, Python {platform.python_version()}; median of {ROUNDS} rounds")
    print("| | CPU ms | a look |\n|---|---|---|")
    for name, milliseconds in found.items():
        print(f"| {name} | {milliseconds:.1f} | {milliseconds / 64:.2f} |")


if __name__ == "__main__":
    main()
