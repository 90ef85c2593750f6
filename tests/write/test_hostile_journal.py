"""A journal that was changed on purpose, damaged, or handed over has nothing written but what orientd itself would write."""

import json
import logging
import os
import sqlite3
import tempfile
from contextlib import closing, suppress
from dataclasses import astuple
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import sky_library
from support.faulty_disks import TOYS, Toy, admit, second_reader

from orientd import formats
from orientd.config import Config
from orientd.errors import StateError
from orientd.records import FileStat, Format, Row
from orientd.state import journal_schema
from orientd.state.journal import Journal
from orientd.state.originals import Originals
from orientd.state.seen import Seen
from orientd.watch.metrics import Metrics
from orientd.watch.worker import Worker
from orientd.write.fix import Fixer
from orientd.write.undo import undo

EVIL = b"* * * * * root evil\n"


@pytest.fixture
def journal(orientd, photos, tmp_path, monkeypatch):
    """The path of a journal that tells of one fix; the victim of what it will be made to tell lies beside the library."""
    monkeypatch.setenv("ORIENTD_STATE_DIR", str(tmp_path / "state"))
    sky_library.draw(photos / "a.jpg", 90)
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
    assert orientd("undo", "--yes") == 3
    assert victim.read_bytes() == held


def test_undo_would_write_what_the_journal_says_but_for_that_check(orientd, journal, tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    change(journal, *told(victim, victim.read_bytes()))
    monkeypatch.setattr("orientd.write.undo_guard.admit", lambda *_, **__: None)
    assert orientd("undo", "--yes") == 0
    assert victim.read_bytes() == EVIL


@pytest.fixture
def elsewhere(tmp_path):
    """A photo in another folder than the one scanned, and another photo to be put in its place."""
    return sky_library.draw(tmp_path / "elsewhere" / "b.jpg", 90, seed=1), sky_library.draw(
        tmp_path / "c.jpg", 90, seed=2
    ).read_bytes()


@pytest.mark.parametrize("method", ["tag", "rotate"])
@pytest.mark.parametrize("named", [False, True])
def test_undo_puts_no_other_photo_in_the_place_of_one(orientd, journal, elsewhere, capsys, method, named):
    victim, evil = elsewhere
    before = sky_library.snapshot(victim.parent)
    change(journal, *told(victim, victim.read_bytes(), old=evil, method=method))
    with Journal(journal.parent) as opened:
        Originals(journal.parent).keep(next(opened.writes(1)).intent.temp, evil)
    assert orientd("verify") == 3
    assert "spoilt" in capsys.readouterr().err
    assert orientd("undo", "--yes", *(["--file", victim] if named else [])) == 3
    assert "left alone" in capsys.readouterr().err
    assert sky_library.snapshot(victim.parent) == before


def test_the_most_a_journal_can_have_done_is_a_turn(orientd, journal, elsewhere):
    victim = elsewhere[0]
    held = victim.read_bytes()
    change(journal, *told(victim, held, old=formats.plan(Format.JPEG, held, 1).apply(held)))
    assert orientd("undo", "--yes") == 0
    assert formats.plan(Format.JPEG, victim.read_bytes(), 8).apply(victim.read_bytes()) == held


@pytest.mark.parametrize("named", ["a.jpg", "."])
def test_what_a_former_orientd_wrote_is_taken_back_once_the_photo_or_its_folder_is_named(orientd, journal, photos, capsys, named):
    """It would have put a comment beside the orientation, which today's does not."""
    victim = photos / "a.jpg"
    old = victim.read_bytes()
    former = old[:2] + b"\xff\xfe\x00\x06good" + old[2:]
    victim.write_bytes(former)
    change(journal, *told(victim, former, old=old), ("UPDATE splices SET offset = 2, old = x'', new = ?", former[2:10]))
    assert orientd("undo", "--yes") == 3
    assert f"undo --file {victim}" in capsys.readouterr().err
    assert orientd("undo", "--file", photos / named) == 0
    assert victim.read_bytes() == old


def test_what_a_former_orientd_left_torn_is_mended_once_the_photo_is_named(orientd, journal, photos, capsys):
    """It would have changed the camera's name, too, of which only the first byte reached the disk."""
    victim = photos / "a.jpg"
    held = victim.read_bytes()
    old = formats.plan(Format.JPEG, held, 8).apply(held)
    former, torn = (held.replace(b"a camera", name) for name in (b"my photo", b"m camera"))
    at, end = next(i for i, pair in enumerate(zip(old, former, strict=True)) if pair[0] != pair[1]), former.index(b"my photo") + 8
    victim.write_bytes(torn)
    splice = ("UPDATE splices SET offset = ?, old = ?, new = ?", at, old[at:end], former[at:end])
    change(journal, *told(victim, former, "intended", old), splice)
    orientd("undo", "--yes")
    assert (victim.read_bytes() == torn, f"undo --file {victim}" in capsys.readouterr().err) == (True, True)
    orientd("undo", "--file", victim)
    assert victim.read_bytes() == old


@pytest.mark.parametrize("command", [("undo", "--yes"), ("scan", "{photos}", "--fix", "--report", "{photos}.csv")])
def test_a_half_done_write_elsewhere_makes_no_other_photo(orientd, journal, elsewhere, photos, capsys, command):
    """The bytes are neither those before the write nor those after it, as if it had been torn."""
    victim = elsewhere[0]
    held = victim.read_bytes()
    at = held.index(b"\xff\xda") + 40
    old, new = (held[:at] + pair + held[at + 4 :] for pair in (b"\1" + held[at + 1 : at + 4], held[at : at + 3] + b"\1"))
    before = sky_library.snapshot(victim.parent)
    change(journal, *told(victim, new, "intended", old))
    orientd(*(part.format(photos=photos) for part in command))
    assert sky_library.snapshot(victim.parent) == before
    told_why = "no longer makes" in capsys.readouterr().err
    assert told_why == (command == ("undo", "--yes"))
    with Journal(journal.parent) as opened:
        assert [write.intent.path for write in opened.unsettled()] == [str(victim)]


def test_no_file_but_a_photo_gets_another_date(orientd, journal, tmp_path, elsewhere):
    paths, dates = [tmp_path / "victim", elsewhere[0]], []
    for path in paths:
        change(journal, *told(path, path.read_bytes(), "intended"), ("UPDATE writes SET mtime_ns = 5",))
        orientd("undo", "--yes")
        dates.append(os.stat(path).st_mtime_ns)
    assert (dates[0] > 5, dates[1]) == (True, 5)


@pytest.fixture
def interrupted(journal, photos):
    """The photo whose write was interrupted at the last step, and its temporary file."""
    change(journal, ("UPDATE writes SET status = 'intended'",))
    with Journal(journal.parent) as opened:
        (write,) = opened.unsettled()
    left = photos / write.intent.temp
    left.write_bytes(b"half")
    os.utime(photos / "a.jpg", ns=(5, 5))
    return photos / "a.jpg", left


def test_a_half_done_write_is_finished_by_the_next_command_for_its_folder(orientd, interrupted, elsewhere, tmp_path, capsys):
    photo, left = interrupted
    plan, more = tmp_path / "plan.csv", ("--report", tmp_path / "1.csv")
    other = elsewhere[0].parent
    assert orientd("scan", other, "--report", plan) == 0
    for command in (["apply", plan, other], ["scan", other, "--fix"], ["undo", "--file", elsewhere[0]]):
        assert orientd(*command, *(more if command[0] != "undo" else ())) == 0
        assert (os.stat(photo).st_mtime_ns, left.exists()) == (5, True)
    capsys.readouterr()
    assert orientd("status") == 0
    told = capsys.readouterr().out
    assert ("1, repaired by the next run that writes there" in told, "To see them: orientd verify" in told) == (True, True)
    assert orientd("scan", photo.parent, "--fix", *more) == 0
    assert (os.stat(photo).st_mtime_ns > 5, left.exists()) == (True, False)


def test_a_watcher_finishes_what_lies_below_its_folders(interrupted, tmp_path, photos):
    photo, left = interrupted
    config = Config(state_dir=str(tmp_path / "state"), fix=True)
    for folder, is_left in ((tmp_path / "elsewhere", True), (photos, False)):
        work = Worker(config, [str(folder)], "watch", Metrics(), logging.getLogger("test"), lambda: False, lambda: None)
        with Seen(tmp_path / "state", "", print) as seen, work._writer(seen):
            assert (left.exists(), os.stat(photo).st_mtime_ns == 5) == (is_left, is_left)


@pytest.mark.parametrize("arguments", [(), ("1",), ("--file", "{photo}")])
def test_an_undo_finishes_and_takes_back_what_was_interrupted(orientd, interrupted, arguments):
    photo, left = interrupted
    assert orientd("undo", "--yes", *(part.format(photo=photo) for part in arguments)) == 0
    assert (sky_library.shown_turned(photo), left.exists()) == (90, False)


@pytest.mark.parametrize(
    "fields",
    [
        "undoes = id",
        "undoes = 77",
        "turn = 4500, old_orientation = 99, new_orientation = -7",
        f"old_stat = '[1, 1, 99999, {2**63 * 10**9}, 1]'",
        f"old_stat = '[1, 1, 99999, {2**63 * 10**9 - 1}, 1]'",
        f"old_stat = '[1, 1, 99999, {-(2**63) * 10**9}, 1]'",
        "old_stat = '[1, 1, 9223372036854775807, 1, 9223372036854775807]'",
        f"mtime_ns = CAST('{2**63 * 10**9}' AS BLOB), status = 'intended'",
        "new_stat = old_stat, probabilities = '[1e308, -1]'",
    ],
)
def test_cyclic_and_huge_values_end_in_one_message_at_most(orientd, journal, photos, tmp_path, capsys, fields):
    photo = photos / "a.jpg"
    with closing(sqlite3.connect(journal)) as db, db:
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute(f"UPDATE writes SET {fields}")
    new = photo.read_bytes()
    more = ("--report", tmp_path / "1.csv")
    for command in (["verify"], ["history"], ["status"], ["undo", "--yes"], ["scan", photos, "--fix", "--rescan", *more]):
        assert orientd(*command) in (0, 1, 2, 3)
    assert "Traceback" not in capsys.readouterr().err
    assert formats.plan(Format.JPEG, photo.read_bytes(), 1).apply(photo.read_bytes()) == new


@pytest.mark.parametrize("method", ["tag", "sidecar"])
@pytest.mark.parametrize("name", ["cron", "photo.xmp"])
def test_undo_makes_no_file(orientd, journal, tmp_path, method, name):
    change(journal, *told(tmp_path / name, b"", method=method))
    assert orientd("undo", "--yes") == 3
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["victim", "victim.xmp"])
def test_undo_removes_no_file_but_a_sidecar(orientd, journal, tmp_path, name):
    victim = (tmp_path / "victim").rename(tmp_path / name)
    change(journal, *told(victim, victim.read_bytes(), old=b"", method="sidecar"))
    assert orientd("undo", "--yes") == 3
    assert victim.exists()


