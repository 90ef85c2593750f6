"""What a run leaves behind: the CSV report, JSON lines, the tally, the summary in words and the exit code.

The CSV file is UTF-8 with `errors="surrogateescape"`: it holds the very bytes of a path, UTF-8 or not, and reading it back the
same way (see `plan`) gives the same `str`. Commas, quotes and line breaks, CR too, are quoted (RFC 4180); lines end with LF.
"""

import csv
import fcntl
import json
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from datetime import datetime
from typing import Final, TextIO

from rich.console import Group
from rich.table import Table
from rich.text import Text

from orientd.errors import ConfigError, ExitCode, OrientdError
from orientd.records import Method, Row, Status, Verdict

HEADER: Final = ",".join(Row._fields)
_REASONS_KEPT: Final = 100


def printable(text: str) -> str:
    """`text` safe to show on one line of a terminal: control characters, text-direction marks and stray bytes as escapes."""
    return text if text.isprintable() else "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    return f"\\x{ord(char) - 0xDC00:02x}" if "\udc80" <= char <= "\udcff" else repr(char)[1:-1]


def default_report(now: datetime, folder: str = "") -> str:
    """A name of its own for the report of a run that starts `now`, in `folder` (the current one)."""
    stem = os.path.join(folder, f"orientd-{now:%Y%m%d-%H%M%S}")
    names = (f"{stem}.csv", *(f"{stem}-{number}.csv" for number in range(2, 1000)))
    return next(name for name in names if not os.path.lexists(name) and not os.path.lexists(name + ".partial"))


class CsvReport:
    """Writes rows as they come to FILE.partial, which becomes FILE with `finish`; without it FILE.partial stays."""

    def __init__(self, path: str) -> None:
        """Open the report.

        Raises:
            ConfigError: `path` is an existing file that is no orientd report, another orientd is writing it, or its folder
                cannot be written.
        """
        self.path = path + ".partial"
        self._final = path
        try:
            for name in (self._final, self.path):
                if os.path.lexists(name) and not _is_report(name, begun=name == self.path):
                    raise ConfigError(f"{printable(name)} exists and is not a report of orientd: choose another --report")
            self._file = open(self.path, "a", encoding="utf-8", errors="surrogateescape", newline="")  # noqa: SIM115
            self._begin()
        except OSError as error:
            raise ConfigError(f"{printable(path)} cannot be written: {error.strerror}: choose another --report") from error
        self._writerow = csv.writer(EndsWithLf(self._file), lineterminator="\r\n").writerow

    def _begin(self) -> None:
        with ExitStack() as failed:
            failed.callback(self._file.close)
            if not _taken(self._file):
                raise ConfigError(f"another orientd is writing {printable(self.path)}: choose another --report")
            failed.callback(os.unlink, self.path)
            self._file.truncate(0)
            self._file.write(HEADER + "\n")
            self._file.flush()
            failed.pop_all()

    def write(self, row: Row) -> None:
        """Add one row.

        Raises:
            OrientdError: the disk says no.
        """
        try:
            self._writerow(cells(row))
        except OSError as error:
            raise OrientdError(f"{printable(self.path)} cannot be written: {error.strerror}") from error

    def finish(self) -> str:
        """Give the complete report its name and return that.

        Raises:
            OrientdError: the disk says no.
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            os.replace(self.path, self._final)
        except OSError as error:
            raise OrientdError(f"{printable(self.path)} cannot be written: {error.strerror}") from error
        self.path = self._final
        self.close()
        return self.path

    def close(self) -> None:
        """Stop writing; without `finish` before it, the report stays marked as partial.

        Raises:
            OrientdError: the disk says no.
        """
        try:
            self._file.close()
        except OSError as error:
            raise OrientdError(f"{printable(self.path)} cannot be written: {error.strerror}") from error

    def __enter__(self) -> "CsvReport":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _taken(file: TextIO) -> bool:
    """Keep a file for this process until it closes it; False if another one has it."""
    with suppress(OSError):  # a file system without locks
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def cells(row: Row) -> tuple[object, ...]:
    """A row as it stands in a report."""
    return (*row[:6], *[None if x is None else f"{x:.4f}" for x in row[6:11]], *row[11:])


class EndsWithLf:
    """Turns the writer's CR LF into LF: only a writer that ends lines with CR LF quotes a CR within a field."""

    def __init__(self, file: TextIO) -> None:
        self._write = file.write

    def write(self, line: str) -> None:
        self._write(line[:-2] + "\n")


