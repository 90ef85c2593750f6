"""The panel: what several witnesses say of one photo, weighed to the probabilities of its four turns. Pure.

Each witness has a score for each turn. Counted from its favorite down, weighed, and held to a cap, these are what it says
against a turn, in natural logarithms of odds; what all say is added up (a log-linear opinion pool: Genest and Zidek 1986,
doi:10.1214/ss/1177013825). Weights and caps are fitted by `orientd-train calibrate`. Every sum is exact before it is rounded
(`math.fsum`), so that a turned photo gets the turned answer to the bit, and the order of the witnesses does not matter.

People who lean are neither upright nor lying, and every network errs about such photos in the same way. So a witness may also
cast doubt on two neighboring turns between which its favor is divided: the gap between what speaks against them becomes smaller.
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
_NOTHING: Final = (0.0, 0.0, 0.0, 0.0)

Question = tuple[str, Callable[[], Evidence | None]]
"""The name of a witness, and how to ask it; None has nothing to say."""


@dataclass(frozen=True, slots=True)
class Voice:
    """How much a witness counts.

    weight: what its scores are multiplied by (0 or more; 0 is silent).
    cap: the most it can say against a turn, in natural logarithms of odds (0 or more).
    doubt: the share of the gap between two neighboring turns that it takes away when it favors both alike (0 or more, below 1).
    """

    witness: str
    weight: float
    cap: float
    doubt: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.weight < math.inf and 0 <= self.cap < math.inf and 0 <= self.doubt < 1):
            raise ModelError(f"the model states an impossible weight, cap or doubt of {self.witness!r}: export it again")

    def against(self, scores: Scores) -> Scores:
        """What a witness with these scores says against each turn: 0 for its favorite, −cap at the least."""
        best = max(scores)
        a, b, c, d = (max(self.weight * (score - best), -self.cap) for score in scores)
        return a, b, c, d

    def doubts(self, scores: Scores) -> Scores:
        """The share, 0 to `doubt`, of the gap between each turn and the next one clockwise that a witness takes away.

        Its scores are read as natural logarithms of how much speaks for each turn. One that is silent takes nothing away.
        """
        most = self.doubt if self.weight else 0.0
        powers = [math.exp(score - max(scores)) for score in scores]
        total, least = math.fsum(powers), min(powers)
        shares = [(power - least) / total for power in powers]
        a, b, c, d = (4 * most * (shares[turn] * shares[turn - 3]) for turn in range(4))
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
            return cls(tuple(map(_voice, values["voices"])), Policy(**values["policy"]))
        except (TypeError, ValueError, KeyError) as error:
            raise ModelError(f"what the model says of its panel cannot be read ({error}): export it again") from error


def _voice(values: Mapping[str, Any]) -> Voice:
    return Voice(str(values["witness"]), float(values["weight"]), float(values["cap"]), float(values.get("doubt", 0)))


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the panel says of a photo: the fused probabilities with the scene's views, what each said, and the decision."""

    prediction: Prediction
    evidence: tuple[Evidence, ...]
    decision: Decision


def fuse(evidence: Sequence[Evidence], voices: Sequence[Voice]) -> Probabilities:
    """The probabilities of the four turns when these are equally likely before any witness speaks.

    A witness without a voice, and a voice without a witness, add nothing.
    """
    return _probabilities(doubted(weighed(evidence, voices), doubts(evidence, voices)))


def weighed(evidence: Iterable[Evidence], voices: Iterable[Voice]) -> Scores:
    """What all say against each turn, in natural logarithms of odds, before any doubt."""
    said = [voice.against(one.scores) for one, voice in _heard(evidence, voices)] or [_NOTHING]
    a, b, c, d = (math.fsum(each) for each in zip(*said, strict=True))
    return a, b, c, d


