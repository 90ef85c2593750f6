"""Folders that belong to other programs, which alone may write in them.

Immich puts a file `.immich` into each folder of its own library, whose files nobody else may change. What programs of Apple and
others show as one document is a folder with photos and a database about them.
"""

import os
from collections.abc import Iterator
from typing import Final

from orientd.errors import ConfigError, Refused
from orientd.library import filenames
from orientd.reasons import Reason
from orientd.records import LeftOut

_IMMICH: Final = ".immich"
_KEPT: Final = (
    "{place} is a library that a photo program keeps for itself: turn its photos in that program, or export them to a folder of"
    " your own"
)


def check(path: str) -> None:
    """Check that a photo, by its real path, is in no folder that belongs to another program.

    Raises:
        Refused: it does; the message says to which one.
    """
    for folder in _above(path):
        if _is_bundle(folder):
            raise Refused(Reason.OTHERS_LIBRARY, _KEPT.format(place=folder))
        if os.path.lexists(os.path.join(folder, _IMMICH)):
            raise Refused(
                Reason.OTHERS_LIBRARY,
                f"{folder} is Immich's own library, which nobody else may change: turn it in Immich, or keep your photos in a"
                " folder of your own and let Immich read that as an external library",
            )


def is_free(path: str) -> bool:
    """True if `check` finds nothing."""
    try:
        check(path)
    except Refused:
        return False
    return True


def check_root(root: str) -> None:
    """See that a folder or file named on the command line, by its real path, is not a part of a bundle.

    Raises:
        ConfigError: it is.
    """
    if kept := kept_by(root):
        raise ConfigError(kept)


def kept_by(path: str) -> str:
    """The sentence that says in which bundle a real path is, or which it is; empty if none."""
    bundles = filter(_is_bundle, _above(os.path.join(path, "any")))
    return next((_KEPT.format(place=bundle) for bundle in bundles), "")


def _is_bundle(folder: str) -> bool:
    return filenames.kind_of_folder(os.path.basename(folder)) is LeftOut.BUNDLE


def _above(path: str) -> Iterator[str]:
    while path != (path := os.path.dirname(path)):
        yield path