def _is_report(path: str, begun: bool) -> bool:
    """True if the file has the header; or if `begun`, nothing at all yet, as a power cut may leave it."""
    if not os.path.isfile(path):
        return False
    if begun and not os.path.getsize(path):
        return True
    with open(path, "rb") as file:
        return file.readline(len(HEADER) + 2).rstrip(b"\r\n") == HEADER.encode()


class Tally:
    """Counts of what happened; memory stays flat however many rows come."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._reasons: Counter[tuple[str, str]] = Counter()
        self.judged, self.beyond_reach = 0, 0
        self.rotated, self.rotated_bytes = 0, 0

    def add(self, row: Row) -> None:
        self._counts[row.decision, row.outcome] += 1
        self.judged += row.turn is not None or row.decision not in (Verdict.SKIP, Verdict.ERROR)
        self.beyond_reach += row.beyond_reach
        if row.method == Method.ROTATE and row.outcome in (Status.PENDING, Status.FIXED):
            self.rotated, self.rotated_bytes = self.rotated + 1, self.rotated_bytes + (row.size or 0)
        if row.reason:
            key = (row.decision, row.reason.split(":", 1)[0].split(" (", 1)[0])
            self._reasons[key if key in self._reasons or len(self._reasons) < _REASONS_KEPT else (row.decision, "other")] += 1

    def count(self, decision: Verdict | None = None, outcome: Status | None = None) -> int:
        """Rows with that decision and that outcome; None means any."""
        return sum(
            number
            for (its_decision, its_outcome), number in self._counts.items()
            if decision in (None, its_decision) and outcome in (None, its_outcome)
        )

    def reasons(self, decision: Verdict) -> list[tuple[str, int]]:
        """(reason up to its first colon or bracket, count), the most frequent first."""
        found = [(reason, number) for (verdict, reason), number in self._reasons.items() if verdict == decision]
        return sorted(found, key=lambda item: (-item[1], item[0]))

    def exit_code(self, *, when_found: bool = False, interrupted: bool = False) -> ExitCode:
        """INTERRUPTED, else INCOMPLETE if anything failed, else FOUND if asked for and a photo is shown wrong, else OK."""
        if interrupted:
            return ExitCode.INTERRUPTED
        if self.count(Verdict.ERROR) or self.count(outcome=Status.FAILED):
            return ExitCode.INCOMPLETE
        return ExitCode.FOUND if when_found and (self.count(Verdict.FIX) or self.beyond_reach) else ExitCode.OK


class JsonLines:
    """One JSON object a line, `message_type` first; every line is flushed.

    Text is escaped to ASCII. A byte of a path that is not UTF-8, say E9, is the lone surrogate \\udce9; in Python
    `os.fsencode(json.loads(line)["path"])` gives the bytes back.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def photo(self, row: Row) -> None:
        values = {name: round(value, 4) if isinstance(value, float) else value for name, value in row._asdict().items()}
        self._write("photo", values)

    def status(self, done: int, found: int, total: int | None, seconds_left: float | None) -> None:
        """`total` and `seconds_left` are None until the total is known."""
        self._write("status", {"done": done, "found": found, "total": total, "seconds_left": seconds_left})

    def error(self, message: str) -> None:
        self._write("error", {"message": message})

    def summary(self, tally: Tally, report: str, exit_code: ExitCode) -> None:
        """`report` is the path of the CSV file ("" for none)."""
        decisions = {verdict.value: tally.count(verdict) for verdict in Verdict}
        outcomes = {status.value: tally.count(outcome=status) for status in Status if status}
        self._write("summary", {"photos": tally.count(), **decisions, **outcomes, "report": report, "exit_code": int(exit_code)})

    def _write(self, message_type: str, values: Mapping[str, object]) -> None:
        self._stream.write(json.dumps({"message_type": message_type, **values}) + "\n")
        self._stream.flush()


