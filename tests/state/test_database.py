"""One opening for the journal and the cache: private, in the current folder too, and a damaged one moved aside whole."""

import sqlite3
import stat
from pathlib import Path

import pytest

from orientd.errors import StateError
from orientd.state.database import damage, is_damage, move_aside, open_database
from orientd.state.journal import Journal
from orientd.state.seen import Seen


def nothing(_: sqlite3.Connection) -> None:
    pass


def test_it_is_for_its_owner_alone_and_so_is_its_folder(tmp_path):
    path = tmp_path / "state" / "some.db"
    open_database(str(path), nothing, pytest.fail).close()
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent)] == [0o600, 0o700]


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "some.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        open_database(str(tmp_path / "some.db"), nothing, pytest.fail)
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_found_damaged_is_moved_aside_and_begun_anew(tmp_path):
    path, kept = tmp_path / "some.db", []
    path.write_bytes(b"no database" * 100)
    open_database(str(path), nothing, kept.append).close()
    assert Path(kept[0]).read_bytes() == b"no database" * 100
    assert path.exists()


def test_its_log_goes_with_it(tmp_path):
    path, suffixes = tmp_path / "some.db", ("", "-wal", "-shm")
    for suffix in suffixes:
        Path(f"{path}{suffix}").write_text(suffix)
    kept = move_aside(str(path))
    assert [Path(kept + suffix).read_text() for suffix in suffixes] == list(suffixes)
    assert len(list(tmp_path.iterdir())) == 3


def test_what_stays_damaged_and_what_is_no_damage_comes_out(tmp_path):
    def refuse(error: Exception):
        def prepare(_: sqlite3.Connection) -> None:
            raise error

        return prepare

    kept = []
    with pytest.raises(sqlite3.DatabaseError, match="still"):
        open_database(str(tmp_path / "some.db"), refuse(damage("still")), kept.append)
    with pytest.raises(sqlite3.OperationalError):
        open_database(str(tmp_path / "other.db"), refuse(sqlite3.OperationalError("locked")), pytest.fail)
    with pytest.raises(StateError, match="newer"):
        open_database(str(tmp_path / "other.db"), refuse(StateError("newer")), pytest.fail)
    assert len(kept) == 1
    assert not is_damage(sqlite3.DatabaseError("without a code"))


def test_the_state_folder_may_be_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Journal("."), Seen(Path(), "", pytest.fail):
        assert {path.name for path in tmp_path.glob("*.db")} == {"journal.db", "seen.db"}
