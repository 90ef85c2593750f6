"""What is to be done to a photo, from its bytes: planned, and proved before anything is written.

The proof is by others than the planner: another reader must see the change, and the patch must lead back to every byte.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Protocol

from orientd import formats, orientation
from orientd.errors import Refused
from orientd.reasons import Reason
from orientd.records import Format, Method, Patch

Rotate = Callable[[Format, bytes, int], Patch | None]
SecondReader = Callable[[bytes], int | None]


class Formats(Protocol):
    """What is asked of the module `orientd.formats`."""

    def sniff(self, data: bytes, /) -> Format: ...

    def stored_orientation(self, format: Format, data: bytes, /) -> int | None: ...  # noqa: A002

    def plan(self, format: Format, data: bytes, orientation: int, /) -> Patch: ...  # noqa: A002


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done to a photo: the patch, the orientation it stores then, and why its pixels are not turned, if so."""

    patch: Patch
    format: Format
    old_orientation: int | None
    orientation: int
    method: Method = Method.TAG
    remark: str = ""
    code: Reason | None = None


def plan_change(formats: Formats, rotate: Rotate | None, format_: Format, data: bytes, new: int, names: int) -> Change:
    """The change that shows a photo, which has so many `names` (hard links), as the stored orientation `new` (1–8) would.

    With `rotate` its pixels are turned, if that is proved to lose nothing. What the tag must not be written to is refused.

    Raises:
        Refused: it cannot be changed safely; the message says why.
    """
    stored, patch = formats.stored_orientation(format_, data), formats.plan(format_, data, new)
    tagged = Change(patch, format_, stored, new)
    if rotate and new != orientation.UPRIGHT:
        try:
            turned = rotate(format_, data, new)
            if turned and names > 1:
                raise Refused(Reason.HARD_LINKS, "it has several names (hard links)")
            if turned:
                return Change(turned, format_, stored, orientation.UPRIGHT, Method.ROTATE)
        except Refused as error:
            return replace(tagged, remark=f"by tag, not by pixels, as {error}", code=error.code)
    return tagged


def proved(formats: Formats, second_reader: SecondReader, data: bytes, change: Change) -> bytes:
    """The patched bytes, once they are shown to be readable by others, stable under a second fix and exactly undoable.

    `second_reader` reads the stored orientation (None: absent) with a library that is not ours, and raises what it likes.

    Raises:
        Refused: they are not.
    """
    patch, format_, new = change.patch, change.format, change.orientation
    try:
        patched = patch.apply(data)
        undone = patch.inverse().apply(patched)
    except ValueError as error:
        raise Refused(Reason.NOT_PROVED, f"the change planned for it does not fit ({error}): please report this file") from error
    if undone != data:
        raise Refused(Reason.NOT_PROVED, "the change planned for it could not be taken back exactly: please report this file")
    if orientation.normalise(formats.stored_orientation(format_, patched)) != new:
        raise Refused(Reason.NOT_PROVED, "the change planned for it does not read back: please report this file")
    if change.method is Method.TAG and formats.plan(format_, patched, new).splices:
        raise Refused(Reason.NOT_PROVED, "a second run would change it again: please report this file")
    try:
        found = second_reader(patched)
    except Exception as error:  # parsers of hostile bytes raise anything
        raise Refused(
            Reason.NOT_PROVED, "another reader cannot open it, so the change could not be checked: turn it by hand"
        ) from error
    if orientation.normalise(found) != new:
        raise Refused(Reason.NOT_PROVED, "another reader would not see the change: turn it by hand")
    return patched


@dataclass(frozen=True, slots=True)
class Writable:
    """The module `formats`, but only some formats may be written."""

    allowed: Collection[str]

    def sniff(self, data: bytes) -> Format:
        return formats.sniff(data)

    def stored_orientation(self, format: Format, data: bytes) -> int | None:  # noqa: A002
        return formats.stored_orientation(format, data)

    def plan(self, format: Format, data: bytes, orientation: int) -> Patch:  # noqa: A002
        patch = formats.plan(format, data, orientation)  # first, as its reasons weigh more
        if format not in self.allowed:
            raise Refused(Reason.FORMAT_NOT_CHOSEN, f"{format.value} is not among the --formats to be written")
        return patch
