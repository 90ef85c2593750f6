"""The commands that look at photos and fix them: scan, apply, inspect."""

import os
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import click

from orientd.cli.cluster import clustering, on_cluster
from orientd.cli.helping import Command
from orientd.cli.html_report import finish_page, page_at
from orientd.cli.notifying import Notifier, notifying
from orientd.cli.options import JUDGING, WALKING, WRITING, command_line, configured
from orientd.cli.scan_options import chosen_report, looking, reporting, running
from orientd.cli.sharding import in_parts, sharding
from orientd.cli.stopping import stoppable
from orientd.cli.waiting import WaitingCommand
from orientd.config import Config
from orientd.errors import ConfigError, ExitCode
from orientd.records import Verdict

if TYPE_CHECKING:
    from orientd.library.shard import Part
    from orientd.pipeline.cluster.scan import Cluster


@click.command(cls=WaitingCommand)
@click.argument("paths", nargs=-1, metavar="PATH…", type=click.Path(readable=False))
@click.option(
    "--files-from", metavar="FILE", help="Look also at the paths in a file, one a line or separated by NUL bytes; - for a pipe."
)
@looking(fix="Fix photos that are sideways or upside down. Without it nothing is changed.")
@sharding
@clustering
@configured(*JUDGING, "first_look", *WALKING, "method", *WRITING, "metrics_textfile")
@notifying("scan", "paths")
@on_cluster
@in_parts
def scan(
    config: Config,
    notifier: Notifier,
    paths: tuple[str, ...],
    files_from: str | None,
    fix: bool,
    report: str | None,
    overwrite: bool,
    only: frozenset[Verdict],
    excel: bool,
    html: str | None,
    html_limit: int,
    rescan: bool,
    unattended: bool,
    part: "Part | None",
    cluster: "Cluster | None",
    when_found: bool,
    as_json: bool,
    wait: float,
    quiet: bool,
    verbose: bool,
) -> int:
    """Find photos below PATH… that are sideways or upside down; with --fix, fix them."""
    from orientd import app
    from orientd.cli.session import Session
    from orientd.library.left_out import Tally
    from orientd.library.listed import read_list

    if not paths and files_from is None:
        raise click.UsageError("name a PATH, or a list of them with --files-from.")
    listed = [] if files_from is None else read_list(files_from)
    page, left_out = page_at(html, html_limit, report), Tally()
    kept = chosen_report(config, report, overwrite, as_json, excel)
    session = Session(kept, as_json, quiet, verbose, wrote=fix, only=only)
    notifier.of(session)
    looking = partial(app.scan, config, paths, listed=listed, part=part, cluster=cluster, fix=fix, rescan=rescan)
    looking = partial(looking, unattended=unattended)
    begin = partial(looking, left_out=left_out, notify=session.notify, command=command_line(), begun=session.begun)
    with stoppable() as stop, session, session.counting(lambda ended: app.count(config, paths, ended, listed, part)):
        with closing(begin(stop=stop, wait=wait)) as rows:
            for row in rows:
                session.add(row)
                if page:
                    page.add(row)
        finish = partial(session.finish, when_found=when_found, left_out=left_out.found(), rescan=rescan)
        judges = cluster.summary() if cluster else ()
        code = finish(interrupted=stop(), part=str(part.shard) if part else "", judged_by=judges)
        done = stop() or page is None or finish_page(config, page, kept.path, stop, quiet=quiet)
        return code if done else ExitCode.INTERRUPTED


@click.command("apply", cls=WaitingCommand)
@click.argument("plan", metavar="PLAN.csv", type=click.Path())
@click.argument("roots", nargs=-1, metavar="[FOLDER…]", type=click.Path(readable=False))
@reporting("what was done")
@running("Name every photo.")
@configured(*WRITING, "sidecar_naming", "isolate")
@notifying("apply", "roots")
def apply_(
    config: Config,
    notifier: Notifier,
    plan: str,
    roots: tuple[str, ...],
    report: str | None,
    overwrite: bool,
    as_json: bool,
    wait: float,
    quiet: bool,
    verbose: bool,
) -> int:
    """Carry out a plan: fix the photos whose decision in PLAN.csv is fix.

    PLAN.csv is a report of orientd scan; rows may have been edited or deleted. A photo that has changed since is left alone, and
    so is one outside FOLDER… or, if none is given, outside all that was ever scanned.
    Pixels are turned in rows whose method is rotate, and sidecars written in those whose method is sidecar.
    """
    from orientd import app
    from orientd.cli.output import note
    from orientd.cli.session import Session
    from orientd.report.plan import read_plan

    planned = read_plan(plan, note)
    if report and report != "-" and os.path.exists(report) and os.path.samefile(plan, report):
        raise ConfigError("the report would replace the plan: choose another --report")
    session = Session(chosen_report(config, report, overwrite, as_json), as_json, quiet, verbose, wrote=True)
    notifier.of(session)
    with stoppable() as stop, session:
        session.expect(len(planned))
        if not planned and not as_json:
            session.notify(f"{plan} has no row whose decision is fix")
        done = partial(app.apply, config, planned, roots, stop=stop, notify=session.notify, command=command_line(), wait=wait)
        with closing(done(begun=session.begun)) as rows:
            for row in rows:
                session.add(row)
        return session.finish(interrupted=stop())


@click.command(cls=Command)
@click.argument("path", metavar="FILE", type=click.Path(readable=False))
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
@configured(*JUDGING)
def inspect(config: Config, path: str, as_json: bool) -> int:
    """Show what orientd thinks of one photo: the probability of each turn, what each witness says, the decision and why.

    FILE may be a photo on a server as a report names it: immich:SERVER/ID/NAME.
    """
    from orientd import app
    from orientd.cli import inspect_output, output
    from orientd.errors import PhotoError

    try:
        seen = app.inspect(config, path, output.note)
    except PhotoError as error:
        output.note(f"{path}: {error}")
        if as_json:
            inspect_output.fault_in_json(path, error)
        return ExitCode.INCOMPLETE
    inspect_output.show_json(seen) if as_json else inspect_output.show(seen)
    return ExitCode.OK
