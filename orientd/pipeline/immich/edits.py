"""The edits of a photo in Immich: a list that its server applies in order, and how a turn is added to it. Pure.

Immich 3.1.0 takes at most one crop, which comes first and counts in pixels of the photo before all edits, one rotation
(clockwise), and one mirror along each axis; "horizontal" swaps left and right. It applies them in the order of the list.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Self

from orientd.errors import Refused
from orientd.orientation import TURNS
from orientd.reasons import Reason

_CROP: Final = ("x", "y", "width", "height")
_AXES: Final = ("horizontal", "vertical")
_UNKNOWN: Final = "it has an edit in Immich that orientd does not know ({:.80}): turn it there, or upgrade orientd"

Edit = Mapping[str, Any]
"""As Immich's API takes it: `action` and its `parameters`."""


def checked(edits: Any) -> tuple[Edit, ...]:
    """A list of edits as the API returns it, or the journal holds it, without what the server adds of its own.

    Raises:
        Refused: one is not known here.
    """
    if not isinstance(edits, list):
        raise _unknown(edits)
    found = tuple(_checked(edit) for edit in edits)
    actions = [edit["action"] for edit in found]
    if actions.count("rotate") > 1 or "crop" in actions[1:]:
        raise _unknown(edits)
    return found


def turned(edits: Sequence[Edit], turn: int) -> tuple[Edit, ...]:
    """The edits that show a photo turned by `turn` degrees clockwise more than these do; crop and mirrors stay as they are.

    A turn passes a mirror the other way round, so one that comes before mirrors is changed according to their number.
    """
    places = [place for place, edit in enumerate(edits) if edit["action"] == "rotate"]
    place = places[0] if places else len(edits)
    before, behind = list(edits[:place]), list(edits[place + 1 :])
    mirrored = sum(edit["action"] == "mirror" for edit in behind) % 2
    angle = edits[place]["parameters"]["angle"] if places else 0
    total = (angle + (-turn if mirrored else turn)) % 360
    rotation = [{"action": "rotate", "parameters": {"angle": total}}] if total else []
    return tuple(before + rotation + behind)


@dataclass(frozen=True, slots=True)
class EditedPhoto:
    """What counts of a photo on a server: the checksum of its file (SHA-1, base64, as the API states it) and its edits.

    As text it is what the journal holds of it, in the place of a file; its SHA-256 (in hex) is the fingerprint of a row.
    """

    checksum: str
    edits: tuple[Edit, ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From its text.

        Raises:
            Refused: it is none.
        """
        try:
            found = json.loads(data)
            checksum, edits = found["checksum"], found["edits"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise Refused(Reason.JOURNAL_DOUBTED, "the journal contains edits that Immich does not have: left alone") from error
        return cls(str(checksum), checked(edits))

    @property
    def text(self) -> bytes:
        """The same for the same checksum and edits, byte for byte."""
        held = {"checksum": self.checksum, "edits": [dict(edit) for edit in self.edits]}
        return json.dumps(held, sort_keys=True, separators=(",", ":")).encode()

    @property
    def sha256(self) -> str:
        return sha256(self.text).hexdigest()

    def turned(self, turn: int) -> "EditedPhoto":
        """The same photo, shown turned by `turn` degrees clockwise more."""
        return EditedPhoto(self.checksum, turned(self.edits, turn))


def _checked(edit: Any) -> Edit:
    try:
        action, given = edit["action"], dict(edit["parameters"])
    except (TypeError, KeyError, ValueError) as error:
        raise _unknown(edit) from error
    known = {
        "crop": set(given) == set(_CROP) and all(isinstance(value, int) for value in given.values()),
        "rotate": set(given) == {"angle"} and given["angle"] in TURNS,
        "mirror": set(given) == {"axis"} and given["axis"] in _AXES,
    }
    if not isinstance(action, str) or not known.get(action):
        raise _unknown(edit)
    return {"action": action, "parameters": given}


def _unknown(found: Any) -> Refused:
    return Refused(Reason.UNUSUAL, _UNKNOWN.format(json.dumps(found, default=str)))
