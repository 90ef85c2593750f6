"""What is shown at the end of a run."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from orientd import commands
from orientd.records import LeftOut, Status, Verdict
from orientd.report.tally import NotLookedAt, Tally
from orientd.report.text import megabytes, photos, printable

_MEANING: Final[Mapping[Verdict, str]] = {
    Verdict.KEEP: "upright",
    Verdict.FIX: "sideways or upside down",
    Verdict.UNSURE: "not sure",
    Verdict.SKIP: "left alone",
    Verdict.ERROR: "not readable",
}
_LEFT_OUT: Final[Mapping[LeftOut, str]] = {
    LeftOut.EXCLUDED: "excluded",
    LeftOut.HIDDEN: "hidden",
    LeftOut.DRIVE: "of network drives and bins",
    LeftOut.BUNDLE: "kept by photo programs for themselves",
}
_NAMED: Final = 3


def summary(
    tally: Tally,
    *,
    report: str,
    wrote: bool,
    run: int | None = None,
    interrupted: bool = False,
    left_out: NotLookedAt = MappingProxyType({}),
    rescan: bool = False,
    below: Sequence[str] = (),
    part: str = "",
    judged_by: Sequence[str] = (),
) -> Group:
    """What was found and what to do next, in words.

    Args:
        report: the path of the CSV file ("" for none).
        wrote: photos were to be written (--fix, apply), not only judged.
        run: the number of the run that wrote, if anything was written.
        left_out: what was not even looked at.
        rescan: photos judged before were judged again.
        below: folders to be named when the report is applied, as this machine may never have scanned them.
        part: which part of a plan it is ("2/3"), if not all of it.
        judged_by: sentences about who judged, if others did.
    """
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="dim")
    for verdict, words in _MEANING.items():
        if number := tally.count(verdict):
            table.add_row(f"{number:,}", words, Text(_why(tally.reasons(verdict))))
    stopped = _stopped(rescan) if interrupted else ()
    steps = _of_part(report, part) if part else _next_steps(tally, report, wrote, run, below)
    lines = [*_left_out(left_out), *judged_by, *stopped, *_outcome(tally, wrote, interrupted), *steps]
    return Group(table, *(Text(line) for line in lines))


def left_behind(reports: Sequence[str]) -> str:
    """That interrupted runs left reports unfinished, in words."""
    return f"Left unfinished by interrupted runs, and kept until you delete it: {_some(reports)}"


def _stopped(rescan: bool) -> Iterator[str]:
    yield "Stopped before the end: the numbers are those of the photos looked at until then."
    yield f"To go on from there, run the same command again{', without --rescan' if rescan else ''}."


def _left_out(left_out: NotLookedAt) -> Iterator[str]:
    kinds = [f"{number:,} {_LEFT_OUT[why]} ({_some(names)})" for why, (number, names) in left_out.items()]
    if kinds:
        yield f"Not looked at: {', '.join(kinds)}."


def _some(names: Sequence[str]) -> str:
    shown = [printable(name) for name in names[:_NAMED]]
    return ", ".join([*shown, "…"] if len(names) > _NAMED else shown)


def _why(reasons: list[tuple[str, int]]) -> str:
    shown = [f"{printable(reason)} ({number:,})" for reason, number in reasons[:3]]
    return ", ".join([*shown, "…"] if len(reasons) > 3 else shown)


def _outcome(tally: Tally, wrote: bool, interrupted: bool) -> Iterator[str]:
    found, fixed, failed = tally.count(Verdict.FIX), tally.count(outcome=Status.FIXED), tally.count(outcome=Status.FAILED)
    if not tally.count():
        yield "No photo was looked at." if interrupted else "No photos were found there."
    elif not tally.judged:
        yield "No photo could be judged: the column 'reason' of the report says why."
    elif not found:
        which = " that can be written" if tally.beyond_reach else ""
        yield f"No photo{which} is sideways or upside down{' for certain' if tally.count(Verdict.UNSURE) else ''}."
    elif not wrote:
        yield f"{photos(found, 'is', 'are')} sideways or upside down. Nothing was changed."
        if tally.forbidden:
            yield f"{tally.forbidden:,} of them cannot be written by you now: see the column 'reason'."
    else:
        yield f"{photos(found, 'was', 'were')} sideways or upside down: {fixed:,} fixed."
        if left := found - fixed - failed:
            yield f"{photos(left, 'was', 'were')} left alone: the column 'reason' of the report says why."
        if failed:
            yield f"{photos(failed, 'was', 'were')} not changed, as something failed: see the column 'reason'."
    if tally.rotated:
        does, kept = ("were turned by pixels", "are kept") if wrote else ("of them by pixels", "will be kept")
        yield f"{tally.rotated:,} {does}: copies of {megabytes(tally.rotated_bytes)} {kept} in the state folder, to undo that."
    if tally.beyond_reach:
        yield f"{photos(tally.beyond_reach, 'is', 'are')} sideways or upside down and cannot be written: see the column 'reason'."


def _of_part(report: str, part: str) -> Iterator[str]:
    yield f"Report: {printable(report)}"
    yield f"It is part {part} of a plan. Once all parts are there, run:"
    yield f"  {commands.line('plan', 'merge')} PART.csv… --out PLAN.csv"


def _next_steps(tally: Tally, report: str, wrote: bool, run: int | None, below: Sequence[str]) -> Iterator[str]:
    if report:
        yield f"Report: {printable(report)}"
    apply = f"  {commands.line('apply', commands.path(report), *below)}"
    if advised := bool(report and not wrote and tally.count(Verdict.FIX)):
        yield "Look at it, delete the rows you do not want, then run:"
        yield apply
    if run and tally.count(outcome=Status.FIXED):
        yield "To take it all back, run:"
        yield f"  {commands.line('undo', run)}"
        if tally.rotated:
            yield "Or, to delete the copies once you are sure:"
            yield f"  {commands.line('forget', run)}"
    if unsure := tally.count(Verdict.UNSURE):
        yield f"{photos(unsure, 'is', 'are')} left as before because orientd is not sure (decision 'unsure' in the report)."
        yield "To turn one of them, write 'fix' as its decision and 90, 180 or 270 (degrees clockwise) as its turn, then apply."
        if report and not advised:
            yield apply
