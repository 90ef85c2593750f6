"""Paths to be looked at from a list, as `find` and other programs make it."""

import os
import sys
from collections.abc import Sequence
from typing import BinaryIO, Final

from orientd.errors import ConfigError
from orientd.library import others
from orientd.library.exclude import Exclusion
from orientd.library.left_out import Tally
from orientd.library.paths import real_place
from orientd.reasons import Reason
from orientd.records import Candidate, FileStat, LeftOut

_NO_STAT: Final = FileStat(0, 0, 0, 0)


def read_list(file: str) -> list[str]:
    """The paths in a file, or from standard input ("-"): one per line or, where there is a NUL byte, separated by NUL bytes.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        if file == "-":
            return _paths(sys.stdin.buffer)
        with open(file, "rb") as opened:
            return _paths(opened)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}: is it the list of files to look at?") from error


def sorted_out(listed: Sequence[str], exclude: Exclusion, left_out: Tally) -> tuple[list[str], list[Candidate]]:
    """The paths to be walked, and what is known without a look: of one that is not there, or belongs to another program.

    What is excluded comes in neither: of a path in a list every name counts, as if the whole disk were scanned.
    """
    roots: list[str] = []
    known: list[Candidate] = []
    for path in map(real_place, listed):
        is_folder = os.path.isdir(path)
        if exclude.within(path, is_folder, os.sep):
            left_out.add(LeftOut.EXCLUDED, path)
        elif not os.path.exists(path):
            known.append(Candidate(path, _NO_STAT, code=Reason.VANISHED, error="it is in the list, but not there"))
        elif kept := others.kept_by(path):
            known.append(Candidate(path, _NO_STAT, code=Reason.OTHERS_LIBRARY, skip=kept))
        else:
            roots.append(path)
    return roots, known


def _paths(file: BinaryIO) -> list[str]:
    text = file.read()
    return [os.fsdecode(path) for path in text.split(b"\0" if b"\0" in text else b"\n") if path]
