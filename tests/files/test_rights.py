import errno
import os
import struct
import tempfile
from pathlib import Path

import pytest
from support.faulty_disks import TroubledDisk, failing, leftovers
from support.small_photos import ATIME, GROWS, IN_PLACE, MTIME, OLD, every_patch, make_photo, state, write

from orientd.errors import Refused
from orientd.files import read
from orientd.files import write as files
from orientd.records import Patch, Splice

ACL, DEFAULT_ACL = "system.posix_acl_access", "system.posix_acl_default"


@pytest.fixture
def photo(tmp_path):
    return make_photo(tmp_path / "photo.jpg")


@pytest.fixture
def user_folder():
    """A folder in which the file permissions bind, which they do not for root."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def as_nobody():
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    os.seteuid(65534)
    yield
    os.seteuid(0)


def acl(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def set_attribute(path, name, value):
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        pytest.skip(f"this file system does not take {name}: {error}")


def test_a_reader_who_is_not_the_owner_can_still_read(user_folder, as_nobody):
    os.seteuid(0)
    (user_folder / "a").write_bytes(OLD)
    os.seteuid(65534)
    assert read.read_whole(str(user_folder / "a"))[0] == OLD


@every_patch
def test_extended_attributes_survive(photo, patch):
    set_attribute(photo, "user.tag", b"holiday")
    set_attribute(photo, "user.empty", b"")
    write(photo, patch)
    kept = {name: os.getxattr(photo, name) for name in os.listxattr(photo)}
    assert kept == {"user.tag": b"holiday", "user.empty": b""}


def test_an_access_list_survives_and_none_is_inherited(photo):
    none = 0xFFFFFFFF
    mine = acl((1, 6, none), (2, 4, 1234), (4, 4, none), (16, 4, none), (32, 0, none))
    set_attribute(photo.parent, DEFAULT_ACL, acl((1, 7, none), (2, 7, 4321), (4, 7, none), (16, 7, none), (32, 7, none)))
    bare = photo.with_name("bare.jpg")
    bare.write_bytes(OLD)
    os.removexattr(bare, ACL)
    os.chmod(bare, 0o604)
    set_attribute(photo, ACL, mine)
    for path in (photo, bare):
        write(path, GROWS)
    assert os.getxattr(photo, ACL) == mine
    assert os.listxattr(bare) == []
    assert os.stat(bare).st_mode & 0o7777 == 0o604


def test_the_owner_survives(photo):
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(photo, 1234, 4321)
    os.chmod(photo, 0o4755)
    write(photo, GROWS)
    found = os.stat(photo)
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (1234, 4321, 0o4755)


@pytest.mark.parametrize("may", [True, False])
def test_a_sidecar_belongs_to_whom_its_folder_belongs_to_where_that_may_be(tmp_path, may):
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    folder, path = tmp_path / "theirs", tmp_path / "theirs" / "a.xmp"
    folder.mkdir()
    os.chown(folder, 1234, 4321)
    disk = TroubledDisk() if may else failing(None, errno.EPERM, only=["fchown"])
    absent = read.absent(os.stat(folder).st_dev)
    files.write(str(path), absent, b"", Patch((Splice(0, b"", b"new"),)), None, files.temp_name(), disk=disk)
    assert path.read_bytes() == b"new"
    assert (os.stat(path).st_uid, os.stat(path).st_gid) == ((1234, 4321) if may else (0, os.getegid()))


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("fchown", errno.EPERM),
        ("fchmod", errno.EPERM),
        ("setxattr", errno.EPERM),
        ("setxattr", errno.ENOTSUP),
        ("getxattr", errno.EPERM),
    ],
)
def test_what_cannot_be_kept_is_a_refusal(photo, call, code):
    set_attribute(photo, "user.tag", b"holiday")
    if call == "fchown":
        if os.geteuid() != 0:
            pytest.skip("only root can give a file away")
        os.chown(photo, 1234, 4321)
    with pytest.raises(Refused, match="could not be kept"):
        write(photo, GROWS, disk=failing(None, code, only=[call]))
    assert photo.read_bytes() == OLD
    assert leftovers(photo.parent) == []


def test_a_file_system_without_attributes_has_none_to_keep(photo):
    write(photo, GROWS, disk=failing(None, errno.ENOTSUP, only=["listxattr"]))
    assert photo.read_bytes() == GROWS.apply(OLD)


@every_patch
def test_a_read_only_file_or_folder_is_refused(user_folder, patch, request):
    if os.geteuid() == 0:
        os.chown(user_folder, 65534, 65534)
        request.getfixturevalue("as_nobody")
    path = user_folder / "photo.jpg"
    path.write_bytes(OLD)
    path.chmod(0o444)
    with pytest.raises(Refused, match="permission denied"):
        write(path, patch)
    path.chmod(0o644)
    user_folder.chmod(0o555)
    if patch is not IN_PLACE:
        with pytest.raises(Refused, match="permission denied"):
            write(path, patch)
    user_folder.chmod(0o755)
    assert path.read_bytes() == OLD
    assert os.listdir(user_folder) == ["photo.jpg"]


@every_patch
def test_a_file_of_somebody_else_keeps_its_dates_or_is_refused(user_folder, as_nobody, patch):
    os.seteuid(0)
    path = user_folder / "photo.jpg"
    path.write_bytes(OLD)
    path.chmod(0o666)
    user_folder.chmod(0o777)
    os.utime(path, ns=(ATIME, MTIME))
    os.seteuid(65534)
    with pytest.raises(Refused, match="another user"):
        write(path, patch)
    assert (path.read_bytes(), state(path).mtime_ns) == (OLD, MTIME)
    if patch is IN_PLACE:
        write(path, patch, mtime_ns=None)
        assert path.read_bytes() == patch.apply(OLD)
    else:
        with pytest.raises(Refused, match="owner"):
            write(path, patch, mtime_ns=None)
        assert path.read_bytes() == OLD
    assert os.listdir(user_folder) == ["photo.jpg"]


def test_a_file_made_immutable_is_refused(photo):
    if os.geteuid() != 0 or os.system(f"chattr +i '{photo}' 2>/dev/null"):
        pytest.skip("cannot make a file immutable here")
    try:
        with pytest.raises(Refused, match="immutable"):
            write(photo, IN_PLACE)
    finally:
        os.system(f"chattr -i '{photo}'")
    assert photo.read_bytes() == OLD
