"""The report of `orientd pages`: a line for each page, with columns and decisions of its own, so that it is no plan."""

import csv
import os
from collections import Counter
from contextlib import suppress
from enum import StrEnum
from typing import Final, NamedTuple

from orientd.errors import ConfigError, OrientdError
from orientd.reasons import Reason
from orientd.report.csv_file import EndsWithLf
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


class PageReport:
    """Writes rows as they come to FILE.partial, which becomes FILE with `finish`.

    Raises:
        ConfigError: the file is there already and is not to be replaced, or its folder cannot be written.
    """

    def __init__(self, path: str, *, overwrite: bool) -> None:
        self.path = path
        self._overwrite = overwrite
        self.counts: Counter[PageVerdict] = Counter()
        self._refuse_existing()
        try:
            self._file = open(self.partial, "w", encoding="utf-8", errors="surrogateescape", newline="")  # noqa: SIM115
            self._file.write(HEADER + "\n")
        except OSError as error:
            raise ConfigError(f"{printable(path)} cannot be written: {error.strerror}: choose another --report") from error
        self._writerow = csv.writer(EndsWithLf(self._file), lineterminator="\r\n").writerow

    @property
    def partial(self) -> str:
        return self.path + ".partial"

    def _refuse_existing(self) -> None:
        if os.path.lexists(self.path) and not self._overwrite:
            raise ConfigError(f"{printable(self.path)} is there already: choose another --report, or give --overwrite")

    def write(self, row: PageRow) -> None:
        """Add one row. Raises OrientdError if the disk says no."""
        self.counts[row.decision] += 1
        try:
            self._writerow([_cell(name, value) for name, value in row._asdict().items()])
        except OSError as error:
            raise OrientdError(f"{printable(self.partial)} cannot be written: {error.strerror}") from error

    def finish(self) -> str:
        """Give the complete report its name and return that. Raises OrientdError if the disk says no."""
        try:
            self._file.close()
            self._refuse_existing()
            os.replace(self.partial, self.path)
        except OSError as error:
            raise OrientdError(f"{printable(self.partial)} cannot be written: {error.strerror}") from error
        return self.path

    def close(self) -> None:
        """Stop writing; without `finish` before it, the report stays marked as partial, if it has any row."""
        self._file.close()
        if not self.counts.total():
            with suppress(FileNotFoundError):
                os.unlink(self.partial)


def is_page_report(names: tuple[str, ...]) -> bool:
    """True if a file whose first line has these names of columns is such a report."""
    return {"angle_confidence", "page"} <= set(names)


def _cell(name: str, value: object) -> object:
    if isinstance(value, float):
        return f"{value:.2f}" if name == "angle" else f"{value:.4f}"
    return "" if value is None else value
