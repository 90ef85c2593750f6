"""How a page is to be turned: first until its lines of text are level, then which of four ways is up."""

from dataclasses import dataclass
from enum import StrEnum
from math import exp
from typing import Final

from orientd.decode import straight
from orientd.orientation import TURNS
from orientd.pages import upright
from orientd.pages.skew import Skew, find_skew
from orientd.pages.upright import Ask, Pixels
from orientd.reasons import Reason

STRAIGHT: Final = 0.1
"""Degrees of skew that nobody sees: a page as straight is not straightened."""
LEAST_ANGLE_CONFIDENCE: Final = 0.9
LEAST_CONFIDENCE: Final = 0.6
_BIAS, _BY_LEAD, _BY_HEIGHT = -4.5, 0.5, 0.15


class PageVerdict(StrEnum):
    """What is to be done with a page."""

    COPY = "copy"
    KEEP = "keep"
    UNSURE = "unsure"
    ERROR = "error"


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


def judge(picture: Pixels, ask: Ask) -> Finding:
    """What is to be done with a page, of which nothing is known but its picture.

    picture: (height, width, 3), uint8, RGB, the longer side `skew.SIDE` at most.
    """
    levels = straight.gray(picture)
    skew = find_skew(levels)
    if skew is None:
        return Finding(PageVerdict.UNSURE, code=Reason.NO_TEXT, reason="it is blank, or too small to be judged")
    sure = angle_confidence(skew)
    if sure < LEAST_ANGLE_CONFIDENCE:
        return Finding(
            PageVerdict.UNSURE,
            angle_confidence=sure,
            code=Reason.NO_TEXT,
            reason="no lines of text that tell how it lies: turn it by hand if it is shown wrong",
        )
    level = straight.turned(levels, skew.angle, straight.paper(levels))
    return decided(skew.angle, sure, upright.probabilities(level, ask))


def angle_confidence(skew: Skew) -> float:
    """The probability that the angle is right within half a degree, quarter turns aside; fitted by `benchmarks/pages`."""
    return 1 / (1 + exp(-(_BIAS + _BY_LEAD * skew.lead + _BY_HEIGHT * skew.height)))


def decided(angle: float, sure: float, ways: tuple[float, float, float, float]) -> Finding:
    """From the angle that makes a page straight, how certain that is, and the probabilities that each turn then makes it upright."""
    confidence = max(ways)
    turn = TURNS[ways.index(confidence)]
    found = Finding(PageVerdict.COPY, angle, sure, turn, confidence)
    if confidence < LEAST_CONFIDENCE:
        return Finding(
            PageVerdict.UNSURE,
            angle,
            sure,
            turn,
            confidence,
            Reason.LOW_CONFIDENCE,
            "which way is up is not certain: turn it by hand if it is shown wrong",
        )
    if abs(found.total) < STRAIGHT:
        return Finding(PageVerdict.KEEP, angle, sure, turn, confidence)
    return found
