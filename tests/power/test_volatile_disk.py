"""Every state in which a power cut may leave a photo, by a model of the disk (`volatile_disk`): the next run finds old or new.

The journal is on a disk of its own that keeps what was synced. Real file systems on disks that lose their power: `run_cuts.py`.
"""

import errno
import os
import stat

import pytest
from power.volatile_disk import Event, Start, VolatileDisk, after_cut
from support.faulty_disks import Killed, TroubledDisk, failing
from support.small_photos import MTIME
from write.test_crash_points import Scene, every_kind, photo  # noqa: F401

from orientd.files import write as files
from orientd.files.write import PAGE
from orientd.state import journal
from orientd.state.journal import Journal

SHIFTED, SECTOR = MTIME + 2 * 10**9, 512
CHANGING = ("after intend", "open", "pwrite", "utime", "fchmod", "fsync", "replace")
FAILING = ("pwrite", "utime", "fsync", "fchmod", "replace")
every_deed = pytest.mark.parametrize("deed", ["fix", "undo"])


class Cut(Scene):
    """A scene whose disk loses its power."""

    def begin(self, deed):
        self.reset(fixed=deed == "undo")
        return self.start()

    def start(self):
        return Start.of(self.photo.parent, self.journalled())

    def journalled(self):
        """The files of the journal, but for the index that SQLite makes anew."""
        return tuple((path.name, path.read_bytes()) for path in sorted(self.state_dir.iterdir()) if path.suffix != ".db-shm")

    def events(self, deed, trouble=lambda *_: None):
        """All that a deed does to the disk."""
        disk = VolatileDisk(self.journalled, trouble)
        self.act(deed, disk)
        return disk.events

    def put(self, left):
        """Make folder and journal what is left of them."""
        for path in [*self.photo.parent.iterdir(), *self.state_dir.iterdir()]:
            path.unlink()
        for name, data, mtime in left.files:
            self.photo.with_name(name).write_bytes(data)
            os.utime(self.photo.with_name(name), ns=(MTIME, mtime))
        for name, data in left.journal:
            (self.state_dir / name).write_bytes(data)

    def check_settled(self):
        super().check_settled()
        assert os.stat(self.photo).st_mtime_ns == (MTIME if self.held() == "old" else SHIFTED)

    def killed(self, deed, at):
        """All that a deed does to the disk until it is killed at call number `at`."""

        def trouble(disk, number, name, args):
            if number >= at:
                raise Killed

        disk = VolatileDisk(self.journalled, trouble)
        with pytest.raises(Killed):
            self.act(deed, disk)
        return disk.events

    def check_recoveries(self, cuts, torn=False):
        """The next run settles what is left; it finds old or new, or else a page that is `torn`."""
        for left in cuts:
            self.put(left)
            if not torn:
                self.check_whole()
            self.act("recover", TroubledDisk())
            self.check_settled()

    def check_cuts(self, deed):
        """A power cut at any moment of a deed, and another at any moment of the run that follows, leave old or new."""
        seen = set()
        for left in cuts(self.begin(deed), self.events(deed)):
            self.put(left)
            self.check_whole()
            seen.add(self.held())
            self.check_recoveries(cuts(self.start(), self.events("recover")))
        assert seen == {"old", "new"}

    def check_kills(self, deed, calls):
        """A kill right after any of these calls, and a power cut at any moment of the run that follows, leave old or new."""
        self.begin(deed)
        log = self.steps(deed)
        after = [at for at in range(1, len(log)) if log[at - 1] in calls]
        assert after
        for at in after:
            start = self.begin(deed)
            before = self.killed(deed, at)
            self.check_recoveries(cuts(start, before + self.events("recover"), since=len(before)))


def cuts(start, events, unit=PAGE, since=0):
    """What a power cut at any moment, `since` so many events, may leave, each once."""
    left = (left for number in range(since, len(events) + 1) for left in after_cut(start, events[:number], unit))
    return list(dict.fromkeys(left))


@pytest.fixture
def scene(photo, kind):  # noqa: F811
    return Cut(photo, kind)


@every_kind
@every_deed
def test_a_power_cut_and_another_in_the_next_run_leave_old_or_new(scene, deed):
    scene.check_cuts(deed)


@every_deed
@pytest.mark.parametrize("kind", ["two tags in a page"])
def test_a_page_torn_by_a_power_cut_is_mended(scene, deed):
    torn = 0
    for left in cuts(scene.begin(deed), scene.events(deed), SECTOR):
        scene.put(left)
        torn += scene.held() == "neither"
        scene.check_recoveries(cuts(scene.start(), scene.events("recover"), SECTOR), torn=True)
    assert torn


@every_kind
@every_deed
def test_an_error_and_a_power_cut_leave_old_or_new(scene, deed):
    scene.begin(deed)
    log = scene.steps(deed)
    assert {"pwrite", "utime", "fsync"} <= set(log)
    for at in (at for at, name in enumerate(log) if name in FAILING):
        scene.check_recoveries(cuts(scene.begin(deed), scene.events(deed, failing(at, errno.EIO).trouble)))


@every_kind
@every_deed
def test_a_kill_and_a_power_cut_in_the_next_run_leave_old_or_new(scene, deed):
    scene.check_kills(deed, CHANGING)


def synced(disk, file, but):
    """Note a sync, but for those of one kind of file."""
    if not but(os.fstat(file).st_mode):
        disk.events.append(Event("sync", os.fstat(file).st_ino))


@pytest.mark.parametrize("kind", ["two pages"])
@pytest.mark.parametrize("fault", ["files are not synced", "folders are not synced", "two pages in place"])
def test_the_check_fails_where_something_is_left_out(scene, fault, monkeypatch):
    if fault == "two pages in place":
        monkeypatch.setattr(files, "fits_one_page", lambda patch: patch.keeps_length)
    else:
        kind = stat.S_ISDIR if fault.startswith("folders") else stat.S_ISREG
        monkeypatch.setattr(VolatileDisk, "_fsync", lambda disk, _, args, more: synced(disk, args[0], but=kind))
    left = cuts(scene.begin("fix"), scene.events("fix"))
    monkeypatch.undo()
    with pytest.raises(AssertionError):
        scene.check_recoveries(left)


def test_a_new_journal_is_synced_with_the_folders_made_for_it(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(journal.os, "fsync", lambda file: synced.append(os.readlink(f"/proc/self/fd/{file}")))
    state_dir = tmp_path / "state" / "orientd"
    with Journal(state_dir):
        made = [str(folder) for folder in (state_dir, *state_dir.parents)]
    assert synced[:3] == made[:3]
    synced.clear()
    with Journal(state_dir):
        assert synced == []
