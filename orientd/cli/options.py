"""What flags commands have in common: those that stand for settings, merged with the configuration."""

import os
import shlex
import sys
from collections.abc import Callable
from inspect import getdoc
from typing import Any, Final

import click

from orientd.config import HELP, OPTIONS, Config, load

EXIT_CODES: Final = """\b
Exit codes:
  0    done
  1    error
  2    wrong usage or configuration
  3    finished, but some photos could not be read or written
  11   wrongly turned photos were found (only with --exit-code)
  75   a folder is not mounted or not readable
  130  interrupted
  134, 139  crashed at a photo: run it again, and it finds the photo and leaves it out"""

_FLAGS: dict[str, Any] = {
    "model": click.Path(),
    "provider": click.Choice(["cpu", "cuda", "tensorrt", "tensorrt-fp16"]),
    "gpus": str,
    "gpu_memory": int,
    "min_confidence": float,
    "prior_upright": float,
    "min_agreement": int,
    "second_look_below": float,
    "workers": int,
    "batch": int,
    "exclude": str,
    "one_file_system": bool,
    "max_pixels": int,
    "max_bytes": int,
    "max_memory": int,
    "isolate": bool,
    "first_look": click.Choice(["photo", "thumbnail"]),
    "mtime": click.Choice(["shift", "keep", "now"]),
    "method": click.Choice(["tag", "rotate", "auto"]),
    "hard_links": bool,
    "formats": str,
    "sidecar": click.Choice(["off", "write"]),
    "sidecar_naming": click.Choice(["full", "adobe"]),
    "fix": bool,
    "plan": click.Path(),
    "observer": click.Choice(["auto", "inotify", "polling"]),
    "when_missing": click.Choice(["exit", "wait"]),
    "settle": float,
    "walk_every": float,
    "poll_every": float,
    "quiet_hours": str,
    "rate_limit": float,
    "pause_on_battery": bool,
    "metrics": str,
    "log_format": click.Choice(["auto", "human", "journal", "json"]),
    "state_dir": click.Path(),
}
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
WALKING: Final = ("workers", "batch", "exclude", "one_file_system")
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
    "log_format",
)

Command = Callable[..., Any]


def configured(*names: str, again: bool = False) -> Callable[[Command], Command]:
    """Give a command the options of these settings, and pass it the merged `config` in their place.

    With `again` it gets `reload`, too, which reads and merges everything anew.
    """

    def decorate(function: Command) -> Command:
        def command(config: str | None, **values: Any) -> Any:
            flags = {name: values.pop(name) for name in (*names, "state_dir")}

            def read() -> Config:
                return load(config, os.environ, flags)

            return function(config=read(), **values, **({"reload": read} if again else {}))

        command.__name__, command.__doc__ = function.__name__, f"{getdoc(function)}\n\n{EXIT_CODES}"
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
    kind, flag = _FLAGS[name], "--" + name.replace("_", "-")
    if kind is bool:
        both = f"{flag}/--no-{flag.removeprefix('--')}" if OPTIONS[name].default else flag
        return click.option(both, is_flag=True, default=None, help=HELP[name])
    return click.option(flag, type=kind, multiple=name == "exclude", help=HELP[name])
