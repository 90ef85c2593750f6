"""A person's verdicts on the photos of a plan: one line of JSON for each verdict, in a file of its own next to the plan.

The watcher, a nightly scan or a spreadsheet may rewrite the plan meanwhile; verdicts are only ever appended. Whoever reads the
plan merges them by path and SHA-256, so that a verdict counts only for the photo as it was when the person saw it.
"""

import fcntl
import json
import os
import stat as modes
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import Any, BinaryIO, Final, NamedTuple

from orientd.errors import StateError
from orientd.files.append import append_lines, sync_folder_at
from orientd.files.syscalls import code_of
from orientd.orientation import TURNS, UPRIGHT, turned
from orientd.records import Method, Notify, Row, Verdict
from orientd.report.text import printable

PERSON: Final = "person"
"""What the column `decided_by` holds where a person decided."""
LONGEST: Final = 65_536  # a path of 4,096 bytes, each as an escape, and the rest
_HEX: Final = frozenset("0123456789abcdef")
_OPENED: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Choice(StrEnum):
    """What a person says of a photo: WITHDRAWN takes the last verdict back, SKIP leaves the photo for later."""

    ACCEPT = "accept"
    KEEP = "keep"
    TURN = "turn"
    SKIP = "skip"
    WITHDRAWN = "withdrawn"


class PersonVerdict(NamedTuple):
    """A verdict on the photo at `path` whose bytes have the hash `sha256`, given at `when` (ISO 8601, UTC).

    `turn` is 90, 180 or 270 degrees clockwise, as `Row.turn`, for TURN; else None.
    """

    path: str
    sha256: str
    choice: Choice
    turn: int | None
    when: str


def path_for(plan: str) -> str:
    """The file of the verdicts on a plan."""
    return plan + ".verdicts"


def append(plan: str, verdicts: Iterable[PersonVerdict]) -> None:
    """Add verdicts on a plan; they are on the disk when this returns. Any number of processes and threads may do so at once.

    Raises:
        ValueError: one of them is none that `read` would give back; none is added.
        StateError: the disk says no; none is added.
    """
    lines = b"".join(map(_line, verdicts))
    path = path_for(plan)
    if not lines:
        return
    try:
        with _locked(path) as file:
            if append_lines(file, lines):
                sync_folder_at(os.path.dirname(os.path.abspath(path)))
    except OSError as error:
        raise StateError(
            f"{printable(path)} cannot be written: {error.strerror}: free some space, or check its permissions", code_of(error)
        ) from error


def read(plan: str, notify: Notify = lambda _: None) -> dict[tuple[str, str], PersonVerdict]:
    """The last verdict on each photo of a plan, by path and SHA-256, without those that were withdrawn.

    A last line without an end is still being written, or was cut off by a crash; `notify` is called for any other line that is
    no verdict.

    Raises:
        StateError: the file is there and cannot be read.
    """
    found: dict[tuple[str, str], PersonVerdict] = {}
    strange = 0
    path = path_for(plan)
    try:
        with suppress(FileNotFoundError), _opened(path, os.O_RDONLY) as file:
            for line in _lines(file):
                verdict = _parsed(line)
                if verdict is None:
                    strange += line.endswith(b"\n")
                elif verdict.choice is Choice.WITHDRAWN:
                    found.pop((verdict.path, verdict.sha256), None)
                else:
                    found[verdict.path, verdict.sha256] = verdict
    except OSError as error:
        raise StateError(f"{printable(path)} cannot be read: {error.strerror}", code_of(error)) from error
    if strange:
        notify(f"{printable(path)}: passed over {strange:,} {'line that is' if strange == 1 else 'lines that are'} no verdict")
    return found


def fold(row: Row, verdict: PersonVerdict | None) -> Row:
    """A row of a plan as a person decided it: `decided_by` says so then. The probabilities stay what the model said.

    What could not be judged or must not be written stays as it is, and so does a photo that no turn is known for.
    """
    if verdict is None or verdict.choice in (Choice.SKIP, Choice.WITHDRAWN) or row.decision in (Verdict.SKIP, Verdict.ERROR):
        return row
    if verdict.choice is Choice.KEEP or (verdict.choice is Choice.ACCEPT and row.decision is Verdict.KEEP):
        return as_kept(row)
    turn = verdict.turn if verdict.choice is Choice.TURN else best_turn(row)
    if turn is None:
        return row
    same = row.decision is Verdict.FIX and turn == row.turn
    return row._replace(decided_by=PERSON) if same else _to_be_turned(row, turn)


