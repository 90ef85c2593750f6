"""The command that deletes what an undo needs: it says what is lost, and asks."""

import time
from typing import Any, Final

import click

from orientd import commands
from orientd.cli.asking import sure
from orientd.cli.options import configured
from orientd.cli.quiet import hushed, quietly
from orientd.cli.waiting import WaitingCommand, waiting
from orientd.config import Config
from orientd.errors import ConfigError, ExitCode

_DAYS: Final = {"d": 1, "w": 7, "y": 365}
_DAY_NS: Final = 86_400 * 10**9


class Age(click.ParamType):  # type: ignore[type-arg]
    """A number of days, weeks or years, such as 90d, 12w or 2y, in nanoseconds."""

    name = "AGE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        number, unit = str(value)[:-1], str(value)[-1:]
        if not (number.isascii() and number.isdigit() and len(number) < 6 and unit in _DAYS):
            self.fail(f"{value!r} is no age such as 90d, 12w or 2y (days, weeks, years)", param, ctx)
        return int(number) * _DAYS[unit] * _DAY_NS


@click.command(cls=WaitingCommand)
@click.argument("run", required=False, type=click.IntRange(1, 2**63 - 1))
@click.option("--older-than", "age", type=Age(), help="Of every run that began longer ago, such as 90d, 12w or 2y.")
@click.option("--all", "every", is_flag=True, help="Of every run.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@waiting
@quietly
@configured()
def forget(config: Config, run: int | None, age: int | None, every: bool, yes: bool, wait: float, quiet: bool) -> int:
    """Delete the originals kept of photos whose pixels one run or several turned, to free their space.

    After that these turns cannot be undone any more: before anything is deleted it says how many photos that are, and asks.
    Changes of tags can still be undone: they need no copies.
    """
    from orientd.cli import output
    from orientd.write import forget as copies

    if (run is not None) + (age is not None) + every != 1:
        listing = commands.line("history")
        raise ConfigError(f"name the copies to delete: those of one RUN, --older-than AGE or --all\nto list the runs: {listing}")
    before = None if age is None else time.time_ns() - age
    kept = copies.forgettable(config, run, before, output.note)
    which = [run] if run else ["--all"] if every else ["--older-than", f"{(age or 0) // _DAY_NS}d"]
    if kept.copies and not yes and not sure(output.lost(kept), commands.line("forget", *which, "--yes"), quiet):
        return ExitCode.USAGE
    with hushed(quiet):
        if kept.copies and yes:
            output.say(output.lost(kept))
        return output.freed(copies.forget(config, kept.runs, output.note, wait) if kept.copies else [])
