"""Photos turned by pixels on a disk: kept, given back byte for byte, and whole after a kill at any step. No library is needed."""

import errno
import os
from hashlib import sha256
from pathlib import Path

import pytest
from support.faulty_disks import (
    BODY,
    MAGIC,
    DyingJournal,
    Killed,
    Toy,
    TroubledDisk,
    admit,
    dying,
    failing,
    killed_at_every_step,
    leftovers,
    second_reader,
)
from support.small_photos import MTIME

from orientd.errors import Refused
from orientd.files import write as files
from orientd.reasons import Reason
from orientd.records import Format, Method, Patch, Row, Splice, Status
from orientd.state.journal import Journal, WriteStatus
from orientd.state.originals import Originals
from orientd.write.change import plan_change
from orientd.write.fix import Fixer
from orientd.write.forget import delete
from orientd.write.recover import recover
from orientd.write.undo import undo

OLD = MAGIC + b"<O:1>" + BODY
NEW = MAGIC + b"<O:1>" + BODY[::-1] + b"other tables"
SMALL = MAGIC + b"<O:1>" + bytes(range(100))


def rotate(format, data, by):  # noqa: A002
    """Turns the body of a toy around, which may become longer, as a JPEG does."""
    if b"imperfect" in data:
        raise Refused(Reason.NOT_LOSSLESS, "its sides are no multiple of its blocks")
    body = data[8:]
    more = b"" if data == SMALL else b"other tables"
    return Patch((Splice(8, body, body[::-1] + more),))


class Scene:
    """A photo, a journal and the copies kept."""

    def __init__(self, folder, data=OLD):
        (folder / "photos").mkdir()
        self.photo, self.state_dir = folder / "photos" / "photo.jpg", folder / "state"
        self.old = data
        with Journal(self.state_dir) as journal:
            self.journal = Path(journal.path)
        self.empty_journal = self.journal.read_bytes()  # making one anew takes several syncs
        self.reset()

    def reset(self, fixed=False):
        for path in self.state_dir.rglob("*") if self.state_dir.is_dir() else ():
            if path.is_file():
                path.unlink()
        self.journal.write_bytes(self.empty_journal)
        self.photo.write_bytes(self.old)
        os.utime(self.photo, ns=(MTIME, MTIME))
        if fixed:
            assert self.act("fix").status is Status.FIXED

    def act(self, deed, disk=None, method=Method.ROTATE):
        with DyingJournal(self.state_dir) as journal:
            journal.disk = disk = disk or TroubledDisk()
            if deed == "recover":
                return recover(journal, disk, admit=admit)
            run = journal.start_run(deed)
            if deed == "undo":
                return next(undo(journal, run, journal.writes(1), disk=disk, admit=admit), None)
            fixer = Fixer(journal, run, Toy(), second_reader, disk=disk, rotate=rotate)
            digest = sha256(self.photo.read_bytes()).hexdigest()
            return fixer.fix(Row(str(self.photo), turn=90, sha256=digest, method=method))

    def writes(self):
        with Journal(self.state_dir) as journal:
            return [write for run in journal.runs()[::-1] for write in journal.writes(run.id)]

    def copies(self):
        folder = Path(Originals(self.state_dir).folder)
        return [path.read_bytes() for path in folder.iterdir()] if folder.is_dir() else []

    def held(self):
        return {self.old: "old", NEW: "new"}.get(self.photo.read_bytes(), "neither")

    def check_settled(self):
        """The journal knows what became of everything, and every photo that is turned can be given back."""
        statuses = [write.status for write in self.writes()]
        assert WriteStatus.INTENDED not in statuses
        assert leftovers(self.photo.parent) == []
        assert self.held() == (
            "new"
            if [write for write in self.writes() if write.status is WriteStatus.FIXED and not write.intent.undoes]
            else "old"
        )
        if self.held() == "new":
            assert self.copies() == [self.old]


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def test_the_check_finds_a_lost_copy_and_a_mixture(scene):
    scene.reset(fixed=True)
    scene.check_settled()
    scene.photo.write_bytes(OLD[:5000] + NEW[5000:])
    with pytest.raises(AssertionError):
        scene.check_settled()
    scene.photo.write_bytes(NEW)
    for copy in Path(Originals(scene.state_dir).folder).iterdir():
        copy.write_bytes(b"")
    with pytest.raises(AssertionError):
        scene.check_settled()


