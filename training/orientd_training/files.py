"""Files that are there whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orientd.errors import StateError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes that name at the end, and folders that are missing are made.

    Raises:
        StateError: it cannot be written; what was at `path` is still there.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        raise StateError(f"{path} cannot be written ({error.strerror}): name another place, or make room") from error
    finally:
        with suppress(OSError):
            partial.unlink()
