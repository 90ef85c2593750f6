"""Nothing outside the folders given is written, whatever symbolic links, plans or state databases say, and nothing falls over."""

import csv
import json
import os
import sqlite3
import tempfile
from contextlib import closing, suppress
from dataclasses import astuple
from hashlib import sha256
from pathlib import Path

import pytest
import skies
from hypothesis import given, settings
from hypothesis import strategies as st
from writing_disks import TOYS, Killed, Toy, TroubledDisk, dying, leftovers, turned_toy, witness

from orientd import files, record
from orientd.act import Fixer, recover, undo
from orientd.errors import StateError
from orientd.items import FileStat, Status
from orientd.record import Journal

MTIME = 1_600_000_000_123_456_789
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
                return recover(journal, disk)
            run, path = journal.start_run(deed), str(self.inside / "photo.jpg")
            if deed == "undo":
                return list(undo(journal, run, journal.writes(1), disk=disk))
            digest = self.before[self.outside / "photo.jpg"][0]
            return Fixer(journal, run, Toy(), witness, disk=disk).fix(path, None, None, sha256(digest).hexdigest(), 90)


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
    open_files = os.listdir("/proc/self/fd")
    for path, error in {"link/b": "symbolic links", "a/c": "No such file", f"{tmp_path}/link": "symbolic links"}.items():
        with pytest.raises(OSError, match=error):
            files.DISK.folder(path, access)
    with pytest.raises(ValueError, match=r"\.\."):
        files.DISK.folder("a/../a", access)
    assert os.listdir("/proc/self/fd") == open_files


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
    inside, outside = skies.draw(photos / "a.jpg", 90), skies.draw(tmp_path / "elsewhere" / "a.jpg", 90)
    for path in (inside, outside):
        os.utime(path, ns=(MTIME, MTIME))
    return outside


@pytest.mark.parametrize(
    "how", ["{0}", "{1}/../elsewhere/a.jpg", "{1}/../photos/../elsewhere/a.jpg", "{1}/album/a.jpg", "{1}/l.jpg"]
)
def test_a_plan_writes_only_what_was_scanned_or_is_named(orientd, photos, elsewhere, tmp_path, how):
    before, plan, report = skies.snapshot(elsewhere.parent), tmp_path / "plan.csv", tmp_path / "done.csv"
    (photos / "album").symlink_to(elsewhere.parent)
    (photos / "l.jpg").symlink_to(elsewhere)
    assert orientd("scan", photos, "--report", plan) == 0
    edit(plan, how.format(elsewhere, photos))
    assert orientd("apply", plan, "--report", report) == 3
    assert orientd("apply", plan, photos, "--report", report) == 3
    assert skies.snapshot(elsewhere.parent) == before
    reasons = {row["reason"] for row in skies.rows(report).values()}
    assert any("outside" in reason or "symbolic link" in reason for reason in reasons)
    assert orientd("apply", plan, elsewhere.parent, "--report", report) == (3 if how.endswith("/l.jpg") else 0)


def test_a_plan_writes_no_further_than_the_folders_named_with_it(orientd, photos, elsewhere, tmp_path):
    plan = tmp_path / "plan.csv"
    assert orientd("scan", photos, elsewhere.parent, "--report", plan) == 0
    assert orientd("apply", plan, elsewhere.parent, "--report", tmp_path / "done.csv") == 3
    assert (skies.shown_turned(photos / "a.jpg"), skies.shown_turned(elsewhere)) == (90, 0)
    assert orientd("apply", plan, tmp_path / "nowhere", "--report", tmp_path / "none.csv") == 75


def test_a_scan_goes_through_no_link(orientd, photos, elsewhere, tmp_path):
    before = skies.snapshot(elsewhere.parent)
    (photos / "album").symlink_to(elsewhere.parent)
    (photos / "l.jpg").symlink_to(elsewhere)
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") == 0
    assert skies.snapshot(elsewhere.parent) == before
    assert skies.shown_turned(photos / "a.jpg") == 0
    assert "symbolic link" in skies.rows(tmp_path / "1.csv")[str(photos / "l.jpg")]["reason"]


@pytest.fixture
def journal(orientd, photos, tmp_path, monkeypatch):
    """The path of a journal that tells of one fix; the victim of what it will be made to tell lies beside the library."""
    monkeypatch.setenv("ORIENTD_STATE_DIR", str(tmp_path / "state"))
    skies.draw(photos / "a.jpg", 90)
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "0.csv") == 0
    (tmp_path / "victim").write_bytes(EVIL.replace(b"evil", b"good"))
    return tmp_path / "state" / "journal.db"


def change(journal, *statements):
    with closing(sqlite3.connect(journal)) as db, db:
        for statement, *values in statements:
            db.execute(statement, values)


