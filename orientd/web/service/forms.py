"""The pictures in the body of a request: the body itself, or the files of a form (multipart/form-data, RFC 7578). Pure.

The body is in memory as a whole, and bounded, before this looks at it; of a form no more is understood than programs and
browsers send.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple
from urllib.parse import unquote

from orientd.web.service.tasks import Refusal

MOST: Final = 32
"""Pictures of one request."""
_MOST_HEADER: Final = 8192
_FORM: Final = "multipart/form-data"
_PLAIN: Final = ("application/octet-stream", "")
_BOUNDARY: Final = re.compile(r""";\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))""", re.IGNORECASE)
_DISPOSITION: Final = re.compile(r"^content-disposition:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_PARAMETER: Final = re.compile(r""";\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))""")
_HOW: Final = (
    "send a picture with its own Content-Type or application/octet-stream, or pictures as the files of a form: "
    "curl -F image=@photo.jpg"
)


class Sent(NamedTuple):
    """One picture, and what its sender calls it; empty if nothing."""

    name: str
    data: bytes


class Misunderstood(Exception):
    """The body is not what is wanted; the message says why."""

    def __init__(self, code: Refusal, status: int, message: str) -> None:
        super().__init__(message)
        self.code, self.status = code, status


def pictures(content_type: str, body: bytes) -> list[Sent]:
    """What was sent, at least one.

    Raises:
        Misunderstood: it is no picture by its type, or a form without files, or with too many, or broken.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == _FORM:
        found = list(_files(content_type, body))
        if not any(one.data for one in found):
            raise Misunderstood(Refusal.BAD_REQUEST, 400, f"the form has no file: {_HOW}")
        return found
    if not (kind in _PLAIN or kind.startswith("image/")):
        raise Misunderstood(Refusal.WRONG_TYPE, 415, f"this is no type of a picture: {_HOW}")
    if not body:
        raise Misunderstood(Refusal.BAD_REQUEST, 400, f"nothing was sent: {_HOW}")
    return [Sent("", body)]


def _files(content_type: str, body: bytes) -> Iterator[Sent]:
    stated = _BOUNDARY.search(content_type)
    if not stated:
        raise Misunderstood(Refusal.BAD_REQUEST, 400, "the form names no boundary between its parts")
    limit = b"--" + (stated[1] or stated[2]).encode("latin-1", "replace")
    start, number = (0 if body.startswith(limit) else body.find(b"\r\n" + limit) + 2), 0
    while not body.startswith(b"--", start + len(limit)):
        head, data, start = _part(body, start + len(limit), b"\r\n" + limit)
        name = _file_name(head.decode("utf-8", "replace"))
        if name is None or not (name or data):
            raise Misunderstood(Refusal.BAD_REQUEST, 400, f"a part of the form is no file: {_HOW}")
        number += 1
        if number > MOST:
            raise Misunderstood(Refusal.TOO_MANY_IMAGES, 413, f"there are more than {MOST} pictures: send them one by one")
        yield Sent(name, data)


def _file_name(head: str) -> str | None:
    """What a part says that its file is called; None if it is no file. `filename*` (RFC 5987) is what .NET sends, too."""
    found = _DISPOSITION.search(head)
    parameters = {name.lower(): (quoted, plain) for name, quoted, plain in _PARAMETER.findall(found[1] if found else "")}
    with suppress(KeyError, LookupError, ValueError):
        charset, _, name = parameters["filename*"][1].split("'")
        return unquote(name, charset)
    quoted, plain = parameters.get("filename", (None, None))
    return plain or re.sub(r'\\(["\\])', r"\1", quoted) if quoted is not None else None


def _part(body: bytes, start: int, limit: bytes) -> tuple[bytes, bytes, int]:
    """Header lines, content and the beginning of the next limit of the part whose limit ends at `start`."""
    head_end = body.find(b"\r\n\r\n", start, start + _MOST_HEADER)
    end = body.find(limit, head_end + 4) if head_end >= 0 else -1
    if end < 0 or not body.startswith(b"\r\n", start):
        raise Misunderstood(Refusal.BAD_REQUEST, 400, "the form is broken, or was cut short")
    return body[start:head_end], body[head_end + 4 : end], end + 2
