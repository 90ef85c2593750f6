"""What the service is asked, and what it answers: the records that its parts hand each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What is to be found out of a picture."""

    ORIENTATION = "orientation"
    PAGE = "page"


class Wanted(StrEnum):
    """What comes back: what was found, the upright picture, or a small JPEG of it as viewers show it now."""

    JSON = "json"
    IMAGE = "image"
    PREVIEW = "preview"


@dataclass(frozen=True, slots=True)
class Task:
    """One picture and the question about it. `name` is what its sender calls it; it is no path here. `full`: the answer has all
    fields of `orientd inspect`. `asked` is when, in seconds of the clock of whoever made the task."""

    kind: Kind
    data: bytes
    name: str = ""
    wanted: Wanted = Wanted.JSON
    full: bool = False
    asked: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """`values` are fit for JSON; `file` is a picture of the type `media`, empty if none is wanted."""

    values: Mapping[str, Any] = field(default_factory=dict)
    file: bytes = b""
    media: str = ""


class Refusal(StrEnum):
    """Why a request was refused; the codes of pictures (`orientd.reasons`) come on top of these."""

    BAD_REQUEST = "bad_request"
    """It cannot be understood."""
    NOT_FOUND = "not_found"
    """There is nothing of that name."""
    WRONG_METHOD = "wrong_method"
    """Not that way, but by GET or by POST."""
    WRONG_TYPE = "wrong_type"
    """Its content is neither a picture nor a form with pictures."""
    BODY_TOO_LARGE = "body_too_large"
    """It has more bytes than one request may have."""
    BODY_TOO_SLOW = "body_too_slow"
    """It did not arrive in time."""
    TOO_MANY_IMAGES = "too_many_images"
    """It holds more pictures than one request may hold."""
    QUEUE_FULL = "queue_full"
    """As many wait as may wait: ask again in a moment."""
    TOO_BUSY = "too_busy"
    """It was not answered in time, as others came first."""
    TOKEN_NEEDED = "token_needed"
    """The token is missing, or another."""
    TOO_MANY_TRIES = "too_many_tries"
    """Too many came without the token: ask again in a moment."""
    FROM_ELSEWHERE = "from_elsewhere"
    """Another web page sent it, or it names a machine that this is not."""
