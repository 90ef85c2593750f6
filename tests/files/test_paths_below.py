"""What lies below a folder: by whole names, and below the root of the file system too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orientd.files.mounts import is_below
from orientd.library.paths import below

NAMES = st.lists(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1), max_size=4)


@given(NAMES, NAMES)
def test_it_is_told_by_whole_names(folder, path):
    expected = path[: len(folder)] == folder
    assert is_below("/" + "/".join(path), "/" + "/".join(folder)) == expected
    assert below("/" + "/".join(path), ["/" + "/".join(folder)]) == expected


@pytest.mark.parametrize(("path", "folder"), [("/photos2", "/photos"), ("/photos", "/photos/a"), ("/photos", "/photo")])
def test_a_name_that_begins_alike_is_another(path, folder):
    assert not is_below(path, folder)


def test_of_several_roots_one_is_enough():
    assert below("/b/c", ["/a", "/b"])
    assert not below("/b/c", [])
