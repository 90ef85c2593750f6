"""What the journal holds of runs and writes, as records and as rows; what is read from it is trusted no further than it fits.

A journal may have been changed by another program, or on purpose. So a row that orientd cannot have written is an error: nothing
is written by it, whatever it says of paths, lengths and names.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from enum import StrEnum
from typing import Any, Final

from orientd.reasons import Reason
from orientd.records import LAST_TIME, ON_SERVERS, FileStat, Format, Method, Patch, Splice

_SHA256: Final = re.compile("[0-9a-f]{64}")
_TEMP: Final = re.compile(r"\.orientd-[0-9a-f]{16}\.tmp")
_MOST: Final = 2**63 - 1
_LONGEST_TIME: Final = len(f"-{LAST_TIME}")


class WriteStatus(StrEnum):
    """INTENDED becomes FIXED (the new bytes are there), FAILED (the old ones are) or LOST (neither: the file is gone or was
    changed by someone else); FIXED becomes UNDONE when the old bytes are back."""

    INTENDED = "intended"
    FIXED = "fixed"
    FAILED = "failed"
    LOST = "lost"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Intent:
    """One write, before it happens. The patch leads from `old_sha256` to `new_sha256` (in hex); for turned pixels it is empty.

    `mtime_ns` is the modification time the file is to get (None: that of the write), `temp` the name of the temporary file,
    `probabilities` those the turn was decided by (empty: a person's decision), `undoes` the write that this one takes back,
    `marks` identify the picture, as it was before and after (`formats.fingerprint`; older journals hold none).
    """

    path: str
    format: Format
    old_stat: FileStat
    old_sha256: str
    new_sha256: str
    patch: Patch
    old_orientation: int | None
    new_orientation: int | None
    turn: int
    method: str
    mtime_ns: int | None
    temp: str
    probabilities: tuple[float, ...] = ()
    undoes: int | None = None
    marks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Write:
    """An intent in the journal and what came of it. `new_stat` is the state the write left, where it left one; `code` the kind of
    the reason (None: there is none, or an earlier version noted none)."""

    id: int
    run: int
    intent: Intent
    status: WriteStatus
    reason: str
    new_stat: FileStat | None
    code: Reason | None = None

    @property
    def is_undoable(self) -> bool:
        return self.status is WriteStatus.FIXED and self.intent.undoes is None


@dataclass(frozen=True, slots=True)
class Run:
    """One command that writes. `finished_ns` is None while it runs, and for good if it was killed ("interrupted"). `undone` are
    the photos that have their old bytes back: those of a fix that was taken back, and those an undo took back. `forgotten` are
    those fixed that cannot be undone any more, as the copy of their original was deleted, where somebody has looked."""

    id: int
    command: str
    started_ns: int
    finished_ns: int | None
    status: str
    fixed: int
    undone: int
    failed: int
    forgotten: int = 0


def columns(intent: Intent) -> tuple[object, ...]:
    """The fields of an intent in the order of the table's columns, but for its run, its patch and its marks."""
    return (
        os.fsencode(intent.path),
        intent.format,
        json.dumps(astuple(intent.old_stat)),  # text: inode numbers of network file systems exceed SQLite's integers
        intent.old_sha256,
        intent.new_sha256,
        intent.old_orientation,
        intent.new_orientation,
        intent.turn,
        intent.method,
        json.dumps(intent.probabilities),
        _column(intent.mtime_ns),
        intent.temp,
        intent.undoes,
    )


def write_of(row: Mapping[str, Any], splices: Sequence[tuple[Any, ...]], marks: Iterable[Any] = ()) -> Write:
    """A row of the table of writes, its splices and its marks as a record.

    Raises:
        ValueError: it is none that orientd wrote; the message names what is wrong with it.
    """
    try:
        intent = Intent(
            path=_path(row["path"]),
            format=Format(row["format"]),
            old_stat=_stat(row["old_stat"]),
            old_sha256=_text(row["old_sha256"], _SHA256),
            new_sha256=_text(row["new_sha256"], _SHA256),
            patch=Patch(tuple(Splice(*splice) for splice in splices)),
            old_orientation=_whole(row["old_orientation"], optional=True),
            new_orientation=_whole(row["new_orientation"], optional=True),
            turn=_whole(row["turn"]),
            method=Method(row["method"]).value,
            mtime_ns=_time(row["mtime_ns"], optional=True),
            temp=_text(row["temp"], _TEMP),
            probabilities=tuple(float(each) for each in json.loads(row["probabilities"])),
            undoes=_whole(row["undoes"], optional=True),
            marks=frozenset(marks),
        )
        _check(intent.patch, intent.old_stat.size)
        if (intent.method == Method.IMMICH) != intent.path.startswith(ON_SERVERS):
            raise ValueError(f"{intent.path!r} written by the method {intent.method}")
        new_stat = _stat(row["new_stat"]) if row["new_stat"] else None
        status, reason = WriteStatus(row["status"]), os.fsdecode(row["reason"])
        return Write(_whole(row["id"]), _whole(row["run"]), intent, status, reason, new_stat, Reason.known(row.get("code")))
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"a field of the wrong kind, {error}") from error


