"""The cache of judged files: what makes a row valid, and that a damaged file costs nothing but time."""

from dataclasses import replace

import pytest

from orientd.errors import StateError
from orientd.records import Candidate, FileStat, Method, Row, Status, Verdict
from orientd.state.seen import Seen

PATH = "/photos/caf\udce9, \n.jpg"
CHANCES = (0.01, 0.97, 0.01, 0.01)
ROW = Row(PATH, "jpeg", 40, 30, 6, 90, 0.99, CHANCES, 8, Verdict.FIX, 1, Method.TAG, Status.PENDING, "", 123, 456, "ab" * 32)


def candidate(path=PATH, size=123, mtime_ns=456):
    return Candidate(path, FileStat(1, 2, size, mtime_ns))


def test_a_row_comes_back_as_it_was(tmp_path):
    with Seen(tmp_path, "model-policy", pytest.fail) as seen:
        seen.add([ROW])
    with Seen(tmp_path, "model-policy", pytest.fail) as seen:
        assert seen.lookup([candidate("/other"), candidate()]) == [None, ROW]
        assert seen.count() == 1


@pytest.mark.parametrize("changed", [{"size": 124}, {"mtime_ns": 457}])
def test_a_changed_file_is_new(tmp_path, changed):
    with Seen(tmp_path, "model-policy", pytest.fail) as seen:
        seen.add([ROW])
        seen.flush()
        assert seen.lookup([candidate(**changed)]) == [None]


@pytest.mark.parametrize("mtime_ns", [2**63, -(2**63) - 1, 10**19])
def test_a_date_beyond_sqlite_is_not_remembered_and_harms_no_other(tmp_path, mtime_ns):
    far = ROW._replace(path="/far.jpg", mtime_ns=mtime_ns)
    with Seen(tmp_path, "one", pytest.fail) as seen:
        seen.add([far, ROW, far._replace(path="/last.jpg", mtime_ns=2**63 - 1)])
        seen.flush()
        wanted = [candidate("/far.jpg", mtime_ns=mtime_ns), candidate(), candidate("/last.jpg", mtime_ns=2**63 - 1)]
        assert [row and row.path for row in seen.lookup(wanted)] == [None, PATH, "/last.jpg"]


@pytest.mark.parametrize("known", [{"skip": "hard link"}, {"error": "it cannot be examined"}])
def test_what_the_walk_says_comes_first(tmp_path, known):
    with Seen(tmp_path, "model-policy", pytest.fail) as seen:
        seen.add([ROW])
        seen.flush()
        assert seen.lookup([replace(candidate(), **known)]) == [None]


def test_what_lies_beside_a_file_counts_too(tmp_path):
    states = {PATH: ""}
    with Seen(tmp_path, "model-policy", pytest.fail, lambda row: states[row.path]) as seen:
        for state in ("", "-1-2", "-1-3"):
            states[PATH] = state
            seen.flush()
            assert seen.lookup([candidate()]) == [None]
            seen.add([ROW])
            seen.flush()
            assert seen.lookup([candidate()]) == [ROW]
        states[PATH] = ""
        assert seen.lookup([candidate()]) == [None]


def test_another_model_or_policy_makes_all_new(tmp_path):
    with Seen(tmp_path, "one", pytest.fail) as seen:
        seen.add([ROW])
    with Seen(tmp_path, "other", pytest.fail) as seen:
        assert seen.lookup([candidate()]) == [None]


def test_what_happened_on_disk_is_not_remembered(tmp_path):
    with Seen(tmp_path, "one", pytest.fail) as seen:
        seen.add([ROW._replace(outcome=Status.FAILED)])
        seen.flush()
        assert seen.lookup([candidate()]) == [ROW]


def test_the_newest_row_wins_and_a_forgotten_one_is_new(tmp_path):
    with Seen(tmp_path, "one", pytest.fail) as seen:
        seen.add([ROW, ROW._replace(decision=Verdict.KEEP)])
        seen.flush()
        assert seen.lookup([candidate()])[0].decision == "keep"
        seen.forget(PATH)
        assert seen.lookup([candidate()]) == [None]


