"""What a run leaves behind: the CSV report, JSON lines, the tally, the summary in words and the exit code.

The CSV file is UTF-8 with `errors="surrogateescape"`: it holds the very bytes of a path, UTF-8 or not, and reading it back the
same way (see `plan`) gives the same `str`. Commas, quotes and line breaks, CR too, are quoted (RFC 4180); lines end with LF.
"""

import csv
import fcntl
import os
from contextlib import ExitStack, suppress
from datetime import datetime
from typing import Final, TextIO

from orientd.errors import ConfigError, OrientdError
from orientd.records import Row
from orientd.report.columns import LONGEST, NAMES, is_header
from orientd.report.text import printable

HEADER: Final = ",".join(NAMES)


def default_report(now: datetime, folder: str = "") -> str:
    """A name of its own for the report of a run that starts `now`, in `folder` (the current one)."""
    stem = os.path.join(folder, f"orientd-{now:%Y%m%d-%H%M%S}")
    names = (f"{stem}.csv", *(f"{stem}-{number}.csv" for number in range(2, 1000)))
    return next(name for name in names if not os.path.lexists(name) and not os.path.lexists(name + ".partial"))


class CsvReport:
    """Writes rows as they come to FILE.partial, which becomes FILE with `finish`; without it FILE.partial stays.

    `remark`: what its reader should know, if anything.
    """

    remark = ""

    def __init__(self, path: str) -> None:
        """Open the report.

        Raises:
            ConfigError: `path` is an existing file that is no orientd report, another orientd is writing it, or its folder
                cannot be written.
        """
        self.path = path + ".partial"
        self._final = path
        try:
            for name in (self._final, self.path):
                if os.path.lexists(name) and not _is_report(name, begun=name == self.path):
                    raise ConfigError(f"{printable(name)} exists and is not a report of orientd: choose another --report")
            self._file = open(self.path, "a", encoding="utf-8", errors="surrogateescape", newline="")  # noqa: SIM115
            self._begin()
        except OSError as error:
            raise ConfigError(f"{printable(path)} cannot be written: {error.strerror}: choose another --report") from error
        self._writerow = csv.writer(EndsWithLf(self._file), lineterminator="\r\n").writerow

    def _begin(self) -> None:
        with ExitStack() as failed:
            failed.callback(self._file.close)
            if not _taken(self._file):
                raise ConfigError(f"another orientd is writing {printable(self.path)}: choose another --report")
            failed.callback(os.unlink, self.path)
            self._file.truncate(0)
            self._file.write(HEADER + "\n")
            self._file.flush()
            failed.pop_all()

    def write(self, row: Row) -> None:
        """Add one row.

        Raises:
            OrientdError: the disk says no.
        """
        try:
            self._writerow(cells(row))
        except OSError as error:
            raise OrientdError(f"{printable(self.path)} cannot be written: {error.strerror}") from error

    def finish(self) -> str:
        """Give the complete report its name and return that.

        Raises:
            OrientdError: the disk says no.
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            os.replace(self.path, self._final)
        except OSError as error:
            raise OrientdError(f"{printable(self.path)} cannot be written: {error.strerror}") from error
        self.path = self._final
        self.close()
        return self.path

    def close(self) -> None:
        """Stop writing; without `finish` before it, the report stays marked as partial.

        Raises:
            OrientdError: the disk says no.
        """
        try:
            self._file.close()
        except OSError as error:
            raise OrientdError(f"{printable(self.path)} cannot be written: {error.strerror}") from error

    def __enter__(self) -> "CsvReport":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _taken(file: TextIO) -> bool:
    """Keep a file for this process until it closes it; False if another one has it."""
    with suppress(OSError):  # a file system without locks
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def cells(row: Row) -> list[object]:
    """A row as it stands in a report."""
    return [f"{value:.4f}" if isinstance(value, float) else value for value in row.cells()]


class EndsWithLf:
    """Turns the writer's CR LF into LF: only a writer that ends lines with CR LF quotes a CR within a field."""

    def __init__(self, file: TextIO) -> None:
        self._write = file.write

    def write(self, line: str) -> None:
        self._write(line[:-2] + "\n")


def _is_report(path: str, begun: bool) -> bool:
    """True if the file has a header of orientd; or if `begun`, nothing at all yet, as a power cut may leave it."""
    if not os.path.isfile(path):
        return False
    if begun and not os.path.getsize(path):
        return True
    with open(path, "rb") as file:
        return is_header(file.readline(LONGEST + 2).rstrip(b"\r\n").decode("ascii", "replace"))
