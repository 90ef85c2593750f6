"""The command line: flags → Config → app → exit code. Nothing heavy is imported before a command needs it."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime

import click

from orientd import __version__
from orientd.cli.options import JUDGING, WALKING, WRITING, command_line, configured
from orientd.cli.service import config, service, watch
from orientd.config import Config
from orientd.errors import ConfigError, ExitCode, OrientdError
from orientd.infer.spec import PRESETS


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="orientd")
def cli() -> None:
    """Finds photos that are shown sideways or upside down and puts them right.

    Nothing is changed without --fix, and every change can be taken back: orientd undo.
    """


for command in (watch, service, config):
    cli.add_command(command)


@cli.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH…", type=click.Path(readable=False))
@click.option("--fix", is_flag=True, help="Put right what is shown wrong. Without it nothing is changed.")
@click.option("--report", metavar="FILE.csv", help="Where to write the report (default: orientd-DATE-TIME.csv here).")
@click.option("--rescan", is_flag=True, help="Judge every photo again, also those seen before.")
@click.option("--exit-code", "when_found", is_flag=True, help="End with exit code 11 if wrongly turned photos were found.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on standard output.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("-v", "--verbose", is_flag=True, help="Name every photo that is shown wrong, unsure or in trouble.")
@configured(*JUDGING, "first_look", *WALKING, "method", *WRITING)
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
    from orientd.cli.session import Session
    from orientd.report.csv_file import default_report

    session = Session(report or default_report(datetime.now()), as_json, quiet, verbose, wrote=fix)
    with _stoppable() as stop, session, session.counting(lambda ended: app.count(config, paths, ended)):
        rows = app.scan(config, paths, fix=fix, rescan=rescan, stop=stop, notify=session.notify, command=command_line())
        with closing(rows):
            for row in rows:
                session.add(row)
        return session.finish(interrupted=stop(), when_found=when_found)


@cli.command("apply")
@click.argument("plan", metavar="PLAN.csv", type=click.Path())
@click.argument("roots", nargs=-1, metavar="[FOLDER…]", type=click.Path(readable=False))
@click.option("--report", metavar="FILE.csv", help="Where to write what was done (default: orientd-DATE-TIME.csv here).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on standard output.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("-v", "--verbose", is_flag=True, help="Name every photo.")
@configured(*WRITING, "sidecar_naming", "isolate")
def apply_(
    config: Config, plan: str, roots: tuple[str, ...], report: str | None, as_json: bool, quiet: bool, verbose: bool
) -> int:
    """Carry out a plan: put right the photos whose decision in PLAN.csv is fix.

    PLAN.csv is a report of orientd scan; rows may have been edited or deleted. A photo that has changed since is left alone, and
    so is one outside FOLDER… or, if none is given, outside all that was ever scanned.
    Pixels are turned in rows whose method is rotate, and sidecars written in those whose method is sidecar.
    """
    from orientd import app
    from orientd.cli.session import Session
    from orientd.report.csv_file import default_report
    from orientd.report.plan import read_plan

    planned = read_plan(plan)
    if report and os.path.exists(report) and os.path.samefile(plan, report):
        raise ConfigError("the report would replace the plan: choose another --report")
    session = Session(report or default_report(datetime.now()), as_json, quiet, verbose, wrote=True)
    with _stoppable() as stop, session:
        session.expect(len(planned))
        if not planned and not as_json:
            session.notify(f"{plan} has no row whose decision is fix")
        with closing(app.apply(config, planned, roots, stop=stop, notify=session.notify, command=command_line())) as rows:
            for row in rows:
                session.add(row)
        return session.finish(interrupted=stop())


@cli.command()
@click.argument("run", required=False, type=click.IntRange(1, 2**63 - 1))
@click.option("--file", "paths", metavar="PATH", multiple=True, help="Only this photo, or below this folder; may be repeated.")
@click.option("--map", "moves", metavar="OLD=NEW", multiple=True, help="What was written below OLD lies below NEW now.")
@click.option("-v", "--verbose", is_flag=True, help="Name every photo.")
@configured("hard_links")
def undo(config: Config, run: int | None, paths: tuple[str, ...], moves: tuple[str, ...], verbose: bool) -> int:
    """Give photos exactly the bytes they had before a run (the last one that wrote, if RUN is not given).

    A photo that has changed since is left alone and named. orientd history lists the runs. With --file and without RUN the
    last change of that photo is taken back, whichever run made it; of a folder, what the last run that wrote there did.

    Nothing is put back but what orientd would have changed into what is there now, whatever the journal says.
    """
    from orientd import app
    from orientd.cli import output
    from orientd.write.undo import Move

    known = [Move.parse(move) for move in moves]
    with _stoppable() as stop:
        outcomes = app.undo(config, run, paths=paths, moves=known, stop=stop, notify=output.note, command=command_line())
        with closing(outcomes):
            return output.undone(outcomes, verbose, stop)


@cli.command("verify")
@click.option("--map", "moves", metavar="OLD=NEW", multiple=True, help="What was written below OLD lies below NEW now.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on standard output.")
@click.option("-v", "--verbose", is_flag=True, help="Name every file.")
@configured()
def verify_written(config: Config, moves: tuple[str, ...], as_json: bool, verbose: bool) -> int:
    """Check every file ever written against the journal, and that what was written can be undone. Nothing is changed.

    A file that another program has changed or deleted since is counted, which is no fault. One that cannot be read, whose write
    was interrupted, or that could not be undone is named, and the exit code is 3.
    """
    from orientd import app
    from orientd.cli import output
    from orientd.write.undo import Move

    with _stoppable() as stop, closing(app.verify(config, [Move.parse(move) for move in moves], output.note)) as findings:
        return output.verified(findings, as_json, verbose, stop)


@cli.command()
@click.argument("run", required=False, type=click.IntRange(1, 2**63 - 1))
@configured()
def forget(config: Config, run: int | None) -> int:
    """Delete the copies kept of photos whose pixels a run turned (every run, if RUN is not given), to free their space.

    What was turned by pixels then cannot be undone any more. Changes of tags can: they need no copies.
    """
    from orientd import app
    from orientd.cli import output

    return output.freed(app.forget(config, run, output.note))


@cli.command()
@configured()
def history(config: Config) -> int:
    """List the runs that wrote, the newest first."""
    from orientd import app
    from orientd.cli import output

    output.history(app.history(config, output.note))
    return ExitCode.OK


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
@configured()
def status(config: Config, as_json: bool) -> int:
    """Show where orientd keeps its state, what it knows, and what orientd watch is doing."""
    from orientd import app
    from orientd.cli import output
    from orientd.watch import metrics

    return output.status(app.status(config, output.note), metrics.watcher(config.state_dir), as_json)


@cli.command()
@configured("model", "provider", "gpus")
def doctor(config: Config) -> int:
    """Check what orientd needs, and say which command brings what is missing."""
    from orientd.cli import output
    from orientd.cli.doctor import examine

    return output.findings(examine(config))


@cli.command()
@click.argument("path", metavar="FILE", type=click.Path(readable=False))
@configured(*JUDGING)
def inspect(config: Config, path: str) -> int:
    """Show what orientd thinks of one photo: what was read, the probability of each turn by every view, the decision and why."""
    from orientd import app
    from orientd.cli import output
    from orientd.errors import PhotoError

    try:
        output.inspection(app.inspect(config, path))
    except PhotoError as error:
        output.note(f"{path}: {error}")
        return ExitCode.INCOMPLETE
    return ExitCode.OK


@cli.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on standard output.")
@configured("model")
@click.pass_context
def models(context: click.Context, config: Config, as_json: bool) -> int:
    """List the models there are, or check, add and remove them. The one in use has a mark.

    Those added are kept below $XDG_DATA_HOME/orientd/models (~/.local/share); --model takes their names.
    """
    from orientd.cli import output
    from orientd.infer import registry
    from orientd.pipeline import stages

    if context.invoked_subcommand:
        return ExitCode.OK
    in_use = stages.chosen_model(config)
    listed = registry.models(stages.models_folder())
    return output.models([registry.facts(model, in_use) for model in dict.fromkeys([*listed, in_use])], as_json)


@models.command()
@click.argument("name", required=False)
@configured("model")
def verify(config: Config, name: str | None) -> int:
    """Check one model, or all: its SHA-256 against the record, what it says of itself, and that it answers to a drawn picture."""
    from orientd.cli import output
    from orientd.cli.doctor import checked
    from orientd.infer import registry
    from orientd.pipeline import stages

    listed = registry.models(stages.models_folder())
    wanted = [registry.find(name, stages.models_folder())] if name else dict.fromkeys([*listed, stages.chosen_model(config)])
    return output.findings([checked(model.name, model.verify) for model in wanted])


@models.command()
@click.argument("file")
@click.option("--name", default="", help="Name to give it (default: that of the file).")
@click.option("--preset", type=click.Choice(list(PRESETS)), help="Whose model it is, if the file does not say how to use it.")
@click.option("--sha256", default="", metavar="HEX", help="SHA-256 that the file must have.")
@configured()
def add(config: Config, file: str, name: str, preset: str | None, sha256: str) -> int:
    """Copy a model FILE (.onnx), once it has proved to be one. The network is never used: download it yourself."""
    from orientd.cli import output
    from orientd.infer import registry
    from orientd.pipeline import stages

    added = registry.add(file, stages.models_folder(), name, preset or "", sha256)
    return output.added(added.name, added.spec().calibrated)


@models.command()
@click.argument("name")
@configured()
def remove(config: Config, name: str) -> int:
    """Delete a model that was added."""
    from orientd.infer import registry
    from orientd.pipeline import stages

    registry.remove(name, stages.models_folder())
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
    """A test that becomes true at the first Ctrl-C or SIGTERM: the photo in hand is finished, but not after a second Ctrl-C.

    A third ends the program where it stands, which harms no photo: a disk that hangs may keep the second from doing so.
    """
    asked = threading.Event()

    def ask(number: int, _: object) -> None:
        if asked.is_set() and number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
