"""A file to write to, and three kinds of patch to it."""

import os

import pytest
from support.faulty_disks import TEMP

from orientd.files import read
from orientd.files import write as files
from orientd.records import Patch, Splice

OLD = bytes(range(256)) * 64
MTIME, ATIME = 1_600_000_000_123_456_789, 1_500_000_000_987_654_321
IN_PLACE = Patch((Splice(100, OLD[100:102], b"xy"), Splice(4000, OLD[4000:4001], b"z")))
TWO_PAGES = Patch((Splice(100, OLD[100:101], b"x"), Splice(5000, OLD[5000:5001], b"y")))
GROWS = Patch((Splice(100, b"", b"new"), Splice(6000, OLD[6000:6002], b"")))
PATCHES = {"in place": IN_PLACE, "two pages": TWO_PAGES, "grows": GROWS}

every_patch = pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)


def make_photo(path):
    path.write_bytes(OLD)
    os.utime(path, ns=(ATIME, MTIME))
    return path


def state(path):
    return read.file_stat(os.lstat(path))


def write(path, patch, mtime_ns=MTIME + 5, **more):
    more = {"data": OLD, "expected": state(path), "temp": TEMP} | more
    return files.write(str(path), more.pop("expected"), more.pop("data"), patch, mtime_ns, more.pop("temp"), **more)
