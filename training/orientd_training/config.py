"""The training configuration: strict, every value in the file, every mistake named at once."""

from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from orientd.errors import ConfigError


@dataclass(frozen=True)
class Phase:
    """A stretch of training at one input size (pixels), `photos` samples long, the stem and the first `freeze` stages fixed."""

    size: int
    photos: int
    freeze: int


@dataclass(frozen=True)
class TrainConfig:
    """One recipe. Probabilities are 0–1; `crop_area` is the smallest share of the picture kept; `tilt` is in degrees."""

    name: str
    train: Path
    validation: Path
    backbone: str
    phases: tuple[Phase, ...]
    init: Path | None = None
    init_classes: int = 1001
    pad_type: str = "same"
    mean: float = 127.5
    std: float = 127.5
    seed: int = 1
    batch: int = 64
    lr: float = 6e-4
    head_lr: float = 2e-3
    warmup: float = 0.03
    weight_decay: float = 0.02
    clip: float = 5.0
    label_smoothing: float = 0.05
    ema: float = 0.998
    dropout: float = 0.2
    source_power: float = -0.35
    mirror: float = 0.5
    crop_area: float = 0.72
    aspect: float = 0.15
    tilt: float = 4.0
    light: float = 0.3
    grey: float = 0.14
    blur: float = 0.1
    validate_every: int = 50_000


def load(path: Path, overrides: tuple[str, ...] = ()) -> TrainConfig:
    """Read a YAML recipe and apply `key=value` overrides (values are YAML).

    Raises:
        ConfigError: unreadable file, unknown or missing keys, or values of the wrong type: all of them in one message.
    """
    try:
        values = yaml.safe_load(path.read_text()) or {}
        values.update({key: yaml.safe_load(value) for key, _, value in (item.partition("=") for item in overrides)})
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    known = {f.name: f for f in fields(TrainConfig)}
    problems = [f"{path}: unknown key {key!r}" for key in values if key not in known]
    problems += [
        f"{path}: missing key {n!r}" for n, f in known.items() if f.default is f.default_factory is MISSING and n not in values
    ]
    made = {}
    for key in known.keys() & values.keys():
        try:
            made[key] = _typed(known[key].type, values[key])
        except (TypeError, ValueError) as error:
            problems.append(f"{path}: {key}: {error}")
    if problems:
        raise ConfigError("\n".join(sorted(problems)))
    return TrainConfig(**made)


def _typed(kind: Any, value: Any) -> Any:
    if kind == tuple[Phase, ...]:
        return tuple(Phase(**phase) for phase in value)
    if kind in (Path, Path | None):
        return None if value is None else Path(value)
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(value, accepted) or isinstance(value, bool):
        raise TypeError(f"must be of type {kind.__name__}, got {value!r}")
    return value
