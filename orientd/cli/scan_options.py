"""What commands have in common that look at photos, in folders or on a server: options, and the report they write."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from orientd.cli.html_report import with_page
from orientd.cli.quiet import quietly
from orientd.cli.waiting import waiting
from orientd.config import Config
from orientd.records import Verdict

if TYPE_CHECKING:
    from orientd.report.csv_file import CsvReport

_ONLY: Final = "Keep only rows of these decisions, such as fix,unsure,error."
_UNATTENDED: Final = "For timers: also leave alone what was turned and then taken back with its whole run."

Command = Callable[..., Any]


def looking(fix: str) -> Callable[[Command], Command]:
    """Give a command, which must be a WaitingCommand, the options of all that look at photos; `fix` says what --fix does."""
    options = (
        click.option("--fix/--no-fix", is_flag=True, help=fix),
        reporting("the report"),
        click.option("--only", metavar="DECISION,…", callback=_decisions, help=_ONLY),
        click.option("--excel", is_flag=True, help="Begin the report with a mark by which Excel knows that it is UTF-8."),
        with_page,
        click.option("--rescan", is_flag=True, help="Judge every photo again, also those seen before."),
        click.option("--unattended", is_flag=True, help=_UNATTENDED),
        click.option(
            "--exit-code", "when_found", is_flag=True, help="End with exit code 11 if wrongly turned photos were found."
        ),
        running("Name every photo that is sideways or upside down, unsure or in trouble."),
    )
    return _all(options)


def reporting(what: str) -> Callable[[Command], Command]:
    """The options of the CSV report, which holds `what`."""
    where = f"Where to write {what}: a file, a folder, or - for standard output (default: orientd-DATE-TIME.csv here)."
    return _all(
        (
            click.option("--report", metavar="FILE.csv", help=where),
            click.option("--overwrite", is_flag=True, help="Replace a report also if it was changed since orientd wrote it."),
        )
    )


def running(verbose: str) -> Callable[[Command], Command]:
    """The options of how a run is followed; `verbose` says what -v names."""
    return _all(
        (
            click.option("--json", "as_json", is_flag=True, help="Print JSON lines on standard output."),
            waiting,
            quietly,
            click.option("-v", "--verbose", is_flag=True, help=verbose),
        )
    )


def _all(options: tuple[Callable[[Command], Command], ...]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _decisions(_: click.Context, __: click.Parameter, value: str | None) -> frozenset[Verdict]:
    """What --only names."""
    try:
        return frozenset(Verdict(word.strip().lower()) for word in value.split(",")) if value else frozenset()
    except ValueError:
        raise click.BadParameter(f"name one or more of {', '.join(Verdict)}, with commas.") from None


def chosen_report(config: Config, report: str | None, overwrite: bool, as_json: bool, excel: bool = False) -> "CsvReport":
    """The report at the place named, or of its own name in a folder, or on standard output.

    Raises:
        UsageError: standard output is wanted for JSON.
        OrientdError: a file of that name may not be replaced, or not be written.
    """
    from orientd.cli.kept_report import KeptReport
    from orientd.report.csv_file import PipedReport

    if report == "-" and as_json:
        raise click.UsageError("--report - and --json both write to standard output: give one of them, or name a FILE.csv.")
    if report == "-":
        return PipedReport(excel=excel)
    return KeptReport(report or "", config.state_dir, datetime.now(), overwrite=overwrite, excel=excel)
