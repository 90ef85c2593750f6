"""The plan that the watcher collects, line by line: at any time it is a whole plan that `orientd apply` can carry out.

A photo is in it once as long as it stays the same, whatever a person made of its decision: who does not want a proposal sets that
to keep. The file may be moved away or deleted at any time; a new one is begun then. A photo whose turn was taken back is taken
out, lest a timer that applies the plan turns it again; so is one that cannot be written any more.
"""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from orientd.errors import StateError
from orientd.records import Row
from orientd.report.csv_file import HEADER, EndsWithLf, cells
from orientd.report.text import printable

_START: Final = (HEADER + "\n").encode()
_PATH, _SHA256 = (slice(index, index + 1) for index in (Row._fields.index("path"), Row._fields.index("sha256")))


class Proposals:
    """The plan at `path`. Rows are kept back until `flush`, which leaves none of them half written."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._known: set[tuple[str, str]] = set()
        self._state: tuple[int, ...] = ()
        self._pending: dict[tuple[str, str], Row] = {}
        self._dropped: set[tuple[str, str]] = set()

    def refresh(self) -> None:
        """See what is in the file now.

        Raises:
            StateError: it is there and cannot be read, or another program has changed its columns.
        """
        try:
            with open(self.path, encoding="utf-8", errors="surrogateescape", newline="") as file:
                found = os.fstat(file.fileno())
                state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
                if state == self._state:
                    return
                if file.readline() not in (HEADER + "\n", ""):
                    raise StateError(f"{printable(self.path)} is not as orientd wrote it: move it away, and a new plan is begun")
                rows = csv.DictReader(file, fieldnames=HEADER.split(","))
                self._known, self._state = {(row["path"], row["sha256"]) for row in rows}, state
        except FileNotFoundError:
            self._known, self._state = set(), ()
        except (OSError, csv.Error) as error:
            raise StateError(f"{printable(self.path)} cannot be read: {error}") from error

    def holds(self, row: Row) -> bool:
        """True if this photo, as it is, is in the plan."""
        return (row.path, row.sha256) in self._known or (row.path, row.sha256) in self._pending

    def add(self, row: Row) -> bool:
        """Propose what the row says; False if it was proposed before."""
        if self.holds(row):
            return False
        self._pending[row.path, row.sha256] = row
        return True

    def drop(self, row: Row) -> None:
        """Take out what was proposed for this photo as it is, if anything was."""
        self._pending.pop((row.path, row.sha256), None)
        if (row.path, row.sha256) in self._known:
            self._dropped.add((row.path, row.sha256))

    def flush(self) -> None:
        """Take out what was dropped, and append what was added, with one write, synced.

        Raises:
            StateError: the disk says no; what was added is kept back still.
        """
        try:
            if self._dropped:
                self._take_out()
            if self._pending:
                self._append(_lines(cells(row) for row in self._pending.values()))
        except OSError as error:
            raise StateError(
                f"{printable(self.path)} cannot be written: {error.strerror}: free some space, or see to its rights"
            ) from error
        self._known |= self._pending.keys()
        self._pending.clear()

    def _take_out(self) -> None:
        """A plan without what was dropped takes the place of this one."""
        place = os.path.realpath(self.path)
        with suppress(FileNotFoundError), open(place, encoding="utf-8", errors="surrogateescape", newline="") as old:
            left = [row for row in csv.reader(old) if (*row[_PATH], *row[_SHA256]) not in self._dropped]
            with open(place + ".partial", "wb", opener=_private) as new:
                found = os.fstat(old.fileno())
                with suppress(PermissionError):  # of a plan that is another user's
                    os.fchown(new.fileno(), found.st_uid, found.st_gid)
                os.fchmod(new.fileno(), found.st_mode & 0o777)
                new.write(_lines(left))
                new.flush()
                os.fsync(new.fileno())
            os.replace(place + ".partial", place)
        self._known -= self._dropped
        self._dropped.clear()

    def _append(self, lines: bytes) -> None:
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(file).st_size
            if size == 0:
                lines = _START + lines
            elif os.pread(file, 1, size - 1) != b"\n":
                lines = b"\n" + lines
            written = os.write(file, lines)
            if written < len(lines):
                os.ftruncate(file, size)
                raise OSError(None, "no space is left on its file system")
            os.fsync(file)
        finally:
            os.close(file)


def _lines(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(EndsWithLf(text), lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
