"""How many photos of a batch the CPU decodes while the GPUs work: so many that both finish at the same time, by measured rates.

A thread that hands photos over waits while a GPU works on them; if it also has to wait for its turn, it could decode some itself.
With T threads, L of which a GPU serves at a time, and the seconds that a photo takes a thread at a GPU (g), on the CPU (c) and
for everything else, such as reading (o), all threads and all GPUs are busy if the share s of the CPU satisfies

    (T - L) (1 - s) g / L  =  (1 - s) o + s (c + o)

so s = f / (f + o + c) with f = (T - L) g / L - o, the free time of the threads for each photo of the GPUs. If there is no free
time, the GPUs are not the bottleneck and get everything. g, c and o are measured independently of s, so s does not overshoot.
"""

from dataclasses import dataclass, field
from typing import Final

_FORGETS: Final = 0.1
_MOST: Final = 0.8  # of a batch: a GPU that gets a few photos at a time wastes its fixed costs, and would look slower and slower


@dataclass
class Average:
    """An exponential average, which begins as a plain one so that the first value does not weigh for long."""

    value: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.count += 1
        self.value += max(_FORGETS, 1 / self.count) * (value - self.value)


@dataclass
class LoadBalance:
    """`threads` hand photos over. The averages are of seconds a photo: of a thread at a GPU, decoding by itself, and besides."""

    threads: int
    gpu: Average = field(default_factory=Average)
    cpu: Average = field(default_factory=Average)
    other: Average = field(default_factory=Average)

    def of(self, number: int, lanes: int) -> int:
        """How many of that many photos the CPU decodes, `lanes` threads being served by GPUs at a time.

        It begins with one, and gets more only as often as it was measured: it slows down once all threads decode.
        """
        free = max(self.threads - lanes, 0) * self.gpu.value / lanes - self.other.value
        if free <= 0 or not self.other.count:
            return 0
        most = min(int(number * _MOST), 1 + 2 * self.cpu.count)
        return min(round(number * free / (free + self.other.value + self.cpu.value)), most)
