"""The plan that the watcher collects, line by line: at any time it is a whole plan that `orientd apply` can carry out.

A photo is in it once as long as it stays the same, whatever a person made of its decision: who does not want a proposal sets that
to keep. The file may be moved away or deleted at any time; a new one is begun then.
"""

import csv
import io
import os
from typing import Final

from orientd.errors import StateError
from orientd.items import Row
from orientd.report import HEADER, EndsWithLf, cells, printable

_START: Final = (HEADER + "\n").encode()


class Proposals:
    """The plan at `path`. Rows are kept back until `flush`, which leaves none of them half written."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._known: set[tuple[str, str]] = set()
        self._state: tuple[int, ...] = ()
        self._pending: dict[tuple[str, str], Row] = {}

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

    def flush(self) -> None:
        """Append what was added, with one write, and sync it.

        Raises:
            StateError: the disk says no; what was added is kept back still.
        """
        if not self._pending:
            return
        text = io.StringIO()
        writer = csv.writer(EndsWithLf(text), lineterminator="\r\n")
        for row in self._pending.values():
            writer.writerow(cells(row))
        try:
            self._append(text.getvalue().encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise StateError(
                f"{printable(self.path)} cannot be written: {error.strerror}: free some space, or see to its rights"
            ) from error
        self._known |= self._pending.keys()
        self._pending.clear()

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
