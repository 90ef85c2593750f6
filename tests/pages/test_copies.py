"""Where copies go: each path has a place of its own, nothing is replaced unasked, and nothing half written stays."""

import os
import subprocess

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


def write(copies, root, data=b"new"):
    with copies.writing(copies.place(root), root) as file:
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
    with pytest.raises(Refused, match="not known to be an earlier copy"):
        copies.place(roots[1])
    assert os.path.getsize(roots[1]) == 0


def test_a_link_into_a_root_is_refused(tmp_path, roots):
    (tmp_path / "link").symlink_to(roots[0])
    with pytest.raises(ConfigError, match="lies in"):
        Copies(str(tmp_path / "link" / "out"), roots, overwrite=False)


def test_what_is_there_is_replaced_only_if_asked(tmp_path, roots):
    place = tmp_path / "out" / "page.png"
    write(Copies(str(tmp_path / "out"), roots, overwrite=False), roots[1], b"old")
    with pytest.raises(Refused, match="--overwrite") as told:
        Copies(str(tmp_path / "out"), roots, overwrite=False).place(roots[1])
    assert told.value.code is Reason.COPY_EXISTS
    copies = Copies(str(tmp_path / "out"), roots, overwrite=True)
    write(copies, roots[1])
    assert place.read_bytes() == b"new"


@pytest.mark.parametrize("links", [True, False])
def test_what_came_meanwhile_is_not_replaced(tmp_path, roots, links, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError(1, "no links here")))
    copies, place = Copies(str(tmp_path / "out"), roots, overwrite=False), str(tmp_path / "out" / "page.png")

    def write_late():
        with copies.writing(place, roots[1]) as file:
            file.write(b"new")
            (tmp_path / "out" / "page.png").write_bytes(b"another's")

    with pytest.raises(Refused):
        write_late()
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {"page.png": b"another's"}


def test_without_hard_links_it_is_renamed(tmp_path, roots, monkeypatch):
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError(1, "no links here")))
    write(Copies(str(tmp_path / "out"), roots, overwrite=False), roots[1])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["page.png"]


def test_nothing_is_left_of_what_failed(tmp_path, roots):
    copies = Copies(str(tmp_path / "out"), roots, overwrite=False)

    def write_half():
        with copies.writing(str(tmp_path / "out" / "page.png"), roots[1]) as file:
            file.write(b"half")
            raise OSError(28, "No space left on device")

    with pytest.raises(WriteError) as told:
        write_half()
    assert (told.value.code, list((tmp_path / "out").iterdir())) == (Reason.NO_ROOM, [])


@pytest.fixture
def bound(tmp_path, roots):
    """Another name of the first root."""
    alias = tmp_path / "alias"
    alias.mkdir()
    if subprocess.run(["mount", "--bind", roots[0], alias], capture_output=True).returncode:
        pytest.skip("no right to mount")
    yield str(alias)
    subprocess.run(["umount", alias], check=True)


@pytest.mark.parametrize("inside", ["", "sub/new"])
def test_a_folder_within_a_root_by_another_name_is_refused(roots, bound, inside):
    with pytest.raises(ConfigError, match="lies in"):
        Copies(os.path.join(bound, inside), roots, overwrite=True)


@pytest.mark.parametrize("inside", ["", "new/deep"])
def test_a_folder_that_is_a_subfolder_of_a_root_by_another_name_is_refused(tmp_path, roots, inside):
    alias = tmp_path / "alias"
    alias.mkdir()
    if subprocess.run(["mount", "--bind", os.path.join(roots[0], "sub"), alias], capture_output=True).returncode:
        pytest.skip("no right to mount")
    try:
        with pytest.raises(ConfigError, match="lies in"):
            Copies(os.path.join(alias, inside), roots, overwrite=True)
    finally:
        subprocess.run(["umount", alias], check=True)


def test_a_place_that_is_a_root_by_another_name_is_refused(tmp_path, roots, bound):
    os.symlink(bound, tmp_path / "b" / "link")
    (tmp_path / "out").mkdir()
    os.link(roots[1], tmp_path / "out" / "page.png")
    with pytest.raises(ConfigError, match="would lie where"):
        Copies(str(tmp_path / "out"), roots, overwrite=True)


@pytest.mark.parametrize("name", ["x.pdf", "b.bmp.png"])
def test_another_original_is_never_replaced(tmp_path, name):
    original, other = tmp_path / "Scans" / "sub" / name.removesuffix(".png"), tmp_path / "Scans" / name
    original.parent.mkdir(parents=True)
    original.touch()
    other.write_bytes(b"another original")
    copies = Copies(str(tmp_path / "Scans"), [str(original)], overwrite=True)
    with pytest.raises(Refused, match="not known to be an earlier copy") as told:
        copies.place(str(original), ".png" if name.endswith(".png") else "")
    assert (told.value.code, other.read_bytes()) == (Reason.COPY_EXISTS, b"another original")


def test_two_originals_do_not_get_one_copy(tmp_path, roots):
    copies = Copies(str(tmp_path / "out"), roots, overwrite=True)
    first, second = os.path.join(roots[0], "b.bmp"), os.path.join(roots[0], "b.bmp.png")
    place = copies.place(first, ".png")
    with pytest.raises(Refused, match=r"b\.bmp: rename one") as told:
        copies.place(second)
    assert (told.value.code, copies.place(first, ".png")) == (Reason.COPY_EXISTS, place)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400])
def test_a_copy_has_the_rights_of_its_original(tmp_path, roots, mode):
    os.chmod(roots[1], mode)
    copies, place = Copies(str(tmp_path / "out"), roots, overwrite=False), tmp_path / "out" / "page.png"
    with copies.writing(str(place), roots[1]) as file:
        assert os.fstat(file.fileno()).st_mode & 0o777 == 0o600
    assert place.stat().st_mode & 0o777 == mode
