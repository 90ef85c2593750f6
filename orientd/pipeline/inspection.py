"""Judging one photo with every view and every witness, whatever the first look says; the decision is the one a scan takes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from orientd.errors import Refused
from orientd.formats.origin import Origin, origin
from orientd.judge.judge import Judge
from orientd.judge.panel import SCENE, Opinion, scene
from orientd.orientation import turned
from orientd.records import ON_SERVERS, Evidence, Frame, Photo, Picture, Prediction, Scores


@dataclass(frozen=True, slots=True)
class Testimony:
    """What one witness says of a photo, whether a scan `asked` it or not; `scores` is None if it has nothing to say.

    `against` is what that counts against each turn, in natural logarithms of odds, `cap` at the most; `doubts` the share, 0 to 1,
    by which it makes less of what all say for a turn over the next one clockwise, or the other way round.
    """

    witness: str
    asked: bool
    scores: Scores | None
    against: Scores
    cap: float
    doubts: Scores
    note: str
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Inspection:
    """One photo and every step of its decision.

    `testimonies` are those of all witnesses of the panel; `opinion` is what a scan concludes from those it asks. `refusal` is why
    the photo could not be written, if so. `origin` is for people to read: no decision depends on it.
    """

    photo: Photo
    picture: Picture
    first: Prediction
    second: Prediction
    testimonies: tuple[Testimony, ...]
    opinion: Opinion
    refusal: Refused | None
    origin: Origin | None

    def values(self) -> dict[str, Any]:
        """The fields for programs; see `report/output.schema.json`."""
        photo, decision = self.photo, self.opinion.decision
        return {
            "path": photo.path,
            "format": photo.format.value,
            "width": self.picture.width,
            "height": self.picture.height,
            "orientation": photo.orientation,
            "sha256": photo.sha256,
            "origin": self.origin and _origin(self.origin),
            "first_look": self.first.probabilities,
            "second_look": self.second.probabilities,
            "second_look_by_view": self.second.by_view,
            "witnesses": [_testimony(one) for one in self.testimonies],
            "probabilities": self.opinion.prediction.probabilities,
            "decision": decision.verdict.value,
            "turn": decision.turn,
            "confidence": decision.confidence,
            "reason": decision.reason or None,
            "reason_code": decision.code,
            "refusal": None if self.refusal is None else str(self.refusal),
            "refusal_code": None if self.refusal is None else self.refusal.code,
        }


def inspected(judge: Judge, photo: Photo) -> Inspection:
    """Raises PhotoError if the photo cannot be decoded."""
    picture = judge.decode(photo)
    first = judge.predictor.look(picture.pixels[None])[0]
    second = judge.predictor.look_again(picture.pixels)
    opinion = judge.opinion(photo, picture, first)
    try:
        judge.check(photo, turned(photo.orientation, opinion.decision.turn))
        refusal = None
    except Refused as error:
        refusal = error
    testimonies = tuple(_testimonies(judge, photo, second, opinion))
    of_file = not photo.path.startswith(ON_SERVERS)  # a server made the preview that it gives
    made_by = origin(photo.format, photo.data) if of_file else None
    return Inspection(photo, picture, first, second, testimonies, opinion, refusal, made_by)


def _testimonies(judge: Judge, photo: Photo, second: Prediction, opinion: Opinion) -> Iterator[Testimony]:
    questions: dict[str, Callable[[], Evidence | None]] = {SCENE: lambda: scene(second), **dict(judge.ask(photo))}
    asked = {one.witness for one in opinion.evidence}
    for voice in judge.voices:
        if ask := questions.get(voice.witness):
            said = ask() or Evidence(voice.witness, (0.0, 0.0, 0.0, 0.0))
            silent = said.scores == (0.0, 0.0, 0.0, 0.0)
            yield Testimony(
                voice.witness,
                voice.witness in asked,
                None if silent else said.scores,
                voice.against(said.scores),
                voice.cap,
                voice.doubts(said.scores),
                said.note,
                said.frames,
            )


def _testimony(one: Testimony) -> dict[str, Any]:
    return {
        "name": one.witness,
        "asked": one.asked,
        "scores": one.scores,
        "against": one.against,
        "cap": one.cap,
        "doubts": one.doubts,
        "note": one.note or None,
    }


def _origin(made_by: Origin) -> dict[str, Any]:
    return {
        "make": made_by.make or None,
        "model": made_by.model or None,
        "software": made_by.software or None,
        "has_sensor": made_by.held is not None,
        "sensor_orientation": made_by.held and made_by.held.orientation,
    }
