"""From candidates to rows: read, decode, look, look again where needed, decide. One photo's fault stays its own."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from orientd import orientation
from orientd.decide import Policy, decide, needs_second_look
from orientd.errors import PhotoError, Refused
from orientd.items import Candidate, Decision, Photo, Picture, Prediction, Row, Verdict

NOT_A_PHOTO: Final = "not a photo"
_BYTES_AT_ONCE: Final = 32 * 2**20  # per worker: sixteen workers on photos of 20 MB would hold gigabytes otherwise

_log = logging.getLogger(__name__)


class Eyes(Protocol):
    """What is asked of an engine: one prediction per picture, the same whatever the batch."""

    def look(self, pixels: NDArray[np.uint8]) -> list[Prediction]: ...

    def look_again(self, pixels: NDArray[np.uint8]) -> Prediction: ...


@dataclass(frozen=True)
class Judge:
    """Judges batches; used from several threads at once, each of which gets its own `eyes`.

    read: the whole file, or None if it is no photo and does not claim to be one.
    check: raises Refused if the photo could not be written with that new orientation (1–8).
    """

    read: Callable[[Candidate], Photo | None]
    decode: Callable[[Photo], Picture]
    eyes: Callable[[], Eyes]
    check: Callable[[Photo, int], object]
    policy: Policy

    def __call__(self, candidates: Sequence[Candidate]) -> list[Row]:
        """One row per candidate, in order."""
        return [row for group in _by_weight(candidates) for row in self._together(group)]

    def _together(self, candidates: Sequence[Candidate]) -> list[Row]:
        opened = [self._open(candidate) for candidate in candidates]
        pictures = [item[1].pixels for item in opened if not isinstance(item, Row)]
        looks = iter(self.eyes().look(np.stack(pictures)) if pictures else [])
        return [item if isinstance(item, Row) else self._judge(*item, next(looks)) for item in opened]

    def _open(self, candidate: Candidate) -> tuple[Photo, Picture] | Row:
        if candidate.error or candidate.skip:
            verdict = Verdict.ERROR if candidate.error else Verdict.SKIP
            return Row(candidate.path, decision=verdict.value, reason=candidate.error or candidate.skip)
        row = Row(candidate.path, size=candidate.stat.size, mtime_ns=candidate.stat.mtime_ns)
        try:
            photo = self.read(candidate)
            if photo is None:
                return row._replace(reason=NOT_A_PHOTO)
            row = _of_photo(photo)
            return photo, self.decode(photo)
        except Refused as error:
            return row._replace(reason=str(error))
        except PhotoError as error:
            return row._replace(decision=Verdict.ERROR.value, reason=str(error))
        except Exception as error:  # a library's bug met by one strange file must not end a run of a million
            _log.debug("%s", candidate.path, exc_info=True)
            row = row._replace(sha256="")  # not to be remembered: it may be this machine that is short of memory
            return row._replace(decision=Verdict.ERROR.value, reason=_unexpected(error))

    def _judge(self, photo: Photo, picture: Picture, first: Prediction) -> Row:
        prediction = self.eyes().look_again(picture.pixels) if needs_second_look(first, self.policy) else first
        decision = decide(prediction, self.policy)
        new = orientation.turned(photo.orientation, decision.turn)
        if decision.verdict is Verdict.FIX:
            try:
                self.check(photo, new)
            except Exception as error:  # as above
                why = error if isinstance(error, Refused) else _unexpected(error)
                reason = f"shown wrong, but not to be written: {why}"
                decision = Decision(Verdict.SKIP, decision.turn, decision.confidence, reason)
        p0, p90, p180, p270 = prediction.probabilities
        return _of_photo(photo)._replace(
            width=picture.width,
            height=picture.height,
            turn=decision.turn,
            confidence=decision.confidence,
            p0=p0,
            p90=p90,
            p180=p180,
            p270=p270,
            views=prediction.views,
            decision=decision.verdict.value,
            new_orientation=new if decision.turn else None,
            method="tag" if decision.verdict is Verdict.FIX else "",
            reason=decision.reason,
        )


def _by_weight(candidates: Sequence[Candidate]) -> Iterator[list[Candidate]]:
    """Groups of files that may be in memory at the same time; one that is too large for that comes alone."""
    group: list[Candidate] = []
    weight = 0
    for candidate in candidates:
        if group and weight + candidate.stat.size > _BYTES_AT_ONCE:
            yield group
            group, weight = [], 0
        group.append(candidate)
        weight += candidate.stat.size
    yield group


def _unexpected(error: Exception) -> str:
    return f"unexpected {type(error).__name__}: {error}"


def _of_photo(photo: Photo) -> Row:
    return Row(
        photo.path,
        format=photo.format.value,
        orientation=photo.orientation,
        size=photo.stat.size,
        mtime_ns=photo.stat.mtime_ns,
        sha256=photo.sha256,
    )