def best_turn(row: Row) -> int | None:
    """The turn of a photo (90, 180 or 270) that is the most probable if it needs one; None if that is not known."""
    if row.turn in TURNS[1:]:
        return row.turn
    chances = row.probabilities
    return None if chances is None else max(TURNS[1:], key=lambda turn: chances[TURNS.index(turn)])


def as_kept(row: Row) -> Row:
    """The row of a photo that is to stay as it is shown, as a person decided."""
    done = row._replace(decision=Verdict.KEEP, turn=0, new_orientation=None, reason="", reason_code=None, decided_by=PERSON)
    return done._replace(confidence=row.confidence if row.turn == 0 else None, method=_only_by_sidecar(row))


def _to_be_turned(row: Row, turn: int) -> Row:
    """As the plan stage has it; the way of writing is chosen when the plan is carried out, where none was planned."""
    method = row.method if row.decision is Verdict.FIX else _only_by_sidecar(row)
    shown = UPRIGHT if method is Method.ROTATE else turned(row.orientation, turn)
    reason, code = (row.reason, row.reason_code) if row.decision is Verdict.FIX else ("", None)
    done = row._replace(decision=Verdict.FIX, turn=turn, new_orientation=shown, method=method, reason=reason, reason_code=code)
    return done._replace(confidence=row.confidence if turn == row.turn else None, decided_by=PERSON)


def _only_by_sidecar(row: Row) -> Method | None:
    """Every row of a photo that is never written itself says so, whatever is decided."""
    return Method.SIDECAR if row.method is Method.SIDECAR else None


def _line(verdict: PersonVerdict) -> bytes:
    line = json.dumps(verdict._asdict()).encode("ascii") + b"\n"
    if _parsed(line) != verdict:
        raise ValueError(f"no verdict: {verdict!r}")
    return line


def _parsed(line: bytes) -> PersonVerdict | None:
    """The verdict of a line; None if it holds none."""
    if len(line) > LONGEST:
        return None
    try:
        values: Any = json.loads(line)
        given = PersonVerdict(*(values[name] for name in PersonVerdict._fields))
        choice = Choice(given.choice)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    texts = all(isinstance(text, str) for text in (given.path, given.sha256, given.when))
    turns = TURNS[1:] if choice is Choice.TURN else (None,)
    if not texts or not given.path or type(given.turn) not in (int, type(None)) or given.turn not in turns:
        return None
    return given._replace(choice=choice) if len(given.sha256) == 64 and _HEX.issuperset(given.sha256) else None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Every line; of one that is longer than any verdict only the front, and an end."""
    while line := file.readline(LONGEST + 1):
        if not line.endswith(b"\n") and len(line) > LONGEST:
            while (more := file.readline(LONGEST)) and not more.endswith(b"\n"):
                pass
            line += b"\n"
        yield line


def _opened(path: str, flags: int) -> BinaryIO:
    """A regular file and no other, which a stranger may have put there.

    Raises:
        OSError: it is none.
    """
    number = os.open(path, flags | _OPENED, 0o600)
    file = open(number, "rb", buffering=1 << 16)  # noqa: SIM115
    if not modes.S_ISREG(os.fstat(number).st_mode):
        file.close()
        raise OSError(None, "it is not a regular file")
    return file


@contextmanager
def _locked(path: str) -> Iterator[int]:
    """The file, made if it is not there, for this writer alone."""
    while True:
        with _opened(path, os.O_RDWR | os.O_CREAT | os.O_APPEND) as file:
            number = file.fileno()
            with suppress(OSError):  # a file system without locks
                fcntl.flock(number, fcntl.LOCK_EX)
            if _is_at(path, number):
                yield number
                return


def _is_at(path: str, number: int) -> bool:
    """False if somebody moved the file away or deleted it since it was opened."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(number), os.lstat(path))
    return False
