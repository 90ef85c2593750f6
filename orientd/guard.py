"""What a journal may have orientd put back: a photo in the place of a photo, a sidecar in the place of a sidecar.

A journal lies in a folder that others may reach, and orientd writes what it says. So its word alone never makes or changes
a file of any other kind, however well its hashes fit.
"""

from orientd import formats, names
from orientd.errors import Refused
from orientd.formats import sidecar
from orientd.items import Format, Method


def admit(path: str, method: str, held: bytes, back: bytes) -> None:
    """Let the bytes `back` take the place of `held` in the file at `path`, which a write by `method` left there.

    No write of orientd removes a file, so none is made again; one that was made, a sidecar, is removed if `back` is empty.

    Raises:
        Refused: orientd would never have made that change.
    """
    if method == Method.SIDECAR:
        fits = names.suffix(path) == ".xmp" and _is_sidecar(held) and (not back or _is_sidecar(back))
    else:
        kind = formats.sniff(held)
        fits = kind is formats.sniff(back) and kind is not Format.UNKNOWN and formats.can_write(kind)
    if not fits:
        raise Refused("the journal tells of a change that orientd never makes: left alone; see who can write the state folder")


def _is_sidecar(data: bytes) -> bool:
    try:
        sidecar.plan(data, 1)
    except Refused:
        return False
    return True
