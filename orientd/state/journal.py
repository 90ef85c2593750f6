"""The journal: what was about to be written, what came of it, and how to take it back.

A SQLite file in the state directory, in WAL mode with `synchronous=FULL`: a transaction is on the disk when its method returns
(https://sqlite.org/pragma.html#pragma_synchronous), for one sync each. Rows are added and settled, never deleted or pruned.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple
from typing import Final, Self

from orientd.config import Config
from orientd.errors import StateError
from orientd.reasons import Reason
from orientd.records import FileStat, Notify
from orientd.state.database import explained, open_database
from orientd.state.journal_rows import Intent, Run, Write, WriteStatus, columns, run_of, write_of
from orientd.state.journal_schema import MOVE, VERSION, prepare

__all__ = ["VERSION", "Intent", "Journal", "Run", "Write", "WriteStatus"]

_NAME: Final = "journal.db"
_INTEND: Final = """
INSERT INTO writes (run, path, format, old_stat, old_sha256, new_sha256, old_orientation, new_orientation, turn, method,
                    probabilities, mtime_ns, temp, undoes, status)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'intended')
"""

_WRITE: Final = "SELECT writes.*, codes.code FROM writes LEFT JOIN codes ON codes.write = writes.id WHERE writes.id = ?"

_NOT_OFFERED: Final = "id NOT IN (SELECT write FROM offers)"
_BY_WHOLE_RUN: Final = """
EXISTS (SELECT 1 FROM writes AS back JOIN whole_undos USING (run) WHERE back.undoes = writes.id AND back.status = 'fixed')
"""

_RUNS: Final = """
SELECT runs.id, command, started_ns, finished_ns, runs.status,
       count(*) FILTER (WHERE writes.status = 'fixed' AND undoes IS NULL) AS fixed,
       count(*) FILTER (WHERE writes.status = 'undone' OR writes.status = 'fixed' AND undoes IS NOT NULL) AS undone,
       count(*) FILTER (WHERE writes.status IN ('failed', 'lost')) + (
           SELECT count(*) FROM failures WHERE run = runs.id AND path NOT IN (
               SELECT path FROM writes WHERE run = runs.id AND status IN ('failed', 'lost'))) AS failed
