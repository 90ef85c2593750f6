"""What a training recipe may say: names, types, defaults and ranges. Pure data."""

from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, Literal

SKEW_STEP = 0.5
"""Degrees from one class of a skew model to the next; all of them fill half a turn."""


def _within(low: float, high: float, default: Any = MISSING) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True)
class Phase:
    """A stretch of training at one input size (pixels), `photos` samples long, the stem and the first `freeze` stages fixed."""

    size: int = _within(8, 4096)
    photos: int = _within(1, 10**12)
    freeze: int = _within(0, 1000, 0)


@dataclass(frozen=True)
class Source:
    """A prepared cache, or one split of it; `weight` is how often its photos are drawn as against other caches.

    `leave_out` is a file with the names of photos, one a line, that are not trained on: those whose labels are wrong.
    """

    path: Path
    weight: float = _within(0, 1e6, 1.0)
    split: Literal["", "train", "validation"] = ""
    leave_out: Path | None = None


@dataclass(frozen=True)
class Change:
    """One kind of augmentation: for which share of the pictures, and how strong it may get there (see `Augment`)."""

    probability: float = _within(0, 1)
    strength: float = _within(0, 1000)


@dataclass(frozen=True)
class Augment:
    """What is done to pictures besides the four turns, which are always drawn evenly. Each strength is the most there may be.

    `crop`: share of the area cut away. `aspect`: change of the logarithm of the sides' ratio. `tilt`: degrees. `brightness`,
    `contrast`, `saturation`: change of the factor. `blur`: standard deviation in pixels. `jpeg`: 100 less the quality. `noise`:
    standard deviation in levels of 0–255. `mirror` and `grey` have none.
    """

    mirror: float = _within(0, 1, 0.5)
    grey: float = _within(0, 1, 0.14)
    crop: Change = Change(1.0, 0.28)
    aspect: Change = Change(1.0, 0.15)
    tilt: Change = Change(1.0, 4.0)
    brightness: Change = Change(1.0, 0.3)
    contrast: Change = Change(1.0, 0.3)
    saturation: Change = Change(1.0, 0.3)
    blur: Change = Change(0.1, 1.0)
    jpeg: Change = Change(0.1, 60.0)
    noise: Change = Change(0.1, 8.0)


@dataclass(frozen=True)
class Teacher:
    """A model to learn from: an ONNX file that orientd serves, or a run (its folder, or a checkpoint in it).

    The loss is (1 − weight) · cross-entropy + weight · T² · KL(teacher ‖ student), both softened by `temperature` T (Hinton et
    al. 2015, arXiv:1503.02531), + embedding · (1 − cosine) between the teacher's pooled features and a linear image of the
    student's. With 8 `views` the teacher judges the picture turned and mirrored, too, and its logits are averaged.
    """

    model: Path
    weight: float = _within(0, 1, 0.5)
    temperature: float = _within(0.1, 100, 2.0)
    embedding: float = _within(0, 1000, 0.0)
    views: Literal[1, 8] = 1


@dataclass(frozen=True)
class Skew:
    """Settings for learning the skew of pages, and not which of four sides is up.

    `part`: the side of the square that is seen, as a share of that of the page; at 0.707 any angle fits into the page. `spread`:
    standard deviation, in degrees, of the Gaussian that is the label.
    """

    part: float = _within(0.1, 0.7072, 0.7)
    spread: float = _within(0.05, 10, 0.5)


@dataclass(frozen=True)
class TrainConfig:
    """One recipe.

    `train` and `validation` are caches made by `orientd-train prepare`, or one cache that has both splits; `leaks` says whether
    near-duplicates may be in both. `init` is null (from scratch), "imagenet" or a file of
    weights. `mean` and `std` are one number or one for each of R, G, B, in levels of 0–255. `batch` counts the photos of all
    devices together. `lr` is the peak for the body, `head_lr` for the classifier; `warmup` the share of the training before it.
    `skew` makes it learn the skew of pages, and not which of four sides is up; `halves` only whether upright or upside down.
    `patience` is how many validations may pass without a better one, 0 for all. `devices` 0 means every GPU there is.
    `precision` auto is bf16 on a GPU, and on a CPU in the stages that are fixed.
    """

    name: str
    train: Path | tuple[Source, ...]
    validation: Path | Source
    backbone: str
    phases: tuple[Phase, ...]
    init: Path | None = None
    pad_type: str = ""
    head_grid: int = _within(0, 16, 0)
    mean: float | tuple[float, ...] = 127.5
    std: float | tuple[float, ...] = 127.5
    seed: int = _within(0, 2**31, 1)
    batch: int = _within(2, 2**16, 64)
    lr: float = _within(0, 10, 6e-4)
    head_lr: float = _within(0, 10, 2e-3)
    warmup: float = _within(0, 0.9, 0.03)
    weight_decay: float = _within(0, 10, 0.02)
    clip: float = _within(1e-6, 1e6, 5.0)
    label_smoothing: float = _within(0, 0.9, 0.05)
    ema: float = _within(0, 1, 0.998)
    dropout: float = _within(0, 0.95, 0.2)
    source_power: float = _within(-1, 1, -0.35)
    augment: Augment = Augment()
    teacher: Teacher | None = None
    skew: Skew | None = None
    halves: bool = False
    validate_every: int = _within(1, 10**12, 50_000)
    patience: int = _within(0, 10**6, 0)
    leaks: Literal["refuse", "allow"] = "refuse"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = _within(0, 64, 0)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    channels_last: bool = True
    compile: bool = False
    tensorboard: bool = True
    mlflow: bool = False

    @property
    def sources(self) -> tuple[Source, ...]:
        """What to train on."""
        if not isinstance(self.train, Path):
            return self.train
        return (Source(self.train, split="train" if self.train == self.validation else ""),)

    @property
    def held_out(self) -> Source:
        """What to validate on."""
        if not isinstance(self.validation, Path):
            return self.validation
        return Source(self.validation, split="validation" if self.train == self.validation else "")

    @property
    def outputs(self) -> int:
        """How many numbers the network gives for a picture."""
        return round(180 / SKEW_STEP) if self.skew else 4

    @property
    def total(self) -> int:
        """Photos seen in all phases, each as often as it is drawn."""
        return sum(phase.photos for phase in self.phases)
