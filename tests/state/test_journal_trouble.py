"""A journal that is cut short, held, too new, read-only or of another time: one message, and every photo old or new."""

import errno
import os
import shutil
import sqlite3
from contextlib import closing

import pytest
from support import sky_library

from orientd.errors import StateError
from orientd.state.journal import VERSION, Journal
from orientd.write.recover import recover

NAME = "journal.db"
COMMANDS = {
    name: name.split()
    for name in ("undo --yes", "verify", "history", "status", "forget --all --yes", "scan", "scan --fix", "apply")
}


def shorten(to):
    def trouble(state, monkeypatch):
        os.truncate(state / NAME, int(os.path.getsize(state / NAME) * to))

    return trouble


def hold(state, monkeypatch):
    holder = sqlite3.connect(state / NAME, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **more: connect(path, **(more | {"timeout": 0})))
    return holder


def update(state, monkeypatch):
    with closing(sqlite3.connect(state / NAME)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")


def refuse(state, monkeypatch):
    plain = os.open

    def opened(path, flags, *more, **options):
        if os.path.dirname(os.fspath(path)) == str(state) and flags & (os.O_RDWR | os.O_WRONLY):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return plain(path, flags, *more, **options)

    monkeypatch.setattr(os, "open", opened)


def only_read(state, monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **more: connect(f"file:{path}?mode=ro", uri=True, **more))


def take_folder(state, monkeypatch):
    (state / NAME).unlink()
    (state / NAME).mkdir()


def empty_log(state, monkeypatch):
    """What a power cut may leave of a log that was not synced."""
    (state / f"{NAME}-wal").write_bytes(b"")


def strange_log(state, monkeypatch):
    (state / f"{NAME}-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(range(256)) * 40)


TROUBLES = {
    "empty": shorten(0),
    "a header": shorten(0.02),
    "half": shorten(0.5),
    "a bit less": shorten(0.99),
    "held": hold,
    "newer": update,
    "read-only disk": refuse,
    "read-only file": only_read,
    "a folder": take_folder,
    "an empty log": empty_log,
    "a log of something else": strange_log,
}


@pytest.fixture
def fixed(orientd, photos, tmp_path, monkeypatch):
    """A photo that was put right in run 1: its path, and both its contents."""
    monkeypatch.setenv("ORIENTD_STATE_DIR", str(tmp_path / "state"))
    photo = sky_library.draw(photos / "a.jpg", 90)
    old = photo.read_bytes()
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv") == 0
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "0.csv") == 0
    return photo, old, photo.read_bytes()


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_command_ends_in_a_message_and_every_photo_is_whole(
    orientd, fixed, tmp_path, monkeypatch, capsys, trouble, command
):
    photo, *contents = fixed
    more = {
        "scan": [photo.parent, "--report", tmp_path / "1.csv"],
        "apply": [tmp_path / "plan.csv", "--report", tmp_path / "1.csv"],
    }
    held = trouble(tmp_path / "state", monkeypatch)
    capsys.readouterr()
    code = orientd(command[0], *more.get(command[0], []), *command[1:])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("orientd: ")]
    if held:
        held.close()
    assert (code in (0, 2, 3), len(lines)) in ((True, 0), (True, 1), (False, 1))
    assert photo.read_bytes() in contents
    assert os.listdir(photo.parent) == [photo.name]
    if code == 1:
        assert photo.read_bytes() == contents[1]
        assert str(tmp_path / "state") in lines[0]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_whoever_must_write_is_stopped_or_told(orientd, fixed, tmp_path, monkeypatch, capsys, trouble):
    """Nothing goes on as if no photo had ever been written."""
    held = TROUBLES[trouble](tmp_path / "state", monkeypatch)
    code = orientd("undo", "--yes")
    said = capsys.readouterr().err
    if held:
        held.close()
    sound = trouble in ("an empty log", "a log of something else")
    assert code == (0 if sound else 2 if "damaged" in said or trouble == "empty" else 1)


def test_a_journal_whose_log_was_lost_knows_less_and_harms_nothing(orientd, fixed, photos, tmp_path):
    """What the log held is forgotten: that cannot be undone, but no photo is turned again by it."""
    photo, _, new = fixed
    state, second = tmp_path / "state", sky_library.draw(photos / "b.jpg", 90, seed=1)
    before = second.read_bytes()
    with Journal(state) as journal:
        journal._db.execute("SELECT * FROM runs").fetchall()
        assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") == 0
        shutil.copy(state / NAME, tmp_path / "lost")
    for name in (f"{NAME}-wal", f"{NAME}-shm"):
        (state / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "lost", state / NAME)
    assert sky_library.shown_turned(second) == 0
    after = second.read_bytes()
    for command in (["verify"], ["scan", photos, "--fix", "--rescan", "--report", tmp_path / "2.csv"]):
        assert orientd(*command) == 0
    assert (second.read_bytes(), photo.read_bytes()) == (after, new)
    assert orientd("undo", "--file", second) == 2
    assert second.read_bytes() == after != before
    assert orientd("undo", "--file", photo) == 0


def test_a_journal_that_is_held_while_a_photo_is_settled_finds_out_later(fixed, tmp_path, monkeypatch):
    photo, _, new = fixed
    with Journal(tmp_path / "state") as journal:
        (write,) = journal.writes(1)
        journal._db.execute("UPDATE writes SET status = 'intended'")
        journal._db.commit()
        journal._db.execute("PRAGMA busy_timeout = 0")
        holder = hold(tmp_path / "state", monkeypatch)
        with pytest.raises(StateError, match="locked"):
            recover(journal)
        holder.close()
        assert [write.id for write in journal.unsettled()] == [write.id]
        recover(journal)
        assert journal.unsettled() == []
    assert photo.read_bytes() == new
