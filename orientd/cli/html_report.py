"""The options of a report to look at, and how it is made at the end of a run."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from orientd.config import Config
from orientd.report.chosen import MOST

if TYPE_CHECKING:
    from orientd.library.source import ServedPhotos
    from orientd.report.html_file import HtmlFile

Command = Callable[..., Any]


def with_page(command: Command) -> Command:
    """Give a command the options `html` and `html_limit`."""
    limit = click.option(
        "--html-limit",
        metavar="N",
        type=click.IntRange(1, 2_000),
        default=MOST,
        help=f"Photos of each kind in that file (default: {MOST}).",
    )
    file = click.option(
        "--html", metavar="FILE.html", help="Write a report to look at, with small pictures: one file, or one in a folder."
    )
    return file(limit(command))


def page_at(html: str | None, html_limit: int, csv: str | None) -> "HtmlFile | None":
    """The report that is wanted, which goes with the CSV report that is named. Raises as `HtmlFile`."""
    if html is None:
        return None
    from orientd.report.html_file import HtmlFile

    return HtmlFile(html, datetime.now(), html_limit, csv or "")


def finish_page(
    config: Config,
    page: "HtmlFile",
    plan: str,
    stop: Callable[[], bool],
    roots: Callable[[], Sequence[str]] | None = None,
    served: "ServedPhotos | None" = None,
    *,
    quiet: bool = False,
) -> bool:
    """Make the pictures and write it, and say on standard error where it is; False if stopped before.

    plan: the CSV report that it goes with. For `roots` and `served` see `Pictures`.
    """
    from orientd.cli.output import note
    from orientd.pipeline.pictures import Pictures, cards

    pictures = Pictures(config, roots, served)
    if not page.write(plan, lambda rows: cards(config, rows, pictures, stop), stop):
        return False
    if not quiet:
        note(f"To look at it: {os.path.abspath(page.path)}")
    return True
