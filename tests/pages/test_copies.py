"""Where copies go: each path has a place of its own, nothing is replaced unasked, and nothing half written stays."""

import os

import pytest

from orientd.errors import ConfigError, Refused, WriteError
from orientd.pages.copies import Copies
from orientd.reasons import Reason


@pytest.fixture
def roots(tmp_path):
    found = []
    for parent in ("a", "b"):
        (tmp_path / parent / "scans" / "sub").mkdir(parents=True)
        (tmp_path / parent / "page.png").touch()
        found += [str(tmp_path / parent / "scans"), str(tmp_path / parent / "page.png")]
    return found


def write(copies, place, data=b"new"):
    with copies.writing(place) as file:
        file.write(data)


def test_each_root_has_a_place_of_its_own(tmp_path, roots):
    copies = Copies(str(tmp_path / "out"), roots, overwrite=False)
    places = [copies.place(os.path.join(root, "sub", "1.tif")) if os.path.isdir(root) else copies.place(root) for root in roots]
    named = [os.path.relpath(place, tmp_path / "out") for place in places]
    assert named == ["scans/sub/1.tif", "page.png", "scans-2/sub/1.tif", "page-2.png"]


def test_a_root_within_another_wins(tmp_path, roots):
    copies = Copies(str(tmp_path / "out"), [roots[0], os.path.join(roots[0], "sub")], overwrite=False)
    assert copies.place(os.path.join(roots[0], "sub", "1.tif")) == str(tmp_path / "out" / "sub" / "1.tif")


@pytest.mark.parametrize("inside", ["", "sub", "sub/new/deep"])
def test_a_folder_within_a_root_is_refused(roots, inside):
    with pytest.raises(ConfigError, match="lies in"):
        Copies(os.path.join(roots[0], inside), roots, overwrite=False)


@pytest.mark.parametrize("kind", [0, 1], ids=["folder", "file"])
def test_the_folder_above_a_root_is_refused_as_copies_would_take_its_place(roots, kind):
    with pytest.raises(ConfigError, match="would lie where"):
        Copies(os.path.dirname(roots[kind]), roots[kind : kind + 1], overwrite=True)


def test_a_link_from_among_the_copies_to_the_pages_is_refused(tmp_path, roots):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "scans").symlink_to(roots[0])
    (tmp_path / "out" / "page.png").symlink_to(roots[1])
    copies = Copies(str(tmp_path / "out"), roots, overwrite=True)
    with pytest.raises(Refused, match="by a link") as told:
        copies.place(os.path.join(roots[0], "sub", "1.tif"))
    assert told.value.code is Reason.NOT_ALLOWED
    write(copies, copies.place(roots[1]))
    assert os.path.getsize(roots[1]) == 0, "the link is replaced, not what it leads to"


def test_a_link_into_a_root_is_refused(tmp_path, roots):
    (tmp_path / "link").symlink_to(roots[0])
    with pytest.raises(ConfigError, match="lies in"):
        Copies(str(tmp_path / "link" / "out"), roots, overwrite=False)


def test_what_is_there_is_replaced_only_if_asked(tmp_path, roots):
    place = tmp_path / "out" / "page.png"
    write(Copies(str(tmp_path / "out"), roots, overwrite=False), str(place), b"old")
    with pytest.raises(Refused, match="--overwrite") as told:
        Copies(str(tmp_path / "out"), roots, overwrite=False).place(roots[1])
    assert told.value.code is Reason.COPY_EXISTS
    copies = Copies(str(tmp_path / "out"), roots, overwrite=True)
    write(copies, copies.place(roots[1]))
    assert place.read_bytes() == b"new"


@pytest.mark.parametrize("links", [True, False])
def test_what_came_meanwhile_is_not_replaced(tmp_path, roots, links, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError(1, "no links here")))
    copies, place = Copies(str(tmp_path / "out"), roots, overwrite=False), str(tmp_path / "out" / "page.png")

    def write_late():
        with copies.writing(place) as file:
            file.write(b"new")
            (tmp_path / "out" / "page.png").write_bytes(b"another's")

    with pytest.raises(Refused):
        write_late()
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {"page.png": b"another's"}


def test_without_hard_links_it_is_renamed(tmp_path, roots, monkeypatch):
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError(1, "no links here")))
    write(Copies(str(tmp_path / "out"), roots, overwrite=False), str(tmp_path / "out" / "page.png"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["page.png"]


def test_nothing_is_left_of_what_failed(tmp_path, roots):
    copies = Copies(str(tmp_path / "out"), roots, overwrite=False)

    def write_half():
        with copies.writing(str(tmp_path / "out" / "page.png")) as file:
            file.write(b"half")
            raise OSError(28, "No space left on device")

    with pytest.raises(WriteError) as told:
        write_half()
    assert (told.value.code, list((tmp_path / "out").iterdir())) == (Reason.NO_ROOM, [])
