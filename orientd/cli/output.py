"""What the smaller commands print."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from orientd import commands
from orientd.cli.stopping import exit_code
from orientd.errors import ExitCode
from orientd.reasons import Reason
from orientd.records import Status
from orientd.report.progress import say_above
from orientd.report.text import megabytes, photos, printable

if TYPE_CHECKING:
    from orientd.app import Standing
    from orientd.cli.doctor import Finding
    from orientd.records import Outcome
    from orientd.report.json_lines import JsonLines
    from orientd.state.journal import Run
    from orientd.write.forget import Forgettable
    from orientd.write.verify import Finding as Checked

_LEFT_BY_WATCHERS = "A scan that you start judges again what was taken back; a watcher and scan --unattended leave it alone."
_LEFT_BY_ALL = "What was taken back is left alone from now on, by every scan and by a watcher, unless they use another --method."
_STATES = {
    "holds": "as orientd left them",
    "forgotten": "as orientd left them, but not to be undone any more: the copies of their originals were deleted",
    "old": "with the bytes again that they had before",
    "changed": "changed by another program since",
    "vanished": "deleted or moved since",
    "unsettled": "in an interrupted write, which the next run that writes there repairs",
    "unreadable": "that cannot be read, are not mounted, or lie on a server that does not answer",
    "spoilt": "that could not be undone",
}
_OF_A_MODEL = ("", "model", "origin", "size", "input", "calibrated", "SHA-256")
_PIPED = 1000  # columns: what another program reads must not be folded


def console(*, stderr: bool = False) -> Console:
    """Standard output, or standard error: as wide as the terminal, and unfolded when piped."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, soft_wrap=True, width=None if stream.isatty() else _PIPED)


def note(text: str) -> None:
    """One line on standard error, above what shows how far we are."""
    if say_above(text):
        return
    Console(stderr=True, soft_wrap=True).print(Text(printable(text)))


def meant(run: "Run") -> str:
    """The run that an undo means which names none, in words."""
    when = f"Run {run.id}, begun {_at(run.started_ns)}, is the last that wrote: {printable(run.command)}"
    return f"{when}\nTaken back, {photos(run.fixed, 'gets its', 'get their')} old bytes again."


def say(text: str) -> None:
    """Lines on standard output."""
    console().print(Text(text))


def undone(outcomes: Iterable["Outcome"], verbose: bool, stop: Callable[[], bool], run: Sequence[int], whole: bool) -> int:
    """Report what an undo did, of a whole run or of single photos, photo by photo where it failed, and give the exit code.

    `run` holds its number, if it wrote.
    """
    counts = _counted(outcomes, verbose, "has its old bytes back")
    out = console()
    if stop():
        out.print("Stopped before the end: run it again to go on.")
    already = f", {counts[Status.UNCHANGED]:,} had them already" if counts[Status.UNCHANGED] else ""
    out.print(f"{photos(counts[Status.FIXED], 'has its', 'have their')} old bytes back{already}.")
    if counts[Status.FIXED]:
        out.print(Text(f"To turn {'it' if counts[Status.FIXED] == 1 else 'them'} again: {commands.line('redo', *run)}"))
        out.print(_LEFT_BY_WATCHERS if whole else _LEFT_BY_ALL)
        out.print(Text(f"To lift that: {commands.line('offer', *run)}"))
    return _left_alone(counts, stop)


def offered(number: int) -> int:
    console().print(f"{photos(number, 'is', 'are')} judged like any other from now on.")
    return ExitCode.OK


def would_undo(outcomes: Iterable["Outcome"], verbose: bool, stop: Callable[[], bool]) -> int:
    """Report what an undo would do as `undone` does."""
    counts = _counted(takewhile(lambda _: not stop(), outcomes), verbose, "would get its old bytes back")
    out = console()
    already = f", {counts[Status.UNCHANGED]:,} would have them already" if counts[Status.UNCHANGED] else ""
    number = counts[Status.PENDING]
    out.print(f"{photos(number, 'would get its', 'would get their')} old bytes back{already}. Nothing was changed.")
    return _left_alone(counts, stop, "would be")


