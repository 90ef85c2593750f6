"""Copies of one photo are found, turned or not, and never stand on both sides of a split."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orientd_training.data import near_duplicates, photoset, sources
from orientd_training.data.near_duplicates import Split
from support.blobs import library, save, scene

from orientd import orientation
from orientd.errors import ConfigError

SIZE = 32


def dropped(folder):
    with (folder / "dropped.csv").open(newline="") as file:
        return [(row["name"], row["why"]) for row in csv.DictReader(file)]


@settings(max_examples=8)
@given(st.integers(0, 2**16), st.floats(0.1, 0.5))
def test_no_copy_turned_or_not_crosses_the_split(tmp_path_factory, seed, share):
    """The leak that made published figures of this task too good: it must be impossible from the files on."""
    random, folder = np.random.default_rng(seed), tmp_path_factory.mktemp("copies")
    for i in range(12):
        picture = scene(seed + 100 * i)
        save(folder / "in" / f"{i}.png", picture)
        for copy in range(random.integers(0, 3)):
            shown = orientation.apply(picture, int(random.integers(1, 9)))
            save(folder / "in" / f"copy-{copy}-of-{i}.jpg", shown, quality=int(random.integers(75, 95)))
    photoset.prepare([folder / "in"], folder / "out", 64, split=Split(share, (), seed), keep_duplicates=True)
    photos = photoset.load(folder / "out")
    sides = {}
    for name, split in zip(photos.names, photos.splits, strict=True):
        sides.setdefault(Path(name).stem.split("-")[-1], set()).add(split)
    assert len(sides) == 12
    assert all(len(its) == 1 for its in sides.values()), sides
    assert set(photos.splits) == {"train", "validation"}
    assert photoset.overlap(photoset.load(folder / "out", "train"), photoset.load(folder / "out", "validation")) == []


@pytest.mark.parametrize("value", range(1, 9))
def test_a_planted_copy_is_found(tmp_path, value):
    folder = library(tmp_path / "in")
    save(folder / "elsewhere" / "copy.jpg", orientation.apply(scene(5), value), quality=80)
    photoset.prepare([folder], tmp_path / "out", SIZE)
    turned = value not in (1, 2)
    expected = [("album-1/1.jpg", "contradiction"), ("elsewhere/copy.jpg", "contradiction")] if turned else []
    assert sorted(dropped(tmp_path / "out")) == expected
    photos = photoset.load(tmp_path / "out")
    assert len(photos) == (23 if turned else 25)
    if not turned:
        places = [photos.names.index(name) for name in ("album-1/1.jpg", "elsewhere/copy.jpg", "album-1/2.jpg", "album-2/0.jpg")]
        original, copy, neighbour, stranger = (photos.clusters[place] for place in places)
        assert original == copy == neighbour != stranger


def test_a_picture_that_looks_the_same_upside_down_contradicts_no_copy(tmp_path):
    ring = scene(7) // 2 + scene(7)[::-1, ::-1] // 2
    save(tmp_path / "in" / "a.png", ring)
    save(tmp_path / "in" / "b.jpg", ring, quality=85)
    assert photoset.prepare([tmp_path / "in"], tmp_path / "out", SIZE) == (2, [])
    assert len(set(photoset.load(tmp_path / "out").clusters)) == 1


def test_overlap_of_two_caches_is_found_with_and_without_stored_hashes(tmp_path):
    library(tmp_path / "train")
    save(tmp_path / "val" / "turned.png", orientation.apply(scene(3), 6))
    save(tmp_path / "val" / "new.png", scene(1000))
    for name, size in (("train", 48), ("val", SIZE)):
        photoset.prepare([tmp_path / name], tmp_path / "caches" / name, size)
    train, val = (photoset.load(tmp_path / "caches" / name) for name in ("train", "val"))
    (shared,) = photoset.overlap(train, val)
    assert (shared.train, shared.validation) == ("album-0/3.jpg", "turned.png")
    assert shared.distance <= near_duplicates.RADIUS
    (tmp_path / "caches" / "train" / "dhash.npy").unlink()
    old = photoset.load(tmp_path / "caches" / "train")
    assert old.hashes is None
    assert photoset.overlap(old, val) == [shared]


def test_equal_pixels_are_kept_once(tmp_path):
    folder = library(tmp_path / "in", albums=2)
    save(folder / "a.png", np.full((40, 40, 3), 9, np.uint8))
    save(folder / "b.png", np.full((50, 40, 3), 9, np.uint8))
    photoset.prepare([folder], tmp_path / "out", SIZE)
    assert dropped(tmp_path / "out") == [("b.png", "duplicate")]
    photoset.prepare([folder], tmp_path / "all", SIZE, keep_duplicates=True)
    photos = photoset.load(tmp_path / "all")
    assert len(photos) == 10
    assert photos.clusters[photos.names.index("a.png")] == photos.clusters[photos.names.index("b.png")]


def test_named_sources_are_kept_apart_with_all_that_belongs_to_them(tmp_path):
    folder = library(tmp_path / "in")
    save(folder / "album-5" / "copy.jpg", scene(0), quality=70)
    split = Split(named=("album-0", "album-2"))
    photoset.prepare([folder], tmp_path / "out", SIZE, split=split)
    kept = photoset.load(tmp_path / "out", photoset.VALIDATION)
    assert set(kept.groups) == {"album-0", "album-2", "album-5"}
    assert set(photoset.load(tmp_path / "out", photoset.TRAIN).groups) == {"album-1", "album-3", "album-4"}
    with pytest.raises(ConfigError, match="no photos of album-9: there are album-0, "):
        photoset.prepare([folder], tmp_path / "other", SIZE, split=Split(named=("album-9",)))
    with pytest.raises(ConfigError, match="nothing would be left to train on"):
        photoset.prepare([folder], tmp_path / "other", SIZE, split=Split(named=tuple(f"album-{i}" for i in range(6))))


def test_a_split_has_its_own_pixels(tmp_path):
    photoset.prepare([library(tmp_path / "in")], tmp_path / "out", SIZE, split=Split(0.4, (), 3))
    whole = photoset.load(tmp_path / "out")
    parts = [photoset.load(tmp_path / "out", split) for split in (photoset.TRAIN, photoset.VALIDATION)]
    assert [len(part) for part in parts] == [16, 8]
    assert np.array_equal(np.concatenate([part.pixels for part in parts]), whole.pixels)
    for part in parts:
        assert all(np.array_equal(part.pixels[i], whole.pixels[whole.names.index(name)]) for i, name in enumerate(part.names))
        assert np.array_equal(part.hashes, near_duplicates.difference_hashes(part.pixels))
    assert len({whole.digest, *(part.digest for part in parts)}) == 3


def test_photos_of_one_name_in_two_sources_stay_apart_by_name(tmp_path):
    """Names are what models of different sizes are compared by, so each must be there once."""
    for i, source in enumerate(("here", "there")):
        for j in range(3):
            save(tmp_path / source / f"{j + i}.png", scene(10 * i + j))
    (tmp_path / "there" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    here, there = tmp_path / "here", tmp_path / "there"
    photoset.prepare([here, there], tmp_path / "out", SIZE)
    names = [f"{here}/0.png", f"{here}/1.png", f"{here}/2.png", f"{there}/1.png", f"{there}/2.png", "3.png"]
    assert list(photoset.load(tmp_path / "out").names) == names
    assert dropped(tmp_path / "out") == [(f"{there}/0.png", "unreadable")]


def test_a_split_that_cannot_be_made_says_why_and_loses_nothing(tmp_path, monkeypatch):
    folder = library(tmp_path / "in", albums=2, each=6)
    with pytest.raises(ConfigError, match=r"only 0 of 12 photos can be kept apart.*the largest such group has 6"):
        photoset.prepare([folder], tmp_path / "out", SIZE, split=Split(0.2))
    monkeypatch.setattr(sources.Sources, "square", None)  # nothing is decoded again
    assert photoset.prepare([folder], tmp_path / "out", SIZE, split=Split(0.5)).photos == 12
