"""The panel: what several witnesses say of one photo, weighed to the probabilities of its four turns. Pure.

Each witness has a score for each turn. Counted from its favorite down, weighed, and held to a cap, these are what it says
against a turn, in natural logarithms of odds; what all say is added up (a log-linear opinion pool: Genest and Zidek 1986,
doi:10.1214/ss/1177013825). Weights and caps are fitted by `orientd-train calibrate`. Every sum is exact before it is rounded
(`math.fsum`), so that a turned photo gets the turned answer to the bit, and the order of the witnesses does not matter.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from orientd.errors import ModelError
from orientd.judge.policy import Policy, decide
from orientd.orientation import TURNS
from orientd.records import Decision, Evidence, Prediction, Probabilities, Scores, Verdict

SCENE: Final = "scene"

Question = tuple[str, Callable[[], Evidence | None]]
"""The name of a witness, and how to ask it; None has nothing to say."""


@dataclass(frozen=True, slots=True)
class Voice:
    """How much a witness counts.

    weight: what its scores are multiplied by (0 or more; 0 is silent).
    cap: the most it can say against a turn, in natural logarithms of odds (0 or more).
    """

    witness: str
    weight: float
    cap: float

    def __post_init__(self) -> None:
        if not (0 <= self.weight < math.inf and 0 <= self.cap < math.inf):
            raise ModelError(f"the model states an impossible weight or cap of the witness {self.witness!r}: export it again")

    def against(self, scores: Scores) -> Scores:
        """What a witness with these scores says against each turn: 0 for its favorite, −cap at the least."""
        best = max(scores)
        a, b, c, d = (max(self.weight * (score - best), -self.cap) for score in scores)
        return a, b, c, d


@dataclass(frozen=True, slots=True)
class PanelSpec:
    """The witnesses that a model's metadata name, in the order in which they are asked, and the policy fitted with them."""

    voices: tuple[Voice, ...]
    policy: Policy

    @property
    def names(self) -> tuple[str, ...]:
        """The witnesses to be asked in addition to the scene network's usual look, in order."""
        return tuple(voice.witness for voice in self.voices if voice.weight and voice.witness != SCENE)

    def to_json(self) -> dict[str, Any]:
        """As it stands in the metadata of a model."""
        return {"voices": [asdict(voice) for voice in self.voices], "policy": asdict(self.policy)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read it back.

        Raises:
            ModelError: these are not the values of a panel.
        """
        try:
            voices = tuple(Voice(str(each["witness"]), float(each["weight"]), float(each["cap"])) for each in values["voices"])
            return cls(voices, Policy(**values["policy"]))
        except (TypeError, ValueError, KeyError) as error:
            raise ModelError(f"what the model says of its panel cannot be read ({error}): export it again") from error


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the panel says of a photo: the fused probabilities with the scene's views, what each said, and the decision."""

    prediction: Prediction
    evidence: tuple[Evidence, ...]
    decision: Decision


def fuse(evidence: Iterable[Evidence], voices: Iterable[Voice]) -> Probabilities:
    """The probabilities of the four turns when these are equally likely before any witness speaks.

    A witness without a voice, and a voice without a witness, add nothing.
    """
    by_name = {voice.witness: voice for voice in voices}
    said = [by_name[one.witness].against(one.scores) for one in evidence if one.witness in by_name]
    logits = [math.fsum(each) for each in zip(*said, strict=True)] if said else [0.0] * 4
    powers = [math.exp(logit - max(logits)) for logit in logits]
    total = math.fsum(powers)
    a, b, c, d = (power / total for power in powers)
    return a, b, c, d


def brief(evidence: Iterable[Evidence], voices: Iterable[Voice]) -> str:
    """What each witness says, for a cell of the report: the turn it speaks for, and how far that is ahead of the next.

    In natural logarithms of odds, weighed and capped: "scene 90 +2.0; faces 90 +1.3". Empty if there is nothing to weigh.
    """
    by_name = {voice.witness: voice for voice in voices}
    said = [(one.witness, by_name[one.witness].against(one.scores)) for one in evidence if one.witness in by_name]
    return "; ".join(f"{name} {favorite(against)} +{lead(against):.1f}" for name, against in said)


def favorite(values: Scores) -> int:
    """The turn, in degrees clockwise, with the highest score or probability."""
    return TURNS[max(range(len(TURNS)), key=values.__getitem__)]


def lead(against: Scores) -> float:
    """How far the favorite is ahead of the next."""
    *_, second, first = sorted(against)
    return first - second


def scene(prediction: Prediction) -> Evidence:
    """What the scene network says by all its views: logarithms of its probabilities."""
    a, b, c, d = (math.log(max(p, 1e-300)) for p in prediction.probabilities)
    return Evidence(SCENE, (a, b, c, d))


def deliberate(seen: Prediction, ask: Iterable[Question], voices: Sequence[Voice], policy: Policy) -> Opinion:
    """Ask witness by witness until nothing that the others may say can change the decision.

    Args:
        seen: the scene network's second look; its views are those that must agree.
        ask: the witnesses, in the order in which they are asked.
        voices: those of all the witnesses, the scene's included; none: the scene network decides alone.
        policy: as for the scene network alone.
    """
    evidence = [scene(seen)]
    if not voices:
        return Opinion(seen, tuple(evidence), decide(seen, policy))
    caps = {voice.witness: voice.cap for voice in voices if voice.weight and voice.witness != SCENE}
    waiting = [(name, question) for name, question in ask if name in caps]
    for number, (_, question) in enumerate(waiting):
        left = math.fsum(caps[name] for name, _ in waiting[number:])
        if is_settled(_fused(seen, evidence, voices), policy, left):
            break
        if said := question():
            evidence.append(said)
    fused = _fused(seen, evidence, voices)
    return Opinion(fused, tuple(evidence), decide(fused, policy))


def is_settled(fused: Prediction, policy: Policy, left: float) -> bool:
    """True if the decision stays what it is whatever is still said, by witnesses whose caps add up to `left`."""
    decision = decide(fused, policy)
    return all(_same(decision, decide(moved, policy)) for moved in _extremes(fused, left))


def _extremes(fused: Prediction, left: float) -> Iterator[Prediction]:
    """The farthest that the probabilities can go: any one turn gains all that is left on the others, or loses it to them."""
    for turn in range(4):
        for push in (-left, left):
            powers = [p * math.exp(push if turn == other else 0.0) for other, p in enumerate(fused.probabilities)]
            total = math.fsum(powers)
            a, b, c, d = (power / total if total else p for power, p in zip(powers, fused.probabilities, strict=True))
            yield Prediction((a, b, c, d), fused.by_view)


def _same(one: Decision, other: Decision) -> bool:
    return one.verdict is other.verdict and (one.turn == other.turn or one.verdict is Verdict.KEEP)


def _fused(seen: Prediction, evidence: Sequence[Evidence], voices: Sequence[Voice]) -> Prediction:
    return Prediction(fuse(evidence, voices), seen.by_view)
