"""Photo → which turn makes it upright, and how sure that is."""

import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from orientd.api.settings import settings
from orientd.config import processors
from orientd.errors import PhotoError
from orientd.reasons import Reason
from orientd.records import Evidence, Photo, Probabilities, Verdict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from orientd.decode.given import PillowImage

Source: TypeAlias = "str | os.PathLike[str] | bytes | PillowImage | NDArray[np.uint8]"
"""A photo: its path, the bytes of its file, or its pixels."""

_log: Final = logging.getLogger("orientd")
_AHEAD: Final = 2  # photos that wait for each worker, so that none of them ever does


@dataclass(frozen=True, slots=True)
class Judgment:
    """The judgement of one photo, as `orientd inspect` reports it.

    turn: degrees clockwise (0, 90, 180, 270) that make the photo, as viewers show it, upright, most probably.
    confidence: the probability of that turn (0–1), once it is taken into account that most photos are upright.
    probabilities: of turns of 0, 90, 180, 270° by what the picture shows; they sum to 1.
    evidence: what each witness that was asked has to say; empty if the first look was clear.
    decision: KEEP, FIX (sure enough to be turned) or UNSURE; then `reason` says why in words and `reason_code` of which kind.
    """

    turn: int
    confidence: float
    probabilities: Probabilities
    evidence: tuple[Evidence, ...]
    decision: Verdict
    reason: str = ""
    reason_code: Reason | None = None


class Detector:
    """Finds out which way photos are up. May be used from several threads at once.

    Loading takes a part of a second, and a network stays in memory: keep one. Files and variables that configure the command
    `orientd` do not count here.
    """

    def __init__(self, model: str = "", provider: str = "cpu", *, isolate: bool = True, workers: int = 0) -> None:
        """Load a model.

        Args:
            model: its name (see `orientd models`) or the path of its file; empty for the one that comes with orientd.
            provider: cpu, cuda, tensorrt or tensorrt-fp16.
            isolate: decode in child processes, which a hostile file may crash without ending this one.
            workers: how many photos `predict_many` judges at the same time; 0 for one per core that this process may use.

        Raises:
            orientd.errors.ConfigError: an argument is not one of these.
            orientd.errors.ModelError: the model cannot be used.
            orientd.errors.EngineUnavailable: ONNX Runtime or the provider is not there.
        """
        from orientd.pipeline.stages import make_judge

        config = settings(model=model, provider=provider, isolate=isolate, workers=workers)
        self._workers = workers or processors.available()
        self._judge, _ = make_judge(config, notify=_log.warning)

    def predict(self, source: Source) -> Judgment:
        """Judge one photo: a path; the bytes of a file; a Pillow image, as `ImageOps.exif_transpose` shows it; or an array of
        uint8, of shape (height, width), (height, width, 3) or (height, width, 4), as it is shown.

        A file gives the same answer as its bytes, to the bit. An array, or an image, is its pixels: a JPEG of them may be decoded
        at a smaller size, with answers that differ a little.

        Raises:
            orientd.errors.PhotoError: it cannot be read or decoded, or is never judged (raw files, JPEG XL); `code` is its kind.
            TypeError, ValueError: `source` is none of these.
        """
        photo = self._photo(source)
        picture = self._judge.decode(photo)
        first = self._judge.predictor.look(picture.pixels[None])[0]
        opinion = self._judge.opinion(photo, picture, first)
        decision = opinion.decision
        return Judgment(
            turn=decision.turn,
            confidence=decision.confidence,
            probabilities=opinion.prediction.probabilities,
            evidence=opinion.evidence,
            decision=decision.verdict,
            reason=decision.reason,
            reason_code=decision.code,
        )

    def predict_many(self, sources: Iterable[Source]) -> Iterator[Judgment | PhotoError]:
        """Judge many, several at a time, in their order; of one that cannot be judged comes the PhotoError, and the rest goes on.

        `sources` is read only a little ahead of what is taken, and may be endless.
        """
        waiting: deque[Future[Judgment | PhotoError]] = deque()
        with ThreadPoolExecutor(self._workers, "orientd-predict") as pool:
            try:
                for source in sources:
                    waiting.append(pool.submit(self._judged, source))
                    if len(waiting) > _AHEAD * self._workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for each in waiting:
                    each.cancel()

    def _judged(self, source: Source) -> Judgment | PhotoError:
        try:
            return self.predict(source)
        except PhotoError as error:
            return error

    def _photo(self, source: Source) -> Photo:
        from orientd.library import handed

        if isinstance(source, str | os.PathLike):
            return handed.by_path(os.fspath(source), self._judge.read)
        if isinstance(source, bytes):
            return handed.by_bytes(source)
        from orientd.decode.given import as_png

        return handed.by_bytes(as_png(source))
