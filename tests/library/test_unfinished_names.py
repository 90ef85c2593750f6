"""Files that other programs are just writing: neither a scan nor a watcher looks at them."""

import os

import pytest
from support import watcher as watching
from support.watcher import put

from orientd.library import filenames
from orientd.library.walk import walk

folder, watched = watching.photos, watching.watched

UNFINISHED = [
    "IMG_1.jpg_exiftool_tmp",
    "IMG_1.HEIC_exiftool_tmp",
    ".syncthing.IMG_1.jpg.tmp",
    "~syncthing~IMG_1.jpg.tmp",
    ".~lock.IMG_1.jpg#",
    "IMG_1.jpg.part",
    "IMG_1.jpg.crdownload",
    "Unconfirmed 123456.crdownload",
    "IMG_1.jpg.tmp",
    "IMG_1.JPG.TMP",
    "IMG_1.jpg.ocTransferId1234.part",
    "IMG_1.jpg.1a2b3c4d.partial",
    "IMG_1.jpg.filepart",
    "IMG_1.jpg.!sync",
    ".IMG_1.jpg.X3fQ9a",
    "IMG_1.jpg.X3fQ9a",
    "IMG_1.tiff.kdeNwQ",
    ".IMG_1.jpg.~6cd02b",
    "IMG_1.jpg.~6cd02b",
    "IMG_1.jpg.sb-1a2b3c4d-AbC123",
    ".nfs000000000012ab34",
    "._IMG_1.jpg",
    ".orientd-0123456789abcdef.tmp",
]
PHOTOS = [
    "IMG_1.jpg",
    "IMG_1.jpg_large",
    "IMG_1.jpg.edited",
    "IMG_1.jpg.201912",
    "IMG_1.jpg.2019",
    "exiftool_tmp.jpg",
    "part.jpg",
    "tmp.jpeg",
    "~IMG_1.jpg",
    "a.b.X3fQ9a",
    "syncthing.png",
]


@pytest.mark.parametrize("name", UNFINISHED)
def test_an_unfinished_file_is_not_worth_opening(name):
    assert not filenames.worth_opening(name)


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_of_a_similar_name_is(name):
    assert filenames.worth_opening(name)


def test_a_scan_passes_them_over(tmp_path):
    for name in UNFINISHED + PHOTOS:
        (tmp_path / name).write_bytes(b"x")
    assert {os.path.basename(found.path) for found in walk([str(tmp_path)])} == set(PHOTOS)


def test_a_watcher_waits_until_they_have_the_name_of_a_photo(watched, folder):
    library = watched(folder)
    for name in UNFINISHED:
        put(folder / name)
    assert library.waiting == set()
    for number, name in enumerate(UNFINISHED):
        (folder / name).rename(folder / f"{number}.jpg")
    assert library.waiting == {f"{number}.jpg" for number in range(len(UNFINISHED))}
