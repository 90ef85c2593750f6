"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orientd.errors import StateError


@contextmanager
def swapped(path: Path) -> Iterator[Path]:
    """A path next to `path` to write to; the file is renamed to `path` once it is on the disk.

    Raises:
        OSError: it cannot be written; what was at `path` is still there.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The same for a file that somebody named; folders that are missing are made.

    Raises:
        StateError: it cannot be written; what was at `path` is still there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with swapped(path) as partial:
            yield partial
    except OSError as error:
        raise StateError(f"{path} cannot be written ({error.strerror}): name another place, or make room") from error
