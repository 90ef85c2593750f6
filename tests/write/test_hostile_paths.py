"""Nothing outside the folders given is written, whatever symbolic links, plans or memories say, and nothing falls over."""

import csv
import os
import sqlite3
from contextlib import closing
from hashlib import sha256

import pytest
from support import sky_library
from support.faulty_disks import TOYS, Killed, Toy, TroubledDisk, admit, dying, leftovers, second_reader, turned_toy
from support.small_photos import MTIME

from orientd.files import write as files
from orientd.records import Row, Status
from orientd.state.journal import Journal
from orientd.write.fix import Fixer
from orientd.write.recover import recover
from orientd.write.undo import undo

EVIL = b"* * * * * root evil\n"


def snapshot(folder):
    return {path: (path.read_bytes(), os.stat(path).st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


class Following(TroubledDisk):
    """A disk that goes wherever links lead, as a plain `open` does."""

    def folder(self, path, access):
        return os.open(path, os.O_DIRECTORY | access)


class Twins:
    """A photo in a library and its twin outside; the folder in the library may be swapped for a link to the one outside."""

    def __init__(self, root, kind):
        self.inside, self.outside, self.state = root / "library" / "album", root / "outside", root / "state"
        for folder in (self.inside, self.outside):
            folder.mkdir(parents=True)
            (folder / "photo.jpg").write_bytes(TOYS[kind])
            os.utime(folder / "photo.jpg", ns=(MTIME, MTIME))
        self.before = snapshot(self.outside)

    def swap(self):
        self.inside.rename(self.inside.with_name("moved"))
        self.inside.symlink_to(self.outside)

    def act(self, deed, disk):
        with Journal(self.state) as journal:
            journal._db.execute("PRAGMA synchronous = OFF")
            if deed == "recover":
                return recover(journal, disk, admit=admit)
            run, path = journal.start_run(deed), str(self.inside / "photo.jpg")
            if deed == "undo":
                return list(undo(journal, run, journal.writes(1), disk=disk, admit=admit))
            digest = self.before[self.outside / "photo.jpg"][0]
            row = Row(path, turn=90, sha256=sha256(digest).hexdigest())
            return Fixer(journal, run, Toy(), second_reader, disk=disk).fix(row)


def swapping(twins, at, disk=TroubledDisk):
    return disk(lambda disk, number, name, args: twins.swap() if number == at else None)


def prepared(root, kind, deed, disk=TroubledDisk):
    """Twins of which the one in the library was fixed, or half fixed, if the deed needs that; the other has the same bytes."""
    twins = Twins(root, kind)
    if deed == "undo":
        twins.act("fix", TroubledDisk())
        (twins.outside / "photo.jpg").write_bytes(turned_toy(TOYS[kind]))
    elif deed == "recover":
        with pytest.raises(Killed):
            twins.act("fix", dying(len(steps(root / "rehearsal", kind, "fix")) - 2))
    twins.before = snapshot(twins.outside)
    return twins


def steps(root, kind, deed):
    disk = TroubledDisk()
    prepared(root, kind, deed).act(deed, disk)
    return disk.log


@pytest.mark.parametrize("kind", ["in place", "grows"])
@pytest.mark.parametrize("deed", ["fix", "undo", "recover"])
def test_a_folder_swapped_for_a_link_at_any_step_leads_nowhere(tmp_path, kind, deed):
    log = steps(tmp_path / "first", kind, deed)
    assert "folder" in log
    for at in range(len(log)):
        twins = prepared(tmp_path / str(at), kind, deed)
        twins.act(deed, swapping(twins, at))
        assert twins.inside.is_symlink()
        assert snapshot(twins.outside) == twins.before, log[at]
        assert leftovers(twins.outside) == []


def test_a_disk_that_follows_links_would_be_found_out(tmp_path):
    twins = prepared(tmp_path, "in place", "fix")
    twins.act("fix", swapping(twins, 0, Following))
    assert snapshot(twins.outside) != twins.before


@pytest.mark.parametrize("access", [os.O_PATH, os.O_RDONLY])
def test_a_path_is_followed_without_links_from_the_root_and_from_here(tmp_path, monkeypatch, access):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (tmp_path / "link").symlink_to("a")
    monkeypatch.chdir(tmp_path)
    for path in (str(folder), "a/b", "./a//b/", "."):
        opened = files.DISK.folder(path, access)
        assert os.path.samestat(os.fstat(opened), os.stat(path))
        os.close(opened)
    open_files = set(os.listdir("/proc/self/fd"))
    for path, error in {"link/b": "symbolic links", "a/c": "No such file", f"{tmp_path}/link": "symbolic links"}.items():
        with pytest.raises(OSError, match=error):
            files.DISK.folder(path, access)
    with pytest.raises(ValueError, match=r"\.\."):
        files.DISK.folder("a/../a", access)
    assert set(os.listdir("/proc/self/fd")) <= open_files, "of other tests some may be closed meanwhile"


def edit(plan, path):
    with plan.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with plan.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"path": path} for row in rows)


