"""What `prepare` has decoded so far, to go on where it was killed: squares in one file, a line about each photo in another.

A photo's square is written before its line; so a line, once whole, can be relied on, and what follows the last one is cut off.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from orientd.errors import ConfigError

SQUARES: Final = "squares.partial"
LINES: Final = "progress.jsonl"
SQUEEZED, MIDDLE = "squeezed", "middle"
_FORMERLY: Final = {"square": SQUEEZED}  # of caches from before they said so
_SYNC_EVERY: Final = 256


class Fact(NamedTuple):
    """What is known of a photo: a hash of its square (sha256, 16 digits) and its difference hashes, or why it has no square."""

    sha256: str = ""
    dhash: str = ""
    reason: str = ""


class Squares:
    """The decoded photos, in the order of the sources; a context manager that holds the files open."""

    def __init__(self, folder: Path, size: int, origin: Mapping[str, Any]) -> None:
        """Go on with what `folder` holds, or begin; `origin` is what the order and the look of the squares depend on.

        Raises:
            ConfigError: what the folder holds is of another origin.
            OSError: the files cannot be read or written.
        """
        self.shape = (size, size, 3)
        self.facts: list[Fact] = []
        squares, lines = folder / SQUARES, folder / LINES
        kept = self._reread(lines, squares, origin) if lines.exists() else 0
        os.truncate(lines, kept) if kept else lines.write_bytes(_line(origin))
        squares.touch()
        os.truncate(squares, self.number * self._bytes)
        self._path, self._squares, self._lines = squares, squares.open("ab"), lines.open("ab")

    @property
    def number(self) -> int:
        return sum(not fact.reason for fact in self.facts)

    def add(self, fact: Fact, square: NDArray[np.uint8] | None) -> None:
        """Write one photo; it is kept if this process is killed from now on."""
        if square is not None:
            self._squares.write(square.tobytes())
            self._squares.flush()
        self._lines.write(_line(fact))
        self._lines.flush()
        self.facts.append(fact)
        if len(self.facts) % _SYNC_EVERY == 0:
            self._sync()

    def pixels(self) -> NDArray[np.uint8]:
        """All squares (N, S, S, 3), memory-mapped."""
        return np.memmap(self._path, np.uint8, "r", shape=(self.number, *self.shape))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._squares.close()
        self._lines.close()

    @property
    def _bytes(self) -> int:
        return int(np.prod(self.shape))

    def _sync(self) -> None:
        os.fsync(self._squares.fileno())
        os.fsync(self._lines.fileno())

    def _reread(self, lines: Path, squares: Path, origin: Mapping[str, Any]) -> int:
        """Take over the lines that are whole and have their square; returns how many bytes they are."""
        room = squares.stat().st_size // self._bytes if squares.exists() else 0
        kept = number = 0
        with lines.open("rb") as file:
            for line in file:
                read = _read(line)
                if read is None:
                    break
                if kept == 0:
                    check(read, origin)
                else:
                    fact = Fact(*read)
                    number += not fact.reason
                    if number > room:
                        break
                    self.facts.append(fact)
                kept += len(line)
        return kept


def check(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Fail if a cache was made from something else, and say what.

    Raises:
        ConfigError: any value differs.
    """
    before = _FORMERLY | dict(before)
    differ = [key for key in now if before.get(key) != now[key]]
    if differ:
        differences = "; ".join(f"{key}: {before.get(key)} before, {now[key]} now" for key in differ)
        raise ConfigError(f"the cache was begun otherwise ({differences}): choose another --out, or begin anew with --force")


def _line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _read(line: bytes) -> Any:
    """The value in a line; None if a kill or a power cut left it incomplete."""
    try:
        return json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