def doubts(evidence: Iterable[Evidence], voices: Iterable[Voice]) -> Scores:
    """The share, 0 to 1, of the gap between each turn and the next one clockwise that is taken away."""
    said = [voice.doubts(one.scores) for one, voice in _heard(evidence, voices)] or [_NOTHING]
    a, b, c, d = (max(each) for each in zip(*said, strict=True))
    return a, b, c, d


def doubted(logits: Scores, shares: Scores) -> Scores:
    """What is still said against each turn once the gaps to its neighbors are smaller by their `shares`."""

    def raised(turn: int) -> float:
        neighbors = ((logits[turn - 3], shares[turn]), (logits[turn - 1], shares[turn - 1]))
        return max(logits[turn], *(other - (1 - share) * max(other - logits[turn], 0.0) for other, share in neighbors))

    a, b, c, d = map(raised, range(4))
    return a, b, c, d


def _heard(evidence: Iterable[Evidence], voices: Iterable[Voice]) -> Iterator[tuple[Evidence, Voice]]:
    by_name = {voice.witness: voice for voice in voices}
    yield from ((one, by_name[one.witness]) for one in evidence if one.witness in by_name)


def _probabilities(logits: Sequence[float]) -> Probabilities:
    powers = [math.exp(logit - max(logits)) for logit in logits]
    total = math.fsum(powers)
    a, b, c, d = (power / total for power in powers)
    return a, b, c, d


def brief(evidence: Iterable[Evidence], voices: Iterable[Voice]) -> str:
    """What each witness says, for a cell of the report: the turn it speaks for, and how far that is ahead of the next.

    In natural logarithms of odds, weighed and capped: "scene 90 +2.0; faces 90 +1.3". Empty if there is nothing to weigh.
    """
    said = [(one.witness, voice.against(one.scores)) for one, voice in _heard(evidence, voices)]
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
    counting = {voice.witness: voice for voice in voices if voice.weight and voice.witness != SCENE}
    waiting = [(name, question) for name, question in ask if name in counting]
    for number, (_, question) in enumerate(waiting):
        if is_settled(seen, evidence, voices, policy, [counting[name] for name, _ in waiting[number:]]):
            break
        if said := question():
            evidence.append(said)
    fused = Prediction(fuse(evidence, voices), seen.by_view)
    return Opinion(fused, tuple(evidence), decide(fused, policy))


def is_settled(
    seen: Prediction, evidence: Sequence[Evidence], voices: Sequence[Voice], policy: Policy, waiting: Sequence[Voice]
) -> bool:
    """True if the decision stays what it is whatever those who are `waiting` will say.

    Args:
        seen: the scene network's second look, whose views count for the decision.
        evidence: what was said so far, the scene's included.
        voices: those of all who have spoken.
        waiting: the voices of all who have not.
    """
    logits, now = weighed(evidence, voices), doubts(evidence, voices)
    most = max((voice.doubt for voice in waiting), default=0.0)
    a, b, c, d = (max(share, most) for share in now)
    found = _decided(logits, now, seen, policy)
    outcomes = (
        _decided(moved, shares, seen, policy)
        for moved in _extremes(logits, math.fsum(voice.cap for voice in waiting))
        for shares in {now, (a, b, c, d)}  # more doubt makes a favorite less sure, and no other a favorite: the ends tell all
    )
    return all(_same(found, each) for each in outcomes)


def _decided(logits: Scores, shares: Scores, seen: Prediction, policy: Policy) -> Decision:
    return decide(Prediction(_probabilities(doubted(logits, shares)), seen.by_view), policy)


def _extremes(logits: Scores, left: float) -> Iterator[Scores]:
    """The farthest that they can go: any one turn gains all that is left on the others, or loses it to them."""
    for turn in range(4):
        for push in (-left, left):
            a, b, c, d = (logit + (push if turn == other else 0.0) for other, logit in enumerate(logits))
            yield a, b, c, d


def _same(one: Decision, other: Decision) -> bool:
    return one.verdict is other.verdict and (one.turn == other.turn or one.verdict is Verdict.KEEP)
