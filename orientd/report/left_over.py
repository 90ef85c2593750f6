"""Reports that interrupted runs left unfinished: they hold what was done until then, so they are named and never deleted."""

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import count

from orientd.report.columns import LONGEST, is_header

_SUFFIX = ".partial"


def nearby(path: str) -> Sequence[str]:
    """The unfinished reports in the folder of the one at `path`, which is being written, without those of others at work."""
    folder = os.path.dirname(path)
    with suppress(OSError):
        names = sorted(name for name in os.listdir(folder or ".") if name.endswith(_SUFFIX))
        found = [os.path.join(folder, name) for name in names if name != os.path.basename(path)]
        return [each for each in found if has_rows(each) and not _is_written(each)]
    return ()


def has_rows(path: str) -> bool:
    """True if there is a report at `path`, finished or not, with a line besides its header."""
    with suppress(OSError):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                return is_header(file.readline(LONGEST)) and bool(file.read(1))
    return False


def another_name(path: str) -> str:
    """A free name for an unfinished report that is in the way of a new one to be called `path`."""
    stem, ending = os.path.splitext(path)
    names = (f"{stem}.before{number or ''}{ending}{_SUFFIX}" for number in count())
    return next(name for name in names if not os.path.lexists(name))


def _is_written(path: str) -> bool:
    with suppress(OSError), open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
