"""The rows of a plan, which may come from anyone: what of them may be written, and by which method."""

from collections.abc import Sequence
from typing import Final

from orientd import commands
from orientd.library.exclude import Exclusion
from orientd.library.paths import below, real_place
from orientd.pipeline import deaths
from orientd.reasons import Reason
from orientd.records import ON_SERVERS, Method, Row, Status
from orientd.state.in_hand import Hand
from orientd.write.writer import Writer

_OUTSIDE: Final = (
    "it is outside the folders named or, if none is, outside all that was ever scanned: to have it written, name its folder, "
    "as in {} PLAN.csv FOLDER"
)
_ONLY_FOLDERS: Final = "it lies on a server, and folders were named: name none to have it turned"


def carry_out(row: Row, writer: Writer, allowed: Sequence[str], exclusion: Exclusion, hand: Hand, *, named: bool = False) -> Row:
    """A row whose decision is fix, carried out by its own method; or failed, with the reason, where that is not `allowed`.

    Where folders were `named`, photos on servers are not.
    """
    if row.path.startswith(ON_SERVERS):
        return _failed(writer, row, _ONLY_FOLDERS, Reason.NOT_ALLOWED) if named else writer.fix(row, Method.IMMICH)[0]
    row = row._replace(path=real_place(row.path))  # the journal is read from other folders, too
    above = [root for root in allowed if below(row.path, [root])]
    if not above:
        return _failed(writer, row, _OUTSIDE.format(commands.line("apply")), Reason.NOT_ALLOWED)
    if by := next(filter(None, (exclusion.within(row.path, False, root) for root in above)), ""):
        return _failed(writer, row, f"it is excluded, by {by}: remove that to have it written", Reason.EXCLUDED)
    if reason := deaths.why_left_out(hand, row.path):
        return _failed(writer, row, reason, Reason.CRASHES)
    return writer.fix(row, method_of(row))[0]


def method_of(row: Row) -> Method:
    """By tag, unless the row says otherwise: a person may have taken the method out."""
    return row.method if row.method in (Method.ROTATE, Method.SIDECAR) else Method.TAG


def _failed(writer: Writer, row: Row, reason: str, code: Reason) -> Row:
    writer.failures.append(row.path)
    return row._replace(outcome=Status.FAILED, reason=reason, reason_code=code)
