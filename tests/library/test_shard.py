"""Every folder has one owner, and paths compare as the walk gives them."""

import os

from hypothesis import given
from hypothesis import strategies as st

from orientd.library.shard import Shard, WalkOrder
from orientd.library.walk import walk

NAME = st.sampled_from(["a", "b", "a-", "a.", "B", "é", "a\udcff", "0"])


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0")), st.integers(1, 50))
def test_every_folder_has_one_owner(folder, of):
    assert sum(Shard(number, of).owns(folder) for number in range(1, of + 1)) == 1


def test_an_owner_is_the_same_on_every_machine():
    owners = [next(n for n in range(1, 8) if Shard(n, 7).owns(f"/photos/{i}")) for i in range(10)]
    assert owners == [3, 2, 6, 6, 5, 5, 6, 7, 5, 1]


def test_parts_are_about_equal():
    owned = [sum(Shard(n, 8).owns(f"/photos/{i}") for i in range(8000)) for n in range(1, 9)]
    assert 900 < min(owned) <= max(owned) < 1100


@given(st.lists(st.lists(NAME, min_size=1, max_size=4), max_size=12), st.data())
def test_paths_compare_as_the_walk_gives_them(tmp_path_factory, paths, data):
    top = tmp_path_factory.mktemp("walk")
    for names in paths:
        *folders, name = names
        folder = top.joinpath(*folders)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.jpg").touch()
    folders = [str(top), *(str(path) for path in top.rglob("*") if path.is_dir())]
    roots = data.draw(st.lists(st.sampled_from(sorted(folders)), min_size=1, unique=True))
    walked = [candidate.path for candidate in walk(roots)]
    assert sorted(walked, key=WalkOrder(roots).of) == walked
    parts = [[candidate.path for candidate in walk(roots, owns=Shard(n, 3).owns)] for n in (1, 2, 3)]
    assert sorted(path for part in parts for path in part) == sorted(walked)
    assert len({os.path.dirname(path) for path in walked}) == sum(len({os.path.dirname(path) for path in part}) for part in parts)


def test_a_folder_stands_before_all_that_lies_in_it_and_behind_the_files_beside_it():
    order = WalkOrder(["/p"])
    there = [order.of("/p/z.jpg"), order.of("/p/b", is_folder=True), order.of("/p/b/a.jpg"), order.of("/p/c", is_folder=True)]
    assert sorted(there) == there
    assert order.of("/p", is_folder=True) < there[0]
