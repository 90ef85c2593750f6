"""Which process watches which folder on this machine, for all users and all state folders.

A claim is a name in the kernel, that of an abstract socket (unix(7)). So nothing is written anywhere; it ends with the process,
however that ends; every user may read all of them in /proc/net/unix; and no disk is kept from being unmounted, as a lock on the
folder itself would keep it. It holds within one network namespace: a container of its own is not noticed.
"""

import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Final, Self

from orientd.errors import Busy, StateError

_LISTED: Final = "/proc/self/net/unix"
_CLAIM: Final = re.compile(r" @orientd-(watched|above)-([0-9a-f]{32})-(\d+)$", re.MULTILINE)


class Claim:
    """Shows every other orientd that this process watches the folders `roots` and all below them, until `close`.

    A folder is known by its real path, which may be on a network drive, or not exist yet. Two that start within the same
    millisecond may both be refused; never do both go on. Where there is no /proc nobody is noticed.

    Raises:
        Busy: another process watches one of them, or a folder above or below it.
        StateError: there are no such sockets here.
    """

    def __init__(self, roots: Sequence[str]) -> None:
        self._sockets: list[socket.socket] = []
        real = list(dict.fromkeys(map(os.path.realpath, roots)))
        above = dict.fromkeys(folder for root in real for folder in _above(root))
        try:
            for kind, folders in (("watched", real), ("above", above)):
                for folder in folders:
                    self._bind(f"orientd-{kind}-{_key(folder)}-{os.getpid()}")
            for root in real:
                _refuse(root)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for each in self._sockets:
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _bind(self, name: str) -> None:
        try:
            self._sockets.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC))
            self._sockets[-1].bind(b"\0" + name.encode())
        except OSError as error:
            raise StateError(
                f"no socket is available to tell others who watches ({error.strerror}): see what forbids it"
            ) from error


def _refuse(root: str) -> None:
    watched = {_key(folder): folder for folder in (root, *_above(root))}
    for kind, key, pid in _claims():
        if int(pid) != os.getpid() and (key == _key(root) or (kind == "watched" and key in watched)):
            where = watched[key] if kind == "watched" else f"a folder below {root}"
            raise Busy(f"another orientd is watching {where} (process {pid}): stop it, or watch another folder")


def _claims() -> list[tuple[str, str, str]]:
    """All claims as (kind, key, number of the process)."""
    with suppress(OSError), open(_LISTED, encoding="utf-8", errors="replace") as file:
        return _CLAIM.findall(file.read())
    return []


def _above(folder: str) -> Iterator[str]:
    while folder != (folder := os.path.dirname(folder)):
        yield folder


def _key(folder: str) -> str:
    return sha256(b"%d:%d:%b" % (*_tree(), os.fsencode(folder))).hexdigest()[:32]


def _tree() -> tuple[int, int]:
    """Which tree of folders this process sees; a container that shares only the network sees another."""
    top = os.stat("/")
    return top.st_dev, top.st_ino
