"""All GPUs in use, each with its own pipelines, and the CPU, which works at the same time; one owner writes the results.

A batch goes to the GPU with the fewest photos in work. If a GPU fails, a notice says so and the others go on; once all have
failed, the CPU does the rest. Where the GPUs are the bottleneck, the threads that hand photos over decode a share of each batch
(see `load_balance`); they also read files and judge the photos that no GPU supports. A photo that is to be turned is decoded and
judged again by itself (`judge.Judge`), as the GPU's decoder does not notice all damage; all photos are judged by the same policy.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from orientd.config import Config, cache_directory, processors
from orientd.errors import EngineUnavailable
from orientd.gpu import cuda
from orientd.gpu.device import PIXELS_AT_ONCE, Engine, Gpu, Notify, Seen
from orientd.gpu.load_balance import LoadBalance
from orientd.infer import engine as infer
from orientd.infer import session
from orientd.judge.judge import Decode, Predictor, Sight, until
from orientd.records import Photo, Picture, Prediction

if TYPE_CHECKING:
    from orientd.infer.registry import Model

Card = tuple[int | None, str]
"""The number of a GPU, and its name. None is the CPU in its place, for tests."""

_BATCH: Final = 64
_LANES: Final = 2
_FILES_AT_ONCE: Final = 128 * 2**20  # per thread, in the memory of the host
_MIB: Final = 2**20
_PRECISION: Final = {"tensorrt": "fp32", "tensorrt-fp16": "fp16"}


class GpuPool:
    """Batch predictor and predictor of a judge (see there) on one GPU or more; used from several threads at once."""

    weight = _FILES_AT_ONCE

    def __init__(
        self,
        cards: Sequence[Gpu],
        spare: Callable[[], Predictor],
        decode: Decode | None = None,
        threads: int = 1,
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`spare` gives an engine for the CPU once no GPU is left. By `decode` the CPU decodes a share of the photos where that
        helps; `threads` hand photos over at the same time.

        Once `stop` is true nothing is begun, and a call raises Stopped.
        """
        self.cards = list(cards)
        self.batch = cards[0].batch
        self.share = LoadBalance(threads)
        self._spare = spare
        self._decode = decode and until(stop, decode)
        self._stop = stop
        self._clock = clock
        self._lock = threading.Lock()
        self._thread = threading.local()

    def __call__(self, photos: Sequence[Photo]) -> list[Sight | None]:
        """What is seen of each photo; None for those no GPU knows or had trouble with, and those too damaged for the CPU."""
        if not photos:
            return []
        self._entered(len(photos))
        with self._card(len(photos)) as card:
            if card is None:
                return [None] * len(photos)
            with self._lock:
                to_gpu = len(photos) - self.share.of(len(photos), sum(each.lanes for each in self.cards if not each.lost) or 1)
            seen = [*card(photos[:to_gpu], self._served, self._stop), *self._by_the_cpu(photos[to_gpu:])]
        self._thread.left = self._clock()
        return seen

    def look(self, pixels: NDArray[np.uint8]) -> list[Prediction]:
        """As `infer.Engine.look`, on the CPU if need be."""
        return self._either(lambda predictor: predictor.look(pixels))

    def look_again(self, pixels: NDArray[np.uint8]) -> Prediction:
        """As `infer.Engine.look_again`, on the CPU if need be."""
        return self._either(lambda predictor: predictor.look_again(pixels))

    def _served(self, seconds: float) -> None:
        with self._lock:
            self.share.gpu.add(seconds)

    def _entered(self, number: int) -> None:
        left = getattr(self._thread, "left", None)
        if left is not None:
            with self._lock:
                self.share.other.add((self._clock() - left) / number)

    @contextmanager
    def _card(self, number: int) -> Iterator[Gpu | None]:
        """The GPU with the least in hand, if one is left; it has `number` photos more in hand meanwhile."""
        with self._lock:
            card = min((each for each in self.cards if not each.lost), key=lambda each: each.in_hand, default=None)
            if card:
                card.in_hand += number
        try:
            yield card
        finally:
            if card:
                with self._lock:
                    card.in_hand -= number

    def _by_the_cpu(self, photos: Sequence[Photo]) -> list[Sight | None]:
        if not photos:
            return []
        began = self._clock()
        pictures = [self._picture(photo) for photo in photos]
        looks = iter(self.look(np.stack([each.pixels for each in pictures if each])) if any(pictures) else [])
        with self._lock:
            self.share.cpu.add((self._clock() - began) / len(photos))
        return [(picture, next(looks)) if picture else None for picture in pictures]

    def _picture(self, photo: Photo) -> Picture | None:
        try:
            return self._decode(photo) if self._decode else None
        except Exception:  # judged alone it fails again, and that is reported
            return None

    def _either(self, look: Callable[[Predictor], Seen]) -> Seen:
        with self._card(1) as card:
            seen = card.ask(look) if card else None
        return look(self._spare()) if seen is None else seen


