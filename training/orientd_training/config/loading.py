"""Reads a recipe: strict, every mistake named at once with its path. The only module of training that reads YAML."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from orientd.config import strict
from orientd.errors import ConfigError
from orientd_training.config.recipe import TrainConfig

_SERVED = (32, 1024)  # pixels that orientd.spec admits
_PACKAGE = Path(__file__).resolve().parents[1]
_RECIPES = _PACKAGE / "recipes", _PACKAGE.parents[1] / "configs" / "train"  # in a wheel, in a checkout


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
