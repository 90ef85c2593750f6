"""Whether a photo was turned back since orientd turned it, so that it is not turned again."""

from typing import Final

from orientd import commands, formats
from orientd.errors import PhotoError
from orientd.files import read
from orientd.formats import fingerprint
from orientd.orientation import UPRIGHT, normalise
from orientd.records import Row
from orientd.state.journal import Journal, Write
from orientd.write.recover import sha256_of

MADE: Final = "run {} fixed it while this one was looking"
_LEFT: Final = "left alone; to have it judged like any other: {}"
_TAKEN_BACK: Final = "run {} made this change, which was taken back: "
_UNKNOWN: Final = (
    "run {} made this change to a photo of this name; whether this is that one, turned back, or another is not clear: "
)


def taken_back(run: int, path: str, why: str = _TAKEN_BACK) -> str:
    """Why a photo is left alone, and how that is lifted, in words."""
    return why.format(run) + _LEFT.format(commands.line("offer", path))


def made_meanwhile(journal: Journal, row: Row) -> int | None:
    """The run that made the change which a row asks for since the photo was judged, if another orientd did."""
    if journal.run_that_wrote(row.path, 0) is None:
        return None
    try:
        data, _ = read.read_whole(row.path)
    except PhotoError:  # as below
        return None
    held = sha256_of(data)
    return journal.run_that_made(row.path, row.turn, held, row.sha256) if held != row.sha256 else None


def turned_back(journal: Journal, row: Row, *, unattended: bool) -> str:
    """Why a photo that needs a turn is left alone: its owner took the turn back that it needs, with whatever program. Empty if
    not so.

    A turn by tag and one by pixels are two questions: who took back the one with `orientd undo` may want the other. What was
    taken back with its whole run, as a trial, counts only where nobody would notice that it is done again: `unattended`.

    The photo is that of an earlier write, of the same turn, if it has the bytes from before a write that was undone, or

    - has the same picture data, and the write was made at this path, or no photo is at the path of the write as that left it:
      it was moved, or taken back. Where one does, this one is another copy, which was never turned;
    - is at the path of the write, and other picture data do not prove another photo: its owner may have turned back the pixels.
      It is a new one under a name used again if EXIF notes when each was taken, and never at the same time; or if it stores an
      orientation that a program which turns pixels does not leave: neither that of the write nor 1.
    """
    if run := journal.was_undone(row.sha256, row.method, unattended=unattended):
        return taken_back(run, row.path)
    if not journal.has_writes():
        return ""
    known = _marks(row.path)
    for write in journal.turns(row.turn, row.path, fingerprint.pictures(known), row.method, unattended=unattended):
        here, same = write.intent.path == row.path, fingerprint.is_same(write.intent.marks, known)
        if same and (here or not stands(write)):
            return taken_back(write.run, row.path)
        if here and same is None and normalise(row.orientation) in (UPRIGHT, normalise(write.intent.new_orientation)):
            return taken_back(write.run, row.path, _UNKNOWN)
    return ""


def stands(write: Write) -> bool:
    """True if the photo is still where it was written, with the picture and the orientation that it was given."""
    intent = write.intent
    try:
        data, _ = read.read_whole(intent.path)
    except PhotoError:
        return False
    same = fingerprint.is_same(intent.marks, fingerprint.marks(intent.format, data))
    return bool(same) and normalise(formats.stored_orientation(intent.format, data)) == normalise(intent.new_orientation)


def _marks(path: str) -> fingerprint.Marks:
    try:
        data, _ = read.read_whole(path)
    except PhotoError:  # writing it will report that
        return frozenset()
    return fingerprint.marks(formats.sniff(data), data)
