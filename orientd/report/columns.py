"""The first line of a report or a plan: which columns it has and in which order. Versions of orientd add columns at the end."""

import csv
from dataclasses import dataclass
from typing import Final

from orientd.records import COLUMNS

NEEDED: Final = ("path", "turn", "decision", "size", "mtime_ns", "sha256")
NAMES: Final = tuple(COLUMNS)  # what this version writes
_LATER: Final = ("evidence", "decided_by", "skew")  # in this order, after those of the first version
_EVER: Final = tuple(dict.fromkeys((*NAMES, *_LATER)))
_FEWEST: Final = _EVER.index("sha256") + 1
BOM: Final = "\ufeff"  # by which Excel knows UTF-8
LONGEST: Final = len((BOM + ",".join(_EVER) + "\r\n").encode())  # of the first lines that orientd writes, in bytes


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of columns in lower case, and what separates them: a comma, a semicolon or a tab."""

    names: tuple[str, ...]
    delimiter: str = ","

    @classmethod
    def of(cls, line: str) -> "Columns":
        """What a first line says, as orientd wrote it or as a spreadsheet did; no names if it is not a line of CSV."""
        line = line.removeprefix(BOM)
        delimiter = max(",;\t", key=line.count)
        try:
            cells = next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error:
            cells = []
        return cls(tuple(name.strip().lower() for name in cells), delimiter)

    @property
    def missing(self) -> list[str]:
        """Columns without which no photo can be fixed."""
        return [name for name in NEEDED if name not in self.names]


def is_header(line: bytes) -> bool:
    """True if orientd begins a report with this line: this version, an earlier or a later one.

    A column of another name was added by a person.
    """
    names = tuple(line.removeprefix(BOM.encode()).rstrip(b"\r\n").decode("ascii", "replace").split(","))
    return len(names) >= _FEWEST and names == _EVER[: len(names)]
