"""The journal: what was about to be written, what came of it, and how to take it back.

A SQLite file in the state directory, in WAL mode with `synchronous=FULL`: a transaction is on the disk when its method returns
(https://sqlite.org/pragma.html#pragma_synchronous), for one sync each. Rows are added and settled, never deleted or pruned.
"""

import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, dataclass
from enum import StrEnum
from typing import Final, Self

from orientd.errors import StateError
from orientd.items import FileStat, Format, Patch, Splice

VERSION: Final = 1
_NAME: Final = "journal.db"
_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    command BLOB NOT NULL,
    started_ns INTEGER NOT NULL,
    finished_ns INTEGER,
    status TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS writes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL REFERENCES runs,
    path BLOB NOT NULL,
    format TEXT NOT NULL,
    old_stat TEXT NOT NULL,
    old_sha256 TEXT NOT NULL,
    new_sha256 TEXT NOT NULL,
    old_orientation INTEGER,
    new_orientation INTEGER,
    turn INTEGER NOT NULL,
    method TEXT NOT NULL,
    probabilities TEXT NOT NULL,
    mtime_ns INTEGER,
    temp TEXT NOT NULL,
    undoes INTEGER REFERENCES writes,
    status TEXT NOT NULL,
    reason BLOB NOT NULL DEFAULT x'',
    new_stat TEXT
);
CREATE TABLE IF NOT EXISTS splices (
    write INTEGER NOT NULL REFERENCES writes,
    offset INTEGER NOT NULL,
    old BLOB NOT NULL,
    new BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS writes_of_run ON writes (run);
CREATE INDEX IF NOT EXISTS writes_unsettled ON writes (id) WHERE status = 'intended';
CREATE INDEX IF NOT EXISTS writes_undone ON writes (old_sha256) WHERE status = 'undone';
CREATE INDEX IF NOT EXISTS splices_of_write ON splices (write);
PRAGMA user_version = {VERSION};
COMMIT;
"""

_INTEND: Final = """
INSERT INTO writes (run, path, format, old_stat, old_sha256, new_sha256, old_orientation, new_orientation, turn, method,
                    probabilities, mtime_ns, temp, undoes, status)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'intended')
"""

_RUNS: Final = """
SELECT runs.id, command, started_ns, finished_ns, runs.status,
       count(*) FILTER (WHERE writes.status = 'fixed' AND undoes IS NULL),
       count(*) FILTER (WHERE writes.status = 'undone' OR writes.status = 'fixed' AND undoes IS NOT NULL),
       count(*) FILTER (WHERE writes.status IN ('failed', 'lost'))
