"""A report to look at: one HTML page that needs nothing else, with small pictures of what a person is to decide.

Names of files may hold anything, so every text is escaped, and the page allows itself nothing but its own style and the pictures
in it: no script, no other address.
"""

import os
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Final

from orientd.orientation import TURNS
from orientd.reasons import words
from orientd.records import Row, Status
from orientd.report.text import printable
from orientd.report.verdicts import best_turn

FIRST_LINE: Final = "<!DOCTYPE html><!-- a report of orientd -->"
"""By which a page of orientd is known, so that no other file is replaced by one."""
_STYLE: Final = (files("orientd.report") / "page.css").read_text("utf-8")
_ALLOWED: Final = "; ".join(
    (
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
_HALF: Final = 500  # of the side of a picture's frame


@dataclass(frozen=True, slots=True)
class Card:
    """A photo: its row, and a JPEG of how it is shown now, of these sides in pixels; or why there is none."""

    row: Row
    jpeg: bytes = b""
    width: int = 0
    height: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Photos of a kind. `notes` are shown above them; those without pictures are a list of names and reasons."""

    name: str
    title: str
    notes: Sequence[str]
    cards: Iterable[Card]
    pictures: bool = True


def page(title: str, facts: Sequence[str], steps: Sequence[tuple[str, str]], sections: Sequence[Section]) -> Iterator[str]:
    """The page, piece by piece. `steps` are commands, and what each is for."""
    yield f'{FIRST_LINE}\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_ALLOWED}">\n<meta name="referrer" content="no-referrer">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{_text(title)}</h1>\n"
    yield from (f"<p>{_text(fact)}</p>\n" for fact in facts)
    links = "".join(f'<li><a href="#{section.name}">{_text(section.title)}</a></li>' for section in sections)
    yield f'<nav aria-label="Kinds of photos"><ul>{links}</ul></nav>\n' if len(sections) > 1 else ""
    yield from (f"<p>{_text(what)}</p>\n<pre><code>{_text(command)}</code></pre>\n" for what, command in steps)
    yield "</header>\n<main>\n"
    number = 0
    for section in sections:
        yield f'<section id="{section.name}" aria-labelledby="{section.name}-title">\n'
        yield f'<h2 id="{section.name}-title">{_text(section.title)}</h2>\n'
        yield from (f'<p class="soft">{_text(note)}</p>\n' for note in section.notes)
        yield '<div class="cards">\n' if section.pictures else _TABLE
        for card in section.cards:
            number += 1
            yield _figure(card, f"p{number}") if section.pictures else _line(card.row)
        yield "</div>\n</section>\n" if section.pictures else "</tbody></table>\n</section>\n"
    yield "</main>\n<footer>Made by orientd. The pictures are in this file; it loads nothing else.</footer>\n</body>\n</html>\n"


_TABLE: Final = '<table><thead><tr><th scope="col">Photo</th><th scope="col">Why</th></tr></thead><tbody>\n'


def _line(row: Row) -> str:
    reason = row.reason or words(row.reason_code)
    return f'<tr><th scope="row"><bdi>{_text(row.path)}</bdi></th><td>{_text(reason)}</td></tr>\n'


def _figure(card: Card, name: str) -> str:
    row = card.row
    folder, file = os.path.split(row.path)
    shown = _pair(card, name) if card.jpeg else f'<div class="none">{_text(card.note)}</div>'
    facts = "".join(f"<small>{_text(line)}</small>" for line in _facts(row))
    caption = f"<strong><bdi>{_text(file)}</bdi></strong><small><bdi>{_text(folder)}</bdi></small>{facts}"
    return f"<figure>{shown}<figcaption>{caption}</figcaption></figure>\n"


def _pair(card: Card, name: str) -> str:
    """The photo as it is shown now and as it would be turned; for a fixed photo, before and now."""
    turn = best_turn(card.row) or 0
    fixed = card.row.outcome is Status.FIXED
    left, right = ("before", "now") if fixed else ("now", f"turned {_words(turn)}")
    turns = (-turn % 360, 0) if fixed else (0, turn)
    scale = 2 * _HALF / max(card.width, card.height, 1)
    width, height = round(card.width * scale), round(card.height * scale)
    place = f'x="{_HALF - width // 2}" y="{_HALF - height // 2}" width="{width}" height="{height}"'
    image = f'<image id="{name}" {place} href="data:image/jpeg;base64,{b64encode(card.jpeg).decode("ascii")}"/>'
    again = f'<use href="#{name}"/>'
    label = f"{os.path.basename(card.row.path)}, {{}}"
    first, second = (
        f'<svg viewBox="0 0 {2 * _HALF} {2 * _HALF}" role="img" aria-label="{_text(label.format(what))}">'
        f'<g transform="rotate({angle} {_HALF} {_HALF})">{drawn}</g></svg>{_text(what)}'
        for what, angle, drawn in zip((left, right), turns, (image, again), strict=True)
    )
    return f'<div class="pair"><div>{first}</div><div class="better">{second}</div></div>'


def _facts(row: Row) -> Iterator[str]:
    turn = best_turn(row)
    if turn and row.probabilities and not row.decided_by:
        yield f"probability of this turn: {row.probabilities[TURNS.index(turn)]:.1%}, of none: {row.probabilities[0]:.1%}"
    yield from filter(None, (row.evidence, row.reason))
    if row.decided_by:
        yield "decided by a person"


def _words(turn: int) -> str:
    return {90: "right", 180: "upside down", 270: "left"}.get(turn, "")


def _text(text: str) -> str:
    return escape(printable(text))
