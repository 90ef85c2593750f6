"""The command line: flags → Config → app → exit code. Nothing heavy is imported before a command needs it."""

import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any

import click

from orientd import __version__
from orientd.config import HELP, Config, load
from orientd.errors import ConfigError, ExitCode, OrientdError

_EXIT_CODES = """\b
Exit codes:
  0    done
  1    error
  2    wrong usage or configuration
  3    finished, but some photos could not be read or written
  11   wrongly turned photos were found (only with --exit-code)
  75   a folder is not mounted or not readable
  130  interrupted"""

_CONFIG_FLAGS: dict[str, Any] = {
    "model": click.Path(),
    "provider": click.Choice(["cpu", "cuda"]),
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
    "mtime": click.Choice(["shift", "keep", "now"]),
    "hard_links": bool,
    "state_dir": click.Path(),
}
_JUDGING = (
    "model",
    "provider",
    "min_confidence",
    "prior_upright",
    "min_agreement",
    "second_look_below",
    "max_pixels",
    "max_bytes",
)
_WALKING = ("workers", "batch", "exclude", "one_file_system")
_WRITING = ("mtime", "hard_links")

Command = Callable[..., Any]


def _configured(*names: str) -> Callable[[Command], Command]:
    """Give a command the options of these settings, and pass it the merged `config` in their place."""

    def decorate(function: Command) -> Command:
        def command(config: str | None, **values: Any) -> Any:
            flags = {name: values.pop(name) for name in (*names, "state_dir")}
            return function(config=load(config, os.environ, flags), **values)

        command.__name__, command.__doc__ = function.__name__, f"{function.__doc__}\n\n{_EXIT_CODES}"
        command.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        made: Command = click.option("--config", metavar="FILE", help="Configuration file (YAML).")(command)
        for name in reversed((*names, "state_dir")):
            made = _option(name)(made)
        return made

    return decorate


def _option(name: str) -> Callable[[Command], Command]:
    kind, flag = _CONFIG_FLAGS[name], "--" + name.replace("_", "-")
    if kind is bool:
        return click.option(flag, is_flag=True, default=None, help=HELP[name])
    return click.option(flag, type=kind, multiple=name == "exclude", help=HELP[name])


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="orientd")
def cli() -> None:
    """Finds photos that are shown sideways or upside down and puts them right.

    Nothing is changed without --fix, and every change can be taken back: orientd undo.
    """


