"""The pages of files in child processes (see `decode.children`), which hostile bytes may kill without ending the run."""

import atexit
import os
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

import numpy as np

from orientd.decode.children import CHILDREN, DECODING, Children, Limits
from orientd.decode.isolated import TURNING
from orientd.decode.page_changes import Changes
from orientd.decode.page_files import SEVERAL
from orientd.errors import DecodeError, WriteError
from orientd.files.syscalls import worded
from orientd.pages.opened import PDF, Look, Pages, Stop, open_pages
from orientd.pages.pdf import Text
from orientd.reasons import Reason
from orientd.records import FileStat

Answer = tuple[dict[str, Any], list[bytes]]

_MOST_DEATHS: Final = 3
_GIVEN_UP: Final = "{} of its pages have ended what reads them, so this one was not tried: open it in a viewer"


class IsolatedPages:
    """`Pages` that a child opens; should it die, the page in its hand is to blame, and another child opens the file.

    Raises:
        PhotoError: as `open_pages`, and `DecodeError` if it makes the child crash.
        TimeoutError, MemoryError, OSError, RuntimeError: as `Children.ask`.
    """

    def __init__(
        self, kind: str, path: str, stat: FileStat, max_pixels: int, children: Children = CHILDREN, limits: Limits = DECODING
    ) -> None:
        self._file = {"kind": kind, "path": path, "stat": list(_parts(stat)), "max_pixels": max_pixels}
        self._children, self._limits, self._deaths = children, limits, 0
        known = kind != PDF and kind not in SEVERAL
        self._count = 1 if known else int(self._ask("pages_count", self._limits)[0]["pages"])

    def __len__(self) -> int:
        return self._count

    def look(self, page: int) -> Look:
        """As `Pages.look`; a file of which several pages killed a child is given up, so that it cannot take hours."""
        if self._deaths >= _MOST_DEATHS:
            raise DecodeError(Reason.CRASHES, _GIVEN_UP.format(self._deaths))
        try:
            said, levels = self._ask("pages_look", self._limits, page=page)
        except (DecodeError, MemoryError, TimeoutError) as error:
            self._deaths += not isinstance(error, DecodeError) or error.code is Reason.CRASHES
            raise
        text = Text(said["letters"], said["total"], said["share"])
        return Look(text, np.frombuffer(levels, np.uint8).reshape(said["shape"]) if levels else None)

    def is_signed(self) -> bool:
        """See `Pages.is_signed`."""
        return bool(self._ask("pages_signed", self._limits)[0]["signed"])

    def write(self, changes: Changes, file: BinaryIO, stop: Stop) -> None:
        """See `Pages.write`; `file` has a name."""
        question = {
            "turns": [(page, *turn) for page, turn in changes.turns.items()],
            "rendered": list(changes.rendered),
            "crops": list(changes.crops.items()),
            "place": file.name,
        }
        self._ask("pages_write", TURNING, stop, **question)

    def close(self) -> None:
        """The child lets the file go when it is asked about another, or ends."""

    def _ask(self, task: str, limits: Limits, stop: Stop | None = None, **more: Any) -> tuple[dict[str, Any], bytes]:
        return self._children.ask({"task": task, **self._file, **more}, [], limits, stop)


class _Held:
    """What a child has open: one file, until it is asked about another."""

    def __init__(self) -> None:
        self._key: dict[str, Any] | None = None
        self._pages: Pages | None = None

    def get(self, question: dict[str, Any]) -> Pages:
        """The pages that are asked about."""
        key = {name: question[name] for name in ("kind", "path", "stat", "max_pixels")}
        if key != self._key or self._pages is None:
            self.close()
            self._pages = open_pages(key["kind"], key["path"], FileStat(*key["stat"]), key["max_pixels"])
            self._key = key
            atexit.unregister(self.close)
            atexit.register(self.close)  # before PDFium's own, which was registered earlier and complains of open files
        return self._pages

    def close(self) -> None:
        """Nothing is open then."""
        pages, self._key, self._pages = self._pages, None, None
        if pages:
            pages.close()


_HELD: Final = _Held()


def _count(question: dict[str, Any]) -> Answer:
    return {"pages": len(_HELD.get(question))}, []


def _look(question: dict[str, Any]) -> Answer:
    text, levels = _HELD.get(question).look(question["page"])
    said = {"letters": text.letters, "total": text.total, "share": text.share}
    return (said, []) if levels is None else (said | {"shape": levels.shape}, [levels.tobytes()])


def _signed(question: dict[str, Any]) -> Answer:
    return {"signed": _HELD.get(question).is_signed()}, []


def _write(question: dict[str, Any]) -> Answer:
    """The file is no longer held: its pages were turned."""
    turns = {page: (quarters, rest) for page, quarters, rest in question["turns"]}
    crops = {page: (left, upper, right, lower) for page, (left, upper, right, lower) in question["crops"]}
    try:
        access = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        with worded(WriteError), open(os.open(question["place"], access), "r+b") as file:
            file.truncate()  # a child before this one may have died of it
            _HELD.get(question).write(Changes(turns, question["rendered"], crops), file, lambda: False)
    finally:
        _HELD.close()
    return {}, []


TASKS: Final[Mapping[str, Callable[..., Answer]]] = {
    "pages_count": _count,
    "pages_look": _look,
    "pages_signed": _signed,
    "pages_write": _write,
}
"""What a child does."""


def _parts(stat: FileStat) -> tuple[int, ...]:
    return stat.dev, stat.inode, stat.size, stat.mtime_ns, stat.nlink