def test_a_half_done_write_of_what_is_no_photo_is_not_mended(orientd, journal, photos, tmp_path):
    victim = tmp_path / "victim"
    held = victim.read_bytes()
    change(journal, *told(victim, held), ("UPDATE writes SET status = 'intended', new_sha256 = ?", "0" * 64))
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") == 0
    assert victim.read_bytes() == held


def test_a_patch_that_leads_to_other_bytes_than_recorded_is_not_written(orientd, journal, photos, capsys):
    before = sky_library.snapshot(photos)
    change(journal, ("UPDATE splices SET old = ?", b"\x07"))
    assert orientd("undo", "--yes") == 3
    assert "what the journal holds of it was changed or damaged" in capsys.readouterr().err
    assert sky_library.snapshot(photos) == before


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
    monkeypatch.setattr(journal_schema, "_MOST_BYTES", 10**6)
    change(journal, (statement,))
    before = sky_library.snapshot(photos)
    assert orientd("undo", "--yes") == 1
    assert str(journal) in capsys.readouterr().err
    for command in (["history"], ["status"], ["scan", photos, "--fix", "--report", tmp_path / "1.csv"]):
        assert orientd(*command) in (0, 1)
    assert sky_library.snapshot(photos) == before


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A journal that tells of one fix, of one that was taken back and of one that was interrupted, as bytes."""
    folder = tmp_path_factory.mktemp("sound")
    (folder / "photos").mkdir()
    with Journal(folder) as journal:
        for kind in TOYS:
            path = folder / "photos" / f"{kind}.jpg"
            path.write_bytes(TOYS[kind])
            fixer = Fixer(journal, journal.start_run("fix"), Toy(), second_reader)
            fixer.fix(Row(str(path), turn=90, sha256=sha256(TOYS[kind]).hexdigest()))
        list(undo(journal, journal.start_run("undo"), journal.writes(1), admit=admit))
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


@pytest.mark.parametrize("statement", ["command = 7", "started_ns = 'long ago'", "finished_ns = 1e99"])
def test_a_run_changed_on_purpose_ends_a_command_with_advice(orientd, journal, capsys, statement):
    change(journal, (f"UPDATE runs SET {statement}",))
    assert (orientd("history"), orientd("status")) == (1, 1)
    assert str(journal) in capsys.readouterr().err