def told(path, new, state="fixed", old=EVIL, method="tag"):
    """Statements that make a journal tell that orientd turned `old` into `new` at a path."""
    stat = json.dumps(astuple(FileStat(os.stat(path.parent).st_dev, 1, len(old), 1, 1)))
    start = next((i for i, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), 0)
    end = start + 4 if len(old) == len(new) else None
    named = {"path": os.fsencode(path), "old_stat": stat, "method": method, "status": state}
    named |= {"old_sha256": sha256(old).hexdigest(), "new_sha256": sha256(new).hexdigest()}
    return (
        (f"UPDATE writes SET {', '.join(f'{name} = ?' for name in named)}", *named.values()),
        ("UPDATE splices SET offset = ?, old = ?, new = ?", start, old[start:end], new[start:end]),
    )


def test_undo_makes_no_photo_of_what_is_none(orientd, journal, tmp_path):
    victim = tmp_path / "victim"
    held = victim.read_bytes()
    change(journal, *told(victim, held))
    assert orientd("undo") == 3
    assert victim.read_bytes() == held


def test_undo_would_write_what_the_journal_says_but_for_that_check(orientd, journal, tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    change(journal, *told(victim, victim.read_bytes()))
    monkeypatch.setattr("orientd.act.guard.admit", lambda *_: None)
    assert orientd("undo") == 0
    assert victim.read_bytes() == EVIL


@pytest.mark.parametrize("method", ["tag", "sidecar"])
@pytest.mark.parametrize("name", ["cron", "photo.xmp"])
def test_undo_makes_no_file(orientd, journal, tmp_path, method, name):
    change(journal, *told(tmp_path / name, b"", method=method))
    assert orientd("undo") == 3
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["victim", "victim.xmp"])
def test_undo_removes_no_file_but_a_sidecar(orientd, journal, tmp_path, name):
    victim = (tmp_path / "victim").rename(tmp_path / name)
    change(journal, *told(victim, victim.read_bytes(), old=b"", method="sidecar"))
    assert orientd("undo") == 3
    assert victim.exists()


def test_a_half_done_write_of_what_is_no_photo_is_not_mended(orientd, journal, photos, tmp_path):
    victim = tmp_path / "victim"
    held = victim.read_bytes()
    change(journal, *told(victim, held), ("UPDATE writes SET status = 'intended', new_sha256 = ?", "0" * 64))
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") == 0
    assert victim.read_bytes() == held


def test_a_patch_that_leads_to_other_bytes_than_recorded_is_not_written(orientd, journal, photos, capsys):
    before = skies.snapshot(photos)
    change(journal, ("UPDATE splices SET old = ?", b"\x07"))
    assert orientd("undo") == 3
    assert "what the journal holds of it was changed or damaged" in capsys.readouterr().err
    assert skies.snapshot(photos) == before


def test_the_name_of_a_temporary_file_leads_nowhere(orientd, journal, photos, tmp_path):
    change(journal, ("UPDATE writes SET status = 'intended', temp = ?", "../victim"))
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") == 1
    assert (tmp_path / "victim").exists()


ODD = {
    "path": [b"photos/a.jpg", b"/photos/../etc/passwd", b"/a\0b", "/photos/a.jpg", 7, b""],
    "format": ["exe", b"jpeg", 1],
    "old_stat": ["", "[1]", "[1,2,3,4,5,6]", "[" * 99999, '["1",2,3,4,5]', "[1,2,-3,4,5]", "[1,2,3,1e99,5]", "null", b"\xff", 9],
    "old_sha256": ["", "x" * 64, b"a", 1.5],
    "new_sha256": ["A" * 64, None],
    "old_orientation": ["six", 1.5, b"\x01"],
    "turn": ["left", b""],
    "method": ["delete", 3],
    "probabilities": ["{}}", '["a"]', "7", "[null]"],
    "mtime_ns": ["yesterday", 1e300, b"", b"yesterday", b"9" * 99],
    "temp": ["", "../x", ".orientd-0123456789abcdef.tmp\n", b".orientd-0123456789abcdef.tmp", "/etc/passwd"],
    "status": ["fixed ", 1],
    "reason": [5],
    "new_stat": ["[", "[1,2,3]", "0"],
}
ODD_SPLICES = {"offset": [-1, 2**62, "x", 1.5], "old": ["text", 5], "new": ["text", None.__class__.__name__]}


@pytest.mark.parametrize(("column", "value"), [(name, value) for name, values in ODD.items() for value in values])
def test_a_field_that_orientd_cannot_have_written_is_told(journal, column, value):
    with closing(sqlite3.connect(journal)) as db, db:
        try:
            db.execute(f"UPDATE writes SET {column} = ?", (value,))
        except sqlite3.IntegrityError:
            return  # the table itself refuses it
    with Journal(journal.parent) as opened, pytest.raises(StateError, match=r"no orientd wrote.*move it away"):
        list(opened.writes(1))


