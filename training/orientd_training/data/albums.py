"""Folders of whole photos that were checked by eye: which are shown upright, and whose they are.

A folder holds `truth.csv` with the columns path (below the folder), turn (the degrees clockwise that make it upright; -1: no side
is up) and owner.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orientd.errors import ConfigError

TRUTH: Final = "truth.csv"
_COLUMNS: Final = {"path", "turn", "owner"}


@dataclass(frozen=True, slots=True)
class AlbumPhoto:
    """An upright photo; `name` is its folder's and its path below it."""

    path: Path
    name: str
    owner: str


def upright(folders: Sequence[Path]) -> list[AlbumPhoto]:
    """Every photo that counts as shown upright, once: a copy shown turned has what witnesses say of it in another order.

    Raises:
        ConfigError: a folder has no truth.csv, or it cannot be read, or there is no upright photo in any.
    """
    found = [photo for folder in folders for photo in _read(folder)]
    if not found:
        raise ConfigError("there are no upright photos in the albums: are these the right folders?")
    return found


def _read(folder: Path) -> list[AlbumPhoto]:
    try:
        with (folder / TRUTH).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise ConfigError(f"{folder / TRUTH} cannot be read ({error.strerror}): name a folder of albums") from error
    if rows and not set(rows[0]) >= _COLUMNS:
        raise ConfigError(f"{folder / TRUTH} lacks some of the columns {', '.join(sorted(_COLUMNS))}")
    return [AlbumPhoto(folder / row["path"], f"{folder.name}/{row['path']}", row["owner"]) for row in rows if row["turn"] == "0"]
