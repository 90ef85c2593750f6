"""Every figure that the model card, the README and the report quote of a model, as one dictionary."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from orientd.infer.engine import Engine
from orientd.judge.policy import DEFAULT, Policy
from orientd.orientation import TURNS
from orientd.records import Verdict
from orientd_training.evaluate import calibrate, curves
from orientd_training.evaluate.compare import compare, paired
from orientd_training.evaluate.predictions import Looks, Shown, predictions, shown, softmax
from orientd_training.evaluate.score import QUARTERS, Judged, Seen, judge, judged, right, score
from orientd_training.evaluate.statistics import Values, bootstrap, poisson, wilson

LOOKS: Final = ("one_view", "eight_views")
_WRONG_IN: Final = (100, 300, 1000)


def measure(model: Path, looks: Looks, others: dict[str, Looks] | None = None) -> dict[str, Any]:
    """Accuracy, calibration, false turns and share fixed (`mended`) at the default policy; shares are 0–1, intervals are 95 %.

    `others` are the looks of models to compare with. An `interval` treats photos as independent, but not the turns of one photo,
    which share their views; a `group_interval` treats only groups as independent (None if there is one group).

    Raises:
        ConfigError: another model looked at other photos.
    """
    policy, seen, groups = DEFAULT, shown(looks), looks.groups
    found, one_by_one = judged(seen, policy), predictions(looks, looks.temperature, looks.temperature_views)
    return {
        "photos": len(looks),
        "model": _model(model),
        "policy": asdict(policy),
        "accuracy_one_view": _accuracy(seen, 0, groups),
        "accuracy_eight_views": _accuracy(seen, 1, groups),
        "macro_f1": {look: _macro_f1(_confusion(seen, i)) for i, look in enumerate(LOOKS)},
        "confusion": {look: _confusion(seen, i).tolist() for i, look in enumerate(LOOKS)},
        **_calibration(looks),
        "one_against_eight": paired_dict(right(seen, 0), right(seen, 1), groups),
        "shipped": _shipped(one_by_one, groups, found, policy),
        "base_rate": [_base_rate(found, groups, wrong_in) for wrong_in in _WRONG_IN],
        "cross_fitted": cross_fitted(looks, policy, 1.0),
        "against": {name: _comparison(looks, other, policy) for name, other in (others or {}).items()},
        "curve": _curve(seen, policy),
        "risk_coverage": {look: curves.risk_coverage(seen, i) for i, look in enumerate(LOOKS)}
        | {"shipped": curves.decided(found)},
        "false_mended": {
            "one_view": curves.false_mended_by_one_view(seen, policy),
            **{str(n): curves.false_mended(seen, replace(policy, min_agreement=n)) for n in (5, 6, 7, 8)},
        },
        "groups": {group: _group(looks.of({group}), policy) for group in sorted(set(groups))},
        "false": _false(one_by_one, looks.names, policy),
    }


def cross_fitted(looks: Looks, start: Policy, false_per_1000: float) -> dict[str, Any] | None:
    """Temperatures and policy chosen on one half of the groups and scored on the other, both ways, added up.

    This is what the same procedure may promise for albums it has not seen; figures at a policy that all groups helped to
    choose are a little rosy. None of a single group, which cannot be halved.
    """
    names = sorted(set(looks.groups))
    if len(names) < 2:
        return None
    halves = [set(names[::2]), set(names[1::2])]
    photos, false, mended = 0, 0, 0.0
    for chosen, held_out in (halves, halves[::-1]):
        fitting, testing = looks.of(chosen), looks.of(held_out)
        fitted = calibrate.calibrated(fitting)
        policy, _ = calibrate.best(calibrate.policies(shown(fitted), start, calibrate.Search()), false_per_1000)
        testing = replace(testing, temperature=fitted.temperature, temperature_views=fitted.temperature_views)
        part = judged(shown(testing), policy).score()
        photos, false, mended = photos + part.photos, false + part.false, mended + part.mended * part.photos
    return {
        "asked_false_per_1000": false_per_1000,
        "false_per_1000": 1000 * false / photos,
        "interval": [1000 * bound / photos for bound in poisson(false)],
        "mended": mended / photos,
    }


def paired_dict(a: Values, b: Values, groups: tuple[str, ...]) -> dict[str, Any]:
    found = paired(a, b, groups)
    return asdict(found) | {"difference": found.difference}


def _model(path: Path) -> dict[str, Any]:
    engine = Engine(path)
    return asdict(engine.spec) | {"file": path.name, "sha256": engine.sha256, "bytes": path.stat().st_size}


def _accuracy(seen: Shown, look: int, groups: Sequence[str]) -> dict[str, Any]:
    its = right(seen, look)
    by_turn = its.mean(0).tolist()
    mean = float(np.mean(by_turn))
    return {
        "mean": mean,
        "interval": wilson(mean, len(its)),
        "group_interval": _by_group(its.sum(1), 4, groups),
        **{str(turn): share for turn, share in zip(TURNS, by_turn, strict=True)},
        "intervals": {str(turn): wilson(share, len(its)) for turn, share in zip(TURNS, by_turn, strict=True)},
    }


def _by_group(counts: Values, out_of: float, groups: Sequence[str]) -> list[float] | None:
    """The interval of the sum of `counts` (N,) as a share of `out_of` a photo."""
    tallies = np.stack([counts, np.full(len(counts), out_of)], axis=1).astype(float)
    interval = bootstrap(tallies, groups, lambda sums: sums[:, 0] / sums[:, 1])
    return list(interval) if interval else None


def _confusion(seen: Shown, look: int) -> Values:
    """(4, 4) counts: the row is the turn needed, the column the turn found."""
    table = np.zeros((len(TURNS), len(TURNS)), int)
    found = seen[look].argmax(-1)
    np.add.at(table, (np.broadcast_to(QUARTERS, found.shape), found), 1)
    return table


def _macro_f1(confusion: Values) -> float:
    both = confusion.sum(0) + confusion.sum(1)
    return float(np.mean(2 * np.diag(confusion) / np.maximum(both, 1)))


def _calibration(looks: Looks) -> dict[str, Any]:
    """By all eight views as single looks, and by their mean."""
    made: dict[str, Any] = {"reliability": {}}
    singles = softmax(looks.logits / looks.temperature).reshape(-1, 4)
    means = softmax(looks.logits.mean(1) / looks.temperature_views)
    for look, probabilities in zip(LOOKS, (singles, means), strict=True):
        truth = (probabilities.argmax(1) == 0).astype(float)
        made[f"calibration_error_{look}"] = calibrate.expected_calibration_error(probabilities.max(1), truth)
        made["reliability"][look] = calibrate.reliability(probabilities.max(1), truth)
    return made


def _shipped(seen: Seen, groups: Sequence[str], found: Judged, policy: Policy) -> dict[str, Any]:
    """By `decide` itself, photo by photo."""
    total, n = score(seen, groups, policy), len(groups)
    return asdict(total) | {
        "false_per_1000": total.false_per_1000,
        "false_interval": [1000 * min(bound / n, 1.0) for bound in poisson(total.false)],
        "false_group_interval": _by_group(found.false, 0.001, groups),
        "mended_interval": wilson(total.mended, n),
        "mended_group_interval": _by_group(found.mended, 3, groups),
    }


def _base_rate(found: Judged, groups: Sequence[str], wrong_in: int) -> dict[str, Any]:
    """The share of turns that do harm in a library where 1 photo of `wrong_in` is turned, by each of the three turns as often."""
    tallies = np.stack([found.false, found.mended, found.worse, np.ones(len(groups))], axis=1).astype(float)

    def share(sums: Values) -> Values:
        false, mended, worse, n = np.moveaxis(sums, -1, 0)
        harm = (1 - 1 / wrong_in) * false / n + worse / (3 * n * wrong_in)
        made = harm + mended / (3 * n * wrong_in)
        return np.asarray(np.divide(harm, made, out=np.zeros_like(harm), where=made > 0))

    sums = tallies.sum(0)
    bounds = [np.array([count, *sums[1:]]) for count in poisson(int(sums[0]))]
    return {
        "wrong_in": wrong_in,
        "turns_wrong": float(share(sums)),
        "interval": [float(share(its)) for its in bounds],
        "group_interval": bootstrap(tallies, groups, share),
        "mended_per_1000": 1000 / wrong_in * float(sums[1] / (3 * sums[3])),
        "spoiled_per_1000": 1000 * (1 - 1 / wrong_in) * float(sums[0] / sums[3]),
    }


def _comparison(looks: Looks, other: Looks, policy: Policy) -> dict[str, Any]:
    found = compare(looks, other, policy)
    made = asdict(found)
    for key in ("accuracy_one_view", "accuracy_eight_views", "false_per_1000", "mended", "worse"):
        made[key]["difference"] = getattr(found, key).difference
    made["by_turn"] = {str(t): asdict(its) | {"difference": its.difference} for t, its in zip(TURNS, found.by_turn, strict=True)}
    return made


def _curve(seen: Shown, policy: Policy) -> list[dict[str, float]]:
    """Risk against coverage: what every threshold would give, all else as shipped."""
    search = calibrate.Search(agreements=(policy.min_agreement,), confidences=calibrate.CONFIDENCES[::4].tolist())
    return [
        {"min_confidence": its.min_confidence, "false_per_1000": found.false_per_1000, "mended": found.mended}
        for its, found in calibrate.policies(seen, policy, search)
    ]


def _group(looks: Looks, policy: Policy) -> dict[str, Any]:
    seen, n = shown(looks), len(looks)
    part = judged(seen, policy).score()
    made = asdict(part) | {"false_per_1000": part.false_per_1000, "mended_interval": wilson(part.mended, n)}
    made["false_interval"] = [1000 * min(bound / n, 1.0) for bound in poisson(part.false)]
    for i, look in enumerate(LOOKS):
        share = float(right(seen, i).mean())
        made[f"accuracy_{look}"] = {"mean": share, "interval": wilson(share, n)}
    return made


def _false(seen: Seen, names: tuple[str, ...], policy: Policy) -> list[dict[str, Any]]:
    return [
        {"name": name, "turn": decision.turn, "confidence": round(decision.confidence, 5)}
        for name, photo in zip(names, seen, strict=True)
        if (decision := judge(photo[0], policy)).verdict is Verdict.FIX
    ]