FROM runs LEFT JOIN writes ON writes.run = runs.id GROUP BY runs.id ORDER BY runs.id DESC
"""


class Journal:
    """The journal in `state_dir`, which is made if it is not there. Only the holder of the `Lock` adds to it.

    Used by one thread at a time. `warning` is a message for the user: a damaged file was moved aside. Every method raises
    StateError when the journal cannot be read or written; nothing is written to a photo then.
    """

    def __init__(self, state_dir: str | os.PathLike[str]) -> None:
        self.warning = ""
        self.path = os.path.join(state_dir, _NAME)
        with explained(self.path):
            self._db = open_database(self.path, self._prepare, self._moved_aside, any_thread=True)

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

    def note_failures(self, run: int, paths: Iterable[str]) -> None:
        """Note photos at which a run failed, whether anything was begun to be written to them or not."""
        with self._changing() as db:
            db.executemany("INSERT OR IGNORE INTO failures VALUES (?, ?)", [(run, os.fsencode(path)) for path in paths])

    def mark_interrupted(self) -> None:
        """Mark the runs that never finished; the holder of the lock knows that none of them still runs."""
        with self._changing() as db:
            db.execute("UPDATE runs SET status = 'interrupted' WHERE status = 'running'")

    def intend(self, run: int, intent: Intent) -> int:
        """Put on the disk what is about to be written; returns the write's number."""
        with self._changing() as db:
            write = _row_id(db.execute(_INTEND, (run, *columns(intent))))
            splices = [(write, splice.offset, splice.old, splice.new) for splice in intent.patch.splices]
            db.executemany("INSERT INTO splices (write, offset, old, new) VALUES (?, ?, ?, ?)", splices)
            db.executemany("INSERT INTO marks (write, mark) VALUES (?, ?)", [(write, mark) for mark in sorted(intent.marks)])
        return write

    def settle(
        self, write: int, status: WriteStatus, reason: str = "", stat: FileStat | None = None, code: Reason | None = None
    ) -> None:
        """Note what came of a write, and why. If it took another one back, that one becomes undone in the same transaction."""
        values = (status, os.fsencode(reason), stat and json.dumps(astuple(stat)), write)
        with self._changing() as db:
            db.execute("UPDATE writes SET status = ?, reason = ?, new_stat = coalesce(?, new_stat) WHERE id = ?", values)
            if status is WriteStatus.FIXED:
                undone = "UPDATE writes SET status = 'undone' WHERE id = (SELECT undoes FROM writes WHERE id = ?)"
                db.execute(undone, (write,))
            _note_code(db, write, code)

    def note(self, write: int, reason: str, code: Reason | None = None) -> None:
        """Note why it is still not known what came of a write; nothing if that is known."""
        with self._changing() as db:
            values = (os.fsencode(reason), write)
            if db.execute("UPDATE writes SET reason = ? WHERE id = ? AND status = 'intended'", values).rowcount:
                _note_code(db, write, code)

    def add_roots(self, roots: Iterable[str]) -> None:
        """Note folders, or single photos, that a person had scanned, as real paths: a plan may write below them."""
        with self._changing() as db:
            db.executemany("INSERT OR IGNORE INTO roots VALUES (?)", [(os.fsencode(root),) for root in roots])

    def roots(self) -> list[str]:
        """All that was ever noted by `add_roots`."""
        with explained(self.path), closing(self._db.execute("SELECT path FROM roots WHERE typeof(path) = 'blob'")) as rows:
            return [os.fsdecode(path) for (path,) in rows]

    def unsettled(self) -> list[Write]:
        """The writes of which it is not known what came of them, oldest first."""
        return list(self._select("status = 'intended' ORDER BY id"))

    def writes(self, run: int) -> Iterator[Write]:
        """Every write of a run, newest first. The journal may be changed while this is iterated."""
        return self._select("run = ? ORDER BY id DESC", run)

    def last_writes(self) -> Iterator[Write]:
        """For every file ever written the last write that did not fail."""
        return self._select("id IN (SELECT max(id) FROM writes WHERE status != 'failed' GROUP BY path) ORDER BY path")

    def number_of_last_writes(self) -> int:
        """How many `last_writes` gives."""
        return self._number("SELECT count(DISTINCT path) FROM writes WHERE status != 'failed'") or 0

    def runs(self) -> list[Run]:
        """Every run, newest first."""
        with explained(self.path), closing(self._db.execute(_RUNS)) as rows:
            rows.row_factory = sqlite3.Row
            found = [dict(row) for row in rows]
        try:
            return [run_of(row) for row in found]
        except ValueError as error:
            raise StateError(
                f"the journal {self.path} holds what no orientd wrote (a run: {error}): {MOVE}", Reason.JOURNAL_DOUBTED
            ) from error

    def undoable(self) -> list[int]:
        """The runs with a write that can be undone, newest first."""
        query = "SELECT DISTINCT run FROM writes WHERE status = 'fixed' AND undoes IS NULL ORDER BY run DESC"
        with explained(self.path), closing(self._db.execute(query)) as rows:
            return [run for (run,) in rows]

    def undoable_of(self, run: int) -> list[int]:
        """The writes of a run that can be undone, newest first, by their numbers."""
        query = "SELECT id FROM writes WHERE run = ? AND status = 'fixed' AND undoes IS NULL ORDER BY id DESC"
        with explained(self.path), closing(self._db.execute(query, (run,))) as rows:
            return [number for (number,) in rows]

    def turned_by_pixels(self) -> list[tuple[int, str]]:
        """The run and the name of the copy (`Intent.temp`) of every turn by pixels that stands."""
        query = "SELECT run, temp FROM writes WHERE status = 'fixed' AND undoes IS NULL AND method = 'rotate'"
        with explained(self.path), closing(self._db.execute(query)) as rows:
            return [(run, str(temp)) for run, temp in rows]

    def last_that_wrote(self) -> int | None:
        """The last run that turned a photo, or was interrupted at one, whether that was taken back or not."""
        return self._last_run("status IN ('fixed', 'undone', 'intended') AND undoes IS NULL")

    def undone_by(self, run: int) -> int | None:
        """The last run that took back something of a run."""
        return self._last_run("status = 'fixed' AND undoes IN (SELECT id FROM writes WHERE run = ?)", run)

    def undone(self, run: int) -> Iterator[Write]:
        """The writes that were taken back, oldest first: of a run, or by it."""
        by = "SELECT undoes FROM writes WHERE run = ? AND status = 'fixed' AND undoes IS NOT NULL"
        return self._select(f"status = 'undone' AND (run = ? OR id IN ({by})) ORDER BY id", run, run)

    def note_whole(self, run: int) -> None:
        """Note that an undo takes back a whole run: a trial, which says nothing of any single photo."""
        with self._changing() as db:
            db.execute("INSERT OR IGNORE INTO whole_undos VALUES (?)", (run,))

    def offer(self, writes: Iterable[int]) -> None:
        """Have it forgotten that writes were taken back. Besides `add_roots` the only change that needs no lock."""
        with self._changing() as db:
            db.executemany("INSERT OR IGNORE INTO offers VALUES (?)", [(write,) for write in writes])

    def about(self, paths: Sequence[str], sha256: str, marks: Sequence[str]) -> Iterator[Write]:
        """Every turn of a photo by its paths, the bytes it had before or one of its marks, newest first, undone or not."""
        at, marked = _placeholders(paths), f"SELECT write FROM marks WHERE mark IN ({_placeholders(marks)})"
        turned = "status IN ('fixed', 'undone') AND undoes IS NULL"
        query = f"{turned} AND (path IN ({at}) OR old_sha256 = ? OR id IN ({marked})) ORDER BY id DESC"
        return self._select(query, *map(os.fsencode, paths), sha256, *marks)

    def was_undone(self, sha256: str, method: str | None, *, unattended: bool) -> int | None:
        """The run whose change to these very bytes by that method was taken back: their owner wants them so, under whatever name.

        Here as below what was offered again is passed over, and unless `unattended` what was taken back with its whole run.
        """
        return self._last_run(
            f"status = 'undone' AND old_sha256 = ? AND method = coalesce(?, method) AND {_kept(unattended)}", sha256, method
        )

    def was_undone_at(self, paths: Sequence[str], orientation: int | None, *, unattended: bool) -> int | None:
        """The run whose change from that orientation to one of these files, the sidecars of a photo, was taken back."""
        within = f"status = 'undone' AND path IN ({_placeholders(paths)}) AND {_kept(unattended)}"
        return self._last_run(f"{within} AND old_orientation IS ?", *map(os.fsencode, paths), orientation)

    def run_that_wrote(self, path: str, after: int) -> int | None:
        """The last run that turned the photo at a path in a later write than `after`, if that was not taken back."""
        return self._last_run("status = 'fixed' AND undoes IS NULL AND path = ? AND id > ?", os.fsencode(path), after)

    def run_that_made(self, path: str, turn: int | None, sha256: str, before: str | None = None) -> int | None:
        """The run that turned the photo at a path so, and left these very bytes there (of those `before`, if they are known), if
        that was not taken back."""
        done = "status = 'fixed' AND undoes IS NULL AND path = ? AND turn = ? AND new_sha256 = ?"
        return self._last_run(f"{done} AND old_sha256 = coalesce(?, old_sha256)", os.fsencode(path), turn, sha256, before)

    def turns(
        self, turn: int | None, path: str, marks: Sequence[str], method: str | None, *, unattended: bool
    ) -> Iterator[Write]:
        """The writes by which a photo at a path, or one with one of these marks, was turned so, newest first.

        Those that were taken back count only if they were by that method.
        """
        stands = "status = 'fixed' OR status = 'undone' AND method = coalesce(?, method)"
        done = f"undoes IS NULL AND turn = ? AND ({stands}) AND {_kept(unattended)}"
        marked = f"SELECT write FROM marks WHERE mark IN ({_placeholders(marks)})"
        query = f"{done} AND (path = ? OR id IN ({marked})) ORDER BY id DESC"
        return self._select(query, turn, method, os.fsencode(path), *marks)

    def has_writes(self) -> bool:
        """True if anything was ever written, or tried to be."""
        return self._last_run("TRUE") is not None

    def _prepare(self, db: sqlite3.Connection) -> None:
        prepare(db, self.path)

    def _moved_aside(self, kept: str) -> None:
        self.warning = f"the journal was damaged and is kept as {kept}; writes made before now cannot be undone"

    def _last_run(self, condition: str, *values: object) -> int | None:
        return self._number(f"SELECT max(run) FROM writes WHERE {condition}", *values)

    def _number(self, query: str, *values: object) -> int | None:
        with explained(self.path), closing(self._db.execute(query, values)) as rows:
            number: int | None = rows.fetchone()[0]
            return number

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with explained(self.path), self._db:
            yield self._db

    def _select(self, condition: str, *values: object) -> Iterator[Write]:
        with explained(self.path), closing(self._db.execute(f"SELECT id FROM writes WHERE {condition}", values)) as rows:
            numbers = [number for (number,) in rows]
        for number in numbers:
            yield self.write(number)

    def write(self, number: int) -> Write:
        """The write of a number."""
        with explained(self.path):
            with closing(self._db.execute(_WRITE, (number,))) as rows:
                rows.row_factory = sqlite3.Row
                row = rows.fetchone()
            order = "SELECT offset, old, new FROM splices WHERE write = ? ORDER BY rowid"
            with closing(self._db.execute(order, (number,))) as rows:
                splices = rows.fetchall()
            with closing(self._db.execute("SELECT mark FROM marks WHERE write = ? AND typeof(mark) = 'text'", (number,))) as rows:
                marks = [mark for (mark,) in rows]
        try:
            if row is None:
                raise ValueError("there is none")
            return write_of(dict(row), splices, marks)
        except ValueError as error:
            raise StateError(
                f"the journal {self.path} holds what no orientd wrote (write {number}: {error}): {MOVE}", Reason.JOURNAL_DOUBTED
            ) from error


def _kept(unattended: bool) -> str:
    return _NOT_OFFERED if unattended else f"{_NOT_OFFERED} AND NOT {_BY_WHOLE_RUN}"


def _placeholders(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _note_code(db: sqlite3.Connection, write: int, code: Reason | None) -> None:
    db.execute("INSERT OR REPLACE INTO codes VALUES (?, ?)", (write, code or ""))


def _row_id(added: sqlite3.Cursor) -> int:
    if added.lastrowid is None:
        raise sqlite3.InternalError("no row was added")
    return added.lastrowid


def open_journal(config: Config, notify: Notify) -> Journal:
    """The journal; `notify` is called at once if it was damaged, by the first command that opens it."""
    journal = Journal(config.state_dir)
    if journal.warning:
        notify(journal.warning)
    return journal
