"""What a training runs on: memory, signals, devices, and the processes that share the work.

With several devices each has a process of its own with the same weights, and gradients are averaged by `Team.average`. torch's
DistributedDataParallel is not used: it must be rebuilt whenever another stage is frozen, and this is all that it would do.
"""

import ctypes
import multiprocessing
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import TypeVar

import torch
from torch import Tensor, distributed

from orientd.errors import ConfigError, OrientdError
from orientd_training.config import TrainConfig

_T = TypeVar("_T")

# malloc.h of glibc
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_MOST = 2**31 - 1


@dataclass(frozen=True)
class Team:
    """The processes that train one network together; this one is number `rank` of `size` and works on `device`."""

    device: torch.device
    bfloat16: bool
    rank: int = 0
    size: int = 1

    def autocast(self) -> AbstractContextManager[None]:
        """Where what is learnt is computed in mixed precision."""
        mixed: AbstractContextManager[None] = torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)
        return mixed

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the team."""
        if self.size > 1 and tensors:
            together = torch.cat([tensor.flatten() for tensor in tensors])
            distributed.all_reduce(together)
            parts = (together / self.size).split([tensor.numel() for tensor in tensors])
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def sum(self, value: float) -> float:
        """The sum of what each of the team gives."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return float(total)


def team(config: TrainConfig, rank: int = 0) -> Team:
    """What this machine gives by what the recipe asks for.

    Raises:
        ConfigError: a device is asked for that is not there, or the batch cannot be shared evenly.
    """
    cards = torch.cuda.device_count() if config.device != "cpu" and torch.cuda.is_available() else 0
    if config.device == "cuda" and not cards:
        raise ConfigError("device: there is no CUDA GPU that torch can use here: ask for cpu or auto")
    if cards and config.devices > cards:
        raise ConfigError(f"devices: there are {cards} GPUs, not {config.devices}")
    size = config.devices or cards or 1
    if config.batch % size:
        raise ConfigError(f"batch: {config.batch} photos cannot be shared evenly by {size} devices")
    device = torch.device("cuda", rank) if cards else torch.device("cpu")
    return Team(device, config.precision == "bf16" or (config.precision == "auto" and cards > 0), rank, size)


def together(work: Callable[[Team], _T], config: TrainConfig) -> _T:
    """Do `work` in every process of the team; this one is the first of them, and its result or error is the result.

    Raises:
        ConfigError: as `team` does.
    """
    mine = team(config)
    if mine.size == 1:
        return work(mine)
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        where = f"file://{folder}/meeting"
        others = [spawn.Process(target=_join, args=(work, config, i, where), daemon=True) for i in range(1, mine.size)]
        for other in others:
            other.start()
        try:
            return _member(work, mine, where)
        finally:
            for other in others:
                other.kill()
                other.join()


def _join(work: Callable[[Team], object], config: TrainConfig, rank: int, where: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # the first process says when to stop, and which error it was
        signal.signal(number, signal.SIG_IGN)
    with suppress(OrientdError):
        _member(work, team(config, rank), where)


def _member(work: Callable[[Team], _T], mine: Team, where: str) -> _T:
    if mine.device.type == "cuda":
        torch.cuda.set_device(mine.device)
    backend = "nccl" if mine.device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, init_method=where, rank=mine.rank, world_size=mine.size)
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // mine.size))
    try:
        return work(mine)
    finally:
        torch.set_num_threads(threads)
        distributed.destroy_process_group()


@contextmanager
def asked_to_stop(team: Team) -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or SIGTERM came since; the second Ctrl-C interrupts at once.

    Only the first process of a team notices, and only in its main thread: a library has no say in the signals of others.
    """
    came = threading.Event()
    if team.rank or threading.current_thread() is not threading.main_thread():
        yield came.is_set
        return

    def note(number: int, frame: FrameType | None) -> None:
        came.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def keep_memory() -> bool:
    """Let glibc keep what is freed instead of giving it back to the kernel, which must then clear it again for every layer.

    Measured on a CPU: 1.3 to 1.5 times as many photos a second on a busy machine; 1.8 times on an idle one with the same settings
    made by the environment (MALLOC_…). False where the C library is another.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018  # absent from other C libraries
        settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _MOST), (_M_TOP_PAD, 200_000_000))
        return all(libc.mallopt(parameter, value) == 1 for parameter, value in settings)
    return False
