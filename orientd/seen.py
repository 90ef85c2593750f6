"""What was judged before: a cache in SQLite, so that a second scan of an unchanged library only stats its files.

Losing it costs time and nothing else, so it is not synced, and a damaged one is moved aside.
"""

import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from orientd.errors import StateError
from orientd.items import Candidate, Row, Status

_VERSION = 1
_COLUMNS = Row._fields[1:]
_SCHEMA = f"CREATE TABLE IF NOT EXISTS seen (path BLOB PRIMARY KEY, judge TEXT NOT NULL, {', '.join(_COLUMNS)}) WITHOUT ROWID"


class Seen:
    """Rows by path, valid while size, mtime and `judge` (the ids of model and policy) are what they were."""

    def __init__(self, folder: Path, judge: str) -> None:
        """Open or create the cache in `folder`.

        Raises:
            StateError: the folder cannot be written.
        """
        self.path, self.judge = folder / "seen.db", judge
        self.moved_aside: Path | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = self._open()
        except (OSError, sqlite3.OperationalError) as error:
            raise StateError(f"the state folder {folder} cannot be used ({error}): check its rights, or set state_dir") from error
        self._pending: list[tuple[object, ...]] = []

    def lookup(self, candidates: Sequence[Candidate]) -> list[Row | None]:
        """For each candidate the row it got last time, or None if it is new or anything that matters has changed."""
        keys = [os.fsencode(candidate.path) for candidate in candidates]
        marks = ",".join("?" * len(keys))
        found = {row[0]: row for row in self._db.execute(f"SELECT * FROM seen WHERE path IN ({marks})", keys)}
        return [self._valid(candidate, found.get(key)) for candidate, key in zip(candidates, keys, strict=True)]

    def add(self, rows: Iterable[Row]) -> None:
        """Remember judged rows; what happened on disk is the journal's business and is left out."""
        plain = (row._replace(outcome=Status.PENDING.value) for row in rows if row.size is not None)
        self._pending += [(os.fsencode(row.path), self.judge, *row[1:]) for row in plain]
        if len(self._pending) >= 1000:
            self.flush()

    def forget(self, path: str) -> None:
        """Have a file judged anew next time."""
        with self._db:
            self._db.execute("DELETE FROM seen WHERE path = ?", (os.fsencode(path),))

    def flush(self) -> None:
        marks = ",".join("?" * (len(_COLUMNS) + 2))
        with self._db:
            self._db.executemany(f"INSERT OR REPLACE INTO seen VALUES ({marks})", self._pending)
        self._pending.clear()

    def count(self) -> int:
        """How many files the cache knows."""
        return int(self._db.execute("SELECT count(*) FROM seen").fetchone()[0])

    def close(self) -> None:
        self.flush()
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _valid(self, candidate: Candidate, found: tuple[object, ...] | None) -> Row | None:
        if found is None or found[1] != self.judge:
            return None
        row = Row(candidate.path, *found[2:])  # type: ignore[arg-type]
        return row if (row.size, row.mtime_ns) == (candidate.stat.size, candidate.stat.mtime_ns) else None

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            self.moved_aside = self.path.with_name(f"seen.db.damaged-{time.time_ns()}")
            self.path.rename(self.moved_aside)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=30)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=OFF")
            if db.execute("PRAGMA user_version").fetchone()[0] not in (0, _VERSION):
                db.execute("DROP TABLE IF EXISTS seen")
            db.execute(_SCHEMA)
            db.execute(f"PRAGMA user_version={_VERSION}")
            db.execute("SELECT * FROM seen LIMIT 1").fetchone()
        except sqlite3.DatabaseError:
            db.close()
            raise
        return db
