"""What was judged before: a cache in SQLite, so that a second scan of an unchanged library only stats its files.

Losing it costs time and nothing else, so it is not synced, and a damaged one is moved aside.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from orientd.records import COLUMNS, ON_SERVERS, Candidate, Row, Status
from orientd.state.database import damage, folder_explained, is_damage, move_aside, open_database

_VERSION = 5
_COLUMNS = tuple(COLUMNS)[1:]
_KINDS = tuple(COLUMNS.values())[1:]
_TURNS = (None, 0, 90, 180, 270)
_SCHEMA = f"CREATE TABLE IF NOT EXISTS seen (path BLOB PRIMARY KEY, judge TEXT NOT NULL, {', '.join(_COLUMNS)}) WITHOUT ROWID"


class Seen:
    """Rows by path, valid while size, mtime and `judge` (the ids of model and policy) are what they were."""

    def __init__(
        self, folder: Path, judge: str, notify: Callable[[str], None], dependencies: Callable[[Row], str] = lambda _: ""
    ) -> None:
        """Open or create the cache in `folder`; `notify` is called if a damaged one was moved aside.

        `dependencies` gives the state of everything else that a row depends on, such as a sidecar; the row is valid while that
        is unchanged.

        Raises:
            StateError: the folder cannot be written, as any method may find later.
        """
        self.path, self.judge, self._notify, self._dependencies = folder / "seen.db", judge, notify, dependencies
        self._pending: list[tuple[object, ...]] = []
        with folder_explained(folder):
            self._db = self._open()

    def lookup(self, candidates: Sequence[Candidate]) -> list[Row | None]:
        """For each candidate the row it got last time, or None if it is new or anything that matters has changed."""
        keys = [os.fsencode(candidate.path) for candidate in candidates]
        placeholders = ",".join("?" * len(keys))
        found: dict[bytes, tuple[object, ...]] = {}
        with self._repairing():
            found = {row[0]: row for row in self._db.execute(f"SELECT * FROM seen WHERE path IN ({placeholders})", keys)}
        return [self._valid(candidate, found.get(key)) for candidate, key in zip(candidates, keys, strict=True)]

    def add(self, rows: Iterable[Row]) -> None:
        """Remember judged rows; what happened on disk is the journal's business and is left out.

        A file dated after 2262 is judged again each time: SQLite's integers end there.
        """
        for row in rows:
            if row.size is not None and _fits(row.mtime_ns):
                _, *cells = row._replace(outcome=Status.PENDING).cells()
                self._pending.append((os.fsencode(row.path), self.judge + self._dependencies(row), *cells))
        if len(self._pending) >= 1000:
            self.flush()

    def forget(self, path: str) -> None:
        """Have a file judged again next time, even if this process is killed now.

        A photo on a server is not: every lookup compares its fingerprint, which any change of it changes.
        """
        if path.startswith(ON_SERVERS):
            return
        self.flush()
        with self._repairing(), self._db:
            self._db.execute("DELETE FROM seen WHERE path = ?", (os.fsencode(path),))

    def flush(self) -> None:
        placeholders = ",".join("?" * (len(_COLUMNS) + 2))
        with self._repairing(), self._db:
            self._db.executemany(f"INSERT OR REPLACE INTO seen VALUES ({placeholders})", self._pending)
        self._pending.clear()

    def count(self) -> int:
        """How many files the cache knows."""
        with self._repairing():
            return int(self._db.execute("SELECT count(*) FROM seen").fetchone()[0])
        return 0

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _valid(self, candidate: Candidate, found: tuple[object, ...] | None) -> Row | None:
        if found is None or not str(found[1]).startswith(self.judge) or candidate.skip or candidate.error:
            return None
        if not all(isinstance(value, kind) for value, kind in zip(found[2:], _KINDS, strict=True)):
            return None
        try:
            row = Row.of((candidate.path, *found[2:]))
        except ValueError:
            return None
        if row.turn not in _TURNS:
            return None
        unchanged = (row.size, row.mtime_ns) == (candidate.stat.size, candidate.stat.mtime_ns)
        return row if unchanged and found[1] == self.judge + self._dependencies(row) else None

    @contextmanager
    def _repairing(self) -> Iterator[None]:
        """What is done within is left undone if the cache turns out to be damaged; there is an empty one then."""
        with folder_explained(self.path.parent):
            try:
                yield
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._db.close()
                self._moved_aside(move_aside(str(self.path)))
                self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        return open_database(str(self.path), _prepare, self._moved_aside)

    def _moved_aside(self, kept: str) -> None:
        self._notify(f"the cache of photos already judged was damaged; it is kept as {kept} and built anew")


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA synchronous = OFF")
    if db.execute("PRAGMA user_version").fetchone()[0] not in (0, _VERSION):  # judged otherwise, so it would count for nothing
        db.execute("DROP TABLE IF EXISTS seen")
    db.execute(_SCHEMA)
    db.execute(f"PRAGMA user_version = {_VERSION}")
    db.execute("SELECT * FROM seen LIMIT 1").fetchone()
    _check_schema(db, _COLUMNS)


def _fits(mtime_ns: int | None) -> bool:
    return mtime_ns is None or -(2**63) <= mtime_ns < 2**63


def _check_schema(db: sqlite3.Connection, wanted: Sequence[str]) -> None:
    """Nothing but our table may be in it: a view or trigger would be another program's."""
    held = {(kind, name) for kind, name in db.execute("SELECT type, name FROM sqlite_master")}
    columns = [name for _, name, *_ in db.execute("PRAGMA table_info(seen)")]
    if held != {("table", "seen")} or columns != ["path", "judge", *wanted]:
        raise damage("it holds what orientd did not put there")
