"""One run as its user follows it: report, tally, progress and summary fed from the same rows."""

import os
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Self

from orientd.cli.output import console, note
from orientd.errors import OrientdError
from orientd.records import Row, Verdict
from orientd.report import left_over
from orientd.report.csv_file import CsvReport
from orientd.report.json_lines import JsonLines
from orientd.report.progress import meter
from orientd.report.summary import left_behind, summary
from orientd.report.tally import NotLookedAt, Tally
from orientd.report.text import printable


class Session:
    """Progress goes to standard error; the summary, or JSON lines, to standard output.

    With the report on standard output the summary goes to standard error, too; `quiet` leaves both progress and summary out.
    """

    def __init__(
        self, report: CsvReport, as_json: bool, quiet: bool, verbose: bool, wrote: bool, only: Collection[Verdict] = ()
    ) -> None:
        """With `only` some decisions the report leaves out rows of others; all are counted."""
        self._json = JsonLines(sys.stdout) if as_json else None
        self._meter = meter(sys.stderr, quiet=quiet, json=self._json)
        self._shown = ExitStack()  # holds the meter until the summary takes its place
        self._report, self._tally = report, Tally()
        self._quiet, self._verbose, self._wrote = quiet, verbose, wrote
        self._complete, self._only = False, only
        self._run: int | None = None

    @property
    def so_far(self) -> tuple[Tally, str, int | None]:
        """What was counted, the path of the report, and the number of the run that wrote, if one did."""
        return self._tally, self._report.path, self._run

    def begun(self, run: int) -> None:
        """Note the number of the run that writes."""
        self._run = run

    def add(self, row: Row) -> None:
        if not self._only or row.decision in self._only:
            self._report.write(row)
        self._tally.add(row)
        self._meter.advance(row)
        if self._json:
            self._json.photo(row)
        elif self._verbose and row.decision is not Verdict.KEEP:
            turn = f" {row.turn}°" if row.turn else ""
            outcome = f" → {row.outcome}" if row.outcome else ""
            self._meter.say(f"{row.decision}{turn}{outcome}  {row.path}" + (f"  ({row.reason})" if row.reason else ""))

    def notify(self, text: str) -> None:
        """Show the user a message that is not about a row."""
        if self._json:
            self._json.error(text)
        elif self._quiet:
            note(text)
        else:
            self._meter.say(text)

    def expect(self, total: int) -> None:
        """Say how many rows there will be."""
        self._meter.total(total)

    @contextmanager
    def counting(self, count: Callable[[Callable[[], bool]], int | None]) -> Iterator[None]:
        """Find out in the background how many rows there will be; `count` gives None once the test it is given comes true."""
        if self._quiet:  # nobody would see it
            yield
            return
        ended = threading.Event()

        def work() -> None:
            try:
                if (total := count(ended.is_set)) is not None:
                    self.expect(total)
            except OrientdError:
                pass  # the walk that judges meets the same fault and reports it

        ahead = threading.Thread(target=work, name="orientd-count")
        ahead.start()
        try:
            yield
        finally:
            ended.set()
            ahead.join()

    @property
    def complete(self) -> bool:
        """True once the report has its name."""
        return self._complete

    def finish(
        self,
        *,
        interrupted: bool,
        when_found: bool = False,
        left_out: NotLookedAt | None = None,
        rescan: bool = False,
        below: Sequence[str] = (),
        part: str = "",
        judged_by: Sequence[str] = (),
    ) -> int:
        """Close the report, print the summary (see there for the last three), and give the exit code."""
        if interrupted:
            path = self._report.path if self._tally.count() else ""
        else:
            path, self._complete = self._report.finish(), True
            if self._report.notice:
                self.notify(self._report.notice)
        code = self._tally.exit_code(when_found=when_found, interrupted=interrupted)
        if self._json:
            self._json.summary(self._tally, path, code, left_out or {})
        else:
            self._shown.close()
            text = summary(
                self._tally,
                report=path,
                wrote=self._wrote,
                run=self._run,
                interrupted=interrupted,
                left_out=left_out or {},
                rescan=rescan,
                below=below,
                part="" if interrupted else part,
                judged_by=judged_by,
            )
            if not self._quiet:
                console(stderr=not self._report.path).print(text)
        return code

    def __enter__(self) -> Self:
        self._shown.enter_context(self._meter)
        if found := self._report.path and left_over.nearby(self._report.path):
            self._meter.say(left_behind(found))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._shown.close()
        self._report.close()
        if not self._complete and not self._tally.count():
            with suppress(FileNotFoundError):
                os.unlink(self._report.path)
        elif kind and self._report.path:
            self.notify(f"what was done until then is in {printable(self._report.path)}")
