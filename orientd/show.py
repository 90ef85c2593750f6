"""What the smaller commands print."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from orientd.errors import ExitCode
from orientd.items import Prediction, Status
from orientd.orientation import TURNS
from orientd.report import photos, printable

if TYPE_CHECKING:
    from orientd.act import Outcome
    from orientd.app import Inspection
    from orientd.doctor import Finding
    from orientd.record import Run

_BAR = 30
_PIPED = 1000  # columns: what another program reads must not be folded


def console() -> Console:
    """Standard output: as wide as the terminal, and unfolded when piped."""
    return Console(soft_wrap=True, width=None if sys.stdout.isatty() else _PIPED)


def note(text: str) -> None:
    """One line on standard error."""
    Console(stderr=True, soft_wrap=True).print(Text(printable(text)))


def undone(outcomes: Iterable["Outcome"], verbose: bool, stop: Callable[[], bool]) -> int:
    """Report what an undo did, photo by photo where it failed, and give the exit code."""
    counts = dict.fromkeys(Status, 0)
    for outcome in outcomes:
        counts[outcome.status] += 1
        if verbose or outcome.status is Status.FAILED:
            note(f"{outcome.path}: {outcome.reason or 'has its old bytes back'}")
    out = console()
    if stop():
        out.print("Stopped before the end: run it again to go on.")
    already = f", {counts[Status.UNCHANGED]:,} had them already" if counts[Status.UNCHANGED] else ""
    out.print(f"{photos(counts[Status.FIXED], 'has its', 'have their')} old bytes back{already}.")
    if counts[Status.FAILED]:
        out.print(f"{photos(counts[Status.FAILED], 'was', 'were')} left alone, for the reasons named above.")
    if stop():
        return ExitCode.INTERRUPTED
    return ExitCode.INCOMPLETE if counts[Status.FAILED] else ExitCode.OK


def history(runs: Sequence["Run"]) -> None:
    headings = ("run", "started", "fixed", "undone", "failed", "state", "command")
    table = Table(*(Column(heading, overflow="fold") for heading in headings), box=None, padding=(0, 2, 0, 0))
    for run in runs:
        started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.started_ns / 1e9))
        numbers = [f"{number:,}" for number in (run.fixed, run.undone, run.failed)]
        table.add_row(str(run.id), started, *numbers, run.status, Text(printable(run.command)))
    console().print(table if runs else "Nothing has been written yet.")


def facts(values: Mapping[str, str]) -> None:
    table = _plain()
    for name, value in values.items():
        table.add_row(name, Text(printable(value)))
    console().print(table)


def findings(found: Sequence["Finding"]) -> int:
    """Print what the doctor found; the exit code is ERROR if anything needed is missing."""
    table = _plain(3)
    for finding in found:
        mark = Text("✓", "green") if finding.fine else Text("✗", "red") if finding.needed else Text("–", "dim")
        table.add_row(mark, finding.subject, Text(printable(finding.detail)))
    console().print(table)
    return ExitCode.ERROR if any(finding.needed and not finding.fine for finding in found) else ExitCode.OK


def inspection(seen: "Inspection") -> None:
    photo, decision = seen.photo, seen.decision
    stored = "none" if photo.orientation is None else str(photo.orientation)
    out = console()
    out.print(Text(printable(photo.path), "bold"))
    out.print(f"{photo.format.value}, {seen.picture.width} × {seen.picture.height} stored, orientation {stored}")
    for title, prediction in (("first look", seen.first), (f"second look, {seen.second.views} views", seen.second)):
        out.print(f"\n{title}: turn clockwise to be upright")
        out.print(_bars(prediction))
    out.print("\nturn named by each view: " + " ".join(f"{_named(view)}°" for view in seen.second.by_view))
    turn = f" {decision.turn}°" if decision.turn else ""
    out.print(Text(f"decision: {decision.verdict.value}{turn}, confidence {decision.confidence:.4f}", "bold"))
    for reason in filter(None, (decision.reason, seen.refusal and f"cannot be written: {seen.refusal}")):
        out.print(Text(printable(reason)))


def _bars(prediction: Prediction) -> Table:
    table = _plain(3)
    for turn, probability in zip(TURNS, prediction.probabilities, strict=True):
        table.add_row(f"{turn}°", "█" * round(probability * _BAR), f"{probability:.4f}")
    return table


def _plain(columns: int = 2) -> Table:
    """A table without lines whose cells fold rather than lose text."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for _ in range(columns):
        table.add_column(overflow="fold")
    return table


def _named(view: Sequence[float]) -> int:
    return TURNS[max(range(4), key=view.__getitem__)]
