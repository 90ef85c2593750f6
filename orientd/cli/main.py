"""The command line: flags → Config → app → exit code. Nothing heavy is imported before a command needs it."""

import os
import sys
from itertools import chain, takewhile
from typing import Final

import click

from orientd import __version__, commands
from orientd.cli import invocation
from orientd.cli.forget import forget
from orientd.cli.helping import Group
from orientd.cli.history import history, offer, redo, status, undo, verify_written
from orientd.cli.immich import immich
from orientd.cli.models import models
from orientd.cli.options import configured
from orientd.cli.pages import pages
from orientd.cli.report import report
from orientd.cli.review import review
from orientd.cli.scan import apply_, inspect, scan
from orientd.cli.serve import serve
from orientd.cli.service import config, service, watch
from orientd.cli.sharding import plan
from orientd.config import Config
from orientd.errors import ExitCode, OrientdError, Stopped


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="orientd")
def cli() -> None:
    """Finds photos that are displayed sideways or upside down, and fixes them without harming one.

    Nothing is changed without --fix or apply, and every change can be taken back: orientd undo. For a start:
    orientd scan ~/Pictures
    """


_SECTIONS: Final = {
    "Find and fix": (scan, review, apply_, report, inspect),
    "Check and take back": (history, verify_written, undo, redo, offer, forget),
    "Keep watching": (watch, service),
    "Other libraries": (pages, immich, plan),
    "Answer programs": (serve,),
}
for command in chain(*_SECTIONS.values(), (status, models, config)):
    cli.add_command(command)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on standard output.")
@configured("model", "provider", "gpus")
def doctor(config: Config, as_json: bool) -> int:
    """Check what orientd needs, and say which command brings what is missing."""
    from orientd.cli import json_output, output
    from orientd.cli.doctor import examine

    lines = json_output.lines(as_json)
    return json_output.findings(lines, examine(config)) if lines else output.findings(examine(config))


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the completion script for a shell, as in: eval "$(orientd completion bash)"."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "orientd", "_ORIENTD_COMPLETE").source())
    return ExitCode.OK


cli.sections = {
    **{title: [command.name or "" for command in found] for title, found in _SECTIONS.items()},
    "Setting up": ["doctor", "status", "config", "models", "completion"],
}


def main() -> None:
    """Run the command line and exit."""
    _ready_streams()
    commands.called_as(invocation.program(sys.argv, sys.orig_argv))
    try:
        code = _run()
    except click.exceptions.Abort:
        code = ExitCode.INTERRUPTED
    except (KeyboardInterrupt, Stopped):
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
    finally:
        commands.called_as()
    sys.exit(int(code))


_SYSTEMS: Final = {"darwin": "macOS", "win32": "Windows", "cygwin": "Windows"}


def _check_system(system: str) -> None:
    """See that this is Linux, before anything is imported that no other system has.

    Raises:
        OrientdError: it is another one.
    """
    if system != "linux":
        raise OrientdError(
            f"it runs on Linux only, and this is {_SYSTEMS.get(system, system)}: run it in a Linux container, or on the machine"
            " with Linux where the photos lie"
        )


def _run() -> int:
    """Run the command; what ends it is a line of JSON, too, if --json was given."""
    try:
        _check_system(sys.platform)
        return cli.main(prog_name=commands.line(), complete_var="_ORIENTD_COMPLETE", standalone_mode=False) or ExitCode.OK
    except (OrientdError, click.ClickException) as error:
        if "--json" in takewhile(lambda word: word != "--", sys.argv[1:]):  # also in one that could not be understood
            from orientd.cli import json_output

            json_output.ended(error.format_message() if isinstance(error, click.ClickException) else str(error))
        raise


def _ready_streams() -> None:
    """See that anything can be printed, also what the locale cannot say, and that no photo gets the number of a closed stream."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        getattr(sys, name).reconfigure(errors="backslashreplace")
