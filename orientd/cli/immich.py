"""The commands for photos on an Immich server."""

from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import Any

import click

from orientd.cli.helping import Group
from orientd.cli.html_report import finish_page, page_at
from orientd.cli.notifying import Notifier, notifying
from orientd.cli.options import JUDGING, command_line, configured
from orientd.cli.scan_options import chosen_report, looking
from orientd.cli.stopping import stoppable
from orientd.cli.waiting import WaitingCommand
from orientd.config import Config
from orientd.errors import ExitCode
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
@looking(fix="Have photos shown turned that need it. Without it nothing is changed.")
@configured(*(name for name in JUDGING if not name.startswith("sidecar")), "workers", "batch")
@notifying("scan", "url", "immich_url")
def immich_scan(
    config: Config,
    notifier: Notifier,
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
    html: str | None,
    html_limit: int,
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
    from orientd.pipeline.immich.pictures import ImmichPhotos
    from orientd.pipeline.immich.scan import Wish, count, scan

    given = {"immich_url": url, "immich_key_file": key_file, "immich_ca_file": ca_file, "immich_name": name}
    chosen: dict[str, Any] = {option: value for option, value in given.items() if value}
    config = replace(config, **chosen)
    choice = Choice(albums, external, _iso(taken_after), _iso(taken_before), archived)
    wish = Wish(choice, fix=fix, rescan=rescan, unattended=unattended)
    page = page_at(html, html_limit, report)
    kept = chosen_report(config, report, overwrite, as_json, excel)
    session = Session(kept, as_json, quiet, verbose, wrote=fix, only=only)
    notifier.of(session)
    with stoppable() as stop, session, session.counting(lambda ended: count(config, wish, ended)):
        found = scan(config, wish, stop=stop, notify=session.notify, command=command_line(), begun=session.begun, wait=wait)
        with closing(found) as rows:
            for row in rows:
                session.add(row)
                if page:
                    page.add(row)
        code = session.finish(interrupted=stop(), when_found=when_found, rescan=rescan)
        if page is None or stop():
            return code
        with closing(ImmichPhotos(config, lambda _: None, stop)) as served:  # its notices were shown before
            done = finish_page(config, page, kept.path, stop, served=served, quiet=quiet)
        return code if done else ExitCode.INTERRUPTED


def _iso(given: datetime | None) -> str:
    return given.astimezone().isoformat() if given else ""
