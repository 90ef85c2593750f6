"""Decoding by NVIDIA DALI: many baseline JPEGs at once, on the GPU, where their pixels stay.

The same pipeline runs without a GPU (`device` None), which is how it is tested. What it does is the rule of the CPU decoder:
DALI's own obedience to EXIF is switched off; the whole picture is squeezed to a square by an antialiased triangular filter; the
square is turned as the stored orientation says, exactly, by a map of pixel centres. The CPU decoder reduces a JPEG by its inverse
DCT first, DALI does not, so pixels differ by a few levels.

DALI has one answer for a batch in which one photo is damaged: an error, after which that pipeline "is no longer valid". Here a
pipeline that failed is thrown away with all it holds, and the caller decides what becomes of the batch. One run at a time is in
a pipeline, and every picture comes with the number it was fed with, never used twice, and with the sides that were decoded;
if these are not those expected, nothing of the batch is used. All work on the GPU has ended when a batch is given out: its
pictures are copied to the host, too, which waits for them. Importing this module loads Pillow; DALI is loaded with a decoder.
"""

import sys
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from queue import LifoQueue
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orientd import commands, orientation
from orientd.decode.gpu_eligible import Frame
from orientd.errors import EngineUnavailable
from orientd.records import FileStat, Format, Photo

HARDWARE_SHARE: Final = 0.9  # of a batch, for the JPEG engines; CUDA kernels decode the rest at the same time


class Pipeline(Protocol):
    """What is asked of a pipeline of DALI: pictures, the numbers they came with and the shapes they were decoded to."""

    def run(self, **inputs: Sequence[NDArray[Any]]) -> tuple[Any, Any, Any]: ...


@dataclass(frozen=True, slots=True)
class Sheet:
    """Decoded pictures side by side: uint8 of shape (batch, size, size, 3), the last of them padding.

    They are at the address `pointer` in the memory of `device` ("cpu" or "cuda", with the number `index`) as long as this object
    lives; `pixels` are those of the photos in the memory of the host, (photos, size, size, 3).
    """

    device: str
    index: int
    pointer: int
    pixels: NDArray[np.uint8]
    _held: Any


def blank() -> tuple[Photo, Frame]:
    """A tiny grey photo: it pads a batch, and shows whether a GPU still works."""
    file = BytesIO()
    Image.new("RGB", (16, 16), "grey").save(file, "JPEG")
    data = file.getvalue()
    return Photo("", FileStat(0, 0, 0, 0), Format.JPEG, data, None, ""), Frame(16, 16, len(data))


class DaliDecoder:
    """Decodes batches of up to `batch` photos; `lanes` threads may do so at the same time, others wait their turn.

    The memory of the GPU is given back with it.
    """

    def __init__(
        self,
        input_size: int,
        batch: int,
        device: int | None = 0,
        lanes: int = 2,
        threads: int = 4,
        build: Callable[[], Pipeline] | None = None,
    ) -> None:
        """`device` is the number of the GPU, None for the CPU. `threads` serve each lane. `build` makes pipelines, if not DALI's.

        Raises:
            EngineUnavailable: DALI is not installed, or cannot be loaded.
        """
        self.batch, self.lanes = batch, lanes
        self._size, self._device, self._index = input_size, "cpu" if device is None else "cuda", device or 0
        self._build = build or _builder(input_size, batch, device, threads)
        self._lanes: LifoQueue[Pipeline | None] = LifoQueue()
        for _ in range(lanes):
            self._lanes.put(None)
        weakref.finalize(self, _release, self._lanes).atexit = False
        self._numbers = count()
        self._padding = blank()
        self._turns = {value: _matrix(value, input_size) for value in range(1, 9)}

    def decode(self, photos: Sequence[tuple[Photo, Frame]]) -> Sheet:
        """1 to `batch` photos with their frames, as viewers show them, squeezed to squares, in order.

        Raises:
            Exception: of whatever kind DALI raises, or RuntimeError if it mixed photos up. The pipeline it came from is gone.
        """
        lane: Pipeline | None = self._lanes.get()
        try:
            pipeline, lane = lane or self._build(), None  # one that fails is not put back
            sheet = self._run(pipeline, photos)
            lane = pipeline
        finally:
            self._lanes.put(lane)
        return sheet

    def _run(self, pipeline: Pipeline, photos: Sequence[tuple[Photo, Frame]]) -> Sheet:
        fed = [*photos, *[self._padding] * (self.batch - len(photos))]
        numbers = [next(self._numbers) for _ in fed]
        pictures, came, shapes = pipeline.run(
            data=[np.frombuffer(photo.data, np.uint8, frame.end) for photo, frame in fed],
            numbers=[np.array(number, np.int64) for number in numbers],
            turns=[self._turns[orientation.normalise(photo.orientation)] for photo, _ in fed],
        )
        expected = [(frame.height, frame.width) for _, frame in fed]
        found = [tuple(shape[:2]) for shape in _on_host(shapes).tolist()]
        if _on_host(came).tolist() != numbers or found != expected:
            raise RuntimeError("DALI gave back other photos than it was given")
        tensor = pictures.as_tensor()
        if list(tensor.shape()) != [self.batch, self._size, self._size, 3]:
            raise RuntimeError(f"DALI gave back pictures of shape {tensor.shape()}")
        return Sheet(self._device, self._index, int(tensor.data_ptr()), _on_host(pictures)[: len(photos)], tensor)


