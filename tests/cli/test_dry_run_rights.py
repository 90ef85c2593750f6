"""A dry run names the photos that this user cannot write; what it says is what happens."""

import array
import fcntl
import os
import shutil
import subprocess
import tempfile
from contextlib import nullcontext
from pathlib import Path

import pytest
from PIL import Image
from support import sky_library

from orientd.files import rights
from orientd.pipeline import deaths

NOBODY = 65534
GET_FLAGS, SET_FLAGS, IMMUTABLE, APPEND_ONLY = 0x80086601, 0x40086602, 0x10, 0x20
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user, or make files immutable")


@pytest.fixture
def place(orientd, model, monkeypatch, tmp_path):
    """A folder that everybody may enter, with the state of orientd in it, and the model; and nothing is left to be imported."""
    sky_library.draw(tmp_path / "before" / "a.jpg", 90, by_tag=False)
    sky_library.draw(tmp_path / "before" / "b.bmp", 90, by_tag=False, kind="BMP")
    before = ("--method", "rotate", "--sidecar", "write", "--no-isolate", "--state-dir", tmp_path / "before")
    assert orientd("scan", tmp_path / "before", "--fix", *before, "--report", tmp_path / "before.csv") == 0
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        monkeypatch.setenv("ORIENTD_MODEL", shutil.copy(model, name))
        for folder in ("state", "reports", "photos"):
            Path(name, folder).mkdir()
            if os.geteuid() == 0:
                os.chown(Path(name, folder), NOBODY, 0)
        monkeypatch.setenv("ORIENTD_STATE_DIR", f"{name}/state")
        monkeypatch.setenv("ORIENTD_ISOLATE", "false")
        monkeypatch.setattr(deaths, "noticed", lambda *_: nullcontext())  # Python may be where only root may run it
        yield Path(name)


@pytest.fixture
def become(place):
    yield lambda: os.seteuid(NOBODY)  # still of the group of root, as Python may be where only that may read it
    os.seteuid(0)


def change_flags(path, flag, on):
    file = os.open(path, os.O_RDONLY)
    try:
        held = array.array("l", [0])
        fcntl.ioctl(file, GET_FLAGS, held)
        held[0] = held[0] | flag if on else held[0] & ~flag
        fcntl.ioctl(file, SET_FLAGS, held)
    except OSError:
        pytest.skip("this file system, or this kernel, does not let files be made immutable")
    finally:
        os.close(file)


def told(orientd, place, *more):
    """The row of the one photo, of a dry run and of one that writes; the dry run must have changed nothing."""
    before = sky_library.snapshot(place / "photos")
    assert orientd("scan", place / "photos", "--report", place / "reports" / "dry.csv", *more) == 0
    assert sky_library.snapshot(place / "photos") == before
    (dry,) = sky_library.rows(place / "reports" / "dry.csv").values()
    orientd("scan", place / "photos", "--fix", "--report", place / "reports" / "fix.csv", *more)
    (fixed,) = sky_library.rows(place / "reports" / "fix.csv").values()
    return dry, fixed


def draw(place, owner=NOBODY, group=0, **drawn):
    path = sky_library.draw(place / "photos" / f"a.{drawn.get('kind', 'jpg').lower()}", 90, **drawn)
    os.chown(path, owner, group)
    return path


GROWS, IN_PLACE, PNG = {"by_tag": False}, {"by_tag": True}, {"by_tag": False, "kind": "PNG"}
CASES = {
    "all is well": (GROWS, NOBODY, 0o644, 0o755, ()),
    "a folder that takes no new file": (GROWS, NOBODY, 0o644, 0o555, ()),
    "a folder that need not take one": (IN_PLACE, NOBODY, 0o644, 0o555, ()),
    "a file that is read-only": (IN_PLACE, NOBODY, 0o444, 0o755, ()),
    "a file that is read-only, to be replaced": (GROWS, NOBODY, 0o444, 0o755, ()),
    "a file of another user": (IN_PLACE, 0, 0o666, 0o755, ()),
    "a file of another user, whose date may change": (IN_PLACE, 0, 0o666, 0o755, ("--mtime", "now")),
    "a file of another user, whose date may change, to be replaced": (GROWS, 0, 0o666, 0o755, ("--mtime", "now")),
    "pixels in a folder that takes no new file": (PNG, NOBODY, 0o644, 0o555, ("--method", "rotate")),
    "pixels where all is well": (PNG, NOBODY, 0o644, 0o755, ("--method", "rotate")),
}


