"""Reads a report back as the plan of `orientd apply`, after a person has edited it or not."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, TextIO

from orientd.errors import ConfigError
from orientd.records import COLUMNS, Method, Row, Status, Verdict
from orientd.report.columns import Columns
from orientd.report.text import printable

_PROBLEMS_SHOWN: Final = 20


def read_plan(path: str) -> list[Row]:
    """The rows of a plan whose decision is `fix`, in the order of the file; the whole file is checked first.

    People edit plans with spreadsheets: columns may change places, be added or (but for path, turn, decision, size, mtime_ns
    and sha256) be missing; the separator may be a semicolon or a tab, decimals a comma, lines may end with CR LF. A number
    that the spreadsheet rounded (1.7E+18) comes back as None: `mtime_ns` may be None, size and sha256 never are.

    Raises:
        ConfigError: lists every bad row with its line number.
    """
    problems: list[str] = []
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = [row for row in _parsed(file, problems) if row.decision is Verdict.FIX]
    except OSError as error:
        raise ConfigError(f"{printable(path)} cannot be read: {error.strerror}") from error
    if problems:
        more = [f"and {len(problems) - _PROBLEMS_SHOWN} more"] if len(problems) > _PROBLEMS_SHOWN else []
        raise ConfigError("\n".join(f"{printable(path)}: {line}" for line in problems[:_PROBLEMS_SHOWN] + more))
    return rows


def _parsed(file: TextIO, problems: list[str]) -> Iterator[Row]:
    header = Columns.of(file.readline())
    if header.missing:
        problems.append(f"is not a plan of orientd: there is no column {', '.join(header.missing)}")
        return
    reader = csv.reader(file, delimiter=header.delimiter, strict=True)
    try:
        for cells in reader:
            try:
                if any(cells):
                    yield _row(header.names, cells)
            except ValueError as error:
                problems.append(f"line {reader.line_num + 1}: {error}")
    except csv.Error as error:
        problems.append(f"line {reader.line_num + 1}: is not valid CSV: {error}")


def _row(header: Sequence[str], cells: list[str]) -> Row:
    """One row of a plan.

    Raises:
        ValueError: says which column is wrong.
    """
    short = len(header) - len(cells)
    if short < 0 and any(cells[short:]):
        raise ValueError(f"has {len(cells)} cells, the header has {len(header)}")
    named = dict(zip(header, cells + [""] * short, strict=False))
    values = {name: _value(kind, name, named.get(name, "")) for name, kind in COLUMNS.items()}
    decision = named["decision"].strip().lower()
    if decision not in list(Verdict):
        raise ValueError(f"decision must be one of {', '.join(Verdict)}, got {decision!r}")
    words = {"decision": decision, "method": _word(Method, named, "method"), "outcome": _word(Status, named, "outcome")}
    row = Row.of((values | words).values())
    if row.decision is Verdict.FIX:
        _check_fix(row)
    return row


def _word(words: type[StrEnum], named: Mapping[str, str], name: str) -> str:
    """One of these words, however a person wrote it; empty for any other."""
    word = named.get(name, "").strip().lower()
    return word if word in list(words) else ""


def _value(kind: Any, name: str, text: str) -> Any:
    if kind is str:
        return text
    text = text.strip().replace(",", ".")
    if not text:
        return None
    try:
        number = float(text)
        if kind == float | None:
            return number
        return None if "e" in text.lower() else int(text.removesuffix(".0"))
    except ValueError:
        raise ValueError(f"{name} must be a number, got {text!r}") from None


def _check_fix(row: Row) -> None:
    if not row.path:
        raise ValueError("path is empty")
    if row.turn not in (90, 180, 270):
        raise ValueError(f"to fix a photo, turn must be 90, 180 or 270, got {'nothing' if row.turn is None else row.turn}")
    if row.size is None or row.size < 0:
        raise ValueError("size is missing: scan again")
    if len(row.sha256) != 64 or not set(row.sha256) <= set("0123456789abcdef"):
        raise ValueError("sha256 is missing or was changed: scan again")
