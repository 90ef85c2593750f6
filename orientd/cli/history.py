"""The commands about what was written: undo, redo, verify, history, status."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from orientd import commands
from orientd.cli.asking import sure
from orientd.cli.helping import Command
from orientd.cli.options import WRITING, command_line, configured
from orientd.cli.quiet import hushed, quietly
from orientd.cli.stopping import stoppable
from orientd.cli.waiting import WaitingCommand, waiting
from orientd.config import Config
from orientd.errors import ExitCode

if TYPE_CHECKING:
    from orientd.report.json_lines import JsonLines
    from orientd.state.journal import Run


@click.command(cls=WaitingCommand)
@click.argument("run", required=False, type=click.IntRange(1, 2**63 - 1))
@click.option("--file", "paths", metavar="PATH", multiple=True, help="Only this photo, or below this folder; may be repeated.")
@click.option("--map", "moves", metavar="OLD=NEW", multiple=True, help="What was written below OLD lies below NEW now.")
@click.option("-n", "--dry-run", is_flag=True, help="Only show what would be taken back.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask whether the last run is meant.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on standard output; nobody is asked.")
@waiting
@quietly
@click.option("-v", "--verbose", is_flag=True, help="Name every photo.")
@configured("hard_links")
def undo(
    config: Config,
    run: int | None,
    paths: tuple[str, ...],
    moves: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    as_json: bool,
    wait: float,
    quiet: bool,
    verbose: bool,
) -> int:
    """Give photos exactly the bytes they had before a run.

    Without RUN and --file the last run that wrote is meant; it is named, and taken back once you have said yes. Runs before one
    that was taken back must be named: orientd history lists them. A photo that has changed since is left alone and named.
    With --file and without RUN the last change of that photo is taken back, whichever run made it; of a folder, what the
    last run that wrote there did. orientd redo puts back what was taken back.

    Photos that were taken back with their whole run are judged again by a scan that you start, and left alone by a watcher and by
    scan --unattended. Those named by --file, or turned back by another program, are left alone by all. orientd offer lifts that.
    A scan with another --method judges them again, too.

    Nothing is put back but what orientd would have changed into what is there now, whatever the journal says.
    """
    from orientd import app
    from orientd.cli import following, json_output, output
    from orientd.write.undo import Move

    lines = json_output.lines(as_json)
    notify = lines.error if lines else output.note
    known = [Move.parse(move) for move in moves]
    if run is None and not paths:
        last = app.last_run(config, notify)
        run = last.id
        if not _is_meant(last, moves, lines, confirmed=dry_run or yes, quiet=quiet):
            return ExitCode.USAGE
    shown, began = following.writing(quiet), list[int]()
    with hushed(quiet and not as_json), stoppable() as stop:
        if dry_run:
            tried = app.try_undo(config, run, paths=paths, moves=known, notify=notify, expect=shown.total)
            found = following.followed(tried, shown, following.is_left, stop)
            return json_output.would_undo(lines, found, stop) if lines else output.would_undo(found, verbose, stop)
        outcomes = app.undo(
            config,
            run,
            paths=paths,
            moves=known,
            stop=stop,
            notify=notify,
            command=command_line(),
            begun=began.append,
            expect=shown.total,
            wait=wait,
        )
        found = following.followed(outcomes, shown, following.is_left, stop)
        if lines:
            return json_output.outcomes(lines, found, stop, began)
        return output.undone(found, verbose, stop, began, whole=not paths)


def _is_meant(last: "Run", moves: Sequence[str], lines: "JsonLines | None", *, confirmed: bool, quiet: bool) -> bool:
    """Whether the last run is to be taken back: it was `confirmed` beforehand, or a person confirms it now."""
    from orientd.cli import json_output, output

    command = commands.line("undo", last.id, *(word for move in moves for word in ("--map", move)))
    if lines:
        json_output.meant(lines, last, command, sure=confirmed)
    elif not confirmed:
        return sure(output.meant(last), command, quiet)
    elif not quiet:
        output.say(output.meant(last))
    return True


@click.command(cls=WaitingCommand)
@click.argument("run", type=click.IntRange(1, 2**63 - 1))
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on standard output.")
@waiting
@quietly
@click.option("-v", "--verbose", is_flag=True, help="Name every photo.")
@configured(*WRITING, "isolate")
def redo(config: Config, run: int, as_json: bool, wait: float, quiet: bool, verbose: bool) -> int:
    """Turn photos again that were taken back: those that RUN had turned or, if RUN is an undo, those that it took back.

    It can be undone like any run. A photo that has changed since is left alone and named.
    """
    from orientd import app
    from orientd.cli import following, json_output, output

    lines, shown, began = json_output.lines(as_json), following.writing(quiet), list[int]()
    notify = lines.error if lines else output.note
    with hushed(quiet and not as_json), stoppable() as stop:
        outcomes = app.redo(
            config,
            run,
            stop=stop,
            notify=notify,
            command=command_line(),
            begun=began.append,
            expect=shown.total,
            wait=wait,
        )
        found = following.followed(outcomes, shown, following.is_left, stop)
        if lines:
            return json_output.outcomes(lines, found, stop, began)
        return output.redone(found, verbose, stop, began)


@click.command(cls=Command)
@click.argument("wanted", nargs=-1, required=True, metavar="RUN|PATH…")
@quietly
@configured()
def offer(config: Config, wanted: tuple[str, ...], quiet: bool) -> int:
    """Have photos of a run or at PATH judged like any other again, although they were turned and then taken back, or a person
    said to keep them as they are.

    RUN may be the run that turned them or the undo. A folder stands for all photos that were written below it; name a photo
    that was moved since by its own path, and a file whose name is a number as ./7.
    """
    from orientd.cli import output
    from orientd.write import offer as offering

    with hushed(quiet):
        return output.offered(offering.offer(config, [int(one) if one.isdecimal() else one for one in wanted], output.note))


@click.command("verify", cls=Command)
@click.option("--map", "moves", metavar="OLD=NEW", multiple=True, help="What was written below OLD lies below NEW now.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on standard output.")
@quietly
@click.option("-v", "--verbose", is_flag=True, help="Name every file.")
@configured()
def verify_written(config: Config, moves: tuple[str, ...], as_json: bool, quiet: bool, verbose: bool) -> int:
    """Check every file ever written against the journal, and that what was written can be undone. Nothing is changed.

    A file that another program has changed or deleted since is counted, which is no fault. One that cannot be read, whose write
    was interrupted, or that could not be undone is named, and the exit code is 3.
    """
    from orientd import app
    from orientd.cli import following, json_output, output
    from orientd.write.undo import Move

    lines, shown, known = json_output.lines(as_json), following.checking(quiet), [Move.parse(move) for move in moves]
    notify = lines.error if lines else output.note
    with hushed(quiet and not as_json), stoppable() as stop:
        found = app.verify(config, known, notify, expect=shown.total)
        return output.verified(following.followed(found, shown, following.is_at_fault, stop), lines, verbose, stop)


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on standard output.")
@configured()
def history(config: Config, as_json: bool) -> int:
    """List the runs that wrote, the newest first."""
    from orientd import app
    from orientd.cli import json_output, output

    if lines := json_output.lines(as_json):
        return json_output.history(lines, app.history(config, lines.error))
    output.history(app.history(config, output.note))
    return ExitCode.OK


@click.command(cls=Command)
@click.option("--check", is_flag=True, help="Only say whether a watcher runs: the exit code is 0 if so, else 12.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON on standard output.")
@configured()
def status(config: Config, check: bool, as_json: bool) -> int:
    """Show where orientd keeps its state, what it knows, and what orientd watch is doing."""
    from orientd import app
    from orientd.cli import json_output, output
    from orientd.watch import metrics

    watcher = metrics.watcher(config.state_dir)
    code = ExitCode.NO_WATCHER if check and not watcher["running"] else ExitCode.OK
    if lines := json_output.lines(as_json):
        json_output.status(lines, app.status(config, lines.error), watcher)
    elif check:
        output.facts({"watcher": output.watching(watcher)})
    else:
        output.status(app.status(config, output.note), watcher)
    return code