def test_pixels_are_turned_and_every_byte_given_back(scene):
    outcome = scene.act("fix")
    assert (outcome.status, outcome.method, outcome.orientation, outcome.reason) == (Status.FIXED, Method.ROTATE, 1, "")
    assert scene.photo.read_bytes() == NEW
    (write,) = scene.writes()
    assert (write.intent.method, write.intent.patch, write.intent.new_orientation) == ("rotate", Patch(()), 1)
    assert Path(scene.state_dir, "journal.db").stat().st_size < 200_000
    assert scene.copies() == [OLD]
    outcome = scene.act("undo")
    assert (outcome.status, outcome.method) == (Status.FIXED, Method.ROTATE)
    assert (scene.photo.read_bytes(), os.stat(scene.photo).st_mtime_ns, scene.copies()) == (OLD, MTIME, [])
    assert scene.act("undo") is None


@pytest.mark.parametrize("data", [SMALL, SMALL.replace(b"O:1", b"O:8")])
def test_a_photo_within_one_page_is_turned_and_given_back(tmp_path, data):
    scene = Scene(tmp_path, data)
    outcome = scene.act("fix")
    assert outcome.status is Status.FIXED
    assert scene.photo.read_bytes() != data
    assert scene.act("undo").status is Status.FIXED
    assert scene.photo.read_bytes() == data


def test_what_cannot_be_turned_gets_the_tag_and_says_why(tmp_path):
    scene = Scene(tmp_path, MAGIC + b"<O:1>imperfect" + BODY)
    outcome = scene.act("fix")
    assert (outcome.status, outcome.method, outcome.orientation) == (Status.FIXED, Method.TAG, 6)
    assert outcome.reason == "by tag, not by pixels, as its sides are no multiple of its blocks"
    assert (scene.photo.read_bytes(), scene.copies()) == (scene.old.replace(b"O:1", b"O:6"), [])
    assert scene.act("undo").status is Status.FIXED
    assert scene.photo.read_bytes() == scene.old


def test_a_turn_that_the_pixels_already_have_only_drops_the_tag(tmp_path):
    scene = Scene(tmp_path, MAGIC + b"<O:8>" + BODY)
    outcome = scene.act("fix")
    assert (outcome.method, outcome.orientation, outcome.reason) == (Method.TAG, 1, "")


def test_a_photo_with_several_names_is_not_turned_by_pixels(scene):
    os.link(scene.photo, scene.photo.with_name("other.jpg"))
    outcome = scene.act("fix")
    assert outcome.status is Status.FAILED
    assert "--hard-links" in outcome.reason
    assert (scene.held(), scene.copies()) == ("old", [])


def test_of_a_photo_with_several_names_all_may_get_the_tag_but_no_turned_pixels():
    assert plan_change(Toy(), rotate, Format.JPEG, OLD, 6, 1).method is Method.ROTATE
    change = plan_change(Toy(), rotate, Format.JPEG, OLD, 6, 2)
    assert (change.method, change.orientation) == (Method.TAG, 6)
    assert change.remark == "by tag, not by pixels, as it has several names (hard links)"
    assert plan_change(Toy(), lambda *_: None, Format.JPEG, OLD, 6, 2).remark == ""


def test_without_its_method_a_photo_is_not_turned_by_pixels(scene):
    assert scene.act("fix", method=Method.TAG).method is Method.TAG


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda copy: copy.unlink(), "copy of its original was deleted"),
        (lambda copy: copy.write_bytes(NEW), "copy of its original was changed or damaged"),
        (lambda copy: (copy.unlink(), copy.mkdir()), "copy of its original cannot be read"),
    ],
)
def test_a_copy_that_is_lost_or_damaged_is_never_written_back(scene, spoil, reason):
    scene.reset(fixed=True)
    spoil(next(Path(Originals(scene.state_dir).folder).iterdir()))
    outcome = scene.act("undo")
    assert outcome.status is Status.FAILED
    assert reason in outcome.reason
    assert scene.held() == "new"


def test_a_photo_that_changed_since_is_left_alone_and_its_copy_kept(scene):
    scene.reset(fixed=True)
    scene.photo.write_bytes(b"edited")
    reason = scene.act("undo").reason
    assert "changed since" in reason
    assert Path(reason.rpartition(" ")[2].rstrip(")")).read_bytes() == OLD
    assert scene.copies() == [OLD]


def test_the_copy_of_a_photo_that_its_owner_put_back_himself_is_dropped(scene):
    scene.reset(fixed=True)
    scene.photo.write_bytes(OLD)
    outcome = scene.act("undo")
    assert (outcome.status, scene.held(), scene.copies()) == (Status.UNCHANGED, "old", [])


