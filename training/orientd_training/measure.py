"""Every figure that the model card and the README quote of a model, as one dictionary."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from orientd.config import Config
from orientd.decide import Policy
from orientd.infer import load_spec
from orientd.items import Verdict
from orientd.orientation import TURNS
from orientd_training import calibrate
from orientd_training.evaluate import Seen, accuracy, interval, judge, score
from orientd_training.looks import Looks, predictions, softmax


def measure(model: Path, looks: Looks) -> dict[str, Any]:
    """Accuracy, calibration, false turns and share mended at the shipped policy; shares are 0–1, with 95 % intervals."""
    spec, policy = load_spec(model), Config().policy
    seen = predictions(looks, spec.temperature, spec.temperature_views)
    total = score(seen, looks.groups, policy)
    return {
        "photos": len(looks),
        "policy": asdict(policy),
        "accuracy_one_view": _accuracy(seen, 0),
        "accuracy_eight_views": _accuracy(seen, 1),
        "calibration_error_one_view": _ece(softmax(looks.logits / spec.temperature).reshape(-1, 4)),
        "calibration_error_eight_views": _ece(softmax(looks.logits.mean(1) / spec.temperature_views)),
        "shipped": asdict(total)
        | {"false_per_1000": total.false_per_1000, "mended_interval": interval(total.mended, 3 * len(looks))},
        "cross_fitted": cross_fitted(looks, policy, 1.0),
        "curve": _curve(seen, looks, policy),
        "groups": {
            group: asdict(part := score(seen, looks.groups, policy, group)) | {"false_per_1000": part.false_per_1000}
            for group in sorted(set(looks.groups))
        },
        "false": [
            {"name": name, "turn": decision.turn, "confidence": round(decision.confidence, 5)}
            for name, photo in zip(looks.names, seen, strict=True)
            if (decision := judge(photo[0], policy)).verdict is Verdict.FIX
        ],
    }


def cross_fitted(looks: Looks, start: Policy, false_per_1000: float) -> dict[str, Any]:
    """Temperatures and policy chosen on one half of the groups and scored on the other, both ways, added up.

    This is what the same procedure may promise for albums it has not seen; figures at the shipped policy are a little rosy,
    since all groups helped to choose it.
    """
    names = sorted(set(looks.groups))
    halves = [set(names[::2]), set(names[1::2])]
    photos, false, mended = 0, 0, 0.0
    for chosen, held_out in (halves, halves[::-1]):
        fitting, testing = looks.of(chosen), looks.of(held_out)
        policy, _ = calibrate.policy(fitting, start, false_per_1000)
        part = score(predictions(testing, *calibrate.temperatures(fitting)), testing.groups, policy)
        photos, false, mended = photos + part.photos, false + part.false, mended + part.mended * part.photos
    return {"asked_false_per_1000": false_per_1000, "false_per_1000": 1000 * false / photos, "mended": mended / photos}


def _accuracy(seen: Seen, look: int) -> dict[str, Any]:
    by_turn = accuracy(seen, look)
    mean = float(np.mean(by_turn))
    return {"mean": mean, "interval": interval(mean, len(seen))} | {str(t): a for t, a in zip(TURNS, by_turn, strict=True)}


def _ece(probabilities: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    best = probabilities.argmax(1)
    return calibrate.expected_calibration_error(probabilities.max(1), (best == 0).astype(float))


def _curve(seen: Seen, looks: Looks, policy: Policy) -> list[dict[str, float]]:
    """Risk against coverage: what every threshold would give, all else as shipped."""
    points = []
    for confidence in calibrate.CONFIDENCES[::4]:
        its = Policy(policy.prior_upright, float(confidence), policy.min_agreement, policy.second_look_below)
        found = score(seen, looks.groups, its)
        points.append({"min_confidence": float(confidence), "false_per_1000": found.false_per_1000, "mended": found.mended})
    return points