@as_root
@pytest.mark.parametrize(("drawn", "owner", "mode", "folder", "more"), CASES.values(), ids=CASES)
def test_a_dry_run_says_what_a_write_will_meet(orientd, place, become, drawn, owner, mode, folder, more):
    os.chmod(draw(place, owner, **drawn), mode)
    os.chmod(place / "photos", folder)
    become()
    dry, fixed = told(orientd, place, *more)
    assert dry["decision"] == "fix", "another user may have the right"
    assert (dry["reason_code"] == "no_permission") == (fixed["outcome"] == "failed")
    assert dry["method"] == ("rotate" if drawn is PNG else "tag")
    if fixed["outcome"] == "failed":
        assert dry["reason_code"] == fixed["reason_code"]
        assert dry["reason"].startswith(f"it cannot be written now: {fixed['reason']}")


@as_root
@pytest.mark.parametrize("method", ["tag", "rotate"])
def test_pixels_need_a_folder_that_takes_a_new_file_where_a_tag_does_not(orientd, place, become, method):
    path = draw(place, **PNG)
    with Image.open(path) as image:
        exif = Image.Exif()
        exif[sky_library.ORIENTATION] = 1
        image.save(path, exif=exif)
    os.chmod(place / "photos", 0o555)
    become()
    dry, fixed = told(orientd, place, "--method", method)
    assert (dry["method"], fixed["outcome"]) == (method, "fixed" if method == "tag" else "failed")
    assert dry["reason_code"] == fixed["reason_code"] == ("" if method == "tag" else "no_permission")


@as_root
@pytest.mark.parametrize("drawn", [GROWS, IN_PLACE])
@pytest.mark.parametrize("inherited", [False, True])
def test_a_file_of_a_group_of_others(orientd, place, become, drawn, inherited):
    draw(place, group=1234, **drawn)
    os.chown(place / "photos", NOBODY, 1234)
    os.chmod(place / "photos", 0o2755 if inherited else 0o755)
    become()
    dry, fixed = told(orientd, place)
    assert (fixed["outcome"] == "failed") == (drawn is GROWS and not inherited)
    assert (dry["reason_code"] == "no_permission") == (fixed["outcome"] == "failed")
    assert fixed["reason"] in dry["reason"]


@as_root
def test_some_of_these_can_be_written_and_some_cannot(orientd, place, become, capsys):
    draw(place)
    become()
    assert told(orientd, place)[1]["outcome"] == "fixed"
    assert "cannot be written" not in capsys.readouterr().out
    os.seteuid(0)
    os.chmod(draw(place, seed=1), 0o444)
    become()
    assert told(orientd, place)[1]["outcome"] == "failed"
    assert "1 of them cannot be written by you now" in capsys.readouterr().out


@as_root
@pytest.mark.parametrize("flag", [IMMUTABLE, APPEND_ONLY])
@pytest.mark.parametrize("what", ["photos/a.jpg", "photos"])
@pytest.mark.parametrize("drawn", [GROWS, IN_PLACE])
def test_immutable_files_and_folders(orientd, place, flag, what, drawn):
    draw(place, 0, **drawn)
    change_flags(place / what, flag, True)
    try:
        dry, fixed = told(orientd, place)
    finally:
        change_flags(place / what, flag, False)
    assert (dry["reason_code"] == "no_permission") == (fixed["outcome"] == "failed")
    assert what == "photos" or "lsattr" in dry["reason"]


