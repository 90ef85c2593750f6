"""From candidates to rows: read, decode, predict, predict once more where needed, decide. A faulty photo affects no other."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, ParamSpec, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from orientd import orientation
from orientd.errors import PhotoError, Refused, Stopped, code_of
from orientd.judge.panel import Opinion, Question, Voice, brief, deliberate
from orientd.judge.policy import Policy, decide, needs_second_look
from orientd.reasons import Reason
from orientd.records import Candidate, Decision, Method, Photo, Picture, Prediction, Row, Verdict

NOT_A_PHOTO: Final = "not a photo"
BY_THUMBNAIL: Final = "by its thumbnail"
UPRIGHT_AT_A_GLANCE: Final = 0.9
_BYTES_AT_ONCE: Final = 32 * 2**20  # per worker: sixteen workers on photos of 20 MB would hold gigabytes otherwise

_log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Predictor(Protocol):
    """The interface of an engine: one prediction per picture, the same whatever the batch."""

    def look(self, pixels: NDArray[np.uint8]) -> list[Prediction]: ...

    def look_again(self, pixels: NDArray[np.uint8]) -> Prediction: ...


class Decode(Protocol):
    """The interface of a decoder. Unless `whole`, it may leave parts unread that make no difference, if the Picture says so."""

    def __call__(self, photo: Photo, /, *, whole: bool = True) -> Picture: ...


Sight = tuple[Picture, Prediction]


class BatchPredictor(Protocol):
    """Decodes many photos together and predicts for them, such as a GPU. It may leave any of them to be judged alone and may not
    notice that one is damaged, so no photo is turned by its prediction alone.

    `batch` photos are worth handing over together, if their files have at most `weight` bytes.
    """

    batch: int
    weight: int

    def __call__(self, photos: Sequence[Photo]) -> Sequence[Sight | None]:
        """The picture and a first look for each photo, in order, or None for one left; never raises for a photo's sake."""
        ...