def run_of(row: Mapping[str, Any]) -> Run:
    """A row of the listing of runs as a record; raises ValueError as `write_of`."""
    try:
        numbers = {name: _whole(row[name]) for name in ("id", "started_ns", "fixed", "undone", "failed")}
        finished = _whole(row["finished_ns"], optional=True)
        return Run(command=os.fsdecode(row["command"]), finished_ns=finished, status=str(row["status"]), **numbers)
    except (TypeError, KeyError) as error:
        raise ValueError(f"a field of the wrong kind, {error}") from error


def _path(value: bytes) -> str:
    path = os.fsdecode(value)
    is_whole = os.path.isabs(path) or path.startswith(ON_SERVERS)
    if not isinstance(value, bytes) or not is_whole or b"\0" in value or b".." in value.split(b"/"):
        raise ValueError(f"{path!r} is no path of a photo")
    return path


def _text(value: Any, shape: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise ValueError(f"{value!r:.80} where {shape.pattern} should be")
    return value


def _whole(value: Any, *, optional: bool = False, most: int = _MOST) -> Any:
    if value is None and optional:
        return None
    if not isinstance(value, int) or not -most - 1 <= value <= most:
        raise ValueError(f"{value!r:.80} where a whole number should be")
    return value


def _column(mtime_ns: int | None) -> int | bytes | None:
    """SQLite's integers end in the year 2262, files do not; text in their column would become a float."""
    return mtime_ns if mtime_ns is None or abs(mtime_ns) <= _MOST else str(mtime_ns).encode("ascii")


def _time(value: Any, *, optional: bool = False) -> Any:
    digits = isinstance(value, bytes) and len(value) <= _LONGEST_TIME
    return _whole(int(value) if digits else value, optional=optional, most=LAST_TIME)


def _stat(text: str) -> FileStat:
    dev, inode, size, mtime_ns, nlink = json.loads(text)
    if min(_whole(size), _whole(nlink)) < 0:
        raise ValueError(f"{text!r:.80} where the state of a file should be")
    return FileStat(_whole(dev, most=2**64), _whole(inode, most=2**64), size, _time(mtime_ns), nlink)


def _check(patch: Patch, size: int) -> None:
    end = 0
    for splice in patch.splices:
        if not isinstance(splice.old, bytes) or not isinstance(splice.new, bytes):
            raise ValueError("a change of what are no bytes")
        if not end <= _whole(splice.offset) <= size - len(splice.old):
            raise ValueError(f"a change at byte {splice.offset:,} of a file of {size:,}")
        end = splice.offset + len(splice.old)
