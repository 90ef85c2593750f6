"""The commands for photos on an Immich server."""

from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import Any

import click

from orientd.cli.helping import Group
from orientd.cli.options import JUDGING, command_line, configured
from orientd.cli.quiet import quietly
from orientd.cli.scan import chosen_report, decisions
from orientd.cli.stopping import stoppable
from orientd.cli.telling import Telling, told
from orientd.cli.waiting import WaitingCommand, waiting
from orientd.config import Config
from orientd.records import Verdict


@click.group(cls=Group)
def immich() -> None:
    """Find photos on an Immich server that are sideways or upside down, and have it show them turned. No file is touched."""


@immich.command("scan", cls=WaitingCommand)
@click.option("--url", metavar="URL", help="Address of the server: https://photos.example.com (immich_url).")
@click.option("--key-file", metavar="FILE", help="File with the API key, and nothing else (immich_key_file).")
@click.option("--ca-file", metavar="FILE", help="File (PEM) with the certificates to trust the server by (immich_ca_file).")
@click.option("--name", metavar="NAME", help="Short name for the server, with which paths of its photos begin (immich_name).")
@click.option(
    "--album", "albums", metavar="ALBUM", multiple=True, help="Only photos of this album, by name or id; may be repeated."
)
@click.option("--library", "external", metavar="ID", multiple=True, help="Also photos of this external library; may be repeated.")
@click.option("--taken-after", type=click.DateTime(), help="Only photos taken then or later.")
@click.option("--taken-before", type=click.DateTime(), help="Only photos taken then or earlier.")
@click.option("--archived", is_flag=True, help="Also photos in the archive.")
@click.option("--fix/--no-fix", is_flag=True, help="Have photos shown turned that need it. Without it nothing is changed.")
@click.option(
    "--report",
    metavar="FILE.csv",
    help="Where to write the report: a file, a folder, or - for standard output (default: orientd-DATE-TIME.csv here).",
)
@click.option("--overwrite", is_flag=True, help="Replace a report also if it was changed since orientd wrote it.")
@click.option(
    "--only", metavar="DECISION,…", callback=decisions, help="Keep only rows of these decisions, such as fix,unsure,error."
)
@click.option("--excel", is_flag=True, help="Begin the report with a mark by which Excel knows that it is UTF-8.")
@click.option("--rescan", is_flag=True, help="Judge every photo again, also those seen before.")
@click.option(
    "--unattended",
    is_flag=True,
    help="For timers: also leave alone what was turned and then taken back with its whole run.",
)
@click.option("--exit-code", "when_found", is_flag=True, help="End with exit code 11 if wrongly turned photos were found.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on standard output.")
@waiting
@quietly
@click.option("-v", "--verbose", is_flag=True, help="Name every photo that is sideways or upside down, unsure or in trouble.")
@configured(*(name for name in JUDGING if not name.startswith("sidecar")), "workers", "batch")
@told("scan", "url", "immich_url")
def immich_scan(
    config: Config,
    telling: Telling,
    url: str | None,
    key_file: str | None,
    ca_file: str | None,
    name: str | None,
    albums: tuple[str, ...],
    external: tuple[str, ...],
    taken_after: datetime | None,
    taken_before: datetime | None,
    archived: bool,
    fix: bool,
    report: str | None,
    overwrite: bool,
    only: frozenset[Verdict],
    excel: bool,
    rescan: bool,
    unattended: bool,
    when_found: bool,
    as_json: bool,
    wait: float,
    quiet: bool,
    verbose: bool,
) -> int:
    """Look at your photos on an Immich server and list those sideways or upside down; with --fix have them shown turned.

    Nothing trashed, locked or archived is looked at, and nothing of an external library: for that, orientd scan on its folder
    is the better way, and both would turn a photo twice. No file is touched: Immich keeps each turn as an edit, which
    orientd undo takes back.
    """
    from orientd.cli.session import Session
    from orientd.pipeline.immich.library import Choice
    from orientd.pipeline.immich.scan import Wish, count, scan

    given = {"immich_url": url, "immich_key_file": key_file, "immich_ca_file": ca_file, "immich_name": name}
    chosen: dict[str, Any] = {option: value for option, value in given.items() if value}
    config = replace(config, **chosen)
    choice = Choice(albums, external, _iso(taken_after), _iso(taken_before), archived)
    wish = Wish(choice, fix=fix, rescan=rescan, unattended=unattended)
    kept = chosen_report(config, report, overwrite, as_json, excel)
    session = Session(kept, as_json, quiet, verbose, wrote=fix, only=only)
    telling.of(session)
    with stoppable() as stop, session, session.counting(lambda ended: count(config, wish, ended)):
        found = scan(config, wish, stop=stop, notify=session.notify, command=command_line(), begun=session.begun, wait=wait)
        with closing(found) as rows:
            for row in rows:
                session.add(row)
        return session.finish(interrupted=stop(), when_found=when_found, rescan=rescan)


def _iso(given: datetime | None) -> str:
    return given.astimezone().isoformat() if given else ""
