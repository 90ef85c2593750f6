"""Opening a SQLite database that may be damaged, and explaining what is wrong with it."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from orientd.errors import StateError

DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def sync_folders(path: str) -> None:
    """Sync a folder, and those above it, which may be as new: a power cut would take it away with the journal in it."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    if (above := os.path.dirname(path)) != path:
        with suppress(OSError):  # it belongs to others, and is old then
            sync_folders(above)


def move_aside(path: str) -> str:
    kept = f"{path}.damaged-{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**9:09}"
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.rename(path + suffix, kept + suffix)
    return kept


@contextmanager
def explained(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, ValueError) as error:
        raise StateError(f"{path} cannot be used ({error}): check its permissions and the space left, then run again") from error
