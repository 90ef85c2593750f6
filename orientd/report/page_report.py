"""The report of `orientd pages`: a line for each page, with columns and decisions of its own, so that it is no plan."""

import csv
import os
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from enum import StrEnum
from typing import IO, Final, NamedTuple

from orientd.errors import Busy, ConfigError, ReportError
from orientd.reasons import Reason
from orientd.report import left_over
from orientd.report.csv_file import MISTAKEN, EndsWithLf, try_lock
from orientd.report.text import printable


class PageVerdict(StrEnum):
    """What is done with a page: COPY gets an upright, straight copy, KEEP is so already, UNSURE is left as it is."""

    COPY = "copy"
    KEEP = "keep"
    UNSURE = "unsure"
    ERROR = "error"


class PageRow(NamedTuple):
    """What is known of one page; `page` counts from 1. Angles are degrees clockwise: turned by `angle` the page is straight,
    turned by `angle` + `turn` it is upright. `copy` is the path of the file that was written, empty if none was."""

    path: str
    page: int
    angle: float | None
    angle_confidence: float | None
    turn: int | None
    confidence: float | None
    decision: PageVerdict
    copy: str = ""
    reason: str = ""
    reason_code: Reason | None = None


COLUMNS: Final = PageRow._fields
HEADER: Final = ",".join(COLUMNS)
_FIRST: Final = HEADER.encode() + b"\n"


class PageReport:
    """Writes rows as they come to FILE.partial, which becomes FILE with `finish`.

    Raises:
        ConfigError: the file is there already and is not to be replaced, or its name leads nowhere.
        Busy: another orientd is writing it.
        ReportError: there is no room there, or no right to write.
    """

    def __init__(self, path: str, *, overwrite: bool) -> None:
        self.path = path
        self.partial = path + ".partial"
        self._overwrite = overwrite
        self.counts = Counter(dict.fromkeys(PageVerdict, 0))
        try:
            self._refuse_existing()
            self._put_aside()
            self._file = _created(self.partial)
            self._begin()
        except OSError as error:
            kind = ConfigError if error.errno in MISTAKEN else ReportError
            raise kind(f"{printable(path)} cannot be written: {error.strerror}: choose another --report") from error
        self._writerow = csv.writer(EndsWithLf(self._file), lineterminator="\r\n").writerow

    def _begin(self) -> None:
        with ExitStack() as failed:
            failed.callback(self._give_up)
            try_lock(self._file)
            self._file.write(HEADER + "\n")
            self._file.flush()
            failed.pop_all()

    def _give_up(self) -> None:
        os.unlink(self.partial)
        with suppress(OSError):
            self._file.close()

    def _refuse_existing(self) -> None:
        if not os.path.lexists(self.path):
            return
        if not self._overwrite:
            raise ConfigError(f"{printable(self.path)} is there already: choose another --report, or give --overwrite")
        with _found(self.path) as first:
            if first != _FIRST:
                raise _no_report(self.path)

    def _put_aside(self) -> None:
        """Give what an interrupted run left under our name another one."""
        if not os.path.lexists(self.partial):
            return
        with _found(self.partial) as first:
            if first not in (_FIRST, b""):
                raise _no_report(self.partial)
            os.rename(self.partial, left_over.another_name(self.path))

    def write(self, row: PageRow) -> None:
        """Add one row. Raises ReportError if the disk says no."""
        self.counts[row.decision] += 1
        try:
            self._writerow([_cell(name, value) for name, value in row._asdict().items()])
        except OSError as error:
            raise self._trouble(error) from error

    def finish(self) -> str:
        """Give the complete report its name and return that. Raises ConfigError if that was taken meanwhile, or ReportError."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._refuse_existing()
            os.replace(self.partial, self.path)
            self._file.close()
        except OSError as error:
            raise self._trouble(error) from error
        return self.path

    def close(self) -> None:
        """Stop writing; without `finish` before it, the report stays marked as partial, if it has any row.

        Raises:
            ReportError: the disk says no.
        """
        try:
            if not self._file.closed and not self.counts.total():
                os.unlink(self.partial)
            self._file.close()
        except FileNotFoundError:
            self._file.close()
        except OSError as error:
            raise self._trouble(error) from error

    def _trouble(self, error: OSError) -> ReportError:
        return ReportError(f"{printable(self.partial)} cannot be written: {error.strerror}")


def _created(path: str) -> IO[str]:
    """A new file: what is there by now is neither written nor followed."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    return open(file, "w", encoding="utf-8", errors="surrogateescape", newline="")


@contextmanager
def _found(path: str) -> Iterator[bytes]:
    """The first line of a file, which no other orientd writes meanwhile.

    Raises:
        ConfigError: it is no regular file.
        Busy: another orientd is writing it.
    """
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise _no_report(path)
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not try_lock(file):
            raise Busy(f"another orientd is writing {printable(path)}: choose another --report, or wait for it to end")
        yield file.readline(len(_FIRST) + 1)


def _no_report(path: str) -> ConfigError:
    return ConfigError(f"{printable(path)} exists and is not a report about pages: choose another --report")


def is_page_report(names: tuple[str, ...]) -> bool:
    """True if a file whose first line has these names of columns is such a report."""
    return {"angle_confidence", "page"} <= set(names)


def _cell(name: str, value: object) -> object:
    if isinstance(value, float):
        return f"{round(value, 2) + 0.0:.2f}" if name == "angle" else f"{value:.4f}"  # -0.0 + 0.0 is 0.0
    return "" if value is None else value
