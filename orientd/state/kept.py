"""Pictures that a person wants as they are shown, under whatever name, until that is lifted.

A SQLite file in the state directory, made with the first of them; what was noted is on the disk when a method returns. Any
number of processes may use it at once.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final, NamedTuple, Self

from orientd.errors import StateError
from orientd.orientation import normalise
from orientd.records import Notify
from orientd.state.database import damage, explained, open_database, sync_folders

_VERSION: Final = 1
_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS kept (
    mark TEXT NOT NULL,
    orientation INTEGER NOT NULL,
    path BLOB NOT NULL,
    sha256 TEXT NOT NULL,
    plan BLOB NOT NULL,
    PRIMARY KEY (mark, orientation, path, plan)
);
CREATE TABLE IF NOT EXISTS pictures (sha256 TEXT PRIMARY KEY, mark TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS kept_as ON kept (sha256);
PRAGMA user_version = {_VERSION};
COMMIT;
"""
_KEPT: Final = "SELECT 1 FROM kept WHERE mark = ? AND orientation = ?"
_OF_BYTES: Final = """
sha256 = :one OR mark = 'file ' || :one
OR mark IN (SELECT mark FROM kept WHERE sha256 = :one UNION SELECT mark FROM pictures WHERE sha256 = :one AND mark != '')
"""


class KeptPhoto(NamedTuple):
    """A photo as it was when a person wanted it to stay so.

    Its real path, its hash, the orientation it stored (1–8), the mark of its picture ("" if it has none), and the plan on which
    that was said ("" for none).
    """

    path: str
    sha256: str
    orientation: int
    picture: str
    plan: str


class Kept:
    """The kept photos, in `state_dir`; `notify` is called if a damaged file was moved aside.

    Used by one thread at a time. Every method raises StateError when the file cannot be read or written.
    """

    def __init__(self, state_dir: str | os.PathLike[str], notify: Notify) -> None:
        self.path, self._notify = os.path.join(state_dir, "kept.db"), notify
        self._db: sqlite3.Connection | None = None

    def close(self) -> None:
        if self._db:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, photos: Iterable[KeptPhoto]) -> None:
        """Note photos by their hash and, if it is distinctive, by the mark of the picture."""
        rows = [
            (mark, photo.orientation, os.fsencode(photo.path), photo.sha256, os.fsencode(photo.plan))
            for photo in photos
            for mark in filter(None, (_bytes(photo.sha256), photo.picture))
        ]
        if rows:
            with self._used() as db, db:
                db.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?)", rows)

    def holds(self, sha256: str, orientation: int | None, picture: Callable[[], str]) -> bool:
        """True if a photo of this hash, stored with this orientation, is kept; `picture` gives the mark of its picture, once."""
        if not sha256 or not os.path.exists(self.path):
            return False
        shown = normalise(orientation)
        with self._used() as db:
            if not _found(db, "SELECT 1 FROM kept LIMIT 1"):
                return False
            if _found(db, _KEPT, _bytes(sha256), shown):
                return True
            known = _found(db, "SELECT mark FROM pictures WHERE sha256 = ?", sha256)
            if known is None:
                known = (picture(),)
                with db:
                    db.execute("INSERT OR IGNORE INTO pictures VALUES (?, ?)", (sha256, *known))
            return bool(known[0]) and _found(db, _KEPT, known[0], shown) is not None

    def lift(self, sha256: Iterable[str], pictures: Iterable[str] = ()) -> list[KeptPhoto]:
        """Forget what was noted of photos of these hashes, or of these pictures: what was forgotten."""
        if not os.path.exists(self.path):
            return []
        gone: dict[KeptPhoto, None] = {}
        with self._used() as db, db:
            for one in sha256:
                gone.update(dict.fromkeys(_taken(db, _OF_BYTES, one)))
            for mark in pictures:
                gone.update(dict.fromkeys(_taken(db, "mark = :one", mark)))
        return list(gone)

    def photos(self) -> Iterator[KeptPhoto]:
        """All that is kept; a photo may come twice."""
        if os.path.exists(self.path):
            with self._used() as db, closing(db.execute("SELECT * FROM kept ORDER BY path")) as rows:
                yield from map(_photo, rows.fetchall())

    @contextmanager
    def _used(self) -> Iterator[sqlite3.Connection]:
        with explained(self.path):
            if self._db is None:
                self._db = open_database(self.path, self._prepare, self._moved_aside, any_thread=True)
            yield self._db

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.isolation_level = "IMMEDIATE"
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA trusted_schema = OFF")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise StateError(f"{self.path} was written by a newer orientd: upgrade this one")
        if version == 0:
            db.executescript(_SCHEMA)
            sync_folders(os.path.dirname(os.path.abspath(self.path)))
        verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise damage(verdict)

    def _moved_aside(self, kept: str) -> None:
        self._notify(f"the list of photos that are to stay as they are was damaged; it is kept as {kept} and begun anew")


def _bytes(sha256: str) -> str:
    return f"file {sha256}"


def _found(db: sqlite3.Connection, query: str, *values: object) -> Sequence[str] | None:
    with closing(db.execute(query, values)) as rows:
        found: Sequence[str] | None = rows.fetchone()
        return found


def _taken(db: sqlite3.Connection, condition: str, one: str) -> list[KeptPhoto]:
    """What was deleted by a condition."""
    values = {"one": one}
    with closing(db.execute(f"SELECT * FROM kept WHERE {condition}", values)) as rows:
        found = [_photo(row) for row in rows]
    db.execute(f"DELETE FROM kept WHERE {condition}", values)
    return found


def _photo(row: Sequence[Any]) -> KeptPhoto:
    mark, orientation, path, sha256, plan = row
    return KeptPhoto(os.fsdecode(path), sha256, orientation, "" if mark == _bytes(sha256) else mark, os.fsdecode(plan))
