"""What flags commands have in common: those that stand for settings, merged with the configuration."""

import os
import shlex
import sys
from collections.abc import Callable
from inspect import getdoc
from typing import Any, Final, Literal, get_args, get_origin

import click

from orientd.cli import invocation
from orientd.config import HELP, OF_MODEL, OPTIONS, PATHS, Config, load

JUDGING: Final = (
    "model",
    "provider",
    "gpus",
    "gpu_memory",
    "min_confidence",
    "prior_upright",
    "min_agreement",
    "second_look_below",
    "max_pixels",
    "max_bytes",
    "max_memory",
    "isolate",
    "sidecar",
    "sidecar_naming",
)
WALKING: Final = ("workers", "batch", "exclude", "exclude_file", "one_file_system")
WRITING: Final = ("mtime", "hard_links", "formats")
WATCHING: Final = (
    "fix",
    "plan",
    "observer",
    "when_missing",
    "settle",
    "walk_every",
    "poll_every",
    "quiet_hours",
    "rate_limit",
    "pause_on_battery",
    "metrics",
    "metrics_token_file",
    "metrics_open",
    "log_format",
)

Command = Callable[..., Any]


def configured(*names: str, again: bool = False) -> Callable[[Command], Command]:
    """Give a command the options of these settings, and pass it the merged `config` in their place.

    With `again` it gets `reload`, too, which reads and merges everything again.
    """

    def decorate(function: Command) -> Command:
        def command(config: str | None, **values: Any) -> Any:
            flags = {name: values.pop(name) for name in (*names, "state_dir")}

            def read() -> Config:
                return load(config, os.environ, flags)

            merged = read()
            invocation.say(flags, config, merged)
            return function(config=merged, **values, **({"reload": read} if again else {}))

        command.__name__, command.__doc__ = function.__name__, getdoc(function)
        command.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        made: Command = click.option("--config", metavar="FILE", help="Configuration file (YAML).")(command)
        for name in reversed((*names, "state_dir")):
            made = _option(name)(made)
        return made

    return decorate


def command_line() -> str:
    """What was typed, for the journal."""
    return shlex.join(["orientd", *sys.argv[1:]])


def _option(name: str) -> Callable[[Command], Command]:
    option, flag, about = OPTIONS[name], "--" + name.replace("_", "-"), HELP[name] + default_in_words(name)
    if option.type is bool:
        return click.option(f"{flag}/--no-{flag.removeprefix('--')}", is_flag=True, default=None, help=about)
    return click.option(flag, type=_kind(name), multiple=option.type == tuple[str, ...], help=about)


def default_in_words(name: str) -> str:
    """What holds if nobody sets that option, for its help; empty where there is nothing, which the help says itself."""
    default = OPTIONS[name].default
    if default is None:
        return f"  [default: {OF_MODEL}]"
    if isinstance(default, bool):
        return f"  [default: {'on' if default else 'off'}]"
    if isinstance(default, tuple):
        return f"  [default: {','.join(default)}]" if default else ""
    text = f"{default:g}" if isinstance(default, float) else str(default)
    return f"  [default: {text}]" if text else ""


def _kind(name: str) -> Any:
    """The type by which click reads an option; `load` splits a list."""
    kind = OPTIONS[name].type
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    return click.Path() if name in PATHS else kind if kind in (int, float) else str
