"""Merges the sources of settings: defaults < YAML file < environment < flags. The only module that reads YAML for orientd.

Every mistake of every source is reported at once, with its source and its key; an unknown key is a mistake.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from orientd.config import address, hook, values
from orientd.config.options import HOOKS, OPTIONS, PATHS, Config
from orientd.config.places import at_home, default_file, state_directory
from orientd.errors import ConfigError

ENVIRONMENT_PREFIX: Final = "ORIENTD_"
TOKEN_VARIABLE: Final = "ORIENTD_SERVE_TOKEN"
"""No option but a secret, which `config show` must never show."""

_REACHED: Final = (
    "metrics: others can reach {}: name a metrics_token_file, or set metrics_open: true if anyone who can may read them"
)


def load(file: str | None, environment: Mapping[str, str], flags: Mapping[str, object]) -> Config:
    """Merge every source into one Config whose `state_dir` is filled in.

    Args:
        file: the YAML file; None for $XDG_CONFIG_HOME/orientd/orientd.yaml, if there is one.
        environment: ORIENTD_<OPTION> set options (a list is separated by colons, an empty value counts as not given); HOME,
            XDG_CONFIG_HOME, XDG_STATE_HOME and systemd's STATE_DIRECTORY say where things are.
        flags: by option name; None and () mean not given.

    Raises:
        ConfigError: lists every mistake of every source, one a line.
    """
    given: dict[str, object] = {}
    problems: list[str] = []
    for source, name, value in _given(file, environment, flags, problems):
        try:
            given[name] = values.checked(name, value)
        except ValueError as error:
            problems.append(f"{source}: {error}")
    config = replace(Config(), **given)  # type: ignore[arg-type]  # `values.checked` has checked the types
    if config.metrics and not (address.is_of_this_machine(config.metrics) or config.metrics_token_file or config.metrics_open):
        problems.append(_REACHED.format(config.metrics))
    if problems:
        raise ConfigError("\n".join(problems))
    places: dict[str, Any] = {name: at_home(getattr(config, name), environment) for name in PATHS}
    places |= {name: hook.at_home(getattr(config, name), environment) for name in HOOKS}
    return replace(config, **places | {"state_dir": places["state_dir"] or state_directory(environment)})


def _given(
    file: str | None, environment: Mapping[str, str], flags: Mapping[str, object], problems: list[str]
) -> Iterator[tuple[str, str, object]]:
    """(source as the user knows it, option name, value) of all sources, the weakest first."""
    path = file or default_file(environment)
    if file or os.path.exists(path):
        for name, value in _from_file(path, problems):
            yield f"{path}: {name}", name, value
    for variable, text in sorted(environment.items()):
        if variable.startswith(ENVIRONMENT_PREFIX) and text and variable != TOKEN_VARIABLE:
            yield variable, variable.removeprefix(ENVIRONMENT_PREFIX).lower(), text
    for name, flag in flags.items():
        if flag is not None and flag != ():
            yield f"--{name.replace('_', '-')}", name, flag


def _from_file(path: str, problems: list[str]) -> list[tuple[str, object]]:
    """Every scalar as text: `values.checked` knows what an option wants, YAML would guess (1e-3 is text, 2024-01-01 a date)."""
    import yaml

    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        node, content = yaml.compose(text, Loader=yaml.BaseLoader), yaml.load(text, Loader=yaml.BaseLoader)
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        problems.append(f"{path}: is not UTF-8 text: save it as UTF-8")
    except yaml.YAMLError as error:
        problems.append(f"{path}: is not valid YAML: {' '.join(str(error).split())}")
    else:
        if node is None:
            return []
        if isinstance(content, dict):
            names = [key.value for key, _ in node.value]
            problems += [f"{path}: {name}: is given {names.count(name)} times" for name in content if names.count(name) > 1]
            return [(str(name), value) for name, value in content.items()]
        problems.append(f"{path}: must hold lines such as 'workers: 2'")
    return []


def check_modes(config: Config) -> None:
    """Check that the settings of a watcher for photos sideways or upside down do not contradict each other.

    Raises:
        ConfigError: it does.
    """
    if config.fix and config.plan:
        raise ConfigError("fix and plan exclude each other: fix photos at once, or collect them in a plan")


def origins(file: str | None, environment: Mapping[str, str], flags: Mapping[str, object]) -> dict[str, str]:
    """Option name → the strongest source that sets it, as the user knows it; options left at their defaults are not in it."""
    return {name: source for source, name, _ in _given(file, environment, flags, []) if name in OPTIONS}
