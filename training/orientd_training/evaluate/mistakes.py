"""The photos a model gets wrong, as shown, and which of them are worth looking at first. Pure."""

from typing import Final, NamedTuple

import numpy as np

from orientd.judge.policy import Policy
from orientd.orientation import TURNS
from orientd.records import Verdict
from orientd_training.evaluate.predictions import Looks, shown
from orientd_training.evaluate.score import judged


class Case(NamedTuple):
    """Photo number `photo` shown so that it needs a turn of `shown` degrees; `found` is the turn that the last look at it names.

    `confidence` (0–1) is that of `found` with the prior; `margin` (0–1) is what the most probable turn is ahead of the next,
    prior aside; `what` says it in words.
    """

    photo: int
    name: str
    group: str
    shown: int
    found: int
    confidence: float
    verdict: str
    margin: float
    views: int
    what: str

    @property
    def wrong(self) -> bool:
        return self.shown != self.found


class Worst(NamedTuple):
    """What contact sheets show, the worst first; a photo is at most once in each."""

    false: list[Case]
    wrong: list[Case]
    unsure: list[Case]


_WORDS: Final = {
    (Verdict.FIX, True): "false turn",
    (Verdict.FIX, False): "turned to another wrong side",
    (Verdict.KEEP, False): "not noticed",
    (Verdict.UNSURE, True): "unsure",
    (Verdict.UNSURE, False): "unsure",
}


def cases(looks: Looks, policy: Policy) -> list[Case]:
    """What is decided on every photo shown with every turn: 4 cases a photo, in order."""
    seen = shown(looks)
    its = judged(seen, policy)
    last = np.sort(np.where(its.second[..., None], seen.second, seen.first), axis=-1)
    made = []
    for i, (name, group) in enumerate(zip(looks.names, looks.groups, strict=True)):
        for quarters, turn in enumerate(TURNS):
            found, fixed = TURNS[its.found[i, quarters]], bool(its.fixed[i, quarters])
            verdict = Verdict.FIX if fixed else Verdict.UNSURE if found else Verdict.KEEP
            what = "mended" if fixed and found == turn else _WORDS.get((verdict, turn == 0), "kept")
            margin = float(last[i, quarters, 3] - last[i, quarters, 2])
            confidence, views = float(its.confidence[i, quarters]), 8 if its.second[i, quarters] else 1
            made.append(Case(i, name, group, turn, found, confidence, verdict.value, margin, views, what))
    return made


def errors(every: list[Case]) -> list[Case]:
    """Those whose found turn is wrong, false turns first, then by confidence."""
    order = {"false turn": 0, "turned to another wrong side": 1, "not noticed": 2}
    return sorted(
        (case for case in every if case.wrong), key=lambda case: (order.get(case.what, 3), -case.confidence, case.photo)
    )


def worst(every: list[Case], most: int) -> Worst:
    """At most `most` of each kind, the most important kind first.

    Upright photos turned, and those that came nearest to it; the most confident wrong answers on turned photos; the photos it is
    least certain about.
    """
    wrong = errors(every)
    false = sorted((c for c in wrong if c.shown == 0), key=lambda c: (c.verdict != Verdict.FIX, -c.confidence))
    sideways = sorted((c for c in wrong if c.shown != 0 and c.verdict != Verdict.UNSURE), key=lambda c: -c.margin)
    unsure = sorted((c for c in every if c.verdict == Verdict.UNSURE), key=lambda c: c.margin)
    return Worst(*(_once(some)[:most] for some in (false, sideways, unsure)))


def _once(some: list[Case]) -> list[Case]:
    first: dict[int, Case] = {}
    for case in some:
        first.setdefault(case.photo, case)
    return list(first.values())