def redone(outcomes: Iterable["Outcome"], verbose: bool, stop: Callable[[], bool], run: Sequence[int]) -> int:
    """Report what a redo did as `undone` does."""
    counts = _counted(outcomes, verbose, "is turned again")
    out = console()
    if stop():
        out.print("Stopped before the end: run it again to go on.")
    already = f", {counts[Status.UNCHANGED]:,} had been already" if counts[Status.UNCHANGED] else ""
    out.print(f"{photos(counts[Status.FIXED], 'is', 'are')} turned again{already}.")
    if counts[Status.FIXED]:
        out.print(Text(f"To take that back: {commands.line('undo', *run)}"))
    return _left_alone(counts, stop)


def _counted(outcomes: Iterable["Outcome"], verbose: bool, fine: str) -> dict[Status, int]:
    counts = dict.fromkeys(Status, 0)
    for outcome in outcomes:
        counts[outcome.status] += 1
        if verbose or outcome.status is Status.FAILED or outcome.code is Reason.SIDECAR_CONTRADICTS:
            note(f"{outcome.path}: {outcome.reason or fine}")
    return counts


def _left_alone(counts: Mapping[Status, int], stop: Callable[[], bool], was: str = "") -> int:
    if counts[Status.FAILED]:
        console().print(f"{photos(counts[Status.FAILED], was or 'was', was or 'were')} left alone, for the reasons named above.")
    return exit_code(stop, faulty=counts[Status.FAILED] > 0)


def _at(time_ns: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_ns / 1e9))


def verified(found: Iterable["Checked"], lines: "JsonLines | None", verbose: bool, stop: Callable[[], bool]) -> int:
    """Report the state of all files written, their number and each fault by name; returns the exit code.

    With `lines` every file is reported there.
    """
    from orientd.write.elsewhere import State
    from orientd.write.verify import FAULTS

    counts, out = dict.fromkeys(State, 0), console()
    for one in takewhile(lambda _: not stop(), found):
        counts[one.state] += 1
        if lines:
            lines.write("file", {"path": one.path, "state": one.state, "reason": one.reason or None})
        elif verbose or (one.state in FAULTS and one.state is not State.FORGOTTEN):  # the user who deleted them knows
            note(f"{one.state}  {one.path}" + (f"  ({one.reason})" if one.reason else ""))
    code = exit_code(stop, faulty=any(counts[state] for state in FAULTS))
    if lines:
        numbers = {state.value: number for state, number in counts.items()}
        lines.write("summary", {"files": sum(counts.values()), **numbers, "exit_code": int(code)})
    else:
        table = plain_table()
        for state, words in _STATES.items():
            if counts[State(state)] or state == State.HOLDS:
                table.add_row(f"{counts[State(state)]:,}", words)
        out.print(table)
        if counts[State.UNREADABLE]:
            out.print(Text(f"If they lie elsewhere now: {commands.line('verify', '--map', 'OLD=NEW')}"))
    return code


def lost(kept: "Forgettable") -> str:
    """What is lost if copies of originals are deleted, in words."""
    runs = f"run {kept.runs[0]}" if len(kept.runs) == 1 else f"{len(kept.runs):,} runs"
    number = f"{kept.copies:,} {'copy' if kept.copies == 1 else 'copies'} of originals, {megabytes(kept.size)}, of {runs}"
    return f"{number}. Without them {photos(kept.photos, 'cannot', 'cannot')} be undone any more."


def freed(sizes: Sequence[int]) -> int:
    console().print(f"{len(sizes):,} {'copy' if len(sizes) == 1 else 'copies'} deleted, {megabytes(sum(sizes))} freed.")
    return ExitCode.OK


def history(runs: Sequence["Run"]) -> None:
    headings = ("run", "started", "fixed", "undone", "no undo", "failed", "state", "command")
    table = Table(*(Column(heading, overflow="fold") for heading in headings), box=None, padding=(0, 2, 0, 0))
    for run in runs:
        numbers = [f"{number:,}" for number in (run.fixed, run.undone, run.forgotten, run.failed)]
        table.add_row(str(run.id), _at(run.started_ns), *numbers, run.status, Text(printable(run.command)))
    console().print(table if runs else "Nothing has been written yet.")


