"""Sidecars made, changed and removed while the disk fails, or the process dies, at every single system call."""

import errno
import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from support import raw_files
from support.faulty_disks import DyingJournal, Killed, TroubledDisk, dying, failing, killed_at_every_step, leftovers
from support.small_photos import MTIME

from orientd.errors import ReadError, Refused
from orientd.files import read
from orientd.files import write as files
from orientd.formats import sidecar
from orientd.records import Patch, Row, Splice, Status
from orientd.state.journal import Journal, WriteStatus
from orientd.write.recover import recover
from orientd.write.sidecar import SidecarFixer
from orientd.write.undo import undo

GIF = b"GIF89a" + bytes(100)
CAPTIONED = sidecar.fresh(1).replace(b"<rdf:Description", b'<rdf:Description xmlns:dc="urn:x" dc:title="mine"')
UNTURNED = CAPTIONED.replace(b'tiff:Orientation="1"', b"")
KINDS = {"made": None, "digit": CAPTIONED, "attribute": UNTURNED}
NEW = {"made": sidecar.fresh(6), "digit": CAPTIONED.replace(b'"1"', b'"6"'), "attribute": None}
every_kind = pytest.mark.parametrize("kind", KINDS)


class Scene:
    """A photo that is never written, its sidecar of some kind, and the journal."""

    def __init__(self, folder, kind):
        (folder / "photos").mkdir()
        self.photo, self.beside = folder / "photos" / "a.gif", folder / "photos" / "a.gif.xmp"
        self.old, self.new = KINDS[kind], NEW[kind] or sidecar.plan(UNTURNED, 6).apply(UNTURNED)
        self.state_dir = folder / "state"
        with Journal(self.state_dir) as journal:
            self.journal = Path(journal.path)
        self.empty_journal = self.journal.read_bytes()
        self.photo.write_bytes(GIF)

    def reset(self, fixed=False):
        self.journal.write_bytes(self.empty_journal)
        self.beside.unlink(missing_ok=True)
        if self.old is not None:
            self.beside.write_bytes(self.old)
            os.utime(self.beside, ns=(MTIME, MTIME))
        if fixed:
            assert self.act("fix").status is Status.FIXED

    def act(self, deed, disk=None):
        disk = disk or TroubledDisk()
        with DyingJournal(self.state_dir) as journal:
            journal.disk = disk
            if deed == "recover":
                return recover(journal, disk)
            run = journal.start_run(deed)
            if deed == "undo":
                (outcome,) = undo(journal, run, journal.writes(1), disk=disk)
                return outcome
            row = Row(str(self.photo), turn=90, sha256=sha256(GIF).hexdigest())
            return SidecarFixer(journal, run, "full", disk=disk).fix(row)

    def held(self):
        now = self.beside.read_bytes() if self.beside.exists() else None
        return "old" if now == self.old else "new" if now == self.new else "neither"

    def check_settled(self):
        with DyingJournal(self.state_dir) as journal:
            assert journal.unsettled() == []
            writes = [write for run in journal.runs()[::-1] for write in journal.writes(run.id)]
        assert leftovers(self.photo.parent) == []
        assert self.photo.read_bytes() == GIF
        last = [write for write in writes if write.status is not WriteStatus.FAILED][-1:]
        done = bool(last) and last[0].status is WriteStatus.FIXED and last[0].intent.undoes is None
        assert self.held() == ("new" if done else "old")


@pytest.fixture
def scene(tmp_path, kind):
    return Scene(tmp_path, kind)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [("a.jxl", b"\xff\x0a" + bytes(99), "neither judged nor changed"), ("a.cr2", raw_files.cr2(raw_files.SENSOR), "no preview")],
)
def test_a_photo_that_nobody_could_see_gets_none_whatever_the_plan_says(tmp_path, name, data, reason):
    photo = tmp_path / name
    photo.write_bytes(data)
    with Journal(tmp_path / "state") as journal:
        row = Row(str(photo), turn=90, sha256=sha256(data).hexdigest())
        outcome = SidecarFixer(journal, journal.start_run("apply"), "full").fix(row)
    assert (outcome.status, reason in outcome.reason) == (Status.FAILED, True)
    assert sorted(os.listdir(tmp_path)) == [name, "state"]


@every_kind
def test_the_check_fails_for_anything_else(scene):
    scene.reset(fixed=True)
    scene.check_settled()
    for wrong in (b"", scene.new[:-1], CAPTIONED + b" "):
        scene.beside.write_bytes(wrong)
        with pytest.raises(AssertionError):
            scene.check_settled()