@pytest.fixture
def elsewhere(photos, tmp_path):
    """A photo outside the library, with the same bytes as the one in it."""
    inside, outside = sky_library.draw(photos / "a.jpg", 90), sky_library.draw(tmp_path / "elsewhere" / "a.jpg", 90)
    for path in (inside, outside):
        os.utime(path, ns=(MTIME, MTIME))
    return outside


@pytest.mark.parametrize(
    "how", ["{0}", "{1}/../elsewhere/a.jpg", "{1}/../photos/../elsewhere/a.jpg", "{1}/album/a.jpg", "{1}/l.jpg"]
)
def test_a_plan_writes_only_what_was_scanned_or_is_named(orientd, photos, elsewhere, tmp_path, how):
    before, plan, report = sky_library.snapshot(elsewhere.parent), tmp_path / "plan.csv", tmp_path / "done.csv"
    (photos / "album").symlink_to(elsewhere.parent)
    (photos / "l.jpg").symlink_to(elsewhere)
    assert orientd("scan", photos, "--report", plan) == 0
    edit(plan, how.format(elsewhere, photos))
    assert orientd("apply", plan, "--report", report) == 3
    assert orientd("apply", plan, photos, "--report", report) == 3
    assert sky_library.snapshot(elsewhere.parent) == before
    reasons = {row["reason"] for row in sky_library.rows(report).values()}
    assert any("outside" in reason or "symbolic link" in reason for reason in reasons)
    assert orientd("apply", plan, elsewhere.parent, "--report", report) == (3 if how.endswith("/l.jpg") else 0)


def test_a_plan_writes_no_further_than_the_folders_named_with_it(orientd, photos, elsewhere, tmp_path):
    plan = tmp_path / "plan.csv"
    assert orientd("scan", photos, elsewhere.parent, "--report", plan) == 0
    assert orientd("apply", plan, elsewhere.parent, "--report", tmp_path / "done.csv") == 3
    assert (sky_library.shown_turned(photos / "a.jpg"), sky_library.shown_turned(elsewhere)) == (90, 0)
    assert orientd("apply", plan, tmp_path / "nowhere", "--report", tmp_path / "none.csv") == 75


def test_a_scan_goes_through_no_link(orientd, photos, elsewhere, tmp_path):
    before = sky_library.snapshot(elsewhere.parent)
    (photos / "album").symlink_to(elsewhere.parent)
    (photos / "l.jpg").symlink_to(elsewhere)
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") == 0
    assert sky_library.snapshot(elsewhere.parent) == before
    assert sky_library.shown_turned(photos / "a.jpg") == 0
    assert "symbolic link" in sky_library.rows(tmp_path / "1.csv")[str(photos / "l.jpg")]["reason"]


@pytest.mark.parametrize("name", ["lock", "journal.db", "seen.db"])
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_file_of_the_state_folder_that_is_a_link_is_not_written(orientd, photos, tmp_path, capsys, name, link):
    victim, state = tmp_path / "victim", tmp_path / "state"
    sky_library.draw(photos / "a.jpg", 90)
    state.mkdir()
    victim.write_bytes(EVIL * 9)
    link(victim, state / name)
    before = sky_library.snapshot(photos)
    code = orientd("scan", photos, "--fix", "--state-dir", state, "--report", tmp_path / "1.csv")
    assert victim.read_bytes() == EVIL * 9
    if link is os.symlink or name == "lock":
        assert code == 1
        assert str(state) in capsys.readouterr().err
        assert sky_library.snapshot(photos) == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE seen SET turn = 'left'",
        "UPDATE seen SET decision = 'delete'",
        "UPDATE seen SET turn = 45, decision = 'fix'",
        "UPDATE seen SET width = x'00', sha256 = 5",
        "UPDATE seen SET p0 = 'high', reason = NULL",
        "UPDATE seen SET judge = 5",
        "ALTER TABLE seen ADD COLUMN more",
        "ALTER TABLE seen RENAME COLUMN p0 TO p1",
        "CREATE TRIGGER t BEFORE DELETE ON seen BEGIN SELECT raise(ABORT, 'no'); END",
    ],
)
def test_a_memory_changed_on_purpose_is_not_believed(orientd, photos, tmp_path, statement):
    sky_library.draw(photos / "a.jpg", 90)
    sky_library.draw(photos / "b.jpg", 0)
    more = ("--state-dir", tmp_path / "state")
    assert orientd("scan", photos, "--report", tmp_path / "1.csv", *more) == 0
    with closing(sqlite3.connect(tmp_path / "state" / "seen.db")) as db, db:
        db.execute(statement)
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "2.csv", *more) == 0
    assert (sky_library.shown_turned(photos / "a.jpg"), sky_library.shown_turned(photos / "b.jpg")) == (0, 0)
    outcomes = [row["outcome"] for row in sky_library.rows(tmp_path / "2.csv").values()]
    assert outcomes == [Status.FIXED, Status.PENDING]