def summary(tally: Tally, *, report: str, wrote: bool, interrupted: bool = False) -> Group:
    """What was found and what to do next, in words.

    Args:
        report: the path of the CSV file ("" for none).
        wrote: photos were to be written (--fix, apply), not only judged.
    """
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="dim")
    for verdict, words in _MEANING.items():
        if number := tally.count(verdict):
            table.add_row(f"{number:,}", words, Text(_why(tally.reasons(verdict))))
    lines = [*_outcome(tally, wrote, interrupted), *_next_steps(tally, report, wrote)]
    return Group(table, *(Text(line) for line in lines))


_MEANING: Final[Mapping[Verdict, str]] = {
    Verdict.KEEP: "shown right",
    Verdict.FIX: "shown wrong",
    Verdict.UNSURE: "not sure",
    Verdict.SKIP: "left alone",
    Verdict.ERROR: "not readable",
}


def _why(reasons: list[tuple[str, int]]) -> str:
    shown = [f"{printable(reason)} ({number:,})" for reason, number in reasons[:3]]
    return ", ".join([*shown, "…"] if len(reasons) > 3 else shown)


def _outcome(tally: Tally, wrote: bool, interrupted: bool) -> Iterator[str]:
    found, fixed, failed = tally.count(Verdict.FIX), tally.count(outcome=Status.FIXED), tally.count(outcome=Status.FAILED)
    if interrupted:
        yield "Stopped before the end: the numbers are those of the photos looked at until then."
    if not tally.count():
        yield "No photo was looked at." if interrupted else "No photos were found there."
    elif not tally.judged:
        yield "No photo could be judged: the column 'reason' of the report says why."
    elif not found:
        which = " that can be written" if tally.beyond_reach else ""
        yield f"No photo{which} is shown wrong{' for certain' if tally.count(Verdict.UNSURE) else ''}."
    elif not wrote:
        yield f"{photos(found, 'is', 'are')} shown wrong. Nothing was changed."
    else:
        yield f"{photos(found, 'was', 'were')} shown wrong: {fixed:,} put right."
        if left := found - fixed - failed:
            yield f"{photos(left, 'was', 'were')} left alone: the column 'reason' of the report says why."
        if failed:
            yield f"{photos(failed, 'was', 'were')} not changed, as something failed: see the column 'reason'."
    if tally.rotated:
        does, kept = ("were turned by pixels", "are kept") if wrote else ("of them by pixels", "will be kept")
        copies = f"copies of {megabytes(tally.rotated_bytes)} {kept} in the state folder for orientd undo"
        yield f"{tally.rotated:,} {does}: {copies}, until orientd forget deletes them."
    if tally.beyond_reach:
        yield f"{photos(tally.beyond_reach, 'is', 'are')} shown wrong and cannot be written: see the column 'reason'."


def _next_steps(tally: Tally, report: str, wrote: bool) -> Iterator[str]:
    if report:
        yield f"Report: {printable(report)}"
    if report and not wrote and tally.count(Verdict.FIX):
        yield "Look at it, delete the rows you do not want, then run:"
        yield f"  orientd apply {printable(shlex.quote(report))}"
    if tally.count(outcome=Status.FIXED):
        yield "To take it all back, run:"
        yield "  orientd undo"
    if unsure := tally.count(Verdict.UNSURE):
        yield f"{photos(unsure, 'is', 'are')} left as before because orientd is not sure (decision 'unsure' in the report)."
        yield "To turn one of them, write 'fix' as its decision and 90, 180 or 270 (degrees clockwise) as its turn, then apply."


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def photos(number: int, one: str, many: str) -> str:
    """In words, with the verb that goes with it."""
    return f"{number:,} photo {one}" if number == 1 else f"{number:,} photos {many}"
