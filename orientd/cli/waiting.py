"""The option --wait[=SECONDS] of the commands that write."""

from collections.abc import Callable
from typing import Any

import click

from orientd.cli.helping import Command

_FOREVER = "forever"


class Seconds(click.ParamType):  # type: ignore[type-arg]
    """How long to wait, in seconds, which need not be whole."""

    name = "SECONDS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float("inf" if value == _FOREVER else value)
        except ValueError:
            seconds = -1.0
        if not seconds >= 0:
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return seconds


class WaitingCommand(Command):
    """A command whose --wait needs no value; a value is joined to it by =, so that no argument is taken for one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = args[: args.index("--")] if "--" in args else args
        for place, word in enumerate(options):
            if word == "--wait":
                if (after := "".join(options[place + 1 : place + 2])).isdecimal():
                    raise click.UsageError(
                        f"--wait {after}: write --wait={after} to wait so many seconds, or put {after} first.", ctx
                    )
                args[place] = f"--wait={_FOREVER}"
        return super().parse_args(ctx, args)


def waiting(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command, which must be a WaitingCommand, the option; its value `wait` is in seconds, 0 without it."""
    words = "While another orientd is writing, wait for it: SECONDS at the most, or for as long as it takes."
    return click.option("--wait", metavar="[=SECONDS]", type=Seconds(), default=0.0, help=words)(command)
