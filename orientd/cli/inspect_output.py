"""What `orientd inspect` prints of one photo: for people in words and bars, for programs as JSON."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from orientd.cli.output import console, plain_table
from orientd.errors import PhotoError
from orientd.judge.panel import favorite, lead
from orientd.orientation import TURNS
from orientd.records import Scores
from orientd.report.json_lines import JsonLines
from orientd.report.text import printable

if TYPE_CHECKING:
    from orientd.pipeline.inspection import Inspection, Testimony

_BAR = 30
_DOUBT = 0.05  # of a gap; less is not worth a line


def show(seen: "Inspection") -> None:
    """Print all that was thought of a photo, and why the decision is what it is."""
    photo, opinion = seen.photo, seen.opinion
    stored = "none" if photo.orientation is None else str(photo.orientation)
    out = console()
    out.print(Text(printable(photo.path), "bold"))
    out.print(f"{photo.format.value}, {seen.picture.width} × {seen.picture.height} stored, orientation {stored}")
    for line in _origin(seen):
        out.print(line)
    for title, prediction in (("first look", seen.first), (f"second look, {seen.second.views} views", seen.second)):
        out.print(f"\n{title}: turn clockwise to be upright")
        out.print(_bars(prediction.probabilities))
    out.print("\nturn named by each view: " + " ".join(f"{favorite(view)}°" for view in seen.second.by_view))
    if seen.testimonies:
        out.print("\nwitnesses: the turn that each speaks for, and how strongly")
        out.print(_testimonies(seen.testimonies))
        for line in _doubts(seen.testimonies):
            out.print(line)
        out.print("\nall that were asked together")
        out.print(_bars(opinion.prediction.probabilities))
    for line in _conclusion(seen):
        out.print(line)


def _origin(seen: "Inspection") -> Iterator[Text]:
    if (made_by := seen.origin) is None:
        return
    make, model = made_by.make, made_by.model
    camera = model if model.lower().split()[:1] == make.lower().split()[:1] else f"{make} {model}"
    named = (("camera", camera.strip()), ("program", made_by.software))
    if words := "; ".join(f"{what}: {name}" for what, name in named if name):
        yield Text(printable(words))
    if made_by.held:
        upright = made_by.held.orientation
        says = f"upright with orientation {upright}" if upright else "the camera was held flat or at an angle"
        yield Text(f"camera sensor: {says} (shown only, not used to judge)")


def _conclusion(seen: "Inspection") -> Iterator[Text]:
    decision = seen.opinion.decision
    turn = f" {decision.turn}°" if decision.turn else ""
    yield Text(f"decision: {decision.verdict.value}{turn}, confidence {decision.confidence:.4f}", "bold")
    if not seen.opinion.evidence:
        yield Text("The first look was clear: a scan asks no further.")
    elif any(not one.asked for one in seen.testimonies):
        yield Text("A scan asks no further than that: nothing the others may say could change the decision.")
    if decision.reason:
        yield Text(printable(decision.reason))
    if seen.refusal:
        yield Text(printable(f"cannot be written: {seen.refusal}"))


def show_json(seen: "Inspection") -> None:
    """Print the same as one line of JSON."""
    JsonLines(sys.stdout).write("inspection", seen.values())


def fault_in_json(path: str, error: PhotoError) -> None:
    """Print why a photo cannot be judged as one line of JSON."""
    JsonLines(sys.stdout).write("error", {"message": f"{path}: {error}", "path": path, "reason_code": error.code})


def _testimonies(given: Sequence["Testimony"]) -> Table:
    table = plain_table(5)
    for one in given:
        if one.scores is None:
            table.add_row(one.witness, "–", "", "nothing to say", "")
            continue
        ahead = lead(one.against)
        bar = "█" * round(_BAR * ahead / one.cap) if one.cap else ""
        words = f"{ahead:.1f} of {one.cap:.1f}" + ("" if one.asked else ", not asked")
        table.add_row(one.witness, f"{favorite(one.against)}°", bar, words, Text(printable(one.note)))
    return table


def _doubts(given: Sequence["Testimony"]) -> Iterator[Text]:
    for one in given:
        for turn, share in zip(TURNS, one.doubts, strict=True):
            if one.asked and share >= _DOUBT:
                yield Text(
                    f"{one.witness} cannot tell {turn}° from {(turn + 90) % 360}°: what all say for one of them over the other "
                    f"counts {share:.0%} less"
                )


def _bars(probabilities: Scores) -> Table:
    table = plain_table(3)
    for turn, probability in zip(TURNS, probabilities, strict=True):
        table.add_row(f"{turn}°", "█" * round(probability * _BAR), f"{probability:.4f}")
    return table