def chosen(gpus: str) -> list[Card]:
    """The GPUs of a setting: "all", or numbers separated by commas.

    Raises:
        EngineUnavailable: there are none, not all of these, or no ONNX Runtime for them.
    """
    session.check_provider(session.CUDA)
    there = cuda.names()
    numbers = list(range(len(there))) if gpus == "all" else sorted({int(each) for each in gpus.split(",")})
    if not there:
        raise EngineUnavailable("CUDA shows no GPU here: check its driver (nvidia-smi), or ask for the CPU")
    if numbers[-1] >= len(there):
        shown = ", ".join(f"{number} ({name})" for number, name in enumerate(there))
        raise EngineUnavailable(f"there is no GPU {numbers[-1]}, only {shown}: name others with --gpus")
    return [(number, there[number]) for number in numbers]


def open_cards(
    model: "Model",
    config: Config,
    notify: Notify,
    decoding: Callable[[int], Decode] | None = None,
    threads: int = 1,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[GpuPool, infer.Engine]:
    """A pool of GPUs for a model by the configuration, and an engine on it.

    See `GpuPool` for `threads` and `stop`. `decoding` returns a decoder to squares of a given side, for the share of the CPU.

    Of the memory that each GPU may use, as nearly as its libraries allow, ONNX Runtime gets a quarter, and the photos decoded at
    the same time another quarter.

    Raises:
        EngineUnavailable: ONNX Runtime for CUDA, DALI, TensorRT or a GPU itself is not there.
        ModelError: the model cannot be used.
        StateError: there is no place to keep what TensorRT builds.
    """
    from orientd.decode.dali import DaliDecoder, blank
    from orientd.gpu.tensorrt.builder import EngineBuilder

    found = chosen(config.gpus)
    precision = _PRECISION.get(config.provider)
    builder = EngineBuilder(model, precision, Path(cache_directory(os.environ), "tensorrt"), notify) if precision else None
    memory = config.gpu_memory * _MIB
    of_dali = max(1, min(8, processors.available() // len(found)))
    pixels = min(PIXELS_AT_ONCE, memory // (4 * _LANES) or PIXELS_AT_ONCE)
    made = []
    for index, name in found:
        provider = _provider(index, memory)
        first = model.open([provider])
        engine: Engine = builder.upgrading(first, name, provider) if builder else first
        decoder = DaliDecoder(first.spec.input_size, first.padded(_BATCH), index, _LANES, of_dali)
        called = f"GPU {index}" if len(found) > 1 else "the GPU"
        made.append(Gpu(decoder, engine, blank(), notify, name=called, pixels=pixels, max_pixels=config.max_pixels))
        made[-1].examine()
    return GpuPool(made, cache(model.open), decoding and decoding(first.spec.input_size), threads, stop), first


def _provider(index: int | None, memory: int) -> session.Provider:
    if index is None:
        return session.CPU
    options = {"device_id": str(index), "use_tf32": "0"}  # TF32 rounds to 10 bits, which the CPU path does not
    if memory:
        options |= {"gpu_mem_limit": str(memory // 4), "arena_extend_strategy": "kSameAsRequested"}
    return session.CUDA, options
