"""The GPU road: baseline JPEGs are decoded and looked at in batches; whatever else comes up takes the CPU road in the same run.

What fails is never lost: a batch with a damaged photo is judged photo by photo on the CPU; where the GPU's memory is short,
batches become smaller; and a GPU that does not even manage a tiny grey photo any more is given up, with one notice, for the rest
of the run. The threads that hand photos over read files and decode on the CPU meanwhile. A photo that is to be turned is decoded
and judged again by itself (`judge.Judge`), as the GPU's decoder does not notice all damage.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from orientd.decode.baseline import Frame, frame
from orientd.errors import EngineUnavailable, OrientdError
from orientd.items import Photo, Picture, Prediction
from orientd.judge import Eyes, Sight

if TYPE_CHECKING:
    from orientd.catalogue import Model
    from orientd.decode.dali import Sheet
    from orientd.infer import Engine as LoadedModel

Notify = Callable[[str], None]
_Framed = tuple[Photo, Frame]
_Seen = TypeVar("_Seen")

_CUDA: Final = "CUDAExecutionProvider"
_DEVICE: Final = 0
_BATCH: Final = 64
_LANES: Final = 2
_FILES_AT_ONCE: Final = 128 * 2**20  # per thread, in the memory of the host
_PIXELS_AT_ONCE: Final = 2 * 2**30  # per lane, decoded, in the memory of the GPU
_MIB: Final = 2**20
_SHORT_OF_MEMORY: Final = (
    "out of memory",
    "out_of_memory",
    "memory allocation",
    "memoryallocation",
    "bad_alloc",
    "failed to alloc",
)

_log = logging.getLogger(__name__)


class Decoder(Protocol):
    """See `decode.dali.DaliDecoder`."""

    batch: int

    def decode(self, photos: Sequence[_Framed]) -> "Sheet": ...


class Engine(Eyes, Protocol):
    """See `infer.Engine`."""

    @property
    def takes_pixels(self) -> bool: ...

    def look_there(self, device: str, pointer: int, number: int) -> list[Prediction]: ...


class Gpu:
    """Crowd and eyes of a judge (see there) on one GPU; used from several threads at once."""

    weight = _FILES_AT_ONCE

    def __init__(
        self,
        decoder: Decoder,
        engine: Engine,
        spare: Callable[[], Eyes],
        test: _Framed,
        notify: Notify,
        *,
        pixels: int = _PIXELS_AT_ONCE,
        max_pixels: int = 2**31,
    ) -> None:
        """`spare` gives an engine for the CPU once the GPU is given up; `test` is a photo that any GPU can decode.

        `pixels` is what a batch may take of the GPU's memory once decoded, in bytes; it shrinks where that proves to be too much.
        Photos of more than `max_pixels` pixels are left to the CPU road, which knows what to say of them.
        """
        self.batch = decoder.batch
        self._decoder, self._engine, self._spare, self._test, self._notify = decoder, engine, spare, test, notify
        self._most, self._max_pixels = pixels, max_pixels
        self._lost = False
        self._looking, self._giving_up = threading.Lock(), threading.Lock()

    def __call__(self, photos: Sequence[Photo]) -> list[Sight | None]:
        """What the GPU sees of each photo; None for those it does not know or had trouble with."""
        framed = [(photo, self._frame(photo)) for photo in photos]
        answers = iter(self._answers([(photo, found) for photo, found in framed if found]))
        return [next(answers) if found else None for _, found in framed]

    def look(self, pixels: NDArray[np.uint8]) -> list[Prediction]:
        """As `infer.Engine.look`, on the CPU if need be."""
        return self._either(lambda eyes: eyes.look(pixels))

    def look_again(self, pixels: NDArray[np.uint8]) -> Prediction:
        """As `infer.Engine.look_again`, on the CPU if need be."""
        return self._either(lambda eyes: eyes.look_again(pixels))

    def examine(self) -> None:
        """Decode a photo and look at it.

        Raises:
            EngineUnavailable: the GPU cannot.
        """
        try:
            self._see([self._test])
        except OrientdError:
            raise
        except Exception as error:
            raise EngineUnavailable(f"the GPU cannot decode and look at a photo: {_brief(error)}: run orientd doctor") from error

    def _frame(self, photo: Photo) -> Frame | None:
        found = None if self._lost else frame(photo)
        return found if found and found.width * found.height <= self._max_pixels and _weight(found) <= self._most else None

    def _answers(self, photos: Sequence[_Framed]) -> list[Sight | None]:
        return [sight for group in self._groups(photos) for sight in self._answer(group)]

    def _groups(self, photos: Sequence[_Framed]) -> Iterator[list[_Framed]]:
        group: list[_Framed] = []
        for each in photos:
            if group and (len(group) == self.batch or sum(_weight(found) for _, found in (*group, each)) > self._most):
                yield group
                group = []
            group.append(each)
        if group:
            yield group

    def _answer(self, group: list[_Framed]) -> Sequence[Sight | None]:
        if self._lost:
            return [None] * len(group)
        try:
            return self._see(group)
        except OrientdError:
            raise
        except Exception as error:
            _log.debug("a batch of %d photos failed on the GPU", len(group), exc_info=True)
            if _is_short_of_memory(error):
                self._most = min(self._most, sum(_weight(found) for _, found in group) // 2)
                if half := len(group) // 2:
                    return [*self._answer(group[:half]), *self._answer(group[half:])]
            self._check(error)
            return [None] * len(group)

    def _see(self, group: list[_Framed]) -> list[Sight]:
        sheet = self._decoder.decode(group)
        with self._looking:
            if self._engine.takes_pixels:
                looks = self._engine.look_there(sheet.device, sheet.pointer, len(group))
            else:
                looks = self._engine.look(sheet.pixels)
        pictures = [Picture(each, found.width, found.height) for each, (_, found) in zip(sheet.pixels, group, strict=True)]
        return list(zip(pictures, looks, strict=True))

    def _check(self, error: Exception) -> None:
        """Give the GPU up unless it still works."""
        try:
            self._see([self._test])
        except OrientdError:
            raise
        except Exception:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        with self._giving_up:
            if not self._lost:
                self._lost = True
                reason = _brief(error)
                self._notify(f"the GPU stopped working ({reason}): going on without it, more slowly; no photo is left out")

    def _either(self, look: Callable[[Eyes], _Seen]) -> _Seen:
        if not self._lost:
            try:
                with self._looking:
                    return look(self._engine)
            except OrientdError:
                raise
            except Exception as error:
                self._check(error)
        return look(self._spare())


def open_gpu(model: "Model", notify: Notify, *, max_pixels: int, memory: int = 0) -> tuple[Gpu, "LoadedModel"]:
    """The GPU road for a model, and the engine on it.

    `memory` is the most of the GPU's memory to use, in MiB, as nearly as its libraries allow (0: any): ONNX Runtime is held to a
    quarter of it, and the photos decoded at the same time to another.

    Raises:
        EngineUnavailable: ONNX Runtime for CUDA, DALI or the GPU itself is not there.
        ModelError: the model cannot be used.
    """
    from orientd.decode.dali import DaliDecoder, blank

    options = {"use_tf32": "0"}  # TF32 rounds to 10 bits, which the CPU road does not
    if memory:
        options |= {"gpu_mem_limit": str(memory * _MIB // 4), "arena_extend_strategy": "kSameAsRequested"}
    engine = model.open([(_CUDA, options)])
    batch = engine.padded(_BATCH)
    decoder = DaliDecoder(engine.spec.input_size, batch, _DEVICE, _LANES, threads=min(8, os.cpu_count() or 1))
    pixels = min(_PIXELS_AT_ONCE, memory * _MIB // (4 * _LANES) or _PIXELS_AT_ONCE)
    gpu = Gpu(decoder, engine, cache(model.open), blank(), notify, pixels=pixels, max_pixels=max_pixels)
    gpu.examine()
    return gpu, engine


def _weight(found: Frame) -> int:
    """Bytes of a decoded photo."""
    return 3 * found.width * found.height


def _is_short_of_memory(error: Exception) -> bool:
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in _SHORT_OF_MEMORY)


def _brief(error: Exception) -> str:
    """The last line of what DALI and ONNX Runtime say, which is what happened; the others say where."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "no longer valid" not in line]
    return lines[-1] if lines else type(error).__name__