@pytest.mark.parametrize("kind", ["made", "attribute"])
@pytest.mark.parametrize("deed", ["fix", "undo"])
def test_a_kill_at_any_step_leaves_old_or_new_and_the_next_run_finishes(scene, kind, deed):
    disk = TroubledDisk()
    scene.reset(deed == "undo")
    scene.act(deed, disk)
    if kind == "made":
        assert ("unlink" if deed == "undo" else "replace") in disk.log
    assert list(killed_at_every_step(scene, deed))


@pytest.mark.parametrize("kind", ["made", "attribute"])
@pytest.mark.parametrize(
    ("deed", "code"), [("fix", errno.EIO), ("fix", errno.ENOSPC), ("fix", errno.EACCES), ("undo", errno.EIO)]
)
def test_any_call_that_fails_leaves_old_or_new_and_says_which(scene, deed, code):
    undoing = deed == "undo"
    before, after = ("new", "old") if undoing else ("old", "new")
    scene.reset(undoing)
    disk, seen = TroubledDisk(), set()
    scene.act(deed, disk)
    for at in (at for at in range(len(disk.log)) if not disk.log[at].endswith(("intend", "settle"))):
        scene.reset(undoing)
        outcome = scene.act(deed, failing(at, code))
        seen.add(outcome.status)
        assert scene.held() == (after if outcome.status is Status.FIXED else before), disk.log[at]
        assert bool(outcome.reason) == (outcome.status is Status.FAILED)
        scene.act("recover")
        scene.check_settled()
    assert seen == {Status.FIXED, Status.FAILED}


@pytest.mark.parametrize("kind", ["made"])
def test_a_sidecar_that_another_program_makes_meanwhile_is_not_replaced(scene):
    scene.reset()

    def trouble(disk, number, name, args):
        if name == "replace" or (name == "fsync" and not scene.beside.exists()):
            scene.beside.write_bytes(CAPTIONED)

    outcome = scene.act("fix", TroubledDisk(trouble))
    assert (outcome.status, "another program has made it" in outcome.reason) == (Status.FAILED, True)
    assert scene.beside.read_bytes() == CAPTIONED


@pytest.mark.parametrize("kind", ["made"])
def test_a_sidecar_that_was_edited_since_is_not_removed(scene):
    scene.reset(fixed=True)
    scene.beside.write_bytes(CAPTIONED)
    assert "changed since orientd wrote it" in scene.act("undo").reason
    assert scene.beside.read_bytes() == CAPTIONED
    scene.beside.unlink()
    assert scene.act("undo").reason == "the old bytes were back already"


@pytest.mark.parametrize("kind", ["made"])
def test_a_folder_that_is_not_there_tells_nothing_of_a_sidecar(scene):
    scene.reset()
    with pytest.raises(Killed):
        scene.act("fix", dying(20))
    library = scene.photo.parent.rename(scene.photo.parent.with_name("unplugged"))
    assert "not mounted" in scene.act("recover")[0].reason
    scene.photo.parent.mkdir()
    with pytest.raises(ReadError):
        read.read_or_absent(str(scene.beside), -1)
    library.rename(scene.photo.parent)
    scene.act("recover")
    scene.check_settled()
    assert read.read_or_absent(str(scene.photo.with_name("a.gif.XMP")), -1) == (b"", read.absent(-1))


def test_a_file_is_made_with_the_usual_rights_and_only_where_it_was_judged(tmp_path):
    path, mask = tmp_path / "a.xmp", os.umask(0o027)
    try:
        dev, patch = os.stat(tmp_path).st_dev, Patch((Splice(0, b"", b"new"),))
        stat = files.write(str(path), read.absent(dev), b"", patch, None, files.temp_name())
    finally:
        os.umask(mask)
    assert (path.read_bytes(), path.stat().st_mode & 0o777, stat) == (b"new", 0o640, read.file_stat(path.stat()))
    with pytest.raises(Refused, match="another program has made it"):
        files.write(str(path), read.absent(dev), b"", patch, None, files.temp_name())
    with pytest.raises(Refused, match="another disk"):
        files.write(str(tmp_path / "b.xmp"), read.absent(dev + 1), b"", patch, None, files.temp_name())
    with pytest.raises(Refused, match="changed"):
        files.write(str(path), replace(stat, size=9), b"new", patch.inverse(), None, files.temp_name())
    assert os.listdir(tmp_path) == ["a.xmp"]
    files.write(str(path), stat, b"new", patch.inverse(), None, files.temp_name())
    assert os.listdir(tmp_path) == []