FROM runs LEFT JOIN writes ON writes.run = runs.id GROUP BY runs.id ORDER BY runs.id DESC
"""


class WriteStatus(StrEnum):
    """INTENDED becomes FIXED (the new bytes are there), FAILED (the old ones are) or LOST (neither: the file is gone or was
    changed by someone else); FIXED becomes UNDONE when the old bytes are back."""

    INTENDED = "intended"
    FIXED = "fixed"
    FAILED = "failed"
    LOST = "lost"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Intent:
    """One write, before it happens. The patch leads from `old_sha256` to `new_sha256`; both are in hexadecimal.

    `mtime_ns` is the modification time the file shall get (None: that of the write), `temp` the name of the temporary file,
    `probabilities` those the turn was decided by (empty: a person's decision), `undoes` the write that this one takes back.
    """

    path: str
    format: Format
    old_stat: FileStat
    old_sha256: str
    new_sha256: str
    patch: Patch
    old_orientation: int | None
    new_orientation: int | None
    turn: int
    method: str
    mtime_ns: int | None
    temp: str
    probabilities: tuple[float, ...] = ()
    undoes: int | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """An intent in the journal and what came of it. `new_stat` is the state the write left, where it left one."""

    id: int
    run: int
    intent: Intent
    status: WriteStatus
    reason: str
    new_stat: FileStat | None


@dataclass(frozen=True, slots=True)
class Run:
    """One command that writes. `finished_ns` is None while it runs, and for good if it was killed ("interrupted"). `undone` are
    the photos that have their old bytes back: those of a fix that was taken back, and those an undo took back."""

    id: int
    command: str
    started_ns: int
    finished_ns: int | None
    status: str
    fixed: int
    undone: int
    failed: int


class Lock:
    """Lets one process write at a time: a `flock` on the file `lock` in the state directory, freed by the kernel at its end.

    Raises:
        StateError: another process holds it, or the state directory cannot be used.
    """

    def __init__(self, state_dir: str | os.PathLike[str]) -> None:
        with _explained(state_dir):
            _make_folder(state_dir)
            self._file = os.open(os.path.join(state_dir, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._take()
            except BaseException:
                os.close(self._file)
                raise

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise StateError(f"another orientd is writing (process {holder}): wait for it to end, or stop it") from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)


def is_locked(state_dir: str | os.PathLike[str]) -> bool:
    """True if a process holds the `Lock`."""
    with suppress(OSError), open(os.path.join(state_dir, "lock"), "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


class Journal:
    """The journal in `state_dir`, which is made if it is not there. Only the holder of the `Lock` adds to it.

    Used by one thread at a time. `warning` is what the user must be told: a damaged file was moved aside. Every method raises
    StateError when the journal cannot be read or written; nothing is written to a photo then.
    """

    def __init__(self, state_dir: str | os.PathLike[str]) -> None:
        self.warning = ""
        self.path = os.path.join(state_dir, _NAME)
        with _explained(self.path):
            _make_folder(state_dir)
            try:
                self._db = _connect(self.path)
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode & 0xFF not in _DAMAGE:
                    raise
                kept = _move_aside(self.path)
                self.warning = f"the journal was damaged and is kept as {kept}; writes made before now cannot be undone"
                self._db = _connect(self.path)

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start_run(self, command: str) -> int:
        """Note that a command starts writing; returns the run's number."""
        with self._changing() as db:
            row = (os.fsencode(command), time.time_ns())
            added = db.execute("INSERT INTO runs (command, started_ns, status) VALUES (?, ?, 'running')", row)
        return _row_id(added)

    def finish_run(self, run: int, status: str = "done") -> None:
        with self._changing() as db:
            db.execute("UPDATE runs SET finished_ns = ?, status = ? WHERE id = ?", (time.time_ns(), status, run))

    def mark_interrupted(self) -> None:
        """Mark the runs that never finished; the holder of the lock knows that none of them still runs."""
        with self._changing() as db:
            db.execute("UPDATE runs SET status = 'interrupted' WHERE status = 'running'")

    def intend(self, run: int, intent: Intent) -> int:
        """Put on the disk what is about to be written; returns the write's number."""
        with self._changing() as db:
            write = _row_id(db.execute(_INTEND, (run, *_columns(intent))))
            splices = [(write, splice.offset, splice.old, splice.new) for splice in intent.patch.splices]
            db.executemany("INSERT INTO splices (write, offset, old, new) VALUES (?, ?, ?, ?)", splices)
        return write

    def settle(self, write: int, status: WriteStatus, reason: str = "", stat: FileStat | None = None) -> None:
        """Note what came of a write. If it took another one back, that one becomes undone in the same transaction."""
        values = (status, os.fsencode(reason), stat and json.dumps(astuple(stat)), write)
        with self._changing() as db:
            db.execute("UPDATE writes SET status = ?, reason = ?, new_stat = coalesce(?, new_stat) WHERE id = ?", values)
            if status is WriteStatus.FIXED:
                undone = "UPDATE writes SET status = 'undone' WHERE id = (SELECT undoes FROM writes WHERE id = ?)"
                db.execute(undone, (write,))

    def unsettled(self) -> list[Write]:
        """The writes of which it is not known what came of them, oldest first."""
        return list(self._select("status = 'intended' ORDER BY id"))

    def writes(self, run: int) -> Iterator[Write]:
        """Every write of a run, newest first. The journal may be changed while this is iterated."""
        return self._select("run = ? ORDER BY id DESC", run)

    def runs(self) -> list[Run]:
        """Every run, newest first."""
        with _explained(self.path), closing(self._db.execute(_RUNS)) as rows:
            return [Run(number, os.fsdecode(command), *rest) for number, command, *rest in rows]

    def last_undoable(self) -> int | None:
        """The last run with a write that can be undone."""
        return self._number("SELECT max(run) FROM writes WHERE status = 'fixed' AND undoes IS NULL")

    def is_undoable(self, run: int) -> bool:
        """True if the run has a write that can be undone."""
        return self._number("SELECT max(id) FROM writes WHERE run = ? AND status = 'fixed' AND undoes IS NULL", run) is not None

    def was_undone(self, sha256: str) -> int | None:
        """The run whose change to these very bytes was taken back: their owner wants them so, under whatever name."""
        return self._number("SELECT max(run) FROM writes WHERE status = 'undone' AND old_sha256 = ?", sha256)

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with _explained(self.path), self._db:
            yield self._db

    def _number(self, query: str, *values: str | int) -> int | None:
        with _explained(self.path), closing(self._db.execute(query, values)) as rows:
            number: int | None = rows.fetchone()[0]
            return number

    def _select(self, condition: str, *values: int) -> Iterator[Write]:
        with _explained(self.path), closing(self._db.execute(f"SELECT id FROM writes WHERE {condition}", values)) as rows:
            numbers = [number for (number,) in rows]
        for number in numbers:
            yield self._write(number)

    def _write(self, number: int) -> Write:
        with _explained(self.path):
            with closing(self._db.execute("SELECT * FROM writes WHERE id = ?", (number,))) as rows:
                rows.row_factory = sqlite3.Row
                row = rows.fetchone()
            order = "SELECT offset, old, new FROM splices WHERE write = ? ORDER BY rowid"
            with closing(self._db.execute(order, (number,))) as rows:
                patch = Patch(tuple(Splice(*splice) for splice in rows))
        new_stat = FileStat(*json.loads(row["new_stat"])) if row["new_stat"] else None
        return Write(number, row["run"], _intent(row, patch), WriteStatus(row["status"]), os.fsdecode(row["reason"]), new_stat)


def _columns(intent: Intent) -> tuple[object, ...]:
    return (
        os.fsencode(intent.path),
        intent.format,
        json.dumps(astuple(intent.old_stat)),  # text: inode numbers of network file systems exceed SQLite's integers
        intent.old_sha256,
        intent.new_sha256,
        intent.old_orientation,
        intent.new_orientation,
        intent.turn,
        intent.method,
        json.dumps(intent.probabilities),
        intent.mtime_ns,
        intent.temp,
        intent.undoes,
    )


def _intent(row: sqlite3.Row, patch: Patch) -> Intent:
    return Intent(
        path=os.fsdecode(row["path"]),
        format=Format(row["format"]),
        old_stat=FileStat(*json.loads(row["old_stat"])),
        old_sha256=row["old_sha256"],
        new_sha256=row["new_sha256"],
        patch=patch,
        old_orientation=row["old_orientation"],
        new_orientation=row["new_orientation"],
        turn=row["turn"],
        method=row["method"],
        mtime_ns=row["mtime_ns"],
        temp=row["temp"],
        probabilities=tuple(json.loads(row["probabilities"])),
        undoes=row["undoes"],
    )


def _row_id(added: sqlite3.Cursor) -> int:
    if added.lastrowid is None:
        raise sqlite3.InternalError("no row was added")
    return added.lastrowid


def _make_folder(path: str | os.PathLike[str]) -> None:
    os.makedirs(path, mode=0o700, exist_ok=True)


def _connect(path: str) -> sqlite3.Connection:
    """Open the journal, making it if need be; a damaged one raises sqlite3.DatabaseError with a code in _DAMAGE."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite would let others read it
    db = sqlite3.connect(path, timeout=30, isolation_level="IMMEDIATE", check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StateError(f"the journal {path} was written by a newer orientd: upgrade this one")
        if version == 0:
            db.executescript(_SCHEMA)
            _sync_folder(os.path.dirname(path))
        verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            damage = sqlite3.DatabaseError(verdict)
            damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damage
    except BaseException:
        db.close()
        raise
    return db


def _sync_folder(path: str) -> None:
    folder = os.open(path or os.curdir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _move_aside(path: str) -> str:
    kept = f"{path}.damaged-{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**9:09}"
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.rename(path + suffix, kept + suffix)
    return kept


@contextmanager
def _explained(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, ValueError) as error:
        raise StateError(f"{path} cannot be used ({error}): check its permissions and the space left, then run again") from error
