"""The plan that the watcher collects, line by line: at any time it is a complete plan that `orientd apply` can carry out.

A photo that does not change is in it once, even if a person changed its decision: a person who does not want a proposal sets it
to keep. The file may be moved away or deleted at any time; a new one is then begun. A photo whose turn was taken back is removed,
so that a timer that applies the plan does not turn it again; so is a photo that can no longer be written, or that a person keeps
by a verdict elsewhere than on this plan. The verdicts on this plan (`verdicts.read`) count even if it is deleted.

Photos that the watcher is not sure of are in it as `unsure`: they are not turned unless a person changes that to fix.

A plan begun by another version, or saved by a spreadsheet, is continued with the columns that it has.
"""

import csv
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final, TextIO

from orientd.errors import StateError
from orientd.files.append import append_lines
from orientd.files.syscalls import code_of
from orientd.reasons import Reason
from orientd.records import Row, Verdict
from orientd.report.columns import NAMES, Columns
from orientd.report.csv_file import HEADER, EndsWithLf, cells
from orientd.report.text import printable
from orientd.report.verdicts import Choice, PersonVerdict, fold, path_for, read

_START: Final = HEADER + "\n"


class Proposals:
    """The plan at `path`. Rows are kept back until `flush`, which leaves none of them half written."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._known: dict[tuple[str, str], bool] = {}  # and whether orientd itself was not sure: a person's word counts
        self._state: tuple[int, ...] = ()
        self._pending: dict[tuple[str, str], Row] = {}
        self._dropped: set[tuple[str, str]] = set()
        self._verdicts: dict[tuple[str, str], PersonVerdict] = {}
        self._verdicts_state: tuple[int, ...] = ()

    def refresh(self) -> None:
        """See what is in the file now, and what a person said of it.

        Raises:
            StateError: it is there and cannot be read, or lacks columns that a plan needs.
        """
        self._refresh_verdicts()
        try:
            with _opened(self.path) as file:
                state = _state(os.fstat(file.fileno()))
                if state == self._state:
                    return
                columns = self._columns(file.readline())
                self._known, self._state = {photo: unsure for photo, unsure, _ in _records(file, columns)}, state
        except FileNotFoundError:
            self._known, self._state = {}, ()
        except (OSError, csv.Error) as error:
            code = code_of(error) if isinstance(error, OSError) else Reason.SYSTEM_ERROR
            raise StateError(f"{printable(self.path)} cannot be read: {error}", code) from error

    def holds(self, row: Row) -> bool:
        """True if this photo, as it is, is in the plan. One that it was not sure of is not there as a fix."""
        photo = row.path, row.sha256
        pending = self._pending.get(photo)
        unsure = pending.decision is Verdict.UNSURE if pending else self._known.get(photo)
        return unsure is not None and not (unsure and row.decision is Verdict.FIX)

    def add(self, row: Row) -> bool:
        """Propose what the row says; False if it was proposed before."""
        if self.holds(row):
            return False
        self.drop(row)
        self._pending[row.path, row.sha256] = row
        return True

    def decided(self, row: Row) -> Row:
        """The row as a person decided it on this plan."""
        return fold(row, self._verdicts.get((row.path, row.sha256)))

    def drop(self, row: Row) -> None:
        """Take out what was proposed for this photo as it is, if anything was; but not if a person said there to keep it."""
        said = self._verdicts.get((row.path, row.sha256))
        if said and said.choice is Choice.KEEP:
            return
        self._pending.pop((row.path, row.sha256), None)
        if (row.path, row.sha256) in self._known:
            self._dropped.add((row.path, row.sha256))

    def flush(self) -> None:
        """Take out what was dropped, and append what was added, with one write, synced.

        Raises:
            StateError: the disk says no, or another file is there that is no plan; what was added is kept back still.
        """
        try:
            if self._dropped:
                self._take_out()
            if self._pending:
                self._append(self._pending.values())
        except OSError as error:
            raise StateError(
                f"{printable(self.path)} cannot be written: {error.strerror}: free some space, or check its permissions",
                code_of(error),
            ) from error
        self._known |= {photo: row.decision is Verdict.UNSURE for photo, row in self._pending.items()}
        self._pending.clear()

    def _refresh_verdicts(self) -> None:
        state: tuple[int, ...] = ()
        with suppress(OSError):
            state = _state(os.stat(path_for(self.path)))
        if state != self._verdicts_state:
            self._verdicts, self._verdicts_state = read(self.path), state

    def _columns(self, first: str) -> Columns:
        """Those of the plan that begins with this line; of an empty file those that it will get.

        Raises:
            StateError: the file is no plan.
        """
        columns = Columns.of(first or _START)
        if columns.missing:
            raise StateError(f"{printable(self.path)} is not a plan of orientd: move it away, and a new plan is begun")
        return columns

    def _take_out(self) -> None:
        """A plan without what was dropped takes the place of this one."""
        place = os.path.realpath(self.path)
        with suppress(FileNotFoundError), _opened(place) as old:
            first = old.readline()
            left = [text for photo, _, text in _records(old, self._columns(first)) if photo not in self._dropped]
            with open(place + ".partial", "wb", opener=_private) as new:
                found = os.fstat(old.fileno())
                with suppress(PermissionError):  # of a plan that is another user's
                    os.fchown(new.fileno(), found.st_uid, found.st_gid)
                os.fchmod(new.fileno(), found.st_mode & 0o777)
                new.write("".join([first, *left]).encode("utf-8", "surrogateescape"))
                new.flush()
                os.fsync(new.fileno())
            os.replace(place + ".partial", place)
        self._known = {photo: unsure for photo, unsure in self._known.items() if photo not in self._dropped}
        self._dropped.clear()

    def _append(self, rows: Iterable[Row]) -> None:
        first = ""
        with suppress(FileNotFoundError), _opened(self.path) as old:
            first = old.readline()
        lines = _lines(rows, self._columns(first))
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            append_lines(file, lines, _START.encode())
        finally:
            os.close(file)


def _state(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _opened(path: str) -> TextIO:
    return open(path, encoding="utf-8", errors="surrogateescape", newline="")


def _records(file: TextIO, columns: Columns) -> Iterator[tuple[tuple[str, str], bool, str]]:
    """(path, sha256) of every row that follows in a plan, whether orientd was not sure, and its very text to its end of line."""
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in file:
            taken.append(line)
            yield line

    for row in csv.reader(lines(), delimiter=columns.delimiter):
        named = dict(zip(columns.names, row, strict=False))
        unsure = named.get("decision") == Verdict.UNSURE and bool(named.get("reason"))
        yield (named.get("path", ""), named.get("sha256", "")), unsure, "".join(taken)
        taken.clear()


def _lines(rows: Iterable[Row], columns: Columns) -> bytes:
    """Rows in the columns of a plan: a column that is not of this version stays empty."""
    text = io.StringIO()
    writer = csv.writer(EndsWithLf(text), delimiter=columns.delimiter, lineterminator="\r\n")
    for row in rows:
        named = dict(zip(NAMES, cells(row), strict=True))
        writer.writerow([named.get(name) for name in columns.names])
    return text.getvalue().encode("utf-8", "surrogateescape")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
