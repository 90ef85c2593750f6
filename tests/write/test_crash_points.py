"""Every system call of a write, an undo and a recovery fails once, fails for good, or is the last before a kill.

The environment variable ORIENTD_KILLS says how many real processes are killed, too (25).
"""

import errno
import os
import random
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from support import kill_victim, small_containers
from support.faulty_disks import (
    ERRORS,
    TEMP,
    TOYS,
    DyingJournal,
    Killed,
    Toy,
    TroubledDisk,
    admit,
    dying,
    failing,
    leftovers,
    second_reader,
    turned_toy,
)
from support.small_photos import MTIME, OLD, TWO_PAGES, every_patch, make_photo, state, write

from orientd import formats
from orientd.errors import PhotoError, ReadError, Refused, WriteError
from orientd.files import read
from orientd.files import write as files
from orientd.records import Row, Status
from orientd.state.journal import Journal, WriteStatus
from orientd.state.lock import Lock
from orientd.write.fix import Fixer
from orientd.write.recover import recover
from orientd.write.undo import undo

ROOT = Path(__file__).parents[2]
KILLS, PHOTOS = int(os.environ.get("ORIENTD_KILLS", "25")), 200
HELD = {WriteStatus.FIXED: "new", WriteStatus.FAILED: "old", WriteStatus.UNDONE: "old"}
every_kind = pytest.mark.parametrize("kind", TOYS)
every_error = pytest.mark.parametrize("code", ERRORS.values(), ids=ERRORS)


@pytest.fixture
def photo(tmp_path):
    (tmp_path / "photos").mkdir()
    return make_photo(tmp_path / "photos" / "photo.jpg")


class Scene:
    """One photo of a kind, its journal, and what may be done to it through a disk in trouble."""

    def __init__(self, photo, kind):
        self.photo, self.old, self.new = photo, TOYS[kind], turned_toy(TOYS[kind])
        self.state_dir = photo.parents[1] / "state"
        with Journal(self.state_dir) as journal:
            self.journal = Path(journal.path)
        self.empty_journal = self.journal.read_bytes()

    def reset(self, fixed=False):
        """The photo as it was, or as the fix made it, and an empty journal."""
        self.journal.write_bytes(self.empty_journal)
        self.photo.write_bytes(self.old)
        os.utime(self.photo, ns=(MTIME, MTIME))
        if fixed:
            assert self.act("fix", TroubledDisk()).status is Status.FIXED

    def act(self, deed, disk):
        with DyingJournal(self.state_dir) as journal:
            journal.disk = disk
            if deed == "recover":
                return recover(journal, disk, admit=admit)
            run = journal.start_run(deed)
            if deed == "undo":
                (outcome,) = undo(journal, run, journal.writes(1), disk=disk, admit=admit) or [None]
                return outcome
            digest = sha256(self.photo.read_bytes()).hexdigest()
            row = Row(str(self.photo), turn=90, sha256=digest)
            return Fixer(journal, run, Toy(), second_reader, disk=disk).fix(row)

    def steps(self, deed):
        """The system calls and commits of a deed when nothing is in its way."""
        disk = TroubledDisk()
        self.act(deed, disk)
        return disk.log

    def held(self):
        """What the photo holds: "old", "new" or "neither"."""
        return {self.old: "old", self.new: "new"}.get(self.photo.read_bytes(), "neither")

    def check_whole(self):
        assert self.held() in ("old", "new")

    def check_settled(self):
        """The journal knows what became of everything, and nothing is left behind."""
        with DyingJournal(self.state_dir) as journal:
            assert journal.unsettled() == []
            writes = [write for run in journal.runs()[::-1] for write in journal.writes(run.id)]
        assert leftovers(self.photo.parent) == []
        last = [write for write in writes if write.status is not WriteStatus.FAILED][-1:]
        expected = ("old" if last[0].intent.undoes else HELD[last[0].status]) if last else "old"
        assert self.held() == expected
        if last:
            assert os.stat(self.photo).st_mtime_ns == (MTIME if expected == "old" else MTIME + 2 * 10**9)


@pytest.fixture
def scene(photo, kind):
    return Scene(photo, kind)


def test_the_check_fails_for_a_mixture_and_for_a_journal_that_is_wrong(photo):
    scene = Scene(photo, "two pages")
    scene.reset(fixed=True)
    scene.check_whole()
    scene.check_settled()
    for wrong in (scene.old, scene.new[:9000] + scene.old[9000:], scene.new[:-1]):
        photo.write_bytes(wrong)
        with pytest.raises(AssertionError):
            scene.check_settled()
    assert scene.held() == "neither"
    with pytest.raises(AssertionError):
        scene.check_whole()


