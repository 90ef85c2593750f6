"""Disks that remember every write and every flush in their order: the files of a small FUSE file system, for loop devices.

python logged_disk.py PLACE LOG SIZE NUMBER mounts at PLACE the files disk0, disk1 … of SIZE bytes, and `mark`, and serves them
until PLACE is unmounted; it prints a line once they are there. One request is served at a time, so the log has the order in which
a disk would have said "done". Needs root, and no library: the protocol is that of include/uapi/linux/fuse.h, version 7.31.
"""

import ctypes
import errno
import os
import stat
import struct
import sys
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

MARK, FLUSH = 255, 2**64 - 1
_RECORD = struct.Struct("<BQI")
_LARGEST = 2**20
_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _WRITE, _RELEASE, _FSYNC, _CLOSE, _INIT = 1, 2, 3, 14, 15, 16, 18, 20, 25, 26
_INTERRUPT, _BATCH_FORGET = 36, 42
_SILENT = (_FORGET, _INTERRUPT, _BATCH_FORGET)


class Entry(NamedTuple):
    """A write to a disk, a flush of it (`offset` is FLUSH), or a mark (`disk` is MARK), whose text is the data."""

    disk: int
    offset: int
    data: bytes


def read_log(path: str) -> Iterator[Entry]:
    with open(path, "rb") as file:
        while head := file.read(_RECORD.size):
            disk, offset, size = _RECORD.unpack(head)
            yield Entry(disk, offset, file.read(size))


class LoggedDisks:
    """The files and their log; what a request asks for is answered by `serve`."""

    def __init__(self, log: BinaryIO, images: list[BinaryIO]) -> None:
        self._log, self._images = log, images
        self._names = {b"mark": 2} | {b"disk%d" % number: 3 + number for number in range(len(images))}

    def serve(self, device: int) -> None:
        """Answer the kernel until the file system is unmounted."""
        while request := _next(device):
            _, code, unique, node = struct.unpack_from("<IIQQ", request)
            try:
                answer, failed = self._answer(code, node, request[40:]), 0
            except OSError as error:
                answer, failed = b"", -error.errno
            if code not in _SILENT:
                os.write(device, struct.pack("<IiQ", 16 + len(answer), failed, unique) + answer)

    def _answer(self, code: int, node: int, body: bytes) -> bytes:
        if code == _INIT:
            more_pages, big_writes = 1 << 22, 1 << 5
            return struct.pack("<IIIIHHIIHHI28x", 7, 31, _LARGEST, more_pages | big_writes, 64, 48, _LARGEST, 1, 256, 0, 0)
        if code == _LOOKUP:
            found = self._names.get(body.rstrip(b"\0"))
            if found is None:
                raise OSError(errno.ENOENT, "")
            return struct.pack("<QQQQII", found, 0, 3600, 3600, 0, 0) + self._attributes(found)
        if code == _GETATTR:
            return struct.pack("<QII", 3600, 0, 0) + self._attributes(node)
        if code == _OPEN:
            return struct.pack("<QII", 0, node == 2, 0)  # marks are not cached
        if code == _READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return os.pread(self._images[node - 3].fileno(), size, offset) if node > 2 else b""
        if code == _WRITE:
            return self._write(node, body)
        if code == _FSYNC:
            self._remember(node - 3, FLUSH)
        elif code not in (_RELEASE, _CLOSE, *_SILENT):
            raise OSError(errno.EOPNOTSUPP if code == 43 else errno.ENOSYS, "")  # 43: no holes
        return b""

    def _write(self, node: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        data = body[40 : 40 + size]
        if node > 2:
            os.pwrite(self._images[node - 3].fileno(), data, offset)
        self._remember(node - 3 if node > 2 else MARK, offset, data)
        return struct.pack("<II", size, 0)

    def _remember(self, disk: int, offset: int, data: bytes = b"") -> None:
        self._log.write(_RECORD.pack(disk, offset, len(data)) + data)
        if disk == MARK:
            self._log.flush()

    def _attributes(self, node: int) -> bytes:
        size = os.fstat(self._images[node - 3].fileno()).st_size if node > 2 else 0
        mode = stat.S_IFREG | 0o600 if node > 1 else stat.S_IFDIR | 0o700
        return struct.pack("<QQQQQQIIIIIIIIII", node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def _next(device: int) -> bytes:
    try:
        return os.read(device, _LARGEST + 4096)
    except OSError as error:
        if error.errno == errno.ENODEV:
            return b""
        raise


def main(place: str, log: str, size: str, number: str) -> None:
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    if ctypes.CDLL(None, use_errno=True).mount(b"logged", os.fsencode(place), b"fuse", 0, options):
        raise OSError(ctypes.get_errno(), "mounting failed")
    images = []
    for each in range(int(number)):
        images.append(open(f"{log}.disk{each}", "w+b"))  # noqa: SIM115
        images[-1].truncate(int(size))
    with open(log, "wb") as file:
        print("mounted", flush=True)
        LoggedDisks(file, images).serve(device)


if __name__ == "__main__":
    main(*sys.argv[1:])
