"""What was written before: verified, and undone by run, by file, after a move and after an upgrade."""

import json
import os
import shutil
import sqlite3
from contextlib import closing

import pytest
from support import raw_files, sky_library

from orientd.errors import ConfigError
from orientd.state.journal import Journal, Write
from orientd.write.undo import Move, undoable

# The journal as the first version of orientd made it; never to be changed.
VERSION_1 = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, command BLOB NOT NULL, started_ns INTEGER NOT NULL, finished_ns INTEGER,
    status TEXT NOT NULL);
CREATE TABLE writes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES runs, path BLOB NOT NULL, format TEXT NOT NULL,
    old_stat TEXT NOT NULL, old_sha256 TEXT NOT NULL, new_sha256 TEXT NOT NULL, old_orientation INTEGER,
    new_orientation INTEGER, turn INTEGER NOT NULL, method TEXT NOT NULL, probabilities TEXT NOT NULL, mtime_ns INTEGER,
    temp TEXT NOT NULL, undoes INTEGER REFERENCES writes, status TEXT NOT NULL, reason BLOB NOT NULL DEFAULT x'',
    new_stat TEXT);
CREATE TABLE splices (write INTEGER NOT NULL REFERENCES writes, offset INTEGER NOT NULL, old BLOB NOT NULL, new BLOB NOT NULL);
CREATE INDEX writes_of_run ON writes (run);
CREATE INDEX writes_unsettled ON writes (id) WHERE status = 'intended';
CREATE INDEX writes_undone ON writes (old_sha256) WHERE status = 'undone';
CREATE INDEX splices_of_write ON splices (write);
PRAGMA user_version = 1;
"""


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def run(orientd, state, tmp_path):
    """A command of orientd with a state folder of its own; gives the exit code."""

    def run(command, *arguments):
        report = ("--report", tmp_path / "report.csv") if command in ("scan", "apply") else ()
        return orientd(command, *arguments, "--state-dir", state, *report)

    return run


@pytest.fixture
def library(photos, run):
    """Three photos that were put right in run 1, and two in run 2; gives what they were by name."""
    before = {}
    for number, names in enumerate([("a", "b", "c"), ("d", "e")]):
        for seed, name in enumerate(names):
            path = sky_library.draw(photos / f"{name}.jpg", 90, by_tag=seed % 2 == 0, seed=10 * number + seed)
            before[name] = path.read_bytes()
        assert run("scan", photos, "--fix") == 0
    return before


@pytest.fixture
def checked(run, capsys):
    def checked(*more, code):
        capsys.readouterr()
        assert run("verify", "--json", *more) == code
        *files, summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert (summary["message_type"], summary["files"], summary["exit_code"]) == ("summary", len(files), code)
        states = {os.path.basename(file["path"]).partition(".")[0]: file["state"] for file in files}
        assert sum(summary[state] for state in set(states.values())) == len(files)
        return states

    return checked


def is_old(photos, library):
    return {
        name for name in library if (photos / f"{name}.jpg").exists() and (photos / f"{name}.jpg").read_bytes() == library[name]
    }


def test_verify_tells_what_has_become_of_every_file(run, library, photos, checked, capsys):
    assert checked(code=0) == dict.fromkeys("abcde", "holds")
    (photos / "a.jpg").write_bytes(b"edited")
    (photos / "b.jpg").write_bytes(library["b"])
    (photos / "c.jpg").unlink()
    assert run("undo", "--file", photos / "d.jpg") == 0
    before = sky_library.snapshot(photos)
    assert checked(code=0) == {"a": "changed", "b": "old", "c": "vanished", "d": "holds", "e": "holds"}
    (photos / "d.jpg").write_bytes(b"edited")
    assert checked(code=0)["d"] == "changed"
    capsys.readouterr()
    assert run("verify", "-v") == 0
    told = capsys.readouterr()
    assert "1  as orientd left them" in told.out
    assert "2  changed by another program since" in told.out
    assert [line.split()[0] for line in told.err.splitlines()] == ["changed", "old", "vanished", "changed", "holds"]
    assert {path: now for path, now in sky_library.snapshot(photos).items() if "d.jpg" not in path} == {
        path: then for path, then in before.items() if "d.jpg" not in path
    }


def test_verify_finds_faults_and_names_them(run, library, photos, state, checked, capsys):
    with closing(sqlite3.connect(state / "journal.db")) as db, db:
        db.execute("UPDATE writes SET status = 'intended' WHERE CAST(path AS TEXT) LIKE '%a.jpg'")
        db.execute("UPDATE writes SET old_sha256 = ? WHERE CAST(path AS TEXT) LIKE '%b.jpg'", ("0" * 64,))
    (photos / "c.jpg").rename(photos / "elsewhere.jpg")
    (photos / "c.jpg").mkdir()
    found = checked(code=3)
    assert found == {"a": "unsettled", "b": "spoilt", "c": "unreadable", "d": "holds", "e": "holds"}
    capsys.readouterr()
    assert run("verify") == 3
    assert sorted(line.split()[0] for line in capsys.readouterr().err.splitlines()) == ["spoilt", "unreadable", "unsettled"]


def test_a_library_that_is_not_mounted_is_a_fault_and_one_that_moved_can_be_named(run, library, photos, checked):
    moved = photos.rename(photos.with_name("moved"))
    assert set(checked(code=3).values()) == {"unreadable"}
    photos.mkdir()
    assert checked("--map", f"{photos}={moved}", code=0) == dict.fromkeys("abcde", "holds")
    (moved / "a.jpg").unlink()
    assert checked("--map", f"{photos}={moved}", code=0)["a"] == "vanished"


def test_an_empty_folder_on_another_device_is_taken_for_a_disk_that_is_not_mounted(run, library, photos, state, checked):
    with closing(sqlite3.connect(state / "journal.db")) as db, db:
        db.execute("UPDATE writes SET old_stat = json_set(old_stat, '$[0]', json_extract(old_stat, '$[0]') + 1)")
    (photos / "a.jpg").unlink()
    assert checked(code=0) == dict.fromkeys("abcde", "holds") | {"a": "vanished"}
    for path in photos.iterdir():
        path.unlink()
    assert set(checked(code=3).values()) == {"unreadable"}


def test_verify_with_nothing_written_and_of_sidecars(run, photos, checked):
    assert checked(code=0) == {}
    photos.mkdir()
    (photos / "a.dng").write_bytes(raw_files.dng(raw_files.preview(90)))
    assert run("scan", photos, "--fix", "--sidecar", "write") == 0
    assert checked(code=0) == {"a": "holds"}
    (photos / "a.dng.xmp").unlink()
    assert checked(code=0) == {"a": "old"}
    assert run("undo", "--yes") == 0
    assert checked(code=0) == {"a": "holds"}


def test_undo_of_single_files_takes_back_the_last_change_of_each(run, library, photos, monkeypatch):
    monkeypatch.chdir(photos)
    assert run("undo", "--file", "b.jpg", "--file", photos / "e.jpg") == 0
    assert is_old(photos, library) == {"b", "e"}
    assert run("undo", 2, "--file", photos / "d.jpg") == 0
    assert is_old(photos, library) == {"b", "d", "e"}


def test_undo_of_a_folder_takes_back_what_the_last_run_there_did(run, library, photos, tmp_path, monkeypatch):
    sky_library.draw(tmp_path / "more" / "x.jpg", 90)
    assert run("scan", tmp_path / "more", "--fix") == 0
    before = sky_library.snapshot(tmp_path / "more")
    (tmp_path / "link").symlink_to(photos)
    monkeypatch.chdir(tmp_path)
    assert run("undo", "--file", "link/") == 0
    assert is_old(photos, library) == {"d", "e"}
    assert run("undo", 3, "--file", photos) == 2
    assert run("undo", "--file", photos, "--file", photos / "b.jpg") == 0
    assert is_old(photos, library) == set("abcde")
    assert run("undo", "--file", photos) == 2
    assert sky_library.snapshot(tmp_path / "more") == before
    assert run("undo", "--file", tmp_path) == 0
    assert sky_library.snapshot(tmp_path / "more") != before


def test_undo_of_a_folder_and_one_in_it_takes_back_the_last_run_of_each(run, library, photos, tmp_path):
    sky_library.draw(tmp_path / "more" / "x.jpg", 90)
    assert run("scan", tmp_path / "more", "--fix") == 0
    before = sky_library.snapshot(tmp_path / "more")
    assert run("undo", "--file", tmp_path, "--file", photos) == 0
    assert is_old(photos, library) == {"d", "e"}
    assert sky_library.snapshot(tmp_path / "more") != before


def test_the_writes_below_a_folder_are_neither_compared_nor_held_all_at_once(run, library, photos, state, monkeypatch):
    """Of a large library that took hours, and gigabytes."""
    read = []
    monkeypatch.setattr(Write, "__eq__", lambda *_: pytest.fail("compared"))
    with Journal(state) as journal:
        writes = undoable(journal, None, (), [str(photos)])
        monkeypatch.setattr(
            Journal, "write", lambda self, number, write=Journal.write: read.append(number) or write(self, number)
        )
        assert read == []
        assert [write.id for write in writes] == read == sorted(read, reverse=True)
    assert len(read) > 1


def test_undo_of_a_file_that_was_not_written_does_nothing(run, library, photos, capsys):
    for arguments in ((2, "--file", photos / "a.jpg"), ("--file", photos / "x.jpg", "--file", photos / "a.jpg")):
        assert run("undo", *arguments) == 2
        assert "nothing to undo at" in capsys.readouterr().err
    assert is_old(photos, library) == set()


def test_a_raw_file_may_be_named_in_place_of_its_sidecar(run, photos):
    photos.mkdir()
    (photos / "a.dng").write_bytes(raw_files.dng(raw_files.preview(90)))
    assert run("scan", photos, "--fix", "--sidecar", "write") == 0
    assert run("undo", "--file", photos / "a.dng") == 0
    assert os.listdir(photos) == ["a.dng"]


def test_undo_follows_a_library_that_moved(run, library, photos, tmp_path):
    moved = tmp_path / "disk" / "my=photos"
    shutil.copytree(photos, moved)
    shutil.rmtree(photos)
    assert run("undo", "--yes", "--map", f"{tmp_path}/photos={moved}") == 0
    assert run("undo", "--yes", "--map", f"{tmp_path}={moved.parent}", "--file", moved / "a.jpg") == 2
    assert run("undo", "--yes", "--map", f"{photos}/={moved}/", "--file", moved / "a.jpg") == 0
    assert is_old(moved, library) == {"a", "d", "e"}
    assert not photos.exists()


@pytest.mark.parametrize("text", ["", "=", "/a", "/a=", "=/tmp", "/a=/nowhere"])
def test_a_move_that_makes_no_sense_is_told(text):
    with pytest.raises(ConfigError, match="must be OLD=NEW"):
        Move.parse(text)


def test_a_move_follows_only_what_is_below(tmp_path):
    move = Move.parse(f"/old={tmp_path}")
    assert move.follow("/old/a/b.jpg") == f"{tmp_path}/a/b.jpg"
    assert [move.follow(path) for path in ("/older/a.jpg", "/x/old/a.jpg", "/old")] == [None] * 3
    assert Move.parse(f"/={tmp_path}").follow("/a.jpg") == f"{tmp_path}/a.jpg"


def test_an_undo_that_can_do_nothing_names_the_run_before(run, library, photos, capsys):
    for name in "de":
        (photos / f"{name}.jpg").unlink()
    assert run("undo", "--yes") == 3
    assert "to undo the one before it: orientd undo 1" in " ".join(capsys.readouterr().err.split())
    assert is_old(photos, library) == set()
    assert run("undo", 1) == 0
    assert is_old(photos, library) == {"a", "b", "c"}
    capsys.readouterr()
    assert run("undo", "--yes") == 3
    assert "the one before it" not in capsys.readouterr().err


def test_a_journal_of_the_first_version_can_still_be_undone(run, photos, tmp_path, checked):
    """A write that was done and one that was interrupted, in rows as that version wrote them."""
    photos.mkdir()
    old = sky_library.draw(photos / "a.jpg", 90).read_bytes()
    assert run("scan", photos, "--fix") == 0
    assert old != (photos / "a.jpg").read_bytes()
    with closing(sqlite3.connect(tmp_path / "state" / "journal.db")) as db:
        tables = {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in ("runs", "writes", "splices")}
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "state").mkdir()
    with closing(sqlite3.connect(tmp_path / "state" / "journal.db")) as db, db:
        db.executescript(VERSION_1)
        for name, rows in tables.items():
            db.executemany(f"INSERT INTO {name} VALUES ({','.join('?' * len(rows[0]))})", rows)
        db.execute("UPDATE runs SET status = 'running', finished_ns = NULL")
    assert checked(code=0) == {"a": "holds"}
    assert run("history") == run("status") == 0
    assert run("undo", "--yes") == 0
    assert (photos / "a.jpg").read_bytes() == old
    with Journal(tmp_path / "state") as journal:
        assert [each.status for each in journal.runs()] == ["done", "interrupted"]
        assert journal.warning == ""