def version() -> tuple[str, int]:
    """The version of DALI and the major version of CUDA it was made for.

    Raises:
        EngineUnavailable: it is not installed, or cannot be loaded.
    """
    dali = _load()
    return str(dali.__version__), int(dali.__cuda_version__) // 1000


def _release(lanes: LifoQueue[Pipeline | None]) -> None:
    """Drop all pipelines, and have DALI give back what it keeps of their memory for the next ones."""
    lanes.queue.clear()
    if backend := sys.modules.get("nvidia.dali.backend"):
        backend.ReleaseUnusedMemory()


def _load() -> Any:
    try:
        import nvidia.dali as dali
    except (ImportError, OSError) as error:
        advice = commands.adding("gpu")
        raise EngineUnavailable(f"DALI, which decodes on the GPU, cannot be loaded ({error}): {advice}") from error
    return dali


def _on_host(tensors: Any) -> NDArray[Any]:
    """A copy, as the buffers of DALI are used again."""
    return np.array(tensors.as_cpu().as_array())


def _builder(size: int, batch: int, device: int | None, threads: int) -> Callable[[], Pipeline]:
    dali = _load()
    from nvidia.dali import fn, types

    where = "cpu" if device is None else "mixed"

    def define() -> tuple[Any, Any, Any]:
        data = fn.external_source(name="data", dtype=types.UINT8, ndim=1)
        numbers = fn.external_source(name="numbers", dtype=types.INT64, ndim=0)
        turns = fn.external_source(name="turns", dtype=types.FLOAT, ndim=2)
        share = {} if device is None else {"hw_decoder_load": HARDWARE_SHARE}
        decoded = fn.decoders.image(data, device=where, output_type=types.RGB, adjust_orientation=False, **share)
        square = fn.resize(decoded, size=[size, size], interp_type=types.INTERP_LINEAR, antialias=True)
        return fn.warp_affine(square, matrix=turns, interp_type=types.INTERP_NN), numbers, decoded.shape()

    def build() -> Pipeline:
        # With a depth of one, a run gives back what it was fed, and all work on the GPU has ended when it does.
        settings = {"batch_size": batch, "num_threads": threads, "device_id": device, "prefetch_queue_depth": 1}
        pipeline: Pipeline = dali.pipeline_def(define)(**settings)
        pipeline.build()  # type: ignore[attr-defined]
        return pipeline

    return build


def _matrix(value: int, size: int) -> NDArray[np.float32]:
    """(2, 3): from a place in the square as orientation `value` shows it, (x, y, 1), to that in the square as stored, (x, y).

    Pixels have their centres at halves.

    Read off what `orientation.apply` does, so that there is one truth about the eight values.
    """
    places = orientation.apply(np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1), value)
    by_x, by_y = places[0, 1] - places[0, 0], places[1, 0] - places[0, 0]
    corner = places[0, 0] + 0.5 - 0.5 * by_x - 0.5 * by_y
    return np.stack([by_x, by_y, corner], axis=-1).astype(np.float32)
