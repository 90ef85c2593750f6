"""The command for documents: pages."""

import os
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING

import click

from orientd.cli.helping import Command
from orientd.cli.options import configured
from orientd.config import Config
from orientd.errors import ConfigError

if TYPE_CHECKING:
    from collections import Counter

    from orientd.report.page_report import PageRow, PageVerdict


@click.command(cls=Command)
@click.argument("paths", nargs=-1, required=True, metavar="PATH…", type=click.Path(readable=False))
@click.option("--out", "folder", metavar="FOLDER", default="", help="Where upright, straight copies go. Without it none is made.")
@click.option(
    "--report", metavar="FILE.csv", help="Where to write the report, or a folder (default: orientd-pages-DATE-TIME.csv here)."
)
@click.option("--overwrite", is_flag=True, help="Replace copies, and a report, that are there already.")
@click.option(
    "--straighten/--no-straighten",
    default=True,
    help="Straighten pages; with --no-straighten only turn them by quarters, without loss where possible.",
)
@click.option(
    "--render",
    is_flag=True,
    help="Straighten PDF pages that have text, too: they become pictures, and text and drawings are lost.",
)
@click.option("--crop", is_flag=True, help="Crop copies to the page, where it is certain what is not part of it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on standard output.")
@click.option("-q", "--quiet", is_flag=True, help="Print the summary only.")
@configured("max_pixels", "max_bytes", "max_memory", "isolate", "exclude", "exclude_file", "one_file_system")
def pages(
    config: Config,
    paths: tuple[str, ...],
    folder: str,
    report: str | None,
    overwrite: bool,
    straighten: bool,
    render: bool,
    crop: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Find how pages lie, in scans, photos of documents and PDFs below PATH…, and make upright, straight copies of them.

    The originals are never changed. A page without lines of text, or one that may lie in several ways, is left as it is, and the
    report says so.
    """
    from orientd.cli import json_output
    from orientd.cli.stopping import exit_code, stoppable
    from orientd.pipeline.page_run import PageOptions, run
    from orientd.report.page_report import PageReport, PageVerdict

    if crop and not (folder and straighten):
        raise click.UsageError("--crop is for copies that are straightened: give --out FOLDER, and leave out --no-straighten.")
    options = PageOptions(folder, overwrite, straighten, render, crop)
    kept, lines = PageReport(_place(report or "", folder), overwrite=overwrite), json_output.lines(as_json)
    with stoppable() as stop, closing(kept):
        with closing(run(config, paths, options, stop=stop, notify=lines.error if lines else _note)) as rows:
            for row in rows:
                kept.write(row)
                if lines:
                    json_output.page(lines, row)
                elif not quiet:
                    click.echo(_line(row))
        begun = kept.partial if kept.counts.total() else ""
        path = begun if stop() else kept.finish()
        code = exit_code(stop, faulty=bool(kept.counts[PageVerdict.ERROR]))
        if lines:
            json_output.pages_summary(lines, kept.counts, path, code)
        else:
            click.echo(_summary(kept.counts, path, copied=bool(folder)))
        return code


def _place(named: str, folder: str) -> str:
    """The path of the report. Raises ConfigError if it would be among the copies' own names, or is to be no file."""
    from orientd.report.csv_file import default_report

    if named == "-":
        raise ConfigError("the report about pages goes to a file, not to standard output: give --report a name")
    if named and not os.path.isdir(named):
        if folder and os.path.realpath(named) == os.path.realpath(folder):
            raise ConfigError("--report and --out name the same: choose another --report")
        return named
    return default_report(datetime.now(), named, "orientd-pages")


def _note(text: str) -> None:
    from orientd.report.text import printable

    click.echo(printable(text), err=True)


def _line(row: "PageRow") -> str:
    from orientd.report.text import printable

    turned = "" if row.angle is None else f" {round(row.angle, 1) + 0.0:+.1f}° {row.turn or 0}°"
    reason = f"  ({row.reason})" if row.reason else ""
    return printable(f"{row.decision}{turned}  {row.path} page {row.page}{reason}")


def _summary(counts: "Counter[PageVerdict]", path: str, *, copied: bool) -> str:
    from orientd.report.page_report import PageVerdict
    from orientd.report.text import printable

    copy, keep, unsure, error = (counts[verdict] for verdict in PageVerdict)
    found = f"{copy:,} copied" if copied else f"{copy:,} to be turned"
    left = f"{keep:,} upright and straight, {unsure:,} unsure, {error:,} in trouble"
    total = counts.total()
    report = f"Report: {path}" if path else "No report: it was interrupted before the first page."
    return printable(f"{total:,} {'page' if total == 1 else 'pages'}: {found}, {left}. {report}")