def test_a_kill_can_tear_a_write_so_these_tests_would_notice(photo, monkeypatch):
    monkeypatch.setattr(files, "fits_one_page", lambda patch: True)
    disk = TroubledDisk()
    write(photo, TWO_PAGES, disk=disk)
    photo.write_bytes(OLD)
    with pytest.raises(Killed):
        write(photo, TWO_PAGES, disk=dying(disk.log.index("pwrite")))
    assert photo.read_bytes() not in (OLD, TWO_PAGES.apply(OLD))


@every_kind
@pytest.mark.parametrize("deed", ["fix", "undo"])
def test_a_kill_at_any_step_leaves_old_or_new_and_the_next_run_finishes(scene, deed):
    undoing = deed == "undo"
    scene.reset(undoing)
    log, seen = scene.steps(deed), set()
    assert {"before intend", "after intend", "before settle", "after settle", "pwrite"} <= set(log)
    for at in range(len(log)):
        scene.reset(undoing)
        with pytest.raises(Killed):
            scene.act(deed, dying(at))
        scene.check_whole()
        seen.add(scene.held())
        scene.act("recover", TroubledDisk())
        scene.check_settled()
        if scene.held() != ("old" if undoing else "new"):
            assert scene.act(deed, TroubledDisk()).status is Status.FIXED
        scene.check_settled()
        assert scene.held() == ("old" if undoing else "new")
    assert seen == {"old", "new"}


@every_kind
def test_a_kill_during_the_recovery_from_a_kill_changes_nothing(scene):
    scene.reset()
    log = scene.steps("fix")
    kills = [log.index("after intend"), log.index("pwrite") + 1, log.index("before settle")]
    kills += [log.index("replace"), log.index("replace") + 1] if "replace" in log else []
    for first in kills:
        for second in range(30):
            scene.reset()
            with pytest.raises(Killed):
                scene.act("fix", dying(first))
            disk = dying(second)
            try:
                scene.act("recover", disk)
            except Killed:
                scene.check_whole()
                scene.act("recover", TroubledDisk())
            scene.check_settled()
            if not disk.dead:
                break
        assert not disk.dead


@every_kind
@pytest.mark.parametrize(("deed", "code"), [*(("fix", code) for code in ERRORS.values()), ("undo", errno.EIO)])
def test_any_call_that_fails_leaves_the_old_bytes_or_the_new_ones_and_says_which(scene, deed, code):
    undoing = deed == "undo"
    before, after = ("new", "old") if undoing else ("old", "new")
    scene.reset(undoing)
    log, seen = scene.steps(deed), set()
    for at in (at for at in range(len(log)) if not log[at].endswith(("intend", "settle"))):
        scene.reset(undoing)
        outcome = scene.act(deed, failing(at, code))
        seen.add(outcome.status)
        assert scene.held() == (after if outcome.status is Status.FIXED else before), log[at]
        assert bool(outcome.reason) == (outcome.status is Status.FAILED)
        if outcome.status is Status.FAILED:
            assert os.stat(scene.photo).st_mtime_ns == (MTIME + 2 * 10**9 if undoing else MTIME)
        assert leftovers(scene.photo.parent) == []
    assert seen == {Status.FIXED, Status.FAILED}


@every_kind
def test_a_disk_that_stays_broken_leaves_the_file_whole_and_recovery_settles_it(scene):
    scene.reset()
    log = scene.steps("fix")
    for at in (at for at in range(len(log)) if not log[at].endswith(("intend", "settle"))):
        scene.reset()
        outcome = scene.act("fix", failing(at, errno.EIO, until=10**6))
        scene.check_whole()
        if set(log[at : log.index("before settle")]) > {"close"}:
            assert outcome.status is Status.FAILED
            assert "input/output error" in outcome.reason
        scene.act("recover", TroubledDisk())
        scene.check_settled()


@every_patch
@every_error
def test_the_reason_for_a_failure_is_plain(photo, patch, code):
    disk = TroubledDisk()
    write(photo, patch, disk=disk)
    last = disk.log.index("replace") if "replace" in disk.log else len(disk.log) - 1
    for at in range(disk.log.index("open") + 1, last):
        make_photo(photo)
        if disk.log[at] in ("close", "lease"):  # without a lease it goes on
            continue
        if disk.log[at] == "open" and at < disk.log.index("fstat") and code in (errno.EACCES, errno.EPERM):
            continue  # it is tried again without O_NOATIME
        with pytest.raises(PhotoError, match=r"[a-z ]+.*: [a-z]+") as caught:
            write(photo, patch, disk=failing(at, code))
        assert isinstance(caught.value, WriteError if code in (errno.ENOSPC, errno.EIO) else Refused)
        assert photo.read_bytes() == OLD
        assert state(photo).mtime_ns == MTIME
        assert os.listdir(photo.parent) == [photo.name]


