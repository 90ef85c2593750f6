"""A photo of a plan in words, as the page shows it on its card."""

import os
import re
from collections.abc import Mapping
from typing import Any, Final

from orientd.orientation import TURNS
from orientd.reasons import words
from orientd.records import Row, Verdict
from orientd.report.text import printable
from orientd.report.verdicts import Choice, PersonVerdict, best_turn
from orientd.web.rows import Done, Rows

_WITNESSES: Final[Mapping[str, str]] = {
    "scene": "Scene",
    "pages": "Text",
    "faces": "Faces",
    "people": "People",
    "things": "Things",
}
_TURNED: Final = {0: "upright", 90: "turn right", 180: "upside down", 270: "turn left"}
_SETTLED: Final = ("done", "unchanged", "changed")
_SAID: Final = re.compile(r"([\w-]{1,40}) (0|90|180|270) ([+-]?\d{1,6}(?:\.\d{1,6})?)")
_STRENGTHS: Final = ((3.0, "strongly"), (1.0, "fairly"), (0.0, "weakly"))


def card(rows: Rows, number: int) -> dict[str, Any]:
    """All that the page knows of a photo; every text is fit to be shown, and none is HTML."""
    base, verdict, done = rows.base(number), rows.verdict(number), rows.done(number)
    proposed = proposed_turn(base)
    return {
        "n": number,
        "name": printable(os.path.basename(base.path)),
        "folder": printable(os.path.dirname(base.path)),
        "decision": base.decision,
        "judged": rows.can_be_judged(number) and (done is None or done.state not in _SETTLED),
        "turn": proposed,
        "shown": shown_turn(rows.row(number), proposed, verdict, done),
        "chance": _chance(base, proposed),
        "choice": verdict.choice if verdict else "",
        "reason": printable(base.reason),
        "code": words(base.reason_code) if base.reason_code else "",
        "said": said(base.evidence),
        "about": _about(base),
        "done": done.state if done else "",
        "run": done.run if done else None,
        "doneReason": printable(done.reason) if done else "",
    }


def proposed_turn(row: Row) -> int:
    """The turn that accepting this row means."""
    return best_turn(row) or 0 if row.decision in (Verdict.FIX, Verdict.UNSURE) else 0


def shown_turn(row: Row, proposed: int, verdict: PersonVerdict | None, done: Done | None) -> int:
    """How far (degrees clockwise) the photo is turned on the page from how it is shown now, to be seen as it would be."""
    if done and done.state in ("done", "unchanged"):
        return 0
    if verdict is None or verdict.choice in (Choice.SKIP, Choice.WITHDRAWN):
        return proposed
    return row.turn or 0 if row.decision is Verdict.FIX else 0


def said(evidence: str) -> list[str]:
    """What each witness said, in words, from a cell such as "scene 90 +2.0; faces 90 +1.3"."""
    return [_in_words(*one) for one in _SAID.findall(evidence)]


def _in_words(witness: str, turn: str, lead: str) -> str:
    name, _, size = witness.partition("-")
    known = _WITNESSES.get(name, name.capitalize()) + (", closer" if size else "")
    strength = next((word for least, word in _STRENGTHS if float(lead) >= least), _STRENGTHS[-1][1])
    return f"{known}: {_TURNED[int(turn)]}, {strength}"


def _chance(row: Row, turn: int) -> float | None:
    """How probable the turn is that is shown, as far as the row holds it."""
    if row.decision is Verdict.FIX or row.probabilities is None or turn not in TURNS:
        return row.confidence
    return row.probabilities[TURNS.index(turn)]


def _about(row: Row) -> str:
    size = f"{row.width:,} × {row.height:,}" if row.width and row.height else ""
    return " · ".join(filter(None, [row.format.upper(), size]))
