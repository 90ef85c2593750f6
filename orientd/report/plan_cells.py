"""A plan of which rows are made only as they are asked for: to make all of 100,000 takes over a second, to split their lines a
quarter of one."""

import csv
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from orientd.errors import ConfigError
from orientd.records import Row
from orientd.report.columns import Columns
from orientd.report.plan import row_of
from orientd.report.text import printable

_EMPTY: Final = ""


class PlanCells:
    """The lines of a plan, numbered from 0 in the order of the file, without those that are empty."""

    def __init__(self, path: str) -> None:
        """Read a plan.

        Raises:
            ConfigError: it cannot be read, or is none. Of its cells nothing is checked yet.
        """
        try:
            with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file, without_collecting():
                self.columns = Columns.of(file.readline())
                if self.columns.missing:
                    missing = ", ".join(self.columns.missing)
                    raise ConfigError(f"{printable(path)} is not a plan of orientd: there is no column {missing}")
                reader = csv.reader(file, delimiter=self.columns.delimiter, strict=True)
                self.lines = [cells for cells in reader if any(cells)]
        except OSError as error:
            raise ConfigError(f"{printable(path)} cannot be read: {error.strerror}") from error
        except csv.Error as error:
            raise ConfigError(f"{printable(path)} is not valid CSV: {error}") from error
        self._places = {name: place for place, name in enumerate(self.columns.names)}

    def column(self, name: str) -> list[str]:
        """One cell of every line; empty where there is none."""
        place = self._places.get(name)
        if place is None:
            return [_EMPTY] * len(self.lines)
        try:
            return [cells[place] for cells in self.lines]
        except IndexError:  # a spreadsheet leaves out what is empty at the end
            return [cells[place] if place < len(cells) else _EMPTY for cells in self.lines]

    def row(self, number: int) -> Row:
        """The row of a line, as it is in the file.

        Raises:
            ValueError: says which column is wrong.
        """
        return row_of(self.columns.names, self.lines[number])


@contextmanager
def without_collecting() -> Iterator[None]:
    """For where much is made and none of it in a circle: looking for circles would take longer than making it."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.freeze()  # what is there by now stays, and need not be looked at again
            gc.enable()
