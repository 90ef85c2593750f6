"""What a network learns: how a picture is shown to it, what it is to say, and whether it did. The rest of a training is the same.

Targets are drawn for each picture: the turn, clockwise, that it is shown needing.
"""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from orientd_training.config import SKEW_STEP, Augment, Change, Skew, TrainConfig
from orientd_training.fit import augment
from orientd_training.fit.distillation import resized

MOST = 89.0
"""Degrees of skew, to either side, that are learned and tested."""
WITHIN = 0.5
"""Degrees within which a found skew counts as right while training."""
_NEVER = Change(0, 0)
_STILL = Augment(0, 0, *[_NEVER] * 9)
_CLASSES = round(2 * MOST / SKEW_STEP) + 1
_STRIDE = 220  # about the golden section of _CLASSES, and prime to it: any few photos in a row have angles of all kinds
_NEAR = 3.0  # degrees around the most probable class from which its neighbors refine the angle


class Task(Protocol):
    """One kind of target. All tensors have one entry or row a picture."""

    def drawn(self, number: int, random: torch.Generator) -> Tensor:
        """Targets to train on."""
        ...

    def at(self, start: int, number: int) -> Tensor:
        """The targets of that many photos to validate on, from number `start`: the same ones each time."""
        ...

    def geometry(self, targets: Tensor, changes: Augment, random: torch.Generator) -> Tensor:
        """See `augment.geometry`."""
        ...

    def shown(self, pictures: Tensor, targets: Tensor, size: int) -> Tensor:
        """Upright pictures (N, 3, S, S) as a photo is shown that is judged: (N, 3, size, size), changed in nothing else."""
        ...

    def losses(self, logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor: ...

    def right(self, logits: Tensor, targets: Tensor) -> Tensor: ...


def of(config: TrainConfig) -> Task:
    """What that recipe teaches."""
    if config.skew:
        return Skewed(config.skew)
    return Halved() if config.halves else Turned()


class Turned:
    """Which of four ways is up; a target is the quarter turns, 0–3."""

    def drawn(self, number: int, random: torch.Generator) -> Tensor:
        return torch.randint(0, 4, (number,), generator=random)

    def at(self, start: int, number: int) -> Tensor:
        return torch.arange(start, start + number) % 4

    def geometry(self, targets: Tensor, changes: Augment, random: torch.Generator) -> Tensor:
        return augment.geometry(targets, changes, random)

    def shown(self, pictures: Tensor, targets: Tensor, size: int) -> Tensor:
        return augment.turn_away(resized(pictures, size), targets)

    def losses(self, logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        return functional.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="none")

    def right(self, logits: Tensor, targets: Tensor) -> Tensor:
        return logits.argmax(1) == targets


class Halved(Turned):
    """Whether a picture is upright or upside down; what the network says of the two other turns means nothing."""

    def drawn(self, number: int, random: torch.Generator) -> Tensor:
        return 2 * torch.randint(0, 2, (number,), generator=random)

    def at(self, start: int, number: int) -> Tensor:
        return torch.arange(start, start + number) % 2 * 2


class Skewed:
    """The skew of lines of text; a target is the turn in degrees, of which a half turn more or less is the same skew.

    Half degrees are classes, and not the cosine and sine of twice the angle numbers to be guessed: see configs/train/skew.yaml.
    A part of the page is shown that stays within it at every angle: what is outside would reveal the angle, unlike in reality.
    """

    def __init__(self, config: Skew) -> None:
        self.part, self.spread = config.part, config.spread

    def drawn(self, number: int, random: torch.Generator) -> Tensor:
        angles = MOST * (2 * torch.rand(number, generator=random) - 1)
        return angles + 180 * torch.randint(0, 2, (number,), generator=random)

    def at(self, start: int, number: int) -> Tensor:
        """Multiples of `SKEW_STEP`, so that a class is never a matter of rounding; every other page upside down."""
        places = torch.arange(start, start + number)
        return SKEW_STEP * (places * _STRIDE % _CLASSES) - MOST + 180 * (places % 2)

    def geometry(self, targets: Tensor, changes: Augment, random: torch.Generator) -> Tensor:
        return augment.geometry(targets / 90, changes, random, self.part)

    def shown(self, pictures: Tensor, targets: Tensor, size: int) -> Tensor:
        middle = augment.geometry(targets.cpu() / 90, _STILL, torch.Generator(), self.part)
        return augment.resample(pictures, middle.to(pictures.device), size)

    def losses(self, logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        return functional.cross_entropy(logits, self._wanted(targets), label_smoothing=smoothing, reduction="none")

    def right(self, logits: Tensor, targets: Tensor) -> Tensor:
        return apart(self.found(logits), targets).abs() <= WITHIN

    def found(self, logits: Tensor) -> Tensor:
        """Degrees clockwise, −90 to 90, that make the lines level."""
        angles = classes(logits.device)
        best = angles[logits.argmax(1)]
        away = apart(angles, best[:, None])
        chances = logits.softmax(1) * (away.abs() <= _NEAR)
        return apart(best + (chances * away).sum(1) / chances.sum(1), torch.zeros_like(best))

    def _wanted(self, targets: Tensor) -> Tensor:
        """A Gaussian around the angle, with a standard deviation of `spread` degrees, on the circle of half a turn."""
        away = apart(classes(targets.device), targets[:, None])
        return (-0.5 * (away / self.spread) ** 2).softmax(1)


def classes(device: torch.device) -> Tensor:
    """The angle in degrees of each output of a skew model."""
    return torch.arange(round(180 / SKEW_STEP), device=device) * SKEW_STEP - 90


def apart(one: Tensor, other: Tensor) -> Tensor:
    """one − other in degrees, −90 to 90, on the circle of half a turn."""
    return (one - other + 90) % 180 - 90
