"""Reads a report back as the plan of `orientd apply`, after a person has edited it or not, with the verdicts given on it."""

import csv
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, TextIO

from orientd.errors import ConfigError
from orientd.records import COLUMNS, Format, Method, Notify, Row, Status, Verdict
from orientd.report import verdicts
from orientd.report.columns import Columns
from orientd.report.page_report import is_page_report
from orientd.report.text import printable

_PROBLEMS_SHOWN: Final = 20
_DECISIONS: Final = frozenset(verdict.value for verdict in Verdict)
_WORDS: Final[Mapping[str, Collection[str]]] = {
    "format": frozenset(kind.value for kind in Format),
    "method": frozenset(method.value for method in Method),
    "outcome": frozenset(status.value for status in Status),
    "decided_by": frozenset((verdicts.PERSON,)),
}
_TEXTS: Final = frozenset(name for name, kind in COLUMNS.items() if kind is str)
_FRACTIONS: Final = frozenset(name for name, kind in COLUMNS.items() if kind == float | None)
_COUNT: Final = (0, 2**63 - 1)
_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    **dict.fromkeys(("width", "height", "views", "size"), _COUNT),
    **dict.fromkeys(("orientation", "new_orientation"), (-(2**63), 2**63 - 1)),
    **dict.fromkeys(_FRACTIONS, (0, 1)),
    "skew": (-45, 45),
}


def read_plan(path: str, notify: Notify = lambda _: None) -> list[Row]:
    """The rows of a plan whose decision is `fix`, as `read_decided` gives them."""
    return _read(path, _deciding(path, notify), lambda row: row.decision is Verdict.FIX)


def read_decided(path: str, notify: Notify = lambda _: None) -> list[Row]:
    """All rows of a plan, with the verdicts of a person since it was written (`verdicts.fold`).

    `notify` is called for lines that are no verdict. Raises as `read_rows`, and StateError if the verdicts cannot be read.
    """
    return _read(path, _deciding(path, notify))


def read_rows(path: str) -> list[Row]:
    """All rows of a plan as they are in the file, in its order; the whole file is checked first.

    People edit plans with spreadsheets: columns may change places, be added or (but for path, turn, decision, size, mtime_ns
    and sha256) be missing; the separator may be a semicolon or a tab, decimals a comma, lines may end with CR LF. A number
    that the spreadsheet rounded (1.7E+18), or that its column cannot hold, comes back as None: `mtime_ns` may be None, size and
    sha256 never are. A format, method or outcome that there is not comes back empty.

    Raises:
        ConfigError: lists every bad row with its line number.
    """
    return _read(path, lambda row: row)


def each_row(path: str) -> Iterator[Row]:
    """Every row of a plan as orientd wrote it, in the order of the file, without holding more than one; raises as `read_rows`."""
    problems: list[str] = []
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield from _parsed(file, problems, lambda row: row)
    except OSError as error:
        raise ConfigError(f"{printable(path)} cannot be read: {error.strerror}") from error
    if problems:
        raise ConfigError(f"{printable(path)}: {problems[0]}")


def _deciding(path: str, notify: Notify) -> Callable[[Row], Row]:
    given = verdicts.read(path, notify)
    return lambda row: verdicts.fold(row, given.get((row.path, row.sha256)))


def _read(path: str, decided: Callable[[Row], Row], wanted: Callable[[Row], bool] = lambda _: True) -> list[Row]:
    problems: list[str] = []
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = [row for row in _parsed(file, problems, decided) if wanted(row)]
    except OSError as error:
        raise ConfigError(f"{printable(path)} cannot be read: {error.strerror}") from error
    if problems:
        more = [f"and {len(problems) - _PROBLEMS_SHOWN} more"] if len(problems) > _PROBLEMS_SHOWN else []
        raise ConfigError("\n".join(f"{printable(path)}: {line}" for line in problems[:_PROBLEMS_SHOWN] + more))
    return rows


def _parsed(file: TextIO, problems: list[str], decided: Callable[[Row], Row]) -> Iterator[Row]:
    header = Columns.of(file.readline())
    if is_page_report(header.names):
        problems.append("is a report about pages, by which no original is turned: have copies made with --out FOLDER")
        return
    if header.missing:
        problems.append(f"is not a plan of orientd: there is no column {', '.join(header.missing)}")
        return
    reader = csv.reader(file, delimiter=header.delimiter, strict=True)
    try:
        for cells in reader:
            try:
                if any(cells):
                    row = decided(row_of(header.names, cells))
                    _check(row)
                    yield row
            except ValueError as error:
                problems.append(f"line {reader.line_num + 1}: {error}")
    except csv.Error as error:
        problems.append(f"line {reader.line_num + 1}: is not valid CSV: {error}")


def row_of(header: Sequence[str], cells: list[str]) -> Row:
    """One row of a plan.

    Raises:
        ValueError: says which column is wrong.
    """
    short = len(header) - len(cells)
    if short < 0 and any(cells[short:]):
        raise ValueError(f"has {len(cells)} cells, the header has {len(header)}")
    named = dict(zip(header, cells + [""] * short, strict=False))
    values = {name: _value(name, named.get(name, "")) for name in COLUMNS}
    decision = named["decision"].strip().lower()
    if decision not in _DECISIONS:
        raise ValueError(f"decision must be one of {', '.join(Verdict)}, got {decision!r}")
    words = {"decision": decision} | {name: _word(known, named, name) for name, known in _WORDS.items()}
    return Row.of((values | words).values())


def _word(words: Collection[str], named: Mapping[str, str], name: str) -> str:
    """One of these words, however a person wrote it; empty for any other."""
    word = named.get(name, "").strip().lower()
    return word if word in words else ""


def _value(name: str, text: str) -> Any:
    if name in _TEXTS or not text:
        return text if name in _TEXTS else None
    text = text.strip().replace(",", ".")
    if not text:
        return None
    try:
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(text)
        if name not in _FRACTIONS and "e" in text.lower():
            return None
        return _within(name, number if name in _FRACTIONS else int(text.removesuffix(".0")))
    except ValueError:
        raise ValueError(f"{name} must be a number, got {text!r}") from None


def _within(name: str, number: float) -> float | None:
    """The number; None if that column cannot hold it."""
    least, most = _RANGES.get(name, (number, number))
    return number if least <= number <= most else None


def _check(row: Row) -> None:
    if row.decision is not Verdict.FIX:
        return
    if not row.path:
        raise ValueError("path is empty")
    if row.turn not in (90, 180, 270):
        raise ValueError(f"to fix a photo, turn must be 90, 180 or 270, got {'nothing' if row.turn is None else row.turn}")
    if row.size is None or row.size < 0:
        raise ValueError("size is missing: scan again")
    if len(row.sha256) != 64 or not set(row.sha256) <= set("0123456789abcdef"):
        raise ValueError("sha256 is missing or was changed: scan again")
