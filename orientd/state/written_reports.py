"""Which reports orientd wrote, and how: so that one which a person has edited since is never replaced.

In the folder `reports` of the state directory there is one small file for each report that was given a name: its name is the
SHA-256 of the path of the report, its content that of the report as it was written.
"""

import os
from contextlib import suppress
from hashlib import file_digest, sha256
from itertools import count
from pathlib import Path

from orientd.errors import ConfigError

_LIMIT = 2 * sha256().digest_size


class WrittenReports:
    """What is remembered in a state directory; what cannot be remembered is taken for unknown later."""

    def __init__(self, state_dir: str) -> None:
        self._folder = Path(state_dir, "reports")

    def check(self, path: str) -> None:
        """Check that the file at `path` may be replaced.

        Raises:
            ConfigError: orientd wrote it, and it was changed since.
        """
        known = self._known(path)
        if known and os.path.lexists(path) and _hash(path) != known:
            raise ConfigError(
                f"{path} was changed since orientd wrote it, and would be replaced: choose another --report, or say --overwrite"
            )

    def make_room(self, path: str) -> str:
        """Give the file at `path` another name, unless it is what orientd wrote; that name, or empty.

        Raises:
            OSError: it cannot be renamed.
        """
        if not os.path.lexists(path) or _hash(path) == self._known(path):
            return ""
        stem, ending = os.path.splitext(path)
        names = (f"{stem}.before{number or ''}{ending}" for number in count())
        aside = next(name for name in names if not os.path.lexists(name))
        os.rename(path, aside)
        return aside

    def remember(self, path: str) -> None:
        """Note that orientd has just written the file at `path`."""
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            place = self._place(path)
            place.with_suffix(".new").write_text(_hash(path))
            place.with_suffix(".new").replace(place)

    def _known(self, path: str) -> str:
        with suppress(OSError, UnicodeDecodeError), self._place(path).open(encoding="ascii") as file:
            return file.read(_LIMIT)
        return ""

    def _place(self, path: str) -> Path:
        return self._folder / sha256(os.fsencode(os.path.realpath(path))).hexdigest()


def _hash(path: str) -> str:
    """Of the content of a file; that of no file is like none that is known."""
    try:
        with open(path, "rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError:
        return "unreadable"
