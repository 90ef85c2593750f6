"""The servers that were ever scanned, by their names: so that an apply or an undo finds the address and the file of the key.

They are kept in the state folder, in a file that only its owner may write: a plan or a journal may come from anyone, and names a
server, never an address.
"""

import json
import os
import stat
from dataclasses import asdict
from pathlib import Path
from typing import Final

from orientd.errors import ConfigError, StateError
from orientd.pipeline.immich.address import NAME, Server, address
from orientd.state.database import folder_explained, sync_folders
from orientd.state.lock import Lock, Waiting

_FILE: Final = "immich-servers.json"
_WAITED_FOR: Final = 10.0
"""Seconds for another orientd that keeps a server, which takes it a moment."""


def known(state_dir: str) -> dict[str, Server]:
    """All that are kept.

    Raises:
        StateError: the file is damaged, or others may write it, who could have the key sent elsewhere.
    """
    path = Path(state_dir, _FILE)
    with folder_explained(state_dir):
        try:
            with open(path, encoding="utf-8", opener=_no_link) as file:
                found = os.fstat(file.fileno())
                if found.st_uid not in (os.geteuid(), 0) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                    raise StateError(
                        f"{path} can be written by others, who could have your key sent to them: delete it, scan again"
                    )
                text = file.read()
        except FileNotFoundError:
            return {}
    try:
        servers = [Server(**each) for each in json.loads(text)]
        if not all(NAME.fullmatch(one.name) and address(one.url) == one.url for one in servers):
            raise ValueError
    except (ValueError, TypeError, ConfigError) as error:
        raise StateError(f"{path} is damaged: delete it, and scan again") from error
    return {one.name: one for one in servers}


def keep(state_dir: str, server: Server) -> None:
    """Keep a server for later; the file of its key and of its CA may change, its address not.

    Raises:
        ConfigError: another server is kept under its name, or one of that name is impossible.
        Busy: another orientd does the same, and comes to no end.
    """
    if not NAME.fullmatch(server.name):
        raise ConfigError(f"{server.name!r:.100} is no name of a server: it may have letters, digits, dots and dashes")
    if known(state_dir).get(server.name) == server:
        return
    with Lock(state_dir, "keeping-a-server", Waiting(str(state_dir), _WAITED_FOR, lambda: False, lambda _: None)):
        _add(state_dir, server)


def _add(state_dir: str, server: Server) -> None:
    servers = known(state_dir)
    kept = servers.get(server.name)
    if kept and kept.url != server.url:
        raise ConfigError(
            f"{server.name} stands for {kept.url}, whose photos may be in a journal: choose another --name for {server.url} or,"
            f" if it is the same server, correct {os.path.join(state_dir, _FILE)}"
        )
    text = json.dumps([asdict(one) for one in {**servers, server.name: server}.values()], indent=1)
    with folder_explained(state_dir):
        begun = Path(state_dir, f".begun-{_FILE}")
        begun.unlink(missing_ok=True)  # of one that was killed
        with open(os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        begun.rename(Path(state_dir, _FILE))
        sync_folders(os.path.abspath(state_dir))


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