@as_root
def test_a_file_system_that_is_mounted_read_only(orientd, place):
    draw(place, 0)
    point = place / "photos"
    mounting = (["mount", "--bind", point, point], ["mount", "-o", "remount,bind,ro", point])
    if any(subprocess.run(command, capture_output=True).returncode for command in mounting):
        subprocess.run(["umount", "--lazy", point], capture_output=True)
        pytest.skip("cannot mount here")
    try:
        dry, fixed = told(orientd, place)
    finally:
        subprocess.run(["umount", "--lazy", point], check=True)
    assert (dry["decision"], dry["reason_code"], fixed["reason_code"]) == ("fix", "read_only", "read_only")


def test_one_that_says_it_is_read_only(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"")
    real = os.statvfs(path)
    mounted = os.statvfs_result((*real[:8], real.f_flag | os.ST_RDONLY, real[9]))
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    monkeypatch.setattr(os, "statvfs", lambda _: mounted)
    with pytest.raises(Exception, match="mounted read-only"):
        rights.check(str(path), in_place=True, dates=True)


@as_root
@pytest.mark.parametrize("there", [False, True])
def test_sidecars(orientd, place, become, there):
    path = drawn_bitmap(place)
    os.chown(path, NOBODY, 0)
    if there:
        sidecar = path.with_name(path.name + ".xmp")
        sidecar.write_text(XMP)
        os.chmod(sidecar, 0o444)
        os.chown(sidecar, NOBODY, NOBODY)
    os.chmod(place / "photos", 0o755 if there else 0o555)
    become()
    dry, fixed = told(orientd, place, "--sidecar", "write")
    assert (fixed["outcome"], fixed["reason_code"]) == ("failed", "no_permission")
    assert (dry["decision"], dry["reason_code"]) == ("fix", "no_permission")


XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="1"/></rdf:RDF></x:xmpmeta>'
)


def drawn_bitmap(place):
    """A BMP that is sideways or upside down: it is written by a sidecar."""
    return sky_library.draw(place / "photos" / "a.bmp", 90, by_tag=False, kind="BMP")


@as_root
def test_the_timer_says_nothing_of_it_as_another_applies_its_plan(orientd, place, become):
    os.chmod(draw(place), 0o444)
    become()
    assert orientd("scan", place / "photos", "--unattended", "--report", place / "reports" / "dry.csv") == 0
    (row,) = sky_library.rows(place / "reports" / "dry.csv").values()
    assert (row["decision"], row["reason"], row["reason_code"]) == ("fix", "", "")


@as_root
def test_once_the_right_is_there_nothing_of_it_is_remembered(orientd, place, become):
    path = draw(place)
    os.chmod(path, 0o444)
    become()
    for mode, code in ((0o444, "no_permission"), (0o644, ""), (0o444, "no_permission")):
        os.chmod(path, mode)
        assert orientd("scan", place / "photos", "--report", place / "reports" / "dry.csv") == 0
        (row,) = sky_library.rows(place / "reports" / "dry.csv").values()
        assert (row["decision"], row["reason_code"]) == ("fix", code)


@as_root
@pytest.mark.parametrize("drawn", [GROWS, IN_PLACE])
def test_a_trial_of_undo_tells_it_too(orientd, place, become, capsys, drawn):
    path = draw(place, **drawn)
    become()
    assert orientd("scan", place / "photos", "--fix", "--report", place / "reports" / "fix.csv") == 0
    os.chmod(path, 0o444)
    assert orientd("undo", "1", "--dry-run") == 3
    assert "it cannot be written now: permission denied" in " ".join(capsys.readouterr().err.split())
    assert orientd("undo", "1") == 3
    os.chmod(path, 0o644)
    assert orientd("undo", "1", "--dry-run") == 0
    os.chmod(place / "photos", 0o555)
    assert orientd("undo", "1", "--dry-run") == orientd("undo", "1") == (3 if drawn is GROWS else 0)