@pytest.mark.parametrize("damage", [b"not a database at all, " * 500, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_cache_is_moved_aside(tmp_path, damage):
    (tmp_path / "seen.db").write_bytes(damage)
    told = []
    with Seen(tmp_path, "one", told.append) as seen:
        assert [path.read_bytes() for path in tmp_path.glob("seen.db.damaged-*")] == [damage]
        assert "damaged" in told[0]
        seen.add([ROW])
        seen.flush()
        assert seen.lookup([candidate()]) == [ROW]


def test_damage_met_later_is_moved_aside_too(tmp_path):
    rows = [ROW._replace(path=f"/photos/{i}") for i in range(2000)]
    with Seen(tmp_path, "one", pytest.fail) as seen:
        seen.add(rows)
    path = tmp_path / "seen.db"
    damaged = bytearray(path.read_bytes())
    damaged[-8 * 4096 :] = b"\xff" * (8 * 4096)
    path.write_bytes(damaged)
    told = []
    with Seen(tmp_path, "one", told.append) as seen:
        found = [row for i in range(0, 2000, 500) for row in seen.lookup([candidate(row.path) for row in rows[i : i + 500]])]
        assert None in found
        seen.add([ROW])
        seen.flush()
        assert seen.lookup([candidate()]) == [ROW]
    assert len(told) == 1


@pytest.mark.parametrize(
    "change", ["turn = 45", "turn = 'left'", "decision = 'perhaps'", "decision = NULL", "confidence = 'high'", "size = '123 '"]
)
def test_a_row_that_orientd_never_wrote_counts_for_nothing(tmp_path, change):
    with Seen(tmp_path, "one", pytest.fail) as seen:
        seen.add([ROW])
        seen.flush()
        seen._db.execute(f"UPDATE seen SET {change}")
        assert seen.lookup([candidate()]) == [None]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER ours AFTER INSERT ON seen BEGIN UPDATE seen SET turn = 90; END",
        "CREATE TABLE ours (path)",
        "ALTER TABLE seen ADD COLUMN ours",
    ],
)
def test_a_cache_with_more_in_it_is_moved_aside(tmp_path, statement):
    with Seen(tmp_path, "one", pytest.fail) as seen:
        seen.add([ROW])
        seen.flush()
        seen._db.execute(statement)
    told = []
    with Seen(tmp_path, "one", told.append) as seen:
        assert seen.lookup([candidate()]) == [None]
    assert len(told) == len(list(tmp_path.glob("seen.db.damaged-*"))) == 1


def test_a_cache_of_another_version_is_begun_anew_without_a_word(tmp_path):
    with Seen(tmp_path, "one", pytest.fail) as seen:
        seen.add([ROW])
        seen.flush()
        seen._db.executescript("ALTER TABLE seen ADD COLUMN ours; PRAGMA user_version = 99")
    for found in (None, ROW):
        with Seen(tmp_path, "one", pytest.fail) as seen:
            assert seen.lookup([candidate()]) == [found]
            seen.add([ROW])


def test_a_cache_that_cannot_be_opened_stays_where_it_is(tmp_path):
    with Seen(tmp_path, "one", pytest.fail) as seen:
        seen.add([ROW])
    (tmp_path / "seen.db-wal").mkdir()
    with pytest.raises(StateError, match="cannot be used"):
        Seen(tmp_path, "one", pytest.fail)
    (tmp_path / "seen.db-wal").rmdir()
    with Seen(tmp_path, "one", pytest.fail) as seen:
        assert seen.lookup([candidate()]) == [ROW]


def test_what_was_forgotten_does_not_come_back(tmp_path):
    with Seen(tmp_path, "one", pytest.fail) as seen:
        seen.add([ROW])
        seen.forget(PATH)
    with Seen(tmp_path, "one", pytest.fail) as seen:
        assert seen.lookup([candidate()]) == [None]


def test_a_full_disk_says_so(tmp_path):
    seen = Seen(tmp_path, "one", pytest.fail)
    seen._db.execute("PRAGMA max_page_count = 1")
    seen.add(ROW._replace(path=f"/photos/{i}") for i in range(500))
    with pytest.raises(StateError, match="the space left"):
        seen.close()


def test_a_folder_that_cannot_be_used_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be used"):
        Seen(tmp_path / "file" / "state", "one", pytest.fail)
