"""How many upright photos a model and a policy turn, and how many turned ones they fix: through orientd's own `decide`.

`score` calls `decide` for every photo. `judged` is the same for all photos at once, for callers that need it a thousand times;
the tests compare the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orientd.judge.policy import Policy, decide, needs_second_look
from orientd.orientation import TURNS
from orientd.records import Decision, Prediction, Verdict
from orientd_training.evaluate.predictions import Logits, Shown

Seen = Sequence[Sequence[tuple[Prediction, Prediction]]]
QUARTERS = np.arange(len(TURNS))


@dataclass(frozen=True)
class Score:
    """Counts over `photos` upright photos, each also shown with the three turns: `turned` = 3 × photos.

    `false` upright photos were turned, `mended` (0–1) of the turned ones became upright, `worse` of them were turned wrongly,
    `second` (0–1) of the upright ones needed a second look.
    """

    photos: int
    false: int
    mended: float
    worse: int
    second: float

    @property
    def false_per_1000(self) -> float:
        return 1000 * self.false / self.photos if self.photos else 0.0


@dataclass(frozen=True)
class Judged:
    """What a scan decides on N photos, each shown needing 0–3 quarter turns: every array is (N, 4).

    `found` are the quarter turns (0–3) that the last look names, `confidence` (0–1) theirs with the prior, `fixed` says whether
    the photo is turned, `second` whether it needed a second look.
    """

    found: NDArray[np.intp]
    confidence: Logits
    fixed: NDArray[np.bool_]
    second: NDArray[np.bool_]

    @property
    def false(self) -> NDArray[np.bool_]:
        """(N,): the upright photo is turned."""
        upright: NDArray[np.bool_] = self.fixed[:, 0]
        return upright

    @property
    def mended(self) -> NDArray[np.int_]:
        """(N,): how many of the three turned versions of the photo are fixed."""
        return np.asarray((self.fixed & (self.found == QUARTERS))[:, 1:].sum(1))

    @property
    def worse(self) -> NDArray[np.int_]:
        """(N,): how many of them are turned to another wrong side."""
        return np.asarray((self.fixed & (self.found != QUARTERS))[:, 1:].sum(1))

    def score(self) -> Score:
        n = max(len(self.found), 1)
        counts = int(self.false.sum()), float(self.mended.sum()) / (3 * n), int(self.worse.sum())
        return Score(len(self.found), *counts, float(self.second[:, 0].sum()) / n)


def judged(shown: Shown, policy: Policy) -> Judged:
    """What `judge` decides on every photo shown with every turn."""
    second = shown.first[..., 0] < policy.second_look_below
    seen = np.where(second[..., None], shown.second, shown.first)
    found = seen.argmax(-1)
    # One look is one view, which agrees with itself.
    agreeing = np.where(second, (shown.views.argmax(-1) == found[..., None]).sum(-1), 1)
    confidence = np.take_along_axis(_with_prior(seen, policy.prior_upright), found[..., None], -1)[..., 0]
    fixed = (found != 0) & (agreeing >= policy.min_agreement) & (confidence >= policy.min_confidence)
    return Judged(found, confidence, fixed, second)


def judge(looks: tuple[Prediction, Prediction], policy: Policy) -> Decision:
    """What a scan decides, given both looks at a photo as shown."""
    first, second = looks
    return decide(second if needs_second_look(first, policy) else first, policy)


def score(seen: Seen, groups: Sequence[str], policy: Policy, group: str | None = None) -> Score:
    """Score a policy on all photos, or on those of one group."""
    photos = [photo for photo, its in zip(seen, groups, strict=True) if group in (None, its)]
    false = sum(judge(photo[0], policy).verdict is Verdict.FIX for photo in photos)
    fixes = [
        (decision.turn, TURNS[quarters])
        for photo in photos
        for quarters in (1, 2, 3)
        if (decision := judge(photo[quarters], policy)).verdict is Verdict.FIX
    ]
    right = sum(found == needed for found, needed in fixes)
    second = sum(needs_second_look(photo[0][0], policy) for photo in photos)
    n = max(len(photos), 1)
    return Score(len(photos), false, right / (3 * n), len(fixes) - right, second / n)


def right(shown: Shown, look: int) -> NDArray[np.bool_]:
    """(N, 4): whether the most probable turn is the one the photo needs; `look` is 0 for one view, 1 for eight."""
    return np.asarray(shown[look].argmax(-1) == QUARTERS)


def _with_prior(probabilities: Logits, prior_upright: float) -> Logits:
    """`orientd.judge.policy.with_prior` of every row of (…, 4), added up in the same order."""
    prior = np.array((prior_upright, *3 * ((1 - prior_upright) / 3,)))
    weighted = probabilities * prior
    total = (weighted[..., 0] + weighted[..., 1] + weighted[..., 2] + weighted[..., 3])[..., None]
    posterior: Logits = np.divide(weighted, total, out=np.broadcast_to(prior, weighted.shape).copy(), where=total > 0)
    return posterior
