"""What is shown while a run lasts: a live line on a terminal, plain lines when piped, status messages with --json, or nothing."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column
from rich.text import Text

from orientd.records import Row, Verdict
from orientd.report.json_lines import JsonLines
from orientd.report.text import printable

_LIVE_EVERY: Final = 0.1
_LINE_EVERY: Final = 10.0
_STATUS_EVERY: Final = 1.0
_RATE_WINDOW: Final = 30.0


@dataclass(frozen=True, slots=True)
class Words:
    """What is counted, and what those of them are that are counted apart; `first` is said before there is a number."""

    things: str = "photos"
    apart: str = "sideways or upside down"
    first: str = "looking for photos"


LOOKING: Final = Words()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a run is. `rate` is in photos a second over the last half minute; `total` is None until it is known."""

    done: int
    found: int
    rate: float
    total: int | None = None
    words: Words = LOOKING

    @property
    def seconds_left(self) -> float | None:
        return None if self.total is None or self.rate <= 0 else max(self.total - self.done, 0) / self.rate

    def __str__(self) -> str:
        of_total = "" if self.total is None else f" of {self.total:,}"
        left = "" if self.seconds_left is None else f" · {_duration(self.seconds_left)} left"
        rate = f"{self.rate:,.0f}" if self.rate >= 10 else f"{self.rate:.1f}"
        return f"{self.done:,}{of_total} {self.words.things} · {rate} a second · {self.found:,} {self.words.apart}{left}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class Meter:
    """Counts rows and shows nothing (-q); the subclasses show a Snapshot every so often, from the thread that counts."""

    def __init__(self, every: float = float("inf"), clock: Callable[[], float] = time.monotonic, words: Words = LOOKING) -> None:
        self._every, self._clock, self._words = every, clock, words
        self._done, self._found = 0, 0
        self._total: int | None = None
        self._samples = deque([(clock(), 0)])
        self._next = self._samples[0][0] + every

    def advance(self, row: Row) -> None:
        """Count one row, apart if it is sideways or upside down; show how far we are if it is time to."""
        self.count(row.decision is Verdict.FIX)

    def count(self, apart: bool) -> None:
        """Count one; show how far we are if it is time to."""
        self._done += 1
        self._found += apart
        if (now := self._clock()) >= self._next:
            self._next = now + self._every
            self._show(self._snapshot(now))

    def total(self, number: int) -> None:
        """Say how many rows there will be in all, once that is known."""
        self._total = number

    def say(self, text: str) -> None:
        """Show one line that stays, made safe for a terminal."""

    def _show(self, snapshot: Snapshot) -> None:
        pass

    def _snapshot(self, now: float) -> Snapshot:
        while len(self._samples) > 1 and self._samples[1][0] <= now - _RATE_WINDOW:
            self._samples.popleft()
        then, done = self._samples[0]
        self._samples.append((now, self._done))
        rate = (self._done - done) / (now - then) if now > then else 0.0
        return Snapshot(self._done, self._found, rate, self._total, self._words)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class LiveMeter(Meter):
    """A bar and a line of words that stay at the bottom of the terminal and vanish at the end."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic, words: Words = LOOKING) -> None:
        super().__init__(_LIVE_EVERY, clock, words)
        column = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
        # Redirected, stdout would end up on stderr: --json and pipes must get what is printed while the bar is shown.
        self._bar = Progress(
            BarColumn(24),
            column,
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task(words.first, total=None)

    def say(self, text: str) -> None:
        self._bar.console.print(Text(printable(text)), soft_wrap=True)

    def _show(self, snapshot: Snapshot) -> None:
        self._bar.update(self._task, completed=snapshot.done, total=snapshot.total, description=str(snapshot), refresh=True)

    def __enter__(self) -> Self:
        self._bar.start()
        self._bar.refresh()
        _on_screen.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _on_screen.remove(self)
        self._bar.stop()


_on_screen: Final[list[LiveMeter]] = []


def say_above(text: str) -> bool:
    """Show one line above the bar that is on the screen now; false if there is none, and nothing was shown."""
    for shown in _on_screen:
        shown.say(text)
    return bool(_on_screen)


class LineMeter(Meter):
    """A plain line every ten seconds, for pipes and logs."""

    def __init__(
        self,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
        every: float = _LINE_EVERY,
        words: Words = LOOKING,
    ) -> None:
        super().__init__(every, clock, words)
        self._stream = stream

    def say(self, text: str) -> None:
        print(printable(text), file=self._stream, flush=True)

    def _show(self, snapshot: Snapshot) -> None:
        self.say(str(snapshot))


class JsonMeter(LineMeter):
    """A status message a second; what is said goes to `stream` as a plain line."""

    def __init__(self, lines: JsonLines, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream, clock, _STATUS_EVERY)
        self._lines = lines

    def _show(self, snapshot: Snapshot) -> None:
        self._lines.status(snapshot.done, snapshot.found, snapshot.total, snapshot.seconds_left)


def meter(
    stream: TextIO,
    *,
    quiet: bool = False,
    json: JsonLines | None = None,
    clock: Callable[[], float] = time.monotonic,
    words: Words = LOOKING,
) -> Meter:
    """The progress display that fits: `stream` (stderr) is a terminal or not, `json` is given with --json."""
    if quiet:
        return Meter(clock=clock)
    if json is not None:
        return JsonMeter(json, stream, clock)
    console = Console(file=stream)
    live = stream.isatty() and not console.is_dumb_terminal
    return LiveMeter(console, clock, words) if live else LineMeter(stream, clock, words=words)
