"""The training configuration: strict, every mistake named at once with its path. The only module here that reads YAML."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from orientd.config import strict
from orientd.errors import ConfigError

SKEW_STEP = 0.5
"""Degrees from one class of a skew model to the next; all of them fill half a turn."""
_SERVED = (32, 1024)  # pixels that orientd.spec admits
_HERE = Path(__file__).resolve()
_RECIPES = _HERE.with_name("recipes"), _HERE.parents[2] / "configs" / "train"  # in a wheel, in a checkout


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


def load(path: Path, overrides: tuple[str, ...] = ()) -> TrainConfig:
    """Read a YAML recipe, a file or the name of one that comes along, and apply `key=value` overrides: keys may be dotted
    (`augment.jpeg.strength=70`), values are YAML.

    Raises:
        ConfigError: unreadable file, unknown or missing keys, or values of the wrong type or range: all of them in one message.
    """
    problems: list[str] = []
    values = _read(path)
    for item in overrides:
        try:
            _override(values, item)
        except (ValueError, yaml.YAMLError) as error:
            problems.append(f"{item}: {error}")
    made = _made(TrainConfig, values, "", None, problems)
    problems += [] if problems else _nonsense(made)
    if problems:
        raise ConfigError("\n".join(f"{path}: {problem}" for problem in problems))
    return made  # type: ignore[no-any-return]  # there were no problems, so it is whole


def _named(path: Path) -> Path:
    """The recipe of a bare name that comes along, in a wheel or a checkout; else the path as it is."""
    if path.exists() or path.name != str(path) or path.suffix:
        return path
    places = (folder / f"{path.name}.yaml" for folder in _RECIPES)
    return next((place for place in places if place.is_file()), path)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = _named(path).read_text(encoding="utf-8")
        # A run's own recipe is JSON: YAML would take what JSON writes for 😀 for two halves of a character.
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as a recipe: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold lines such as 'batch: 64'")
    return values


def _nonsense(config: TrainConfig) -> Iterator[str]:
    """What is wrong although every value alone may be."""
    if not config.phases:
        yield "phases: there must be at least one"
    elif not _SERVED[0] <= config.phases[-1].size <= _SERVED[1]:
        yield f"phases[{len(config.phases) - 1}].size: the last is served, so must be between {_SERVED[0]} and {_SERVED[1]}"
    if config.name in ("", ".", "..") or {"/", "\0"} & set(config.name):
        yield f"name: must do as the name of a file, got {config.name!r}"
    for key in ("mean", "std"):
        if isinstance(levels := getattr(config, key), tuple) and len(levels) != 3:
            yield f"{key}: must be one number or three, got {len(levels)}"
    if not min(config.std if isinstance(config.std, tuple) else (config.std,), default=1) > 0:
        yield f"std: must be above 0, got {config.std}"
    yield from _no_skew(config) if config.skew else ()
    if not any(source.weight for source in config.sources):
        yield "train: there must be a source that weighs more than 0"


def _no_skew(config: TrainConfig) -> Iterator[str]:
    """What a recipe that teaches skew must not say."""
    if config.augment.tilt.probability:
        yield "augment.tilt.probability: must be 0 with skew, as it is the very angle that is learned"
    if config.halves:
        yield "halves: must be false with skew, as one network learns one of them"
    if config.teacher:
        yield "teacher: there is none for skew: leave it out"


def _override(values: dict[str, Any], item: str) -> None:
    key, equals, text = item.partition("=")
    if not equals:
        raise ValueError("must be key=value")
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise ValueError(f"{parent!r} holds no keys, give it whole")
    values[last] = yaml.safe_load(text)


def _made(kind: Any, value: Any, where: str, default: Any, problems: list[str]) -> Any:
    """`value` as a `kind`, which is at the dotted path `where`; what is wrong with it is added to `problems`."""
    if get_origin(kind) is UnionType:
        kind = _alternative(get_args(kind), value)
    if is_dataclass(kind) and isinstance(value, dict):
        return _record(kind, value, where, default, problems)
    if get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_made(get_args(kind)[0], one, f"{where}[{i}]", None, problems) for i, one in enumerate(value))
    try:
        return _scalar(kind, value)
    except ValueError as error:
        problems.append(f"{where}: {error}")


def _alternative(kinds: tuple[Any, ...], value: Any) -> Any:
    """Which of the types of a union a value is meant to be, by its shape."""
    if value is None:
        return next((kind for kind in kinds if kind is type(None)), kinds[0])
    if isinstance(value, dict):
        return next((kind for kind in kinds if is_dataclass(kind)), kinds[0])
    if isinstance(value, list):
        return next((kind for kind in kinds if get_origin(kind) is tuple), kinds[0])
    return kinds[0]


def _record(kind: Any, values: dict[str, Any], where: str, default: Any, problems: list[str]) -> Any:
    types, known = get_type_hints(kind), {f.name: f for f in fields(kind)}
    before = f"{where}." if where else ""
    found = len(problems)
    for key in values.keys() - known.keys():
        problems.append(f"{before}{key}: there is no such key{strict.did_you_mean(str(key), known)}")
    if default is None:
        missing = [name for name, f in known.items() if f.default is MISSING and name not in values]
        problems += [f"{before}{name}: must be given" for name in missing]
    made = {}
    for name in [name for name in known if name in values]:
        inner = getattr(default, name, None) if default else known[name].default
        made[name] = _made(types[name], values[name], before + name, None if inner is MISSING else inner, problems)
        _check_range(made[name], known[name].metadata, before + name, problems)
    if len(problems) > found:
        return None
    return replace(default, **made) if default else kind(**made)


def _check_range(value: Any, limits: Mapping[str, Any], where: str, problems: list[str]) -> None:
    try:
        if limits and isinstance(value, int | float):
            strict.within(value, limits["low"], limits["high"], value)
    except ValueError as error:
        problems.append(f"{where}: {error}")


def _scalar(kind: Any, value: Any) -> Any:
    if kind is type(None):
        return None
    if get_origin(kind) is Literal:
        return strict.choice(value, get_args(kind))
    if kind is float and isinstance(value, str):
        with suppress(ValueError):
            return float(value)  # YAML 1.1 takes 1e-3 for text
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    return strict.scalar(kind, value, "a list" if get_origin(kind) is tuple else "a set of keys")
