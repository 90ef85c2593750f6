"""The command that shows a plan as a page: review."""

import os
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from orientd import commands
from orientd.cli.helping import Command
from orientd.cli.options import JUDGING, WALKING, WRITING, command_line, configured
from orientd.cli.stopping import stoppable
from orientd.config import Config
from orientd.errors import ConfigError, ExitCode, OrientdError

if TYPE_CHECKING:
    from orientd.web.desk import Desk

_LISTEN = "127.0.0.1:0"
_OPEN_TO_OTHERS = (
    "what is sent to this address is not encrypted: anybody on the way can see the photos and take over the page, so rather use a"
    " tunnel (ssh -L) to 127.0.0.1"
)


@click.command(cls=Command)
@click.argument("paths", nargs=-1, metavar="[PLAN.csv | FOLDER…]", type=click.Path(readable=False))
@click.option(
    "--listen", default=_LISTEN, metavar="HOST:PORT", help="Where to serve the page; port 0 is a free one.", show_default=True
)
@click.option("--browser/--no-browser", default=True, help="Open the browser; with --no-browser only print the address.")
@click.option("--read-only", is_flag=True, help="Serve without Apply: verdicts are noted, and no photo is changed.")
@click.option(
    "--report", metavar="FILE.csv", help="Where to write the plan of a scan, or a folder (default: orientd-DATE-TIME.csv here)."
)
@configured(*JUDGING, "first_look", *WALKING, "method", *WRITING)
def review(config: Config, paths: tuple[str, ...], listen: str, browser: bool, read_only: bool, report: str | None) -> int:
    """Look at the photos of a plan before anything is changed: a page in the browser, on this machine.

    With FOLDER… alone a scan makes the plan first. PLAN.csv is a report of orientd scan; with FOLDER… behind it only what lies
    there is shown. Without either it is the newest report in the current folder. What you decide is noted next to the plan at
    once, in PLAN.csv.verdicts, and orientd apply, the watcher and the next review go by it. Photos are changed only by Apply on
    the page, once you have confirmed it, and that can be undone there. Ctrl-C ends it.
    """
    check_installed("review")
    from orientd.cli import output
    from orientd.library.paths import real_roots
    from orientd.web import serve
    from orientd.web.desk import Desk, Rules

    plan, folders = _sorted_out(paths)
    desk = Desk(Rules(config, real_roots(folders), command_line(), read_only, output.note))
    with serve.listening(listen) as (bound, access), serve.doorway(access.address) as door, stoppable() as stop:

        def begin() -> None:
            _scan(desk, config, report) if not plan else desk.open(plan)
            output.say(f"Review your photos at {access.address}\nCtrl-C ends it.")
            if not access.is_local:
                output.note(_OPEN_TO_OTHERS)
            if browser:
                serve.browse(door)

        serve.serve(desk, bound, access, begin, stop)
    return ExitCode.OK


def _scan(desk: "Desk", config: Config, report: str | None) -> None:
    from orientd.cli.kept_report import KeptReport

    desk.scan(KeptReport(report or "", config.state_dir, datetime.now(), overwrite=False))


def check_installed(command: str) -> None:
    """See that what serves pages is there.

    Raises:
        OrientdError: says which command brings it.
    """
    if missing := [name for name in ("starlette", "uvicorn") if find_spec(name) is None]:
        raise OrientdError(f"{command} needs {' and '.join(missing)}: {commands.adding('web')}")


def _sorted_out(paths: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The plan, which is empty if one must be made, and the folders.

    Raises:
        ConfigError: there is neither.
    """
    if not paths:
        return _newest(), ()
    if os.path.isdir(paths[0]):
        return "", paths
    if not os.path.exists(paths[0]):
        raise ConfigError(f"{paths[0]} is not there: name a plan, that is the report of a scan, or folders")
    return paths[0], paths[1:]


def _newest() -> str:
    from orientd.report.csv_file import is_report
    from orientd.report.manifest import is_part

    names = sorted(name for name in os.listdir() if name.startswith("orientd-") and name.endswith(".csv"))
    plans = [name for name in names if is_report(name) and not is_part(name)]
    if not plans:
        raise ConfigError(
            "there is no report orientd-….csv here: name a PLAN.csv, or the FOLDER of your photos to have them scanned first"
        )
    return max(plans, key=os.path.getmtime)
