"""Whether a node sees the files of the machine that scans: checked with some photos, without writing anything."""

import hashlib
import os
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from orientd.config import Config
from orientd.errors import ConfigError, PhotoError
from orientd.files.read import read_whole
from orientd.library.exclude import Exclusion, read_patterns
from orientd.library.walk import walk
from orientd.report.text import printable

_OF_EACH_ROOT: Final = 4
_IN_ALL: Final = 16
_MOST_BYTES: Final = 64 * 2**20
_UNSEEN: Final = "{} of the cluster sees {} {}: mount the photos there, under the same path as here"
_COPY: Final = (
    "{} of the cluster sees another file at {} than this machine, by its {}: --fix needs one file system that all of them see; "
    "leave out --fix, and apply the plan where the photos are"
)


class Sight(NamedTuple):
    """A file as one machine sees it."""

    device: int
    inode: int
    size: int
    sha256: str


def samples(roots: Sequence[str], config: Config, stop: Callable[[], bool]) -> list[str]:
    """The paths of some files that a scan comes to first below each of the roots, 16 in all at the most."""
    exclusion, found = Exclusion(config.exclude, read_patterns(config.exclude_file)), list[str]()
    for root in roots[:_IN_ALL]:
        walked = walk([root], exclusion, config.one_file_system, stop)
        plain = (each.path for each in walked if not (each.skip or each.error) and each.stat.size <= _MOST_BYTES)
        found += islice(plain, _OF_EACH_ROOT)
    return found[:_IN_ALL]


def see(path: str) -> Sight | None:
    """A file as this machine sees it, None if it does not; its access time is left alone where the system permits."""
    try:
        data, stat = read_whole(path, _MOST_BYTES)
    except PhotoError:
        return None
    return Sight(stat.dev, stat.inode, len(data), hashlib.sha256(data).hexdigest())


def opens(path: str) -> bool:
    """True for a file that can be opened here, now: what the system remembers of one that is far away does not count."""
    try:
        with open(path, "rb"):
            return True
    except OSError:
        return False


def check(node: str, path: str, here: Sight | None, there: Sight | None, *, writes: bool) -> None:
    """See that a node sees what lies at a path here; the very same file, and no copy of it, if this machine `writes`.

    Disks have device numbers of their own. Network file systems have not, so these are compared only where both have one.

    Raises:
        ConfigError: says what differs.
    """
    if here is None or here == there:
        return
    if there is None:
        raise ConfigError(_UNSEEN.format(node, printable(path), "not at all"))
    if (here.size, here.sha256) != (there.size, there.sha256):
        raise ConfigError(_UNSEEN.format(node, printable(path), "with another content than it has here"))
    if not writes:
        return
    if here.inode != there.inode:
        raise ConfigError(_COPY.format(node, printable(path), "inode"))
    if here.device != there.device and os.major(here.device) and os.major(there.device):
        raise ConfigError(_COPY.format(node, printable(path), "device"))
