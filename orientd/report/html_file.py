"""The HTML report as a file: which photos are on it, in which words, and that it takes the place of no other file."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from orientd import commands
from orientd.errors import ConfigError, OrientdError
from orientd.records import Row, Status, Verdict
from orientd.report.chosen import Chosen, Kind
from orientd.report.csv_file import default_report
from orientd.report.html_page import FIRST_LINE, Card, Section, page
from orientd.report.tally import Tally
from orientd.report.text import photos, printable

Draw = Callable[[Iterable[Row]], Iterator[Card]]
_ENDINGS: Final = ("", ".partial", ".json", ".verdicts")  # names that a CSV report, or what belongs to it, may have
_WRONG: Final = "As each is shown now, and as it would be; those first of which orientd is the least sure."
_FIXED: Final = "As each was shown before, and as it is now; those first of which orientd was the least sure."
_UNSURE: Final = "They are left as they are. Those first that most likely need the turn that is shown next to them."


class HtmlFile:
    """A report of what was `found` at `path`, or with a name of its own in that folder, by the time `now`."""

    def __init__(self, path: str, now: datetime, most: int, csv: str = "") -> None:
        """See whether it can be written there; nothing is written yet. At most so many photos of each kind are on it.

        csv: the path of the CSV report that is read or written in the same run ("": none that is known).

        Raises:
            ConfigError: a file is there that is no such report, or there is no such folder, or it would replace the CSV report.
        """
        self.path = os.path.splitext(default_report(now, path))[0] + ".html" if os.path.isdir(path) else path
        self._now, self._chosen, self._tally = now, Chosen(most), Tally()
        if os.path.lexists(self.path) and not _is_ours(self.path):
            raise ConfigError(f"{printable(self.path)} exists and is not a picture report of orientd: choose another --html")
        if csv and any(_same(ours, csv + ending) for ours in (self.path, self.path + ".partial") for ending in _ENDINGS):
            raise ConfigError(f"{printable(self.path)} would replace {printable(csv)}: choose another --html")
        if not os.path.isdir(os.path.dirname(self.path) or "."):
            raise ConfigError(f"{printable(self.path)} cannot be written: there is no such folder: choose another --html")

    def add(self, row: Row) -> None:
        """Note a row of the run, or of the plan."""
        self._chosen.add(row)
        self._tally.add(row)

    def write(self, plan: str, draw: Draw, stop: Callable[[], bool]) -> bool:
        """Write the page; `plan` is the CSV report ("" for none), and `draw` makes the pictures of some rows. False if there is
        none, as `stop` came true.

        Raises:
            OrientdError: the disk says no.
        """
        partial = self.path + ".partial"
        try:
            with open(partial, "w", encoding="utf-8", opener=_new) as file:
                file.writelines(self._page(plan, draw))
                file.flush()
                os.fsync(file.fileno())
            if stop():
                return False
            os.replace(partial, self.path)
            return True
        except OSError as error:
            raise OrientdError(f"{printable(self.path)} cannot be written: {error.strerror}: choose another --html") from error
        finally:
            with suppress(OSError):
                os.unlink(partial)

    def _page(self, plan: str, draw: Draw) -> Iterator[str]:
        found = self._tally.count(Verdict.FIX)
        title = (
            photos(found, "is", "are") + " sideways or upside down"
            if found
            else "No photo is sideways or upside down for certain"
        )
        return page(title, list(self._facts(plan)), list(_steps(plan, self._tally)), list(self._sections(plan, draw)))

    def _facts(self, plan: str) -> Iterator[str]:
        yield (f"{plan}, " if plan else "") + f"{self._now:%Y-%m-%d %H:%M}"
        tally = self._tally
        kinds = ((Verdict.KEEP, "upright"), (Verdict.UNSURE, "not sure"), (Verdict.SKIP, "left alone"))
        numbers = [f"{number:,} {what}" for kind, what in kinds if (number := tally.count(kind))]
        yield f"{photos(tally.count(), 'was', 'were')} looked at" + (f": {', '.join(numbers)}." if numbers else ".")
        fixed = tally.count(outcome=Status.FIXED)
        yield f"{photos(fixed, 'was', 'were')} fixed." if fixed else "Nothing was changed."

    def _sections(self, plan: str, draw: Draw) -> Iterator[Section]:
        wrong, unsure, failed = self._chosen.wrong, self._chosen.unsure, self._chosen.failed
        if wrong.number:
            is_fixed = self._tally.count(outcome=Status.FIXED)
            title = (
                photos(wrong.number, "is" if not is_fixed else "was", "are" if not is_fixed else "were")
                + " sideways or upside down"
            )
            yield Section("wrong", title, [_FIXED if is_fixed else _WRONG, *_rest(wrong, plan)], draw(wrong.rows))
        if unsure.number:
            title = f"orientd is not sure of {photos(unsure.number, '', '').strip()}"
            yield Section("unsure", title, [_UNSURE, *_rest(unsure, plan)], draw(unsure.rows))
        if failed.number:
            title = photos(failed.number, "could", "could") + " not be read or written"
            yield Section("failed", title, list(_rest(failed)), map(Card, failed.rows), pictures=False)


def _rest(kind: Kind, plan: str = "") -> Iterator[str]:
    if kind.number > len(kind.rows):
        where = f"; to see them all: {commands.line('review', commands.path(plan))}" if plan else ""
        yield f"Shown here: {len(kind.rows):,} of {kind.number:,}{where}"


def _steps(plan: str, tally: Tally) -> Sequence[tuple[str, str]]:
    if not plan or tally.count(outcome=Status.FIXED) or not (tally.count(Verdict.FIX) or tally.count(Verdict.UNSURE)):
        return ()
    return (
        ("To decide photo by photo, in a browser:", commands.line("review", commands.path(plan))),
        ("To turn all that are sideways or upside down:", commands.line("apply", commands.path(plan))),
    )


def _new(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def _same(one: str, other: str) -> bool:
    """True if both name one file, whether it is there or not. The case of a name does not count on every file system."""
    (folder, name), (another, its_name) = (os.path.split(os.path.abspath(path)) for path in (one, other))
    return name.casefold() == its_name.casefold() and os.path.realpath(folder) == os.path.realpath(another)


def _is_ours(path: str) -> bool:
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(FIRST_LINE)) == FIRST_LINE.encode()