@pytest.mark.parametrize(("column", "value"), [(name, value) for name, values in ODD_SPLICES.items() for value in values])
def test_a_change_that_orientd_cannot_have_made_is_told(journal, column, value):
    change(journal, (f"UPDATE splices SET {column} = ?", value))
    with Journal(journal.parent) as opened, pytest.raises(StateError, match=r"no orientd wrote.*move it away"):
        list(opened.writes(1))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE writes SET temp = 7",
        "UPDATE splices SET old = zeroblob(2000000)",
        "UPDATE writes SET path = zeroblob(2000000)",
        "CREATE TRIGGER t AFTER UPDATE ON writes BEGIN DELETE FROM runs; END",
        "CREATE VIEW v AS SELECT * FROM runs",
        "ALTER TABLE writes RENAME COLUMN temp TO temporary",
        "ALTER TABLE splices DROP COLUMN new",
        "ALTER TABLE runs RENAME TO walks",
    ],
)
def test_a_journal_changed_on_purpose_ends_a_command_with_advice(
    orientd, journal, photos, tmp_path, monkeypatch, capsys, statement
):
    monkeypatch.setattr(record, "_MOST_BYTES", 10**6)
    change(journal, (statement,))
    before = skies.snapshot(photos)
    assert orientd("undo") == 1
    assert str(journal) in capsys.readouterr().err
    for command in (["history"], ["status"], ["scan", photos, "--fix", "--report", tmp_path / "1.csv"]):
        assert orientd(*command) in (0, 1)
    assert skies.snapshot(photos) == before


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A journal that tells of one fix, of one that was taken back and of one that was interrupted, as bytes."""
    folder = tmp_path_factory.mktemp("sound")
    (folder / "photos").mkdir()
    with Journal(folder) as journal:
        for kind in TOYS:
            path = folder / "photos" / f"{kind}.jpg"
            path.write_bytes(TOYS[kind])
            fixer = Fixer(journal, journal.start_run("fix"), Toy(), witness)
            fixer.fix(str(path), None, None, sha256(TOYS[kind]).hexdigest(), 90)
        list(undo(journal, journal.start_run("undo"), journal.writes(1)))
        journal._db.execute("UPDATE writes SET status = 'intended' WHERE id = 2")
    return (folder / "journal.db").read_bytes()


@settings(max_examples=100)
@given(data=st.data())
def test_a_journal_damaged_anywhere_is_told_or_read_and_never_a_traceback(sound, data):
    spoilt = bytearray(sound)
    used = [at for at, byte in enumerate(sound) if byte]
    for at in data.draw(st.lists(st.sampled_from(used), min_size=1, max_size=6)):
        spoilt[at] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        Path(folder, "journal.db").write_bytes(spoilt)
        with suppress(StateError), Journal(folder) as journal:
            runs = journal.runs()
            for write in [
                *journal.unsettled(),
                *journal.last_writes(),
                *(each for run in runs for each in journal.writes(run.id)),
            ]:
                assert "/../" not in write.intent.path
                assert os.path.basename(write.intent.temp) == write.intent.temp
            journal.roots()


@pytest.mark.parametrize("name", ["lock", "journal.db", "seen.db"])
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_file_of_the_state_folder_that_is_a_link_is_not_written(orientd, photos, tmp_path, capsys, name, link):
    victim, state = tmp_path / "victim", tmp_path / "state"
    skies.draw(photos / "a.jpg", 90)
    state.mkdir()
    victim.write_bytes(EVIL * 9)
    link(victim, state / name)
    before = skies.snapshot(photos)
    code = orientd("scan", photos, "--fix", "--state-dir", state, "--report", tmp_path / "1.csv")
    assert victim.read_bytes() == EVIL * 9
    if link is os.symlink or name == "lock":
        assert code == 1
        assert str(state) in capsys.readouterr().err
        assert skies.snapshot(photos) == before


@pytest.mark.parametrize("statement", ["command = 7", "started_ns = 'long ago'", "finished_ns = 1e99"])
def test_a_run_changed_on_purpose_ends_a_command_with_advice(orientd, journal, capsys, statement):
    change(journal, (f"UPDATE runs SET {statement}",))
    assert (orientd("history"), orientd("status")) == (1, 1)
    assert str(journal) in capsys.readouterr().err


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
    skies.draw(photos / "a.jpg", 90)
    skies.draw(photos / "b.jpg", 0)
    more = ("--state-dir", tmp_path / "state")
    assert orientd("scan", photos, "--report", tmp_path / "1.csv", *more) == 0
    change(tmp_path / "state" / "seen.db", (statement,))
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "2.csv", *more) == 0
    assert (skies.shown_turned(photos / "a.jpg"), skies.shown_turned(photos / "b.jpg")) == (0, 0)
    outcomes = [row["outcome"] for row in skies.rows(tmp_path / "2.csv").values()]
    assert outcomes == [Status.FIXED, Status.PENDING]
