"""A configuration as it is shown: values as YAML that `load` reads back as the very same, and where each comes from."""

import math
from collections.abc import Mapping
from typing import Any, Final, Literal

import yaml

from orientd.config import OF_MODEL

Source = Literal["default", "file", "environment", "option"]
_MOST: Final = math.inf  # columns: a value stays on one line, for the comment behind it


class _OneLine(yaml.SafeDumper):
    """Line breaks and characters that cannot be shown are escaped."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_OneLine.add_representer(str, _text)


def as_yaml(value: object, *, ascii_only: bool) -> str:
    """The value of an option as one line of YAML. `ascii_only`: all other characters are escaped."""
    shown: Any = OF_MODEL if value is None else list(value) if isinstance(value, tuple) else value
    text = yaml.dump([shown], Dumper=_OneLine, default_flow_style=True, allow_unicode=not ascii_only, width=_MOST)
    return text.strip()[1:-1]


def source_of(name: str, origin: str | None, environment: Mapping[str, str]) -> Source:
    """What kind of source sets an option, by its entry in `config.origins`."""
    if origin is None:
        return "default"
    if origin == "--" + name.replace("_", "-"):
        return "option"
    return "environment" if origin in environment else "file"
