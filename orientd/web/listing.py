"""Which photos the page shows, and in which order: those that a person must decide on, before all that needs no person."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from orientd.records import ON_SERVERS, Verdict
from orientd.report.text import printable
from orientd.web.rows import Rows

SHOWS: Final = {
    "decide": (Verdict.FIX, Verdict.UNSURE),
    "open": (Verdict.FIX, Verdict.UNSURE),
    "fix": (Verdict.FIX,),
    "unsure": (Verdict.UNSURE,),
    "decided": tuple(Verdict),
    "keep": (Verdict.KEEP,),
    "skip": (Verdict.SKIP,),
    "error": (Verdict.ERROR,),
    "all": (Verdict.FIX, Verdict.UNSURE, Verdict.SKIP, Verdict.ERROR, Verdict.KEEP),
}
ORDERS: Final = ("confidence", "folder")
_TITLES: Final = {
    Verdict.FIX: "Proposals",
    Verdict.UNSURE: "Unsure",
    Verdict.KEEP: "Upright",
    Verdict.SKIP: "Left alone",
    Verdict.ERROR: "Not readable",
}
_MOST_CHOICES: Final = 2000  # of a filter: a list that nobody scrolls through


@dataclass(frozen=True, slots=True)
class Query:
    """What a page wants to see. Empty is any; `folder` is a path."""

    show: str = "decide"
    order: str = "confidence"
    folder: str = ""
    reason: str = ""
    witness: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    numbers: list[int]


@dataclass(frozen=True, slots=True)
class Listing:
    """The photos in their order, and how many there are by folder, reason and witness before these are chosen."""

    sections: list[Section]
    folders: list[tuple[str, int]]
    reasons: list[tuple[str, int]]
    witnesses: list[tuple[str, int]]

    @property
    def numbers(self) -> list[int]:
        return [number for section in self.sections for number in section.numbers]


def listing(rows: Rows, query: Query) -> Listing:
    """What a page shows for a query."""
    shown = _shown(rows, query.show)
    every = [number for numbers in shown.values() for number in numbers]
    chosen = {decision: [number for number in numbers if _fits(rows, number, query)] for decision, numbers in shown.items()}
    sections = _by_folder(rows, chosen) if query.order == "folder" else _by_confidence(rows, chosen)
    return Listing(
        [section for section in sections if section.numbers],
        _counted(folder_of(rows, number) for number in every),
        _counted(rows.cell("reason_code", number) for number in every),
        _counted(name for number in every for name in witnesses_of(rows.cell("evidence", number))),
    )


def folder_of(rows: Rows, number: int) -> str:
    """Its folder; photos on a server count as one, as each would have a folder of its own otherwise."""
    path = rows.cell("path", number)
    return path.partition("/")[0] if path.startswith(ON_SERVERS) else os.path.dirname(path)


def witnesses_of(evidence: str) -> list[str]:
    """The names in a cell such as "scene 90 +2.0; faces 90 +1.3"."""
    return [one.split(" ", 1)[0] for one in evidence.split("; ") if one]


def _shown(rows: Rows, show: str) -> dict[Verdict, list[int]]:
    shown = {decision: rows.numbers([decision.value]) for decision in SHOWS[show]}
    if show in ("open", "decided"):
        decided = set(rows.decided())
        wanted = show == "decided"
        shown = {key: [one for one in numbers if (one in decided) is wanted] for key, numbers in shown.items()}
    return shown


def _fits(rows: Rows, number: int, query: Query) -> bool:
    return (
        (not query.folder or folder_of(rows, number) == query.folder)
        and (not query.reason or rows.cell("reason_code", number) == query.reason)
        and (not query.witness or query.witness in witnesses_of(rows.cell("evidence", number)))
    )


def _by_confidence(rows: Rows, chosen: dict[Verdict, list[int]]) -> list[Section]:
    """Proposals, the least certain first; unsure ones, the most likely wrong first; the others by folder and time."""

    def rank(decision: Verdict, number: int) -> tuple[Any, ...]:
        if decision is Verdict.FIX:
            return _number(rows.cell("confidence", number), 0.0), *_place(rows, number)
        if decision is Verdict.UNSURE:
            return -best_chance(rows, number), *_place(rows, number)
        return _place(rows, number)

    return [
        Section(_TITLES[decision], sorted(numbers, key=lambda number: rank(decision, number)))
        for decision, numbers in chosen.items()
    ]


def _by_folder(rows: Rows, chosen: dict[Verdict, list[int]]) -> list[Section]:
    """Folder by folder and in it day by day, in the order of time."""
    numbers = sorted((number for numbers in chosen.values() for number in numbers), key=lambda number: _place(rows, number))
    sections: list[Section] = []
    for number in numbers:
        title = " · ".join(filter(None, [printable(folder_of(rows, number)), _day(rows.cell("mtime_ns", number))]))
        if not sections or sections[-1].title != title:
            sections.append(Section(title, []))
        sections[-1].numbers.append(number)
    return sections


def _place(rows: Rows, number: int) -> tuple[str, float, str]:
    return folder_of(rows, number), _number(rows.cell("mtime_ns", number), 0.0) // 86_400e9, rows.cell("path", number)


def best_chance(rows: Rows, number: int) -> float:
    """The probability of the most likely turn but upright."""
    return max(_number(rows.cell(name, number), 0.0) for name in ("p90", "p180", "p270"))


def _day(mtime_ns: str) -> str:
    try:
        return f"{datetime.fromtimestamp(int(mtime_ns) // 10**9, UTC):%-d %B %Y}"
    except (ValueError, OverflowError, OSError):
        return ""


def _number(text: str, otherwise: float) -> float:
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        return otherwise


def _counted(names: Iterable[str]) -> list[tuple[str, int]]:
    found = sorted(Counter(name for name in names if name).items())
    return found[:_MOST_CHOICES]


def accepted_at_once(rows: Rows, shown: Sequence[int], above: float) -> list[int]:
    """Of the photos that are shown those proposals that nobody has decided on yet, from this confidence (0–1) on."""
    decided = set(rows.decided())
    return [
        number
        for number in shown
        if number not in decided
        and rows.cell("decision", number).strip().lower() == Verdict.FIX
        and _number(rows.cell("confidence", number), 0.0) >= above
    ]
