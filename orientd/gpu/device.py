"""One GPU: decodes baseline JPEGs in batches and runs the model on them in its own memory; the CPU handles everything else.

No photo is lost by a failure: if one photo of a batch is damaged, the photos of the batch are given back; if the GPU's memory is
short, batches become smaller; a GPU that fails even on a tiny grey photo is not used for the rest of the run, with one notice.
See `pool` for several GPUs, and for the part of the CPU.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from orientd import commands
from orientd.decode.gpu_eligible import Frame, frame
from orientd.errors import EngineUnavailable, OrientdError, Stopped
from orientd.judge.judge import Predictor, Sight
from orientd.records import Photo, Picture, Prediction

if TYPE_CHECKING:
    from orientd.decode.dali import Sheet

Notify = Callable[[str], None]
Framed = tuple[Photo, Frame]
Seen = TypeVar("Seen")

PIXELS_AT_ONCE: Final = 2 * 2**30  # per lane, decoded, in the memory of the GPU
_SHORT_OF_MEMORY: Final = (
    "out of memory",
    "out_of_memory",
    "memory allocation",
    "memoryallocation",
    "bad_alloc",
    "failed to alloc",
)

Served = Callable[[float], None]
Stop = Callable[[], bool]

_log = logging.getLogger(__name__)


def _unheard(_: float) -> None:
    """For who does not measure."""


def _never() -> bool:
    return False


class Decoder(Protocol):
    """See `decode.dali.DaliDecoder`."""

    batch: int
    lanes: int

    def decode(self, photos: Sequence[Framed]) -> "Sheet": ...


class Engine(Predictor, Protocol):
    """See `infer.Engine`."""

    @property
    def takes_pixels(self) -> bool: ...

    def look_there(self, device: str, pointer: int, number: int, index: int) -> list[Prediction]: ...


class Gpu:
    """Decodes and looks at photos on one GPU; used from several threads at once.

    It is `lost` once it was given up. `lanes` threads are served at a time. `in_hand` is for the caller.
    """

    def __init__(
        self,
        decoder: Decoder,
        engine: Engine,
        test: Framed,
        notify: Notify,
        *,
        name: str = "the GPU",
        pixels: int = PIXELS_AT_ONCE,
        max_pixels: int = 2**31,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`test` is a photo that any GPU can decode, `name` what the user knows this one by.

        `pixels` is what a batch may take of the GPU's memory once decoded, in bytes; it shrinks where that proves to be too much.
        Photos of more than `max_pixels` pixels are left to the CPU path, which knows what to say of them.
        """
        self.batch, self.lanes, self.lost, self.in_hand = decoder.batch, decoder.lanes, False, 0
        self._decoder, self._engine, self._test, self._notify, self._name = decoder, engine, test, notify, name
        self._most, self._max_pixels, self._clock = pixels, max_pixels, clock
        self._turn, self._looking, self._giving_up = threading.Semaphore(self.lanes), threading.Lock(), threading.Lock()

    def __call__(self, photos: Sequence[Photo], served: Served = _unheard, stop: Stop = _never) -> list[Sight | None]:
        """What the GPU sees of each photo; None for those it does not support or failed on.

        `served` is called after each batch with the seconds it took per photo; no batch is begun once `stop` is true.
        """
        framed = [(photo, self._frame(photo)) for photo in photos]
        groups = self._groups([(photo, found) for photo, found in framed if found])
        answers = iter([sight for group in groups for sight in self._answer(group, served, stop)])
        return [next(answers) if found else None for _, found in framed]

    def ask(self, look: Callable[[Predictor], Seen]) -> Seen | None:
        """The result of `look` with the GPU's predictor; None if it failed."""
        if not self.lost:
            try:
                with self._looking:
                    return look(self._engine)
            except OrientdError:
                raise
            except Exception as error:
                self._check(error)
        return None

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
            raise EngineUnavailable(
                f"{self._name} cannot decode and look at a photo: {_brief(error)}: run {commands.line('doctor')}"
            ) from error

    def _frame(self, photo: Photo) -> Frame | None:
        found = None if self.lost else frame(photo)
        return found if found and found.width * found.height <= self._max_pixels and _weight(found) <= self._most else None

    def _groups(self, photos: Sequence[Framed]) -> Iterator[list[Framed]]:
        group: list[Framed] = []
        for each in photos:
            if group and (len(group) == self.batch or sum(_weight(found) for _, found in (*group, each)) > self._most):
                yield group
                group = []
            group.append(each)
        if group:
            yield group

    def _answer(self, group: list[Framed], served: Served, stop: Stop) -> Sequence[Sight | None]:
        if self.lost:
            return [None] * len(group)
        try:
            with self._turn:
                if stop():
                    raise Stopped
                began = self._clock()
                sights = self._see(group)
                served((self._clock() - began) / len(group))
                return sights
        except OrientdError:
            raise
        except Exception as error:
            _log.debug("a batch of %d photos failed on the GPU", len(group), exc_info=True)
            if _is_short_of_memory(error):
                self._most = min(self._most, sum(_weight(found) for _, found in group) // 2)
                if half := len(group) // 2:
                    return [*self._answer(group[:half], served, stop), *self._answer(group[half:], served, stop)]
            self._check(error)
            return [None] * len(group)

    def _see(self, group: list[Framed]) -> list[Sight]:
        sheet = self._decoder.decode(group)
        with self._looking:
            if self._engine.takes_pixels:
                looks = self._engine.look_there(sheet.device, sheet.pointer, len(group), sheet.index)
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
            if not self.lost:
                self.lost = True
                reason = _brief(error)
                self._notify(f"{self._name} stopped working ({reason}): going on without it, more slowly; no photo is left out")


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