@dataclass(frozen=True)
class Judge:
    """Judges batches; used from several threads at once, as is its `predictor`.

    read: the whole file, or None if it is no photo and does not claim to be one.
    check: the method by which the photo can be given a new orientation (1–8), and the reason with its code if that is not the
        method asked for; raises Refused if the photo cannot be written at all.
    batch_predictor: a first look at many photos together, if any.
    thumbnail_glance: the photo and its thumbnail before the whole file is read, if possible; it may only confirm that the photo
        is upright.
    voices: the weights of the network and of each witness where the first look is not enough; none: the network decides alone.
    ask: the witnesses that can then be asked about a photo.
    """

    read: Callable[[Candidate], Photo | None]
    decode: Decode
    predictor: Predictor
    check: Callable[[Photo, int], tuple[Method, str, Reason | None]]
    policy: Policy
    batch_predictor: BatchPredictor | None = None
    thumbnail_glance: Callable[[Candidate], tuple[Photo, Picture] | None] = lambda _: None
    voices: Sequence[Voice] = ()
    ask: Callable[[Photo], Iterable[Question]] = lambda _: ()

    @property
    def batch(self) -> int:
        """How many candidates are worth handing over together, at least."""
        return self.batch_predictor.batch if self.batch_predictor else 1

    def __call__(self, candidates: Sequence[Candidate]) -> list[Row]:
        """One row per candidate, in order."""
        weight = self.batch_predictor.weight if self.batch_predictor else _BYTES_AT_ONCE
        return [row for group in _by_weight(candidates, weight) for row in self._together(group)]

    def _together(self, candidates: Sequence[Candidate]) -> list[Row]:
        opened = [self._upright(candidate) or self._open(candidate) for candidate in candidates]
        rows = iter(self._rows([item for item in opened if isinstance(item, Photo)]))
        return [next(rows) if isinstance(item, Photo) else item for item in opened]

    def _rows(self, photos: Sequence[Photo]) -> list[Row]:
        """`batch_predictor` decides on photos that are left as they are; one to be turned is judged alone, too."""
        seen = self.batch_predictor(photos) if self.batch_predictor else [None] * len(photos)
        settled = [self._left(photo, *sight) if sight else None for photo, sight in zip(photos, seen, strict=True)]
        late = iter(self._alone([photo for photo, row in zip(photos, settled, strict=True) if not row]))
        return [row or next(late) for row in settled]

    def _alone(self, photos: Sequence[Photo]) -> list[Row]:
        decoded = [self._decoded(photo, whole=False) for photo in photos]
        pictures = [item.pixels for item in decoded if isinstance(item, Picture)]
        looks = iter(self.predictor.look(np.stack(pictures)) if pictures else [])
        pairs = zip(photos, decoded, strict=True)
        return [item if isinstance(item, Row) else self._judge(photo, item, next(looks)) for photo, item in pairs]

    def _upright(self, candidate: Candidate) -> Row | None:
        """The row of a photo whose thumbnail shows that it is upright."""
        try:
            seen = self.thumbnail_glance(candidate)
        except Exception as error:  # reading the whole photo fails again, and reports it
            _log.debug("%s", candidate.path, exc_info=error)
            return None
        if not seen:
            return None
        photo, picture = seen
        first = self.predictor.look(picture.pixels[None])[0]
        sure = first.probabilities[0] >= max(UPRIGHT_AT_A_GLANCE, self.policy.second_look_below)
        return self._judge(photo, picture, first)._replace(reason=BY_THUMBNAIL, reason_code=Reason.BY_THUMBNAIL) if sure else None

    def _open(self, candidate: Candidate) -> Photo | Row:
        if candidate.error or candidate.skip:
            verdict = Verdict.ERROR if candidate.error else Verdict.SKIP
            why = candidate.error or candidate.skip
            return Row(candidate.path, decision=verdict, reason=why, reason_code=candidate.code)
        row = Row(candidate.path, size=candidate.stat.size, mtime_ns=candidate.stat.mtime_ns)
        try:
            photo = self.read(candidate)
        except Exception as error:
            return _failed(row, error)
        return row._replace(reason=NOT_A_PHOTO, reason_code=Reason.NOT_A_PHOTO) if photo is None else photo

    def _decoded(self, photo: Photo, *, whole: bool) -> Picture | Row:
        try:
            return self.decode(photo, whole=whole)
        except Exception as error:
            return _failed(_of_photo(photo), error)

    def _left(self, photo: Photo, picture: Picture, first: Prediction) -> Row | None:
        """The row of a photo that is left as it is; None for one to be turned."""
        opinion = self.opinion(photo, picture, first)
        return None if opinion.decision.verdict is Verdict.FIX else self._row(photo, picture, opinion, opinion.decision)

    def opinion(self, photo: Photo, picture: Picture, first: Prediction) -> Opinion:
        """The opinion on a photo after its first look: a second look and the witnesses are asked only where needed."""
        if not needs_second_look(first, self.policy):
            return Opinion(first, (), decide(first, self.policy))
        return deliberate(self.predictor.look_again(picture.pixels), self.ask(photo), self.voices, self.policy)

    def _judge(self, photo: Photo, picture: Picture, first: Prediction) -> Row:
        opinion = self.opinion(photo, picture, first)
        decision = opinion.decision
        if decision.verdict is Verdict.FIX and not picture.whole:
            proved = self._decoded(photo, whole=True)  # the same picture, or the damage that forbids to write the photo
            if isinstance(proved, Row):
                return proved
        method = None
        if decision.verdict is Verdict.FIX:
            try:
                method, remark, code = self.check(photo, orientation.turned(photo.orientation, decision.turn))
                decision = replace(decision, reason=remark, code=code)
            except Exception as error:  # as above
                why = error if isinstance(error, Refused) else _unexpected(error)
                reason = f"sideways or upside down, but not to be written: {why}"
                decision = Decision(Verdict.SKIP, decision.turn, decision.confidence, reason, code_of(error))
        return self._row(photo, picture, opinion, decision, method)

    def _row(self, photo: Photo, picture: Picture, opinion: Opinion, decision: Decision, method: Method | None = None) -> Row:
        shown = orientation.UPRIGHT if method is Method.ROTATE else orientation.turned(photo.orientation, decision.turn)
        row = _of_photo(photo)
        return row._replace(
            width=picture.width,
            height=picture.height,
            turn=decision.turn,
            confidence=decision.confidence,
            probabilities=opinion.prediction.probabilities,
            views=opinion.prediction.views,
            decision=decision.verdict,
            new_orientation=shown if decision.turn else None,
            method=method or row.method,
            reason=decision.reason,
            reason_code=decision.code,
            evidence=brief(opinion.evidence, self.voices),
            skew=next((said.skew for said in opinion.evidence if said.skew is not None), None),
        )


def until(stop: Callable[[], bool], begin: Callable[P, T]) -> Callable[P, T]:
    """The same function, but once `stop` is true it raises Stopped."""

    def begun(*args: P.args, **kwargs: P.kwargs) -> T:
        if stop():
            raise Stopped
        return begin(*args, **kwargs)

    return begun


def _by_weight(candidates: Sequence[Candidate], most: int) -> Iterator[list[Candidate]]:
    """Groups of files of at most that many bytes in memory at the same time; one that is too large for that comes alone."""
    group: list[Candidate] = []
    weight = 0
    for candidate in candidates:
        if group and weight + candidate.stat.size > most:
            yield group
            group, weight = [], 0
        group.append(candidate)
        weight += candidate.stat.size
    yield group


def _failed(row: Row, error: Exception) -> Row:
    if isinstance(error, Refused):
        return row._replace(reason=str(error), reason_code=error.code)
    if isinstance(error, PhotoError):
        return row._replace(decision=Verdict.ERROR, reason=str(error), reason_code=error.code)
    # A library's bug met by one strange file must not end a run of a million.
    _log.debug("%s", row.path, exc_info=error)
    # Not to be remembered: it may be this machine that is short of memory.
    return row._replace(decision=Verdict.ERROR, reason=_unexpected(error), sha256="", reason_code=code_of(error))


def _unexpected(error: Exception) -> str:
    return f"unexpected {type(error).__name__}: {error}"


def _of_photo(photo: Photo) -> Row:
    return Row(
        photo.path,
        format=photo.format.value,
        orientation=photo.orientation,
        method=Method.SIDECAR if photo.by_sidecar else None,
        size=photo.stat.size,
        mtime_ns=photo.stat.mtime_ns,
        sha256=photo.sha256,
    )
