"""Folders of built engines on the disk: one gets its name only when it is whole, and only those used last are kept.

What is half built or half removed has a name of its own, and a log that is locked as long as somebody works on it.
"""

import fcntl
import os
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

LOG: Final = "log"
_KEY: Final = re.compile("[0-9a-f]{32}")
_KEPT: Final = 8  # a large model's engine takes 100 MB


def tidy(keep: Path) -> None:
    """Remove from the folder `keep` what processes that ended left half built, and all but the engines used last."""
    for partial in keep.glob(".*.partial"):
        with suppress(OSError), (partial / LOG).open("r+b") as log:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(partial)
    engines = sorted((each for each in keep.iterdir() if _KEY.fullmatch(each.name)), key=_used, reverse=True)
    for folder in engines[_KEPT:]:
        discard(folder)


def partial_of(folder: Path) -> Path:
    """A name for what is half built or half removed."""
    return folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")


def begin(partial: Path) -> IO[bytes]:
    """Make the folder `partial`, with a log that is locked as long as this process, or one that got the log, runs.

    It gets its name last: under that name none is without a lock.
    """
    new = partial.with_suffix(".new")
    new.mkdir()
    log = (new / LOG).open("wb")
    with suppress(OSError):  # a file system without locks, where `tidy` gets none either
        fcntl.flock(log, fcntl.LOCK_EX)
    new.rename(partial)
    return log


def finish(partial: Path, folder: Path) -> None:
    """Give a whole engine its name, unless another process was faster."""
    with suppress(OSError):
        os.rename(partial, folder)
        (folder / LOG).unlink()


def discard(folder: Path) -> None:
    """Remove an engine. Half removed it must not keep its name: ONNX Runtime would build it again while it is in use."""
    with suppress(OSError):
        (folder / LOG).touch()
        os.rename(folder, partial := partial_of(folder))
        remove(partial)


def remove(partial: Path) -> None:
    """Remove what is half built or half removed. The log goes last, as `tidy` leaves alone what has none."""
    for file in partial.glob("*"):
        if file.name != LOG:
            with suppress(OSError):
                file.unlink()
    shutil.rmtree(partial, ignore_errors=True)


def _used(folder: Path) -> int:
    """When it was last used, in nanoseconds; 0 if it is gone."""
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0
