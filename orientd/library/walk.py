"""Roots and ignore rules → Candidates.

Nothing but the folder being listed is held in memory, and a file's second name by hard link is known by its inode. What is
counted only: folders that `filenames.worth_entering` turns down, hidden photos, and what is excluded. What is passed over without
a word: files that `filenames.worth_opening` turns down, links to folders, and whatever vanishes while the walk goes on.
"""

import os
import stat as modes
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import Final

from orientd.errors import LibraryUnavailable
from orientd.files.syscalls import code_of
from orientd.library import filenames
from orientd.library.exclude import Exclusion
from orientd.library.left_out import Tally
from orientd.library.paths import device_of, listing, real_roots
from orientd.reasons import Reason
from orientd.records import Candidate, FileStat, LeftOut

_NO_STAT: Final = FileStat(0, 0, 0, 0)
_SYMLINK: Final = "symbolic link: its target is judged where it lies"
HARD_LINK: Final = "hard link: the file is judged under the first of its names"

Owns = Callable[[str], bool]


def _everything(_: str) -> bool:
    return True


def walk(
    roots: Sequence[str],
    exclude: Exclusion | None = None,
    one_file_system: bool = False,
    stop: Callable[[], bool] = lambda: False,
    left_out: Tally | None = None,
    owns: Owns = _everything,
    wanted: Callable[[str], bool] = filenames.worth_opening,
) -> Iterator[Candidate]:
    """Every file below `roots` that may be a photo, once, in the order of names: first a folder's files, then its folders.

    A root is entered, and a root that is a file comes out, whatever its name, unless `exclude` says otherwise; symbolic links on
    the way to it are resolved. A symbolic link to a file and a further hard link of a file that came out before have `skip` set
    if they are named like a photo; what cannot be listed or examined has `error` set. Once `stop()` is true it ends, also where
    there are only folders. Files come out, and are counted, only from folders that it `owns`; all folders are entered.
    `wanted` says by its name whether a file is worth opening.

    Raises:
        LibraryUnavailable: a root is not there or cannot be read, raised by the call itself; or a root went away during the walk.
    """
    return filter(None, takewhile(lambda _: not stop(), steps(roots, exclude, one_file_system, left_out, owns, wanted)))


def steps(
    roots: Sequence[str],
    exclude: Exclusion | None = None,
    one_file_system: bool = False,
    left_out: Tally | None = None,
    owns: Owns = _everything,
    wanted: Callable[[str], bool] = filenames.worth_opening,
) -> Iterator[Candidate | None]:
    """A walk that takes little time from each step to the next: what `walk` gives, and None whenever there is nothing to give.

    Raises as `walk` does.
    """
    resolved = real_roots(roots)
    walked = _Walk(frozenset(resolved), exclude or Exclusion(), one_file_system, left_out or Tally(), owns, wanted)
    return walked.run(resolved)


class _Walk:
    def __init__(
        self,
        roots: frozenset[str],
        exclude: Exclusion,
        one_file_system: bool,
        left_out: Tally,
        owns: Owns,
        wanted: Callable[[str], bool],
    ) -> None:
        self._roots = roots
        self._exclude = exclude
        self._one_file_system = one_file_system
        self._left_out = left_out
        self._owns = owns
        self._wanted = wanted
        self._linked: set[tuple[int, int]] = set()

    def run(self, roots: Sequence[str]) -> Iterator[Candidate | None]:
        for root in roots:
            is_folder = os.path.isdir(root)
            owned = self._owns(root if is_folder else os.path.dirname(root))
            if self._exclude.by(root, is_folder, root):
                self._counting(owned).add(LeftOut.EXCLUDED, root)
            elif is_folder:
                yield from self._tree(root)
            elif owned:
                yield self._examine(root)

    def _tree(self, root: str) -> Iterator[Candidate | None]:
        device = device_of(root)
        pending = [root]
        while pending:
            folder = pending.pop()
            yield None
            if self._one_file_system and device_of(folder) not in (device, None):
                continue
            owned = self._owns(folder)
            try:
                files, folders = self._list(folder, root, self._counting(owned))
            except OSError as error:
                if device is None or device_of(root) != device:
                    raise LibraryUnavailable(f"{root}: it went away during the scan: is its disk still mounted?") from error
                if owned and not isinstance(error, FileNotFoundError | NotADirectoryError):
                    yield Candidate(folder, _NO_STAT, code=code_of(error), error=f"the folder cannot be listed: {error.strerror}")
                continue
            if owned:
                yield from map(self._examine, files)
            pending += reversed(folders)

    def _counting(self, owned: bool) -> Tally:
        """Where to count what is left out: what another owns is counted there."""
        return self._left_out if owned else Tally()

    def _list(self, folder: str, root: str, left_out: Tally) -> tuple[list[str], list[str]]:
        """The paths of the files and of the folders in `folder` that are to be looked at, each sorted by name."""
        files: list[str] = []
        folders: list[str] = []
        prefix = folder if folder.endswith("/") else folder + "/"
        with listing(folder) as entries:
            for entry in entries:
                is_folder, path = entry.is_dir(follow_symlinks=False), prefix + entry.name
                if self._is_wanted(entry.name, path, is_folder, root, left_out):
                    (folders if is_folder else files).append(path)
        return sorted(files), sorted(folders)

    def _is_wanted(self, name: str, path: str, is_folder: bool, root: str, left_out: Tally) -> bool:
        if not (filenames.worth_entering if is_folder else self._wanted)(name):
            self._exclude.note(path, is_folder, root)
            if why := filenames.kind_of_folder(name) if is_folder or filenames.promises_photo(name) else None:
                left_out.add(why, name)
            return False
        if path in self._roots:
            return False
        if self._exclude.by(path, is_folder, root):
            left_out.add(LeftOut.EXCLUDED, name)
            return False
        return True

    def _examine(self, path: str) -> Candidate | None:
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return Candidate(path, _NO_STAT, code=code_of(error), error=f"it cannot be examined: {error.strerror}")
        stat = FileStat(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_nlink)
        if modes.S_ISLNK(found.st_mode):
            return (
                Candidate(path, stat, skip=_SYMLINK, code=Reason.SYMBOLIC_LINK)
                if filenames.promises_photo(path) and not os.path.isdir(path)
                else None
            )
        if not modes.S_ISREG(found.st_mode):
            return None
        if found.st_nlink > 1 and self._is_known(stat):
            return Candidate(path, stat, skip=HARD_LINK, code=Reason.SAME_FILE) if filenames.promises_photo(path) else None
        return Candidate(path, stat)

    def _is_known(self, stat: FileStat) -> bool:
        known = (stat.dev, stat.inode) in self._linked
        self._linked.add((stat.dev, stat.inode))
        return known
