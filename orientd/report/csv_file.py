"""The CSV report of a run: written row by row to a file that gets its name at the end, or to standard output.

The CSV file is UTF-8 with `errors="surrogateescape"`: it holds the very bytes of a path, UTF-8 or not, and reading it back the
same way (see `plan`) gives the same `str`. Commas, quotes and line breaks, CR too, are quoted (RFC 4180); lines end with LF.
"""

import csv
import errno
import fcntl
import os
import sys
from contextlib import ExitStack, suppress
from datetime import datetime
from typing import IO, Any, Final, NoReturn, Protocol

from orientd.errors import Busy, ConfigError, ReportError
from orientd.records import Row
from orientd.report import left_over
from orientd.report.columns import BOM, LONGEST, NAMES, is_header
from orientd.report.text import printable

HEADER: Final = ",".join(NAMES)
# What another name for the report would solve; anything else is for who keeps the disk.
MISTAKEN: Final = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL)


def default_report(now: datetime, folder: str = "", kind: str = "orientd") -> str:
    """A name of its own, which begins with `kind`, for the report of a run that starts `now`, in `folder` (the current one)."""
    stem = os.path.join(folder, f"{kind}-{now:%Y%m%d-%H%M%S}")
    names = (f"{stem}.csv", *(f"{stem}-{number}.csv" for number in range(2, 1000)))
    return next(name for name in names if not os.path.lexists(name) and not os.path.lexists(name + ".partial"))


class CsvReport:
    """Writes rows as they come to FILE.partial, which becomes FILE with `finish`; without it FILE.partial stays, and the next
    one of that name gives it another, as it holds what was done until then.

    `notice`: what its reader should know, if anything.
    """

    notice = ""

    def __init__(self, path: str, *, excel: bool = False) -> None:
        """Open the report, for `excel` with a mark by which that knows UTF-8.

        Raises:
            ConfigError: `path` is an existing file that is no orientd report, or leads nowhere.
            Busy: another orientd is writing it.
            ReportError: there is no room there, or no right to write.
        """
        self.path = path + ".partial"
        self._final, self._first = path, (BOM if excel else "") + HEADER + "\n"
        try:
            for name in (self._final, self.path):
                if os.path.lexists(name) and not is_report(name, begun=name == self.path):
                    raise ConfigError(f"{printable(name)} exists and is not a report of orientd: choose another --report")
            self._open()
            self._begin()
        except OSError as error:
            kind = ConfigError if error.errno in MISTAKEN else ReportError
            raise kind(f"{printable(path)} cannot be written: {error.strerror}: choose another --report") from error
        self._writerow = csv.writer(EndsWithLf(self._file), lineterminator="\r\n").writerow

    def _open(self) -> None:
        self._file = open(self.path, "a", encoding="utf-8", errors="surrogateescape", newline="")  # noqa: SIM115
        if not try_lock(self._file):
            self._file.close()
            raise Busy(f"another orientd is writing {printable(self.path)}: choose another --report, or wait for it to end")

    def _begin(self) -> None:
        with ExitStack() as failed:
            failed.callback(lambda: self._file.close())
            if left_over.has_rows(self.path):
                os.rename(self.path, left_over.another_name(self._final))
                self._file.close()
                self._open()
            failed.callback(os.unlink, self.path)
            self._file.truncate(0)
            self._file.write(self._first)
            self._file.flush()
            failed.pop_all()

    def write(self, row: Row) -> None:
        """Add one row.

        Raises:
            ReportError: the disk says no.
        """
        try:
            self._writerow(cells(row))
        except OSError as error:
            self._fail(error)

    def finish(self) -> str:
        """Give the complete report its name and return that.

        Raises:
            ReportError: the disk says no.
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            os.replace(self.path, self._final)
        except OSError as error:
            self._fail(error)
        self.path = self._final
        self.close()
        return self.path

    def close(self) -> None:
        """Stop writing; without `finish` before it, the report stays marked as partial.

        Raises:
            ReportError: the disk says no.
        """
        try:
            self._file.close()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> NoReturn:
        raise ReportError(f"{printable(self.path)} cannot be written: {error.strerror}") from error

    def __enter__(self) -> "CsvReport":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class PipedReport(CsvReport):
    """A report on standard output, of which no file is kept: its `path` is empty. What is not finished stays as it is."""

    def __init__(self, *, excel: bool = False) -> None:
        self.path = ""
        self._writerow = csv.writer(EndsWithLf(_StandardOutput()), lineterminator="\r\n").writerow
        try:
            _StandardOutput().write((BOM if excel else "") + HEADER + "\n")
        except OSError as error:
            self._fail(error)

    def finish(self) -> str:
        self.close()
        return self.path

    def close(self) -> None:
        """Have all of it read. A reader that is gone is no matter of the report.

        Raises:
            ReportError: the disk says no.
            BrokenPipeError: nobody reads it, here as in `write`.
        """
        try:
            sys.stdout.flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> NoReturn:
        if isinstance(error, BrokenPipeError):
            raise error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else it would be tried again when the program ends
        raise ReportError(f"the report cannot be written to standard output: {error.strerror}") from error


class _StandardOutput:
    """Standard output for text that need not be UTF-8."""

    def write(self, text: str) -> int:
        return sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))


def try_lock(file: IO[Any]) -> bool:
    """Keep a file for this process until it closes it; False if another one has it."""
    with suppress(OSError):  # a file system without locks
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def cells(row: Row) -> list[object]:
    """A row as it is written in a report."""
    return [f"{value:.4f}" if isinstance(value, float) else value for value in row.cells()]


class Written(Protocol):
    """What text can be written to."""

    def write(self, text: str, /) -> object: ...


class EndsWithLf:
    """Turns the writer's CR LF into LF: only a writer that ends lines with CR LF quotes a CR within a field."""

    def __init__(self, file: Written) -> None:
        self._write = file.write

    def write(self, line: str) -> None:
        self._write(line[:-2] + "\n")


def is_report(path: str, *, begun: bool = False) -> bool:
    """True if the file has a header of orientd; or if `begun`, nothing at all yet, as a power cut may leave it."""
    if not os.path.isfile(path):
        return False
    if begun and not os.path.getsize(path):
        return True
    with open(path, "rb") as file:
        return is_header(file.readline(LONGEST))
