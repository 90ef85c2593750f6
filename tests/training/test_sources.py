"""What is found in folders and zips of photos, and what is said of photos that cannot be read."""

import json
import os
import zipfile

import numpy as np
import pytest
from orientd_training.data import photoset, sources
from support.blobs import library, save, scene

from orientd.errors import ConfigError

SIZE = 32


def test_a_zip_and_its_folder_give_the_same_squares(tmp_path):
    folder = library(tmp_path / "in")
    (folder / "album-0" / "README.md").write_text("no photo")
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
        archive.write(folder / "album-0" / "0.jpg", "__MACOSX/album-0/._0.jpg")
    for source in ("in", "in.zip"):
        assert photoset.prepare([tmp_path / source], tmp_path / "out" / source, SIZE) == (24, [])
    one, other = (photoset.load(tmp_path / "out" / source) for source in ("in", "in.zip"))
    assert (one.names, one.groups, one.clusters) == (other.names, other.groups, other.clusters)
    assert np.array_equal(one.pixels, other.pixels)


def test_photos_at_the_top_belong_to_the_source(tmp_path):
    library(tmp_path / "holiday" / "deep", albums=1)
    save(tmp_path / "holiday" / "top.png", scene(99))
    with zipfile.ZipFile(tmp_path / "flat.zip", "w") as archive:
        archive.write(tmp_path / "holiday" / "top.png", "other.png")
    found = sources.Sources([tmp_path / "holiday", tmp_path / "flat.zip"])
    with found as opened:
        members = {member.name: (member.group, member.folder) for member in opened.members()}
    assert members["top.png"] == ("holiday", str(tmp_path / "holiday"))
    assert members["deep/album-0/0.jpg"] == ("deep", str(tmp_path / "holiday" / "deep" / "album-0"))
    assert members["other.png"] == ("flat", str(tmp_path / "flat.zip"))


def test_what_cannot_be_read_is_listed_and_never_fatal(tmp_path):
    folder = library(tmp_path / "in", albums=1)
    whole = (folder / "album-0" / "0.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "notes").write_text("no photo at all")
    (folder / "link.jpg").symlink_to("album-0/0.jpg")
    name = os.fsdecode(b'caf\xe9, "2"\n.jpg')
    (folder / name).write_bytes(b"no photo either")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("a/fine.jpg", whole)
        archive.writestr("a/torn.jpg", whole)
    data = (tmp_path / "bad.zip").read_bytes()
    middle = data.rindex(whole) + len(whole) // 2
    (tmp_path / "bad.zip").write_bytes(data[:middle] + b"\0\1\2\3" + data[middle + 4 :])
    done, left = photoset.prepare([folder, tmp_path / "bad.zip"], tmp_path / "out", SIZE)
    assert done == 4
    why = {entry.name: entry.why.value for entry in left}
    assert why == {
        "cut.jpg": "unreadable",
        "empty.png": "unreadable",
        "notes": "unreadable",
        "link.jpg": "passed over",
        name: "unreadable",
        "a/torn.jpg": "unreadable",
        "a/fine.jpg": "duplicate",
    }
    assert all(entry.reason for entry in left)
    assert photoset.prepare([folder, tmp_path / "bad.zip"], tmp_path / "out", SIZE).dropped == left


def test_a_zip_that_cannot_be_unpacked_is_a_bad_photo(tmp_path):
    with zipfile.ZipFile(tmp_path / "in.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.jpg", bytes(100_000))
        start = archive.getinfo("x.jpg").header_offset + 30 + len("x.jpg")
    data = bytearray((tmp_path / "in.zip").read_bytes())
    data[start : start + 8] = b"\xff" * 8
    (tmp_path / "in.zip").write_bytes(data)
    with sources.Sources([tmp_path / "in.zip"]) as opened:
        (member,) = opened.members()
        assert "invalid block type" in opened.square(member, None)


def test_the_middle_of_a_picture_keeps_its_aspect(tmp_path):
    """A page of 300 × 600 with a line at 45°: squeezed it lies at 27°, and a page that is turned would have no one angle."""
    rows, columns = np.mgrid[:600, :300]
    line = np.where(np.abs((rows - 300) - (columns - 150)) < 12, 0, 255).astype(np.uint8)
    save(tmp_path / "in" / "page.png", np.repeat(line[..., None], 3, 2))
    angles = []
    for name, middle in (("middle", True), ("squeezed", False)):
        photoset.prepare([tmp_path / "in"], tmp_path / name, 64, middle=middle)
        square = photoset.load(tmp_path / name).pixels[0].mean(-1)
        assert square.shape == (64, 64)
        ys, xs = np.nonzero(square < 128)
        angles.append(np.rad2deg(np.arctan(np.polyfit(xs, ys, 1)[0])))
    assert np.abs(np.array(angles) - [45, np.rad2deg(np.arctan(0.5))]).max() < 1.5


def test_a_cache_of_middles_is_no_cache_of_squeezed_photos(tmp_path):
    library(tmp_path / "in", albums=1)
    photoset.prepare([tmp_path / "in"], tmp_path / "cache", SIZE, middle=True)
    with pytest.raises(ConfigError, match="square: middle before, squeezed now"):
        photoset.prepare([tmp_path / "in"], tmp_path / "cache", SIZE)
    photoset.prepare([tmp_path / "in"], tmp_path / "older", SIZE)
    settings = json.loads((tmp_path / "older" / "prepare.json").read_text())
    del settings["square"]
    (tmp_path / "older" / "prepare.json").write_text(json.dumps(settings))
    photoset.prepare([tmp_path / "in"], tmp_path / "older", SIZE)
    with pytest.raises(ConfigError, match="square: squeezed before, middle now"):
        photoset.prepare([tmp_path / "in"], tmp_path / "older", SIZE, middle=True)
