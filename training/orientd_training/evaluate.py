"""How often a model and a policy turn an upright photo, and how many wrong ones they mend: through orientd's own `decide`."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from orientd.decide import Policy, decide, needs_second_look
from orientd.items import Decision, Prediction, Verdict
from orientd.orientation import TURNS

Seen = Sequence[Sequence[tuple[Prediction, Prediction]]]


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


def accuracy(seen: Seen, look: int) -> list[float]:
    """Share of photos whose turn is the most probable one, for each true turn; `look` is 0 for one view, 1 for eight."""
    return [float(np.mean([np.argmax(photo[q][look].probabilities) == q for photo in seen])) for q in range(4)]


def interval(right: float, n: int) -> tuple[float, float]:
    """95 % confidence interval of a share (Wilson 1927, J. Am. Stat. Assoc. 22)."""
    z2 = 1.96**2
    middle = (right + z2 / (2 * n)) / (1 + z2 / n)
    half = 1.96 * sqrt(right * (1 - right) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)