@every_error
def test_the_reason_for_an_unreadable_file_is_plain(photo, code):
    disk = TroubledDisk()
    read.read_whole(str(photo), disk=disk)
    assert disk.log[-1] == "close"
    for at in (at for at, name in enumerate(disk.log) if name not in ("open", "close")):
        with pytest.raises(ReadError, match=r"[a-z ]+.*: [a-z]+"):
            read.read_whole(str(photo), disk=failing(at, code))


def test_a_leftover_that_cannot_be_removed_is_not_forgotten(photo):
    photo.with_name(TEMP).write_bytes(b"half")
    with pytest.raises(Refused, match="read-only"):
        files.remove_temp(str(photo), TEMP, failing(None, errno.EROFS, only=["unlink"]))
    files.remove_temp(str(photo), TEMP)
    files.remove_temp(str(photo), TEMP, failing(None, errno.EROFS, only=["unlink"]))
    files.remove_temp(str(photo), TEMP)
    assert leftovers(photo.parent) == []


def killed_after(seconds, state_dir, folder):
    """Run the victim and kill it so long after it has started to write."""
    command = [sys.executable, kill_victim.__file__, str(state_dir), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}) as victim:
        assert victim.stdout.readline() == b"started\n"
        with pytest.raises(subprocess.TimeoutExpired):
            victim.wait(seconds)
        victim.send_signal(signal.SIGKILL)
        assert victim.wait() == -signal.SIGKILL


def journalled(journal):
    """What the journal says each photo holds: "old" or "new"."""
    rows = journal._db.execute("SELECT path, status, undoes FROM writes WHERE status IN ('fixed', 'undone') ORDER BY id")
    return {os.fsdecode(path): "new" if status == "fixed" and undoes is None else "old" for path, status, undoes in rows}


def test_the_containers_take_every_way_to_the_disk():
    found = {}
    for name, draw in small_containers.WAYS.items():
        patch = formats.plan(formats.sniff(draw()), draw(), 6)
        found.setdefault(name.split(":")[0], set()).add((files.fits_one_page(patch), patch.keeps_length))
    grown, in_place, two_pages = (False, False), (True, True), (False, True)
    assert found.pop("png") == {grown, in_place, two_pages}
    assert list(found) == ["webp", "tiff", "heif", "avif"]
    assert all(ways == {grown, in_place} for ways in found.values())


@pytest.mark.slow
@pytest.mark.parametrize("draw", [kill_victim.draw, small_containers.draw], ids=["jpeg", "other containers"])
def test_kill_9_at_random_moments_leaves_every_photo_old_or_new_and_the_journal_right(tmp_path, draw):
    folder, state_dir, moments = tmp_path / "photos", tmp_path / "state", random.Random(9)
    folder.mkdir()
    versions = {}
    for number in range(PHOTOS):
        path, data = folder / f"{number:03}.jpg", draw(number)
        new = formats.plan(formats.sniff(data), data, 6).apply(data)
        versions[str(path)] = {data: "old", new: "new"}
        path.write_bytes(data)
        os.utime(path, ns=(MTIME, MTIME))

    def held():
        return {path: versions[path].get(Path(path).read_bytes(), "neither") for path in versions}

    interrupted = 0
    for _ in range(KILLS):
        killed_after(moments.uniform(0, 0.6), state_dir, folder)
        assert "neither" not in held().values()
        assert len(leftovers(folder)) <= 1
        with Lock(state_dir), Journal(state_dir) as journal:
            interrupted += len(recover(journal))
            assert journal.unsettled() == []
            assert leftovers(folder) == []
            assert dict.fromkeys(versions, "old") | journalled(journal) == held()

    with Lock(state_dir), Journal(state_dir) as journal:
        assert {outcome.status for outcome in kill_victim.fix_all(journal, list(versions))} <= {Status.FIXED}
        assert set(held().values()) == {"new"}
        assert {outcome.status for outcome in kill_victim.undo_all(journal)} == {Status.FIXED}
        assert held() == dict.fromkeys(versions, "old")
        assert {os.stat(path).st_mtime_ns for path in versions} == {MTIME}
    print(f"{KILLS} kills, {interrupted} of them within a write")
