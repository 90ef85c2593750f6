"""The commands of the service: watch, service, config."""

import os
import sys
from collections.abc import Callable

import click

from orientd.cli.helping import Command, Group
from orientd.cli.options import JUDGING, WALKING, WATCHING, WRITING, command_line, configured
from orientd.config import HELP, Config, check_modes, load, origins
from orientd.errors import ExitCode


@click.command(cls=Command)
@click.argument("paths", nargs=-1, metavar="PATH…", type=click.Path(readable=False))
@configured(*WATCHING, *JUDGING, *WALKING, "method", *WRITING, again=True)
def watch(config: Config, paths: tuple[str, ...], reload: Callable[[], Config]) -> int:
    """Watch folders, and judge each photo that arrives once it is whole; with --fix, fix it.

    Without PATH… it watches the libraries of the configuration. SIGHUP reloads the configuration, SIGTERM and Ctrl-C end it
    after the photo in hand. Without --fix and --plan it only logs what is sideways or upside down.
    """
    from orientd.watch import daemon
    from orientd.watch.logs import logging_to
    from orientd.watch.sd_notify import systemd

    with logging_to(sys.stderr, config.log_format) as log:
        return daemon.watch(config, paths, reload, command_line(), systemd(os.environ, os.getpid()), log)


@click.group(cls=Group)
def service() -> None:
    """Put the systemd units of orientd in place, look after them, or take them away."""


@service.command()
@click.argument("paths", nargs=-1, metavar="[PATH…]", type=click.Path(exists=True, file_okay=False))
@click.option("--user", is_flag=True, help="For the service manager of this user, not for that of the machine.")
@click.option("--fix", is_flag=True, help="Let the service fix photos that are sideways or upside down.")
@click.option("--as", "owner", metavar="USER", help="User to run as (default: the owner of the first PATH).")
def install(paths: tuple[str, ...], user: bool, fix: bool, owner: str | None) -> int:
    """Install orientd.service for the folders PATH…, with what belongs to it. It is not started yet.

    If /etc/orientd/orientd.yaml names an Immich server (immich_url), orientd-immich.timer is installed, too, which looks at that
    server every night. To install it alone, give --as and no PATH….
    """
    from orientd.watch.units import installation
    from orientd.watch.units.manager import ServiceManager

    folders = list(dict.fromkeys(map(os.path.realpath, paths)))
    for line in installation.install(ServiceManager.of(user), folders, fix, owner):
        click.echo(line)
    return ExitCode.OK


@service.command()
@click.option("--user", is_flag=True, help="For the service manager of this user, not for that of the machine.")
def uninstall(user: bool) -> int:
    """Stop the service and remove its units. What orientd knows, and every way to undo, stays."""
    from orientd.watch.units import installation
    from orientd.watch.units.manager import ServiceManager

    for line in installation.uninstall(ServiceManager.of(user)):
        click.echo(line)
    return ExitCode.OK


@service.command("status")
@click.option("--user", is_flag=True, help="For the service manager of this user, not for that of the machine.")
def status_(user: bool) -> int:
    """Show which units are in place, and whether they run."""
    from orientd.watch.units import installation
    from orientd.watch.units.manager import ServiceManager

    for line in installation.status(ServiceManager.of(user)):
        click.echo(line)
    return ExitCode.OK


@click.group(cls=Group)
def config() -> None:
    """Check the configuration, or show what it comes to."""


@config.command()
@click.argument("file", required=False, type=click.Path())
def check(file: str | None) -> int:
    """Check FILE (the usual configuration file if it is not given), and the environment: every mistake is named."""
    check_modes(load(file, os.environ, {}))
    click.echo("The configuration is in order.")
    return ExitCode.OK


@config.command()
@click.option("--config", "file", metavar="FILE", help="Configuration file (YAML).")
@click.option("--state-dir", type=click.Path(), help=HELP["state_dir"])
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def show(file: str | None, state_dir: str | None, as_json: bool) -> int:
    """Print every option with its value, and where that comes from if it is not the default, as a configuration file."""
    from orientd.cli import config_output

    flags = {"state_dir": state_dir}
    merged, sources = load(file, os.environ, flags), origins(file, os.environ, flags)
    config_output.show_json(merged, sources) if as_json else config_output.show(merged, sources)
    return ExitCode.OK
