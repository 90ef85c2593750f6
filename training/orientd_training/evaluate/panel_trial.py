"""What a panel may promise for albums it has not seen: all of it fitted on some owners, and judged on the others. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orientd.errors import ConfigError
from orientd.judge.panel import SCENE, Voice
from orientd.judge.policy import Policy
from orientd_training.evaluate.calibrate import Search, best, policies
from orientd_training.evaluate.panel_fit import Scores, asked, fit, fused, heard, rounded
from orientd_training.evaluate.predictions import Logits, Looks, Shown, shown, softmax
from orientd_training.evaluate.score import Judged, judged

FOLDS: Final = 5
SECOND_LOOKS: Final = 0.07  # of upright photos, as each costs a fifth of a second
MOST_WORSE: Final = 0.003  # of turned photos to be turned to another wrong side
MARGIN: Final = 1.15  # an upright photo that would be turned if the odds asked for were lower by this factor counts as turned
LISTENING: Final = 0.9  # a first look surer of upright than this teaches nothing about second looks, whatever the policy
_LEAST: Final = 1e-300


@dataclass(frozen=True)
class Heard:
    """What everybody says of N upright photos: the scene network's `looks`, and the `scores` of the others.

    `looks.groups` are the owners of the photos.
    """

    looks: Looks
    scores: Scores

    def __len__(self) -> int:
        return len(self.looks)

    def pick(self, keep: NDArray[np.bool_]) -> "Heard":
        """Of some photos alone."""
        return Heard(self.looks.pick(np.flatnonzero(keep).tolist()), {name: its[keep] for name, its in self.scores.items()})

    def of(self, names: Sequence[str]) -> "Heard":
        """By some witnesses alone, and the scene."""
        return replace(self, scores={name: self.scores[name] for name in names})

    def all_scores(self) -> Scores:
        """The scores of the scene network, as `orientd.judge.panel.scene` has them, and of the others."""
        scene = softmax(self.looks.logits.mean(1) / self.looks.temperature_views)
        return {SCENE: np.log(np.maximum(scene, _LEAST))} | dict(self.scores)


class Panel(NamedTuple):
    """What was fitted."""

    voices: tuple[Voice, ...]
    policy: Policy


class Crossed(NamedTuple):
    """Of N photos what panels say that were fitted on other owners: `probabilities` (N, 4), the right turn first, and what a scan
    with the policies of those panels does. `panels` has one for each part."""

    probabilities: Logits
    judged: Judged
    panels: tuple[Panel, ...]


def folds(owners: Sequence[str], number: int = FOLDS, seed: int = 0) -> NDArray[np.intp]:
    """(N,) numbers of parts, about equally many photos in each and never an owner in two.

    Raises:
        ConfigError: there are fewer owners than parts.
    """
    names, index, counts = np.unique(np.array(owners, dtype=object).astype(str), return_inverse=True, return_counts=True)
    if len(names) < number:
        raise ConfigError(f"there are {len(names)} owners, too few for {number} parts: give more albums")
    part, load = np.zeros(len(names), np.intp), np.zeros(number)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    for owner in shuffled[np.argsort(-counts[shuffled], kind="stable")]:
        part[owner] = int(load.argmin())
        load[part[owner]] += counts[owner]
    return np.asarray(part[index])


def voices(heard_of: Heard) -> tuple[Voice, ...]:
    """Weights and caps, fitted on every photo in as many of its four ways as it gets a second look.

    Who may say most comes first, as the panel asks in that order until nothing can change any more.
    """
    fitted = rounded(fit(heard_of.all_scores(), asked(shown(heard_of.looks), LISTENING)))
    return tuple(sorted(fitted, key=lambda voice: (voice.witness != SCENE, -voice.cap)))


def spoken(heard_of: Heard, by: Sequence[Voice]) -> Shown:
    """What a scan sees of the photos once a panel speaks."""
    return heard(shown(heard_of.looks), fused(heard_of.all_scores(), by))


def said_by_others(heard_of: Heard, part: NDArray[np.intp]) -> Logits:
    """(N, 4) what panels say that were fitted on the other parts, the right turn first."""
    probabilities = np.zeros((len(heard_of), 4))
    for number in np.unique(part):
        mine = part == number
        probabilities[mine] = fused(heard_of.pick(mine).all_scores(), voices(heard_of.pick(~mine)))
    return probabilities


def panel(heard_of: Heard, part: NDArray[np.intp], start: Policy, false_per_1000: float, search: Search) -> Panel:
    """Voices fitted on all photos given, and a policy chosen by cross-validation: by voices fitted on the other parts.

    SECOND_LOOKS of the upright photos get a second look; the rest of the policy is the one that fixes most, of those in `search`
    that turn no more than MOST_WORSE to another wrong side. An upright photo that would be turned at odds lower by MARGIN
    counts as a false turn; those of the voices fitted on all photos count instead if they are more.

    Raises:
        ConfigError: no policy keeps to so few false turns, or to MOST_WORSE.
    """
    its = voices(heard_of)
    seen = heard(shown(heard_of.looks), said_by_others(heard_of, part))
    search = replace(search, second_looks=(round(float(np.quantile(seen.first[:, 0, 0], SECOND_LOOKS)), 2),))
    nearly = replace(search, confidences=[p / (p + (1 - p) * MARGIN) for p in search.confidences])
    by_others, by_all = (policies(each, start, nearly) for each in (seen, spoken(heard_of, its)))
    tried = [
        (policy, replace(score, false=max(other.false, own.false)))
        for (policy, score), (_, other), (_, own) in zip(policies(seen, start, search), by_others, by_all, strict=True)
    ]
    bearable = [(policy, score) for policy, score in tried if score.worse <= MOST_WORSE * 3 * score.photos]
    if not bearable:
        raise ConfigError(f"every policy turns more than {100 * MOST_WORSE:g} % of the turned photos to another wrong side")
    return Panel(its, best(bearable, false_per_1000)[0])


def crossed(heard_of: Heard, part: NDArray[np.intp], start: Policy, false_per_1000: float, search: Search) -> Crossed:
    """Fit all of it, the policy too, on all parts but one, judge that one, for each of them.

    Raises:
        ConfigError: as `panel`.
    """
    n, panels = len(heard_of), []
    probabilities = np.zeros((n, 4))
    found, confidence = np.zeros((n, 4), np.intp), np.zeros((n, 4))
    fixed, second = np.zeros((n, 4), np.bool_), np.zeros((n, 4), np.bool_)
    for number in np.unique(part):
        mine = part == number
        made = panel(heard_of.pick(~mine), part[~mine], start, false_per_1000, search)
        its = heard_of.pick(mine)
        probabilities[mine] = fused(its.all_scores(), made.voices)
        found[mine], confidence[mine], fixed[mine], second[mine] = vars(judged(spoken(its, made.voices), made.policy)).values()
        panels.append(made)
    return Crossed(probabilities, Judged(found, confidence, fixed, second), tuple(panels))
