"""Opening a SQLite database that may be damaged, and explaining what is wrong with it."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Final

from orientd.errors import StateError
from orientd.files.append import sync_folder_at
from orientd.files.syscalls import code_of
from orientd.reasons import Reason
from orientd.records import Notify

_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
Prepare = Callable[[sqlite3.Connection], None]


def open_database(path: str, prepare: Prepare, notify: Notify, any_thread: bool = False) -> sqlite3.Connection:
    """Open a database for its owner alone, in WAL mode, making it and its folder if need be.

    `prepare` sets the connection up, makes the tables and checks what is there; it raises `damage` for what it finds wrong. A
    damaged database is moved aside: `notify` gets the path where it is kept, and a new one is made.

    Raises:
        sqlite3.Error, OSError: it cannot be opened, or as `prepare`.
    """
    os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
    try:
        return _connect(path, prepare, any_thread)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
    notify(move_aside(path))
    return _connect(path, prepare, any_thread)


def _connect(path: str, prepare: Prepare, any_thread: bool) -> sqlite3.Connection:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(path, flags, 0o600))  # SQLite would let others read it, and follow a link
    db = sqlite3.connect(path, timeout=30, check_same_thread=not any_thread)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        prepare(db)
    except BaseException:
        db.close()
        raise
    return db


def damage(reason: str) -> sqlite3.DatabaseError:
    """The error for content that a database of orientd never has."""
    error = sqlite3.DatabaseError(reason)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def is_damage(error: sqlite3.DatabaseError) -> bool:
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in _DAMAGE


def move_aside(path: str) -> str:
    """Rename a damaged database; returns its new path."""
    kept = f"{path}.damaged-{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**9:09}"
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.rename(path + suffix, kept + suffix)
    return kept


def sync_folders(path: str) -> None:
    """Sync a folder, and those above it, which may be as new: a power cut would take it away with the journal in it."""
    sync_folder_at(path)
    if (above := os.path.dirname(path)) != path:
        with suppress(OSError):  # it belongs to others, and is old then
            sync_folders(above)


@contextmanager
def explained(
    what: str | os.PathLike[str], advice: str = "check its permissions and the space left, then run again"
) -> Iterator[None]:
    """Raises StateError for what goes wrong within: what cannot be used, why, and what to do."""
    try:
        yield
    except (sqlite3.Error, OSError, ValueError) as error:
        code = code_of(error) if isinstance(error, OSError) else Reason.SYSTEM_ERROR
        raise StateError(f"{what} cannot be used ({error}): {advice}", code) from error


def folder_explained(state_dir: str | os.PathLike[str]) -> AbstractContextManager[None]:
    """`explained` for what another state folder would solve."""
    advice = "check its rights and the space left, or name another with --state-dir"
    return explained(f"the state folder {state_dir}", advice)
