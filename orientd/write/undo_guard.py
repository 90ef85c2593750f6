"""What a journal may have orientd put back: what orientd itself would have changed into what is there now.

A journal is in a folder that others may reach, and orientd writes what it says. So its word alone never makes or changes
a file in any other way than orientd does, however well its hashes fit: through it a photo can be shown turned, and nothing else.
"""

from orientd import commands, formats
from orientd.errors import PhotoError, Refused
from orientd.formats import fingerprint, sidecar
from orientd.library import filenames
from orientd.library.photo import format_of
from orientd.orientation import UPRIGHT, normalise, turned
from orientd.reasons import Reason
from orientd.records import Format, Method
from orientd.state.journal_rows import Intent
from orientd.write import rotate

_NEVER = "the journal contains a change that orientd {} makes: left alone; check who can write the state folder"
_NOT_NOW = _NEVER.format("no longer") + ", and if nobody else can, name the photo or its folder: {}"


def admit(done: Intent, new: bytes, old: bytes, named: bool = False) -> None:
    """Let the bytes `old` take the place of `new`, which the write `done` made of them as the journal says.

    - A tag: orientd must, of `old`, make these very bytes. A former orientd may have made others; of a photo that a person has
      `named`, or whose folder, the picture must be the same, to the bit.
    - Turned pixels: those of `new` must be those of `old`, turned; see `Rotator.check`. Metadata is not compared.
    - A sidecar: of `old` orientd must make these very bytes, named or not. No write removes one, so none is made again.

    Raises:
        Refused: it must not.
    """
    try:
        _check(done, new, old, named)
    except PhotoError:
        raise
    except Exception as error:  # a parser's bug met by bytes that somebody chose must not end a run
        raise Refused(
            Reason.JOURNAL_DOUBTED,
            f"what the journal holds of it cannot be checked ({type(error).__name__}: {error}): left alone",
        ) from error


def recognise(done: Intent, data: bytes) -> None:
    """See that the file of a write is of a kind that orientd writes, by its bytes and its name.

    Raises:
        Refused: it is not.
    """
    if done.method == Method.SIDECAR:
        known = filenames.suffix(done.path) == ".xmp" and (not data or _is_sidecar(data))
    else:
        known = formats.can_write(format_of(done.path, data))
    if not known:
        raise Refused(Reason.JOURNAL_DOUBTED, _NEVER.format("never"))


def _check(done: Intent, new: bytes, old: bytes, named: bool) -> None:
    recognise(done, new)
    recognise(done, old)
    if done.method == Method.SIDECAR:
        if not new or not _noted(new, old):
            raise Refused(Reason.JOURNAL_DOUBTED, _NEVER.format("never"))
        return
    kind = formats.sniff(new)
    if kind is not formats.sniff(old):
        raise Refused(Reason.JOURNAL_DOUBTED, _NEVER.format("never"))
    if done.method == Method.ROTATE:
        _check_pixels(done, kind, new, old)
    elif not _tagged(kind, new, old) and not (
        named and fingerprint.is_same(fingerprint.marks(kind, new), fingerprint.marks(kind, old))
    ):
        raise Refused(Reason.JOURNAL_DOUBTED, _NOT_NOW.format(commands.line("undo", "--file", done.path)))


def _tagged(kind: Format, new: bytes, old: bytes) -> bool:
    try:
        return formats.plan(kind, old, normalise(formats.stored_orientation(kind, new))).apply(old) == new
    except Refused:
        return False


def _check_pixels(done: Intent, kind: Format, new: bytes, old: bytes) -> None:
    if normalise(formats.stored_orientation(kind, new)) != UPRIGHT:
        raise Refused(Reason.JOURNAL_DOUBTED, _NEVER.format("never"))
    try:
        rotate.checker()(kind, old, new, turned(formats.stored_orientation(kind, old), done.turn))
    except Refused as error:
        raise Refused(Reason.ORIGINAL_LOST, f"the copy of its original is not the same picture ({error}): left alone") from error


def _noted(new: bytes, old: bytes) -> bool:
    orientation = normalise(sidecar.stored(new))
    if old:
        return sidecar.plan(old, orientation).apply(old) == new
    return new == sidecar.fresh(orientation, sidecar.extension(new))  # which stands there as in the name of the photo


def _is_sidecar(data: bytes) -> bool:
    try:
        sidecar.plan(data, 1)
    except Refused:
        return False
    return True