@cli.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH…", type=click.Path(readable=False))
@click.option("--fix", is_flag=True, help="Put right what is shown wrong. Without it nothing is changed.")
@click.option("--report", metavar="FILE.csv", help="Where to write the report (default: orientd-DATE-TIME.csv here).")
@click.option("--rescan", is_flag=True, help="Judge every photo again, also those seen before.")
@click.option("--exit-code", "when_found", is_flag=True, help="End with exit code 11 if wrongly turned photos were found.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on standard output.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("-v", "--verbose", is_flag=True, help="Name every photo that is shown wrong, unsure or in trouble.")
@_configured(*_JUDGING, *_WALKING, *_WRITING)
def scan(
    config: Config,
    paths: tuple[str, ...],
    fix: bool,
    report: str | None,
    rescan: bool,
    when_found: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Look at every photo below PATH… and list those shown wrong; with --fix put them right."""
    from orientd import app
    from orientd.report import default_report
    from orientd.session import Session

    session = Session(report or default_report(datetime.now()), as_json, quiet, verbose, wrote=fix)
    with _stoppable() as stop, session, session.counting(lambda ended: app.count(config, paths, ended)):
        rows = app.scan(config, paths, fix=fix, rescan=rescan, stop=stop, notify=session.notify, command=_command())
        with closing(rows):
            for row in rows:
                session.add(row)
        return session.finish(interrupted=stop(), when_found=when_found)


@cli.command("apply")
@click.argument("plan", metavar="PLAN.csv", type=click.Path())
@click.option("--report", metavar="FILE.csv", help="Where to write what was done (default: orientd-DATE-TIME.csv here).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on standard output.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("-v", "--verbose", is_flag=True, help="Name every photo.")
@_configured(*_WRITING)
def apply_(config: Config, plan: str, report: str | None, as_json: bool, quiet: bool, verbose: bool) -> int:
    """Carry out a plan: put right the photos whose decision in PLAN.csv is fix.

    PLAN.csv is a report of orientd scan; rows may have been edited or deleted. A photo that has changed since is left alone.
    """
    from orientd import app
    from orientd.plan import read_plan
    from orientd.report import default_report
    from orientd.session import Session

    planned = read_plan(plan)
    if report and os.path.exists(report) and os.path.samefile(plan, report):
        raise ConfigError("the report would replace the plan: choose another --report")
    session = Session(report or default_report(datetime.now()), as_json, quiet, verbose, wrote=True)
    with _stoppable() as stop, session:
        session.expect(len(planned))
        if not planned and not as_json:
            session.notify(f"{plan} has no row whose decision is fix")
        with closing(app.apply(config, planned, stop=stop, notify=session.notify, command=_command())) as rows:
            for row in rows:
                session.add(row)
        return session.finish(interrupted=stop())


@cli.command()
@click.argument("run", required=False, type=click.IntRange(1, 2**63 - 1))
@click.option("-v", "--verbose", is_flag=True, help="Name every photo.")
@_configured("hard_links")
def undo(config: Config, run: int | None, verbose: bool) -> int:
    """Give photos exactly the bytes they had before a run (the last one that wrote, if RUN is not given).

    A photo that has changed since is left alone and named. orientd history lists the runs.
    """
    from orientd import app, show

    with _stoppable() as stop, closing(app.undo(config, run, stop=stop, notify=show.note, command=_command())) as outcomes:
        return show.undone(outcomes, verbose, stop)


@cli.command()
@_configured()
def history(config: Config) -> int:
    """List the runs that wrote, the newest first."""
    from orientd import app, show

    show.history(app.history(config, show.note))
    return ExitCode.OK


@cli.command()
@_configured()
def status(config: Config) -> int:
    """Show where orientd keeps its state and what it knows."""
    from orientd import app, show

    show.facts(app.status(config, show.note))
    return ExitCode.OK


@cli.command()
@_configured("model", "provider")
def doctor(config: Config) -> int:
    """Check what orientd needs, and say which command brings what is missing."""
    from orientd import show
    from orientd.doctor import examine

    return show.findings(examine(config))


@cli.command()
@click.argument("path", metavar="FILE", type=click.Path(readable=False))
@_configured(*_JUDGING)
def inspect(config: Config, path: str) -> int:
    """Show what orientd thinks of one photo: what was read, the probability of each turn by every view, the decision and why."""
    from orientd import app, show
    from orientd.errors import PhotoError

    try:
        show.inspection(app.inspect(config, path))
    except PhotoError as error:
        show.note(f"{path}: {error}")
        return ExitCode.INCOMPLETE
    return ExitCode.OK


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the completion script for a shell, as in: eval "$(orientd completion bash)"."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "orientd", "_ORIENTD_COMPLETE").source())
    return ExitCode.OK


def main() -> None:
    """Run the command line and exit."""
    _ready_streams()
    try:
        code = cli.main(prog_name="orientd", standalone_mode=False) or ExitCode.OK
    except click.exceptions.Abort:
        code = ExitCode.INTERRUPTED
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE
    except OSError as error:  # what is printed goes to a full disk, or nobody reads it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            click.echo(f"orientd: {error}", err=True)
        code = ExitCode.ERROR
    except OrientdError as error:
        click.echo(f"orientd: {error}", err=True)
        code = error.exit_code
    sys.exit(int(code))


def _ready_streams() -> None:
    """See that anything can be printed, also what the locale cannot say, and that no photo gets the number of a closed stream."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        getattr(sys, name).reconfigure(errors="backslashreplace")


@contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """A test that becomes true at the first Ctrl-C or SIGTERM: the photo in hand is finished. A second Ctrl-C ends at once."""
    asked = threading.Event()

    def ask(number: int, _: object) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _command() -> str:
    return shlex.join(["orientd", *sys.argv[1:]])