def test_copies_are_deleted_only_when_asked_for(scene):
    scene.reset(fixed=True)
    with Journal(scene.state_dir) as journal:
        assert Originals(scene.state_dir).sizes() == [len(OLD)]
        assert delete(journal, 2) == []
        assert delete(journal, 1) == [len(OLD)]
        assert delete(journal, 1) == Originals(scene.state_dir).sizes() == []
    assert "was deleted" in scene.act("undo").reason


def test_a_copy_cannot_lead_out_of_its_folder(scene):
    originals = Originals(scene.state_dir)
    originals.keep("../../photos/.orientd-x.tmp", b"data")
    assert originals.get("elsewhere/.orientd-x.tmp") == b"data"
    assert [path.name for path in Path(originals.folder).iterdir()] == ["orientd-x"]


def test_without_room_for_the_copy_the_photo_is_not_touched(scene, monkeypatch):
    kept, settle = [], DyingJournal.settle
    monkeypatch.setattr(DyingJournal, "settle", lambda *args, **more: kept.append(scene.copies()) or settle(*args, **more))
    disk = TroubledDisk()
    scene.act("fix", disk)
    first = disk.log.index("pwrite")
    scene.reset()
    outcome = scene.act("fix", failing(first, errno.ENOSPC))
    assert outcome.status is Status.FAILED
    assert "could not be kept for an undo" in outcome.reason
    assert "--method tag" in outcome.reason
    assert (scene.held(), scene.copies()) == ("old", [])
    assert kept == [[OLD], []]  # what was written of it had made room before the journal needed some


def test_the_copy_is_on_the_disk_before_the_photo_is_touched(scene):
    synced = []

    def trouble(disk, number, name, args):
        if name == "fsync":
            synced.append((os.readlink(f"/proc/self/fd/{args[0]}"), scene.copies()))

    disk = TroubledDisk(trouble)
    assert scene.act("fix", disk).status is Status.FIXED
    folder = Originals(scene.state_dir).folder
    paths = [path for path, _ in synced]
    assert (os.path.dirname(paths[0]), paths[1:3]) == (folder, [folder, str(scene.state_dir)])
    assert os.path.dirname(paths[3]) == str(scene.photo.parent)
    assert all(copies == [OLD] for _, copies in synced)
    assert disk.log.count("close") == disk.log.count("open") + disk.log.count("folder")


@pytest.mark.parametrize("deed", ["fix", "undo"])
def test_a_kill_at_any_step_leaves_old_or_new_and_the_next_run_finishes(scene, deed):
    mtime, copies = (MTIME, []) if deed == "undo" else (MTIME + 2 * 10**9, [OLD])
    for _ in killed_at_every_step(scene, deed):
        assert os.stat(scene.photo).st_mtime_ns == mtime
        assert scene.copies() == copies


def test_a_photo_of_the_same_size_in_the_place_of_one_being_turned_is_not_taken_for_torn(scene):
    disk, theirs = TroubledDisk(), OLD[:-1] + b"?"
    scene.act("fix", disk)
    scene.reset()
    with pytest.raises(Killed):
        scene.act("fix", dying(disk.log.index("after intend")))
    scene.photo.write_bytes(theirs)
    (outcome,) = scene.act("recover")
    assert (outcome.status, "neither the old nor the new" in outcome.reason) == (Status.FAILED, True)
    assert (scene.photo.read_bytes(), [write.status for write in scene.writes()]) == (theirs, [WriteStatus.LOST])


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("deed", ["fix", "undo"])
def test_any_call_that_fails_leaves_the_old_bytes_or_the_new_ones_and_says_which(scene, deed, code):
    undoing, disk = deed == "undo", TroubledDisk()
    before, after = ("new", "old") if undoing else ("old", "new")
    scene.reset(undoing)
    scene.act(deed, disk)
    for at in (at for at in range(len(disk.log)) if not disk.log[at].endswith(("intend", "settle"))):
        scene.reset(undoing)
        outcome = scene.act(deed, failing(at, code))
        assert scene.held() == (after if outcome.status is Status.FIXED else before), disk.log[at]
        assert bool(outcome.reason) == (outcome.status is Status.FAILED)
        assert leftovers(scene.photo.parent) == []
        if scene.held() == "new":
            assert OLD in scene.copies()


def test_the_page_rule_knows_no_exception_for_pixels():
    assert not files.fits_one_page(rotate(None, OLD, 6))
    assert files.fits_one_page(rotate(None, SMALL, 6))
