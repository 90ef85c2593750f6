import os
import subprocess

import pytest

from orientd.files.mounts import kind, located, mounts, read_mountinfo

MOUNTS = r"""
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:22 / /proc rw - proc proc rw
30 22 0:40 / /mnt/nas rw shared:1 master:2 - nfs4 nas:/photos rw
31 22 0:41 / /mnt/win rw - cifs //win/photos rw
32 22 0:42 / /mnt/my\040phone rw - fuse.sshfs phone: rw
33 22 8:17 / /mnt/usb rw - fuseblk /dev/sdb1 rw
34 22 8:18 / /mnt/twice rw - nfs nas:/old rw
35 22 8:18 / /mnt/twice rw - ext4 /dev/sdc1 rw
36 30 8:19 / /mnt/nas/local rw - ext4 /dev/sdd1 rw
a line that is none
"""


@pytest.mark.parametrize(
    ("folder", "found"),
    [
        ("/home/ada", ""),
        ("/mnt/nas", "nfs4"),
        ("/mnt/nas/2024/05", "nfs4"),
        ("/mnt/nasty", ""),
        ("/mnt/win/x", "cifs"),
        ("/mnt/my phone/DCIM", "fuse.sshfs"),
        ("/mnt/usb", ""),
        ("/mnt/twice", ""),
        ("/mnt/nas/local/a", ""),
        ("/mnt", "nfs4"),
        ("/", "nfs4"),
    ],
)
def test_what_tells_no_changes_at_or_below_a_folder(folder, found):
    assert next((mount.kind for mount in mounts(folder, MOUNTS) if mount.silent), "") == found


def test_what_holds_a_folder_comes_first_then_what_is_below():
    assert mounts("/mnt/nas/2024", MOUNTS) == [("30", "/mnt/nas", "nfs4")]
    assert mounts("/mnt/nas", MOUNTS) == [("30", "/mnt/nas", "nfs4"), ("36", "/mnt/nas/local", "ext4")]
    assert mounts("/mnt/twice", MOUNTS) == [("35", "/mnt/twice", "ext4")], "of two at one place the last is seen"


@pytest.mark.parametrize(
    ("folder", "found"),
    [("/", "ext4"), ("/mnt", "ext4"), ("/mnt/nas/2024", "nfs4"), ("/mnt/nas/local/a", "ext4"), ("/mnt/twice", "ext4")],
)
def test_the_kind_is_that_of_what_holds_a_folder(folder, found):
    assert kind(folder, MOUNTS) == found


def test_without_mountinfo_nothing_is_known():
    assert kind("/mnt/nas", "") == ""
    assert mounts("/mnt/nas", "") == [("", "", "")]
    assert not mounts("/mnt/nas", "")[0].silent


@pytest.mark.skipif(not os.path.exists("/proc/self/mountinfo"), reason="no /proc")
def test_the_real_table_agrees_with_stat(tmp_path):
    told = subprocess.run(["stat", "-f", "-c", "%T", str(tmp_path)], capture_output=True, text=True, check=True).stdout.strip()
    seen = mounts(str(tmp_path), read_mountinfo())
    assert any(mount.silent for mount in seen) == (told in {"nfs", "cifs", "smb2", "fuseblk", "9p"})


def test_a_path_is_the_same_place_by_whatever_mount_it_is_reached():
    info = (
        "22 1 254:0 / / rw - ext4 /dev/vda rw\n"
        "30 22 254:16 / /mnt/photos rw - ext4 /dev/vdb rw\n"
        "31 22 254:16 /2019/a\\040b /srv/old rw shared:1 - ext4 /dev/vdb rw\n"
    )
    assert located("/srv/old/x", info) == located("/mnt/photos/2019/a b/x", info) == ("254:16", "/2019/a b/x")
    assert located("/srv/old", info) == ("254:16", "/2019/a b")
    assert located("/srv/older", info) == ("254:0", "/srv/older")
    assert located("/srv", "") == ("", "/srv")