def facts(values: Mapping[str, str]) -> None:
    table = plain_table()
    for name, value in values.items():
        table.add_row(name, Text(printable(value)))
    console().print(table)


def status(standing: "Standing", watcher: Mapping[str, Any]) -> int:
    """Print the facts, those of the watcher as `metrics.watcher` gives them, and the commands that see to them."""
    facts({**_held(standing), "watcher": watching(watcher)})
    if standing.unsettled:
        console().print(Text(f"To see them: {commands.line('verify')}"))
    if standing.originals:
        console().print(Text(f"To delete the originals: {commands.line('forget', '--all')}"))
    return ExitCode.OK


def watching(watcher: Mapping[str, Any]) -> str:
    """What a watcher does, as `metrics.watcher` gives it, in words."""
    if not watcher["running"]:
        return "not running"
    numbers = ", ".join(f"{number:,} {name}" for name, number in sorted(watcher["photos"].items()))
    doing = f"process {watcher['pid']}, {watcher['state']}, {watcher['waiting']:,} waiting"
    return f"{doing}; {numbers}" if numbers else doing


def _held(standing: "Standing") -> dict[str, str]:
    runs, kept, unsettled = standing.runs, standing.originals, standing.unsettled
    repaired = ", repaired by the next run that writes there" if unsettled else ""
    return {
        "state": standing.state_dir,
        "model": standing.model,
        "files known": f"{standing.known:,}",
        "runs that wrote": f"{len(runs):,}" + (f", the last {runs[0].status}: {runs[0].command}" if runs else ""),
        "photos fixed": f"{sum(run.fixed for run in runs):,}",
        "originals kept": f"{len(kept):,}" + (f", {sum(kept) / 1e6:,.1f} MB" if kept else ""),
        "cannot be undone": f"{sum(run.forgotten for run in runs):,}",
        "interrupted writes": f"{unsettled:,}{repaired}",
    }


def findings(found: Sequence["Finding"]) -> int:
    """Print what the doctor found; the exit code is ERROR if anything needed is missing."""
    table = plain_table(3)
    for finding in found:
        mark = Text("✓", "green") if finding.fine else Text("✗", "red") if finding.needed else Text("–", "dim")
        table.add_row(mark, finding.subject, Text(printable(finding.detail)))
    console().print(table)
    return ExitCode.ERROR if any(finding.needed and not finding.fine for finding in found) else ExitCode.OK


def models(known: Sequence[Mapping[str, Any]], lines: "JsonLines | None") -> int:
    """List models, one entry each as `registry.facts` gives them; the exit code is ERROR if one cannot be used."""
    out = console()
    if lines:
        for one in known:
            lines.write("model", one)
    else:
        table = Table(*(Column(title, overflow="fold") for title in _OF_A_MODEL), box=None, padding=(0, 2, 0, 0))
        for one in known:
            table.add_row(*(Text(printable(text)) for text in _columns(one)))
        out.print(table)
    broken = [one for one in known if one["problem"]]
    for one in broken:
        note(f"{one['name']}: {one['problem']}")
    return ExitCode.ERROR if broken else ExitCode.OK


def added(name: str, calibrated: bool) -> int:
    console().print(Text(printable(f"Added. To judge with it: {commands.line('scan', '--model', name)} PATH…")))
    if not calibrated:
        note(f"{name} is not calibrated: --min-confidence promises nothing with it")
    return ExitCode.OK


def _columns(one: Mapping[str, Any]) -> Iterator[str]:
    yield "→" if one["in_use"] else ""
    yield one["name"]
    yield one["origin"]
    if one["problem"]:
        yield from ("–", "–", "cannot be used")
    else:
        yield f"{one['bytes'] / 2**20:.1f} MiB"
        yield f"{one['input_size']} px"
        yield "yes" if one["calibrated"] else "no"
    yield one["sha256"][:16] or "–"


def plain_table(columns: int = 2) -> Table:
    """A table without lines whose cells fold rather than lose text."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for _ in range(columns):
        table.add_column(overflow="fold")
    return table
