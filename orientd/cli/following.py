"""How far a command is that goes through what was written: shown as a scan shows it."""

import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Final, TypeVar

from orientd.records import Outcome, Status
from orientd.report.progress import Meter, Words, meter

if TYPE_CHECKING:
    from orientd.write.verify import Finding

T = TypeVar("T")
_WRITING: Final = Words(apart="left alone", first="reading the journal")
_CHECKING: Final = Words("files", "at fault", "reading the journal")


def writing(quiet: bool) -> Meter:
    """The display of an undo or a redo."""
    return meter(sys.stderr, quiet=quiet, words=_WRITING)


def checking(quiet: bool) -> Meter:
    """The display of a verification."""
    return meter(sys.stderr, quiet=quiet, words=_CHECKING)


def followed(found: Generator[T, None, None], shown: Meter, apart: Callable[[T], bool], stop: Callable[[], bool]) -> Iterable[T]:
    """What is `found`, counted as it comes, until `stop` is true; the display is gone when it ends."""
    with closing(found), shown:
        for one in found:
            shown.count(apart(one))
            yield one
            if stop():
                return


def is_left(outcome: Outcome) -> bool:
    return outcome.status is Status.FAILED


def is_at_fault(finding: "Finding") -> bool:
    from orientd.write.verify import FAULTS

    return finding.state in FAULTS
