"""How much the CPU decodes beside the GPUs, by simulated machines on a simulated clock."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orientd.gpu.load_balance import _MOST, Average, LoadBalance

BATCH = 64


@dataclass
class Machine:
    """Threads that take a batch each, again and again, GPUs with lanes, and cores that they all share.

    Seconds a photo: `gpu` for one lane with all lanes busy, `cpu` to decode it, `other` to read it and all else.
    """

    gpu: float
    cpu: float
    other: float
    threads: int = 8
    lanes: int = 2
    cores: int = 8

    def rate(self, share, batches=400, hiccup=None):
        """Photos a second over the last half of so many batches, and the shares that were chosen, in order."""
        free_at, lanes, left = [0.0] * self.threads, [0.0] * self.lanes, [None] * self.threads
        chosen, ends = [], []
        for number in range(batches):
            thread = free_at.index(min(free_at))
            now = free_at[thread]
            slower = max(1.0, sum(each > now for each in free_at) / self.cores)
            if hiccup and number == hiccup[0]:
                self.gpu *= hiccup[1]
            now += BATCH * self.other * slower
            if left[thread] is not None:
                share.other.add((now - left[thread]) / BATCH)
            to_cpu = share.of(BATCH, self.lanes)
            chosen.append(to_cpu / BATCH)
            to_gpu = BATCH - to_cpu
            lane = lanes.index(min(lanes))
            began = max(now, lanes[lane])
            now = lanes[lane] = began + to_gpu * self.gpu
            share.gpu.add((now - began) / to_gpu)
            if to_cpu:
                share.cpu.add(self.cpu * slower)
                now += to_cpu * self.cpu * slower
            free_at[thread] = left[thread] = now
            ends.append(now)
        half = batches // 2
        return BATCH * half / (sorted(ends)[-1] - sorted(ends)[half - 1]), chosen


# Seconds a photo of 12 megapixels, with two lanes to a GPU: the figures, and guesses at other cards.
H200 = Machine(gpu=2 / 970, cpu=0.030, other=0.003, threads=16, cores=16)
GTX = Machine(gpu=2 / 120, cpu=0.030, other=0.003)
SLOW_DISK = Machine(gpu=2 / 970, cpu=0.030, other=0.030)


@pytest.mark.parametrize(("machine", "faster"), [(H200, 1.333), (GTX, 2.417), (SLOW_DISK, 1.0)])
def test_all_are_busy_whatever_the_machine(machine, faster):
    alone, _ = machine.rate(Never(1))
    together, _ = machine.rate(LoadBalance(machine.threads))
    assert together >= 0.97 * faster * alone
    best = max(machine.rate(Fixed(share))[0] for share in range(0, 56, 2))
    assert together >= 0.93 * best, "no fixed share would do much better"


def test_where_the_gpu_does_not_hold_the_others_up_it_gets_everything():
    _, chosen = SLOW_DISK.rate(LoadBalance(SLOW_DISK.threads))
    assert not any(chosen[20:])
    _, chosen = Machine(gpu=0.001, cpu=0.03, other=0.003, threads=2).rate(LoadBalance(2))
    assert not any(chosen), "as many threads as lanes leave none to wait"


@pytest.mark.parametrize("machine", [H200, GTX, Machine(gpu=0.01, cpu=0.05, other=0.002, threads=32, cores=4)])
def test_the_share_settles_and_does_not_swing(machine):
    _, chosen = machine.rate(LoadBalance(machine.threads), 800)
    settled = chosen[400:]
    assert max(settled) - min(settled) <= 0.12
    assert min(settled) > 0


def test_a_gpu_that_becomes_slower_or_faster_is_followed():
    machine = Machine(gpu=2 / 400, cpu=0.03, other=0.003)
    _, chosen = machine.rate(LoadBalance(8), 800, hiccup=(400, 4))
    before, after = sum(chosen[300:400]) / 100, sum(chosen[-100:]) / 100
    assert after > before + 0.2
    machine = Machine(gpu=2 / 100, cpu=0.03, other=0.003)
    _, chosen = machine.rate(LoadBalance(8), 800, hiccup=(400, 0.1))
    assert sum(chosen[-100:]) / 100 < 0.7 * sum(chosen[300:400]) / 100


def test_a_first_batch_that_took_long_is_soon_forgotten():
    """Pipelines are built and kernels chosen then."""
    machine = Machine(gpu=20 * 2 / 970, cpu=0.03, other=0.003, threads=16, cores=16)
    _, chosen = machine.rate(LoadBalance(16), 400, hiccup=(2, 1 / 20))
    _, expected = H200.rate(LoadBalance(16), 400)
    assert sum(chosen[100:]) == pytest.approx(sum(expected[100:]), rel=0.1)


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 100), st.integers(1, 500), st.integers(1, 16), st.integers(1, 1024))
def test_a_share_is_never_more_than_most_of_a_batch(gpu, cpu, other, threads, lanes, number):
    share = LoadBalance(threads)
    assert share.of(number, lanes) == 0, "nothing is known yet"
    for average, value in ((share.gpu, gpu), (share.other, other)):
        average.add(value)
    assert share.of(number, lanes) <= 1, "one photo is enough to learn how long it takes"
    share.cpu.add(cpu)
    assert share.of(number, lanes) <= 3, "nor are a few"
    for _ in range(number):
        share.cpu.add(cpu)
    assert 0 <= share.of(number, lanes) <= max(1, _MOST * number)
    if threads <= lanes:
        assert share.of(number, lanes) == 0


def test_an_average_begins_plainly_and_forgets():
    average = Average()
    for value in (8.0, 2.0):
        average.add(value)
    assert average.value == 5
    for _ in range(100):
        average.add(1.0)
    assert average.value == pytest.approx(1, abs=1e-3)


class Never(LoadBalance):
    def of(self, number, lanes):
        return 0


class Fixed(LoadBalance):
    """The same number of each batch, whatever was measured: what the other way of testing compares with."""

    def of(self, number, lanes):
        return self.threads
