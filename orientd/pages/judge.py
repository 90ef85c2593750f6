"""How a page is to be turned: first until its lines of text are level, then which of four ways is up."""

from dataclasses import dataclass, replace
from typing import Final

from orientd.decode import straight
from orientd.decode.printed import Pixels, ink_box
from orientd.decode.skew import LEAST_CONFIDENCE as LEAST_ANGLE_CONFIDENCE
from orientd.decode.skew import find_skew
from orientd.orientation import TURNS
from orientd.pages.upright import Ask, which_way
from orientd.reasons import Reason
from orientd.records import Probabilities
from orientd.report.page_report import PageVerdict

STRAIGHT: Final = 0.1
"""Degrees of skew that nobody sees: a page as straight is not straightened."""
LEAST_CONFIDENCE: Final = 0.85


@dataclass(frozen=True, slots=True)
class Finding:
    """Turned by `angle` degrees clockwise the page is straight, turned by `angle` + `turn` it is upright; None: not known."""

    verdict: PageVerdict
    angle: float | None = None
    angle_confidence: float | None = None
    turn: int | None = None
    confidence: float | None = None
    code: Reason | None = None
    reason: str = ""

    @property
    def total(self) -> float:
        """Degrees clockwise in all, −180 to 180."""
        return ((self.angle or 0) + (self.turn or 0) + 180) % 360 - 180

    @property
    def quarters(self) -> int:
        """The quarter turn, in degrees clockwise, that comes nearest."""
        return round(self.total / 90) % 4 * 90

    @property
    def rest(self) -> float:
        """Degrees clockwise that are left after the quarter turn, −45 to 45."""
        return (self.total - self.quarters + 180) % 360 - 180


def judge(levels: Pixels, ask: Ask) -> Finding:
    """What is to be done with a page, of which nothing is known but its picture.

    levels: gray (height, width), uint8, the longer side `skew.SIDE` at most.
    """
    skew = find_skew(levels)
    if skew is None:
        return _without_text("it is blank, or too small to be judged", None)
    level = straight.turned(levels, skew.angle, straight.paper(levels))
    ink = level[ink_box(level)]
    whole, likeness = ask.page(ink)
    sure = skew.confidence(likeness)
    if sure < LEAST_ANGLE_CONFIDENCE:
        return _without_text("no lines of text show for certain how it lies: turn it by hand if it needs it", sure)
    return decided(skew.angle, sure, which_way(ink, whole, ask))


def decided(angle: float, sure: float, ways: Probabilities) -> Finding:
    """From the angle that makes a page straight, how certain that is, and the probabilities of each turn that it then needs."""
    confidence = max(ways)
    turn = TURNS[ways.index(confidence)]
    found = Finding(PageVerdict.COPY, angle, sure, turn, confidence)
    if confidence < LEAST_CONFIDENCE:
        reason = "which way is up is not certain: turn it by hand if it needs it"
        return replace(found, verdict=PageVerdict.UNSURE, code=Reason.LOW_CONFIDENCE, reason=reason)
    return replace(found, verdict=PageVerdict.KEEP) if abs(found.total) < STRAIGHT else found


def _without_text(reason: str, sure: float | None) -> Finding:
    return Finding(PageVerdict.UNSURE, angle_confidence=sure, code=Reason.NO_TEXT, reason=reason)
