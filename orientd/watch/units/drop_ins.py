"""The drop-ins of an installation: what each service starts, as whom, and what it may write and reach."""

import os
from collections.abc import Sequence
from typing import Final

from orientd.config import Config
from orientd.errors import ConfigError
from orientd.library.paths import below
from orientd.pipeline.immich.address import Server
from orientd.report.text import printable
from orientd.watch.units import grants, unit_files
from orientd.watch.units.manager import ServiceManager

WATCHER: Final = "orientd.service.d/install.conf"
_INSTANCES: Final = "orientd@.service.d/install.conf"
_NIGHTLY: Final = "orientd-scan.service.d/install.conf"
FOR_SERVER: Final = "orientd-immich.service.d/install.conf"
_SERVING: Final = "orientd-serve.service.d/install.conf"
ALL: Final = (WATCHER, _INSTANCES, _NIGHTLY, FOR_SERVER, _SERVING)
_BY_NIGHT: Final = ("--quiet", "--unattended")
_REPORTS: Final = "--report ${STATE_DIRECTORY} --html ${STATE_DIRECTORY}"
_LISTEN: Final = "127.0.0.1:8765"


def for_folders(
    manager: ServiceManager, config: Config, folders: Sequence[str], flags: Sequence[str], user: str
) -> dict[str, str]:
    """Name → text of the drop-ins of all services that look at folders; `flags` are those of the watcher.

    Without a `user` they are for the manager of a user, where what the service may write needs not be said.

    Raises:
        ConfigError: a folder that the service must be let write is not there, or has a name that no unit can hold.
    """
    watch = unit_files.quoted(*unit_files.program(), "watch", *flags, *folders)
    if not user:
        return {WATCHER: unit_files.drop_in(watch, more=grants.network_of_user(config))}
    scan = f"{unit_files.quoted(*unit_files.program(), 'scan', *_BY_NIGHT)} {_REPORTS} {unit_files.quoted(*folders)}"
    state, plan = _writable(manager, config.state_dir), _writable(manager, os.path.dirname(config.plan))
    textfile = _writable(manager, grants.folder_of_textfile(config))
    open_to_watch = grants.network(config, grants.OF_WATCHER, serves=True)
    return {
        WATCHER: unit_files.drop_in(watch, user, [*(folders if config.fix else []), *plan, *state], open_to_watch),
        _INSTANCES: unit_files.drop_in(unit_files.quoted(*unit_files.program(), "watch"), user),
        _NIGHTLY: unit_files.drop_in(scan, user, [*state, *textfile], grants.network(config, grants.OF_SCAN, serves=False)),
        _SERVING: unit_files.drop_in(unit_files.quoted(*unit_files.program(), "serve", "--listen", _LISTEN)),
    }


def for_server(manager: ServiceManager, config: Config, server: Server, user: str) -> str:
    """The text of the drop-in of the service that looks at a photo server.

    A key file that the configuration names is read by the service itself, which then needs no credential to start.

    Raises:
        ConfigError: as for `for_folders`.
    """
    start = f"{unit_files.quoted(*unit_files.program(), 'immich', 'scan', *_BY_NIGHT)} {_REPORTS}"
    more = grants.network(config, grants.OF_SCAN, serves=False, server=server.url)
    if config.immich_key_file:
        more.append("LoadCredential=")
    return unit_files.drop_in(start, user, _writable(manager, config.state_dir), more)


def _writable(manager: ServiceManager, folder: str) -> list[str]:
    """The folder, if there is one and the service may not write it anyway.

    Raises:
        ConfigError: it is not there: made later, it could not be written.
    """
    if not folder or below(folder, [manager.environment["STATE_DIRECTORY"]]):
        return []
    if not os.path.isdir(folder):
        raise ConfigError(f"the configuration names {printable(folder)}, which is no folder: make it, for the service's user")
    return [os.path.realpath(folder)]
