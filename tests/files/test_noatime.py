"""Opening leaves the access time as it is, and does without where only the owner may ask for that."""

import os

import pytest

from orientd.files.syscalls import Disk, open_noatime
from orientd.library.paths import listing


class NotTheOwner(Disk):
    """A disk whose files belong to somebody else."""

    @staticmethod
    def open(path, flags, mode=0o777, *, dir_fd=None):
        if flags & os.O_NOATIME:
            raise PermissionError(1, "Operation not permitted")
        return os.open(path, flags, mode, dir_fd=dir_fd)


@pytest.mark.parametrize("disk", [Disk(), NotTheOwner()])
def test_the_file_is_opened(tmp_path, disk):
    (tmp_path / "a.jpg").write_bytes(b"bytes")
    file = open_noatime(str(tmp_path / "a.jpg"), os.O_RDONLY, disk)
    assert os.read(file, 9) == b"bytes"
    os.close(file)


def test_reading_a_file_or_listing_a_folder_leaves_no_access_time(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"bytes")
    for path in (tmp_path / "a.jpg", tmp_path):
        os.utime(path, ns=(1, 2))  # an access time before the last change: relatime, too, would set it
    file = open_noatime(str(tmp_path / "a.jpg"), os.O_RDONLY)
    os.read(file, 9)
    os.close(file)
    with listing(str(tmp_path)) as entries:
        assert [entry.name for entry in entries] == ["a.jpg"]
    assert [path.stat().st_atime_ns for path in (tmp_path / "a.jpg", tmp_path)] == [1, 1]


def test_what_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_noatime(str(tmp_path / "gone.jpg"), os.O_RDONLY)
