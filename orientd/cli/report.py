"""The command that shows a report again: its numbers, and its photos on a page."""

from contextlib import closing
from functools import partial

import click

from orientd.cli.helping import Command
from orientd.cli.html_report import finish_page, page_at, with_page
from orientd.cli.options import configured
from orientd.cli.stopping import stoppable
from orientd.config import Config
from orientd.errors import ExitCode


@click.command(cls=Command)
@click.argument("plan", metavar="PLAN.csv", type=click.Path())
@click.argument("folders", nargs=-1, metavar="[FOLDER…]", type=click.Path(readable=False))
@with_page
@configured("workers", "max_pixels", "max_bytes", "max_memory", "isolate", "sidecar_naming")
def report(config: Config, plan: str, folders: tuple[str, ...], html: str | None, html_limit: int) -> int:
    """Show the numbers of PLAN.csv, with what a person has decided since; with --html make a report with pictures.

    A plan may come from anyone: pictures are made of photos below FOLDER… or, if none is given, of those below all that was
    ever scanned and of those on servers that are known here.
    """
    from orientd.cli import output
    from orientd.library.paths import real_roots
    from orientd.pipeline.immich.pictures import ImmichPhotos
    from orientd.records import Status
    from orientd.report.plan import read_decided
    from orientd.report.summary import summary
    from orientd.report.tally import Tally
    from orientd.state.journal import open_journal

    page, tally, rows = page_at(html, html_limit, plan), Tally(), read_decided(plan, output.note)
    for row in rows:
        tally.add(row)
        if page:
            page.add(row)
    output.console().print(summary(tally, report=plan, wrote=tally.count(outcome=Status.FIXED) > 0))
    if not page:
        return ExitCode.OK
    roots = real_roots(folders)
    if not roots:
        with open_journal(config, output.note) as journal:
            roots = tuple(journal.roots())
    with stoppable() as stop, closing(ImmichPhotos(config, output.note, stop)) as served:
        done = finish_page(config, page, plan, stop, partial(tuple, roots), None if folders else served)
    return ExitCode.OK if done else ExitCode.INTERRUPTED
