"""The policy: from what the model sees to what is done. Pure; every number it uses comes from `Policy`."""

import hashlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final

from orientd.orientation import TURNS
from orientd.reasons import Reason
from orientd.records import Decision, Prediction, Verdict


@dataclass(frozen=True, slots=True)
class Policy:
    """How sure orientd must be before it turns a photo. All but `min_agreement` are probabilities (0–1).

    prior_upright: share of photos in the library that are shown upright; the rest is split evenly over the three turns.
    min_confidence: least probability, prior included, at which a photo is turned.
    min_agreement: how many of the eight views (1–8) must each name that turn.
    second_look_below: a first look that gives upright less than this, prior aside, is followed by a second one.
    """

    prior_upright: float
    min_confidence: float
    min_agreement: int
    second_look_below: float

    @property
    def id(self) -> str:
        """Changes whenever any number of the policy does."""
        return hashlib.sha256(repr(astuple(self)).encode()).hexdigest()[:12]


DEFAULT: Final = Policy(prior_upright=0.99, min_confidence=0.55, min_agreement=8, second_look_below=0.5)
"""For a model that states none."""


def needs_second_look(first: Prediction, policy: Policy) -> bool:
    """True unless the first look is clearly upright: a turn is never decided on one view."""
    return first.probabilities[0] < policy.second_look_below


def decide(prediction: Prediction, policy: Policy) -> Decision:
    """What to do about a photo, given its last look."""
    best = _best(prediction.probabilities)
    turn, confidence = TURNS[best], with_prior(prediction.probabilities, policy.prior_upright)[best]
    if best == 0:
        return Decision(Verdict.KEEP, turn, confidence)
    agreeing = sum(_best(view) == best for view in prediction.by_view)
    if agreeing < policy.min_agreement:
        reason = f"views disagree: {agreeing} of {prediction.views} say {turn}°, {policy.min_agreement} must"
        return Decision(Verdict.UNSURE, turn, confidence, reason, Reason.VIEWS_DISAGREE)
    if confidence < policy.min_confidence:
        reason = f"not confident enough: {turn}° at {confidence:.4f}, below {policy.min_confidence:g}"
        return Decision(Verdict.UNSURE, turn, confidence, reason, Reason.LOW_CONFIDENCE)
    return Decision(Verdict.FIX, turn, confidence)


def with_prior(probabilities: Sequence[float], prior_upright: float) -> list[float]:
    """Probabilities of the four turns when `prior_upright` of all photos are upright (Bayes; the input assumes equal shares)."""
    prior = (prior_upright, *3 * ((1 - prior_upright) / 3,))
    weighted = [p * share for p, share in zip(probabilities, prior, strict=True)]
    total = sum(weighted)
    return [w / total for w in weighted] if total > 0 else list(prior)


def _best(probabilities: Sequence[float]) -> int:
    return max(range(len(TURNS)), key=probabilities.__getitem__)
