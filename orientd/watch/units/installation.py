"""Installs the units and their drop-ins, removes them, and says how they are."""

import os
import pwd
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from orientd import commands
from orientd.config import Config, load
from orientd.errors import ConfigError, OrientdError
from orientd.pipeline.immich.address import Server
from orientd.pipeline.immich.connections import configured
from orientd.report.text import printable
from orientd.watch.units import checks, drop_ins, grants, unit_files
from orientd.watch.units.manager import UNITS_OF_SERVER, ServiceManager

_OR_SERVER: Final = "; or, for a photo server alone, a user with --as, and the server in /etc/orientd/orientd.yaml (immich_url)"


def install(manager: ServiceManager, folders: Sequence[str], fix: bool, owner: str | None) -> Iterator[str]:
    """Put the units in place, for real folders, for the photo server that the configuration names, or for both; yields what was
    done and what is to be done next, a line each.

    Raises:
        ConfigError: there is neither, or no such user, or it is root, or cannot run orientd; the configuration has mistakes or
            contradicts `fix`; or a service cannot be given such a folder, or would not see it.
        OrientdError: there is no systemd here, or a file cannot be written.
    """
    if not shutil.which("systemctl"):
        raise OrientdError(
            f"there is no systemd here (no systemctl): have whatever starts services run {commands.line('watch')} PATH…"
        )
    if manager.is_for_user and owner:
        raise ConfigError("the service of a user runs as that user: leave out --as, or --user")
    user = None if manager.is_for_user else _owner(folders, owner)
    config = load(None, {**manager.environment, **({"HOME": user.pw_dir} if user else {})}, {"fix": fix or None})
    server = configured(config) if user else None
    if not folders and not server:
        raise ConfigError(f"name the folders to look after{_OR_SERVER if user else ''}")
    checks.check_settings(config)
    checks.check_visible(manager, config, folders)
    if user:
        checks.check_user(manager, user)
    for name, text in _files(manager, config, folders, ["--fix"] if fix else [], user.pw_name if user else "", server).items():
        yield unit_files.put(manager.folder / name, text)
    yield from manager.reload()
    yield from _advice(config, folders, user)
    if server:
        yield from grants.missing_for_server(manager.environment["CONFIGURATION_DIRECTORY"], config)
        yield f"Have {server.url} looked at every night: {manager.line('enable', '--now', 'orientd-immich.timer')}"
    if folders:
        yield from _start(manager)


def _files(
    manager: ServiceManager, config: Config, folders: Sequence[str], flags: Sequence[str], user: str, server: Server | None
) -> dict[str, str]:
    """All that is put in place: name → text, the units before their drop-ins."""
    units: dict[str, str] = {}
    written: dict[str, str] = {}
    if folders:
        units |= manager.units
        written |= drop_ins.for_folders(manager, config, folders, flags, user)
    if server:
        units |= {name: name for name in UNITS_OF_SERVER}
        written[drop_ins.FOR_SERVER] = drop_ins.for_server(manager, config, server, user)
    return {name: unit_files.text_of(source) for name, source in units.items()} | written


def _advice(config: Config, folders: Sequence[str], user: pwd.struct_passwd | None) -> Iterator[str]:
    if folders:
        yield _promise(config)
    if user:
        yield from checks.forbidden_folders(user, folders, config.fix)
        yield from checks.forbidden_files(user, config)
        yield from grants.limits_of_hooks(config)
        if folders:
            yield from grants.unseen_by_serving(unit_files.program()[0], config)
        yield "After a change of fix, plan, state_dir, metrics, hooks or immich_url in the configuration, install it again."


def _start(manager: ServiceManager) -> Iterator[str]:
    yield f"Start it, now and with every start of the machine: {manager.line('enable', '--now', 'orientd')}"
    if manager.is_for_user:
        yield "Let it run while you are not logged in: loginctl enable-linger"
    if manager.ask("is-active", "orientd.service") == "active":
        yield f"It still runs as it was installed before; to end that: {manager.line('restart', 'orientd')}"


def uninstall(manager: ServiceManager) -> Iterator[str]:
    """Stop the service and take away what `install` put in place; yields what was done, a line each."""
    if shutil.which("systemctl"):
        units = [*manager.units, *manager.installed_for_server]
        manager.tell("stop", *(name.replace("@", "@*") for name in units))
        manager.tell("disable", *units)
    removed = False
    for file in (manager.folder / name for name in (*manager.units, *manager.installed_for_server, *drop_ins.ALL)):
        try:
            file.unlink()
            removed = True
            yield f"{file}: removed"
        except FileNotFoundError:
            continue
        except OSError as error:
            raise OrientdError(f"{file} cannot be removed: {error.strerror}") from error
    for folder in ((manager.folder / name).parent for name in drop_ins.ALL):
        with suppress(OSError):  # not there, or somebody else's drop-ins are left in it
            folder.rmdir()
    if not removed:
        yield f"Nothing of it is installed in {manager.folder}."
        return
    yield from manager.reload()


def status(manager: ServiceManager) -> Iterator[str]:
    """Which units are in place, and what the service manager says of them, a line each."""
    for name in (*manager.units, *manager.installed_for_server):
        if not (manager.folder / name).exists():
            yield f"{name}: not installed"
        elif "@" in name:
            yield f"{name}: installed"
        else:
            active = manager.ask("is-active", name)
            log = f" (journalctl{' --user' * manager.is_for_user} -u {name})" if active in ("activating", "failed") else ""
            yield f"{name}: installed, {manager.ask('is-enabled', name)}, {active}{log}"


def _promise(config: Config) -> str:
    if config.fix:
        return "It will fix photos that are sideways or upside down."
    if config.plan:
        command = commands.line("apply", config.plan, "--state-dir", config.state_dir)
        return f"It will collect what it would fix in {printable(config.plan)}, to be carried out by: {command}"
    return "It will only log photos that are sideways or upside down: to have them fixed, install it with --fix."


def _owner(folders: Sequence[str], wanted: str | None) -> pwd.struct_passwd:
    if not folders and not wanted:
        raise ConfigError(f"name the folders to look after{_OR_SERVER}")
    try:
        found = pwd.getpwnam(wanted) if wanted else pwd.getpwuid(os.stat(folders[0]).st_uid)
    except KeyError as error:
        raise ConfigError(f"there is no user {wanted or os.stat(folders[0]).st_uid}: name one with --as") from error
    if found.pw_uid == 0:
        raise ConfigError("the service must not run as root: name the user who owns the photos with --as")
    return found
