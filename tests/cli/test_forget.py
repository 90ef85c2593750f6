"""forget says which photos lose their undo before it deletes what they need for it; verify, history and status show it after."""

import json
import sqlite3
from contextlib import closing

import pytest
from support import sky_library

DAY_NS = 86_400 * 10**9


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("ORIENTD_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def two_runs(orientd, photos, tmp_path, state):
    """Run 1 turned two PNG by pixels, run 2 a PNG by pixels and a JPEG by its tag."""
    for seed, name in enumerate(("1/a.png", "1/b.png", "2/c.png")):
        sky_library.draw(photos / name, 90, by_tag=False, seed=seed, kind="PNG")
    sky_library.draw(photos / "2" / "d.jpg", 90)
    for folder in "12":
        report = ("--report", tmp_path / "r.csv")
        assert orientd("scan", photos / folder, "--fix", "--method", "auto", *report) == 0
    return state / "originals"


def copies(folder):
    return len(list(folder.iterdir()))


def test_without_a_word_of_which_it_deletes_nothing(orientd, two_runs, capsys):
    for arguments in ([], ["--yes"], [1, "--all"], ["--all", "--older-than", "1d"], ["--older-than", "soon"]):
        assert orientd("forget", *arguments) == 2
    assert copies(two_runs) == 3
    assert "orientd history" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("which", "number", "of"),
    [([1], 2, "run 1"), ([2], 1, "run 2"), (["--all"], 3, "2 runs"), (["--older-than", "0d"], 3, "2 runs")],
)
def test_it_says_what_is_lost_and_wants_to_be_sure(orientd, two_runs, capsys, which, number, of):
    capsys.readouterr()
    assert orientd("forget", *which) == 2, "there is no terminal to ask on"
    assert copies(two_runs) == 3
    told = capsys.readouterr().out
    lost = f"{number} photo{'s' * (number > 1)} cannot be undone any more"
    assert (lost in told, of in told, f"orientd forget {' '.join(map(str, which))} --yes" in told) == (True, True, True)
    assert orientd("forget", *which, "--yes") == 0
    assert copies(two_runs) == 3 - number
    assert lost in capsys.readouterr().out


def test_only_what_is_old_enough_is_deleted(orientd, two_runs, state):
    with closing(sqlite3.connect(state / "journal.db")) as db, db:
        db.execute("UPDATE runs SET started_ns = started_ns - ? WHERE id = 1", (15 * DAY_NS,))
    assert orientd("forget", "--older-than", "3w", "--yes") == 0
    assert copies(two_runs) == 3
    assert orientd("forget", "--older-than", "2w", "--yes") == 0
    assert copies(two_runs) == 1
    assert orientd("undo", 2) == 0


def test_everyone_shows_what_cannot_be_undone_any_more(orientd, two_runs, photos, capsys):
    assert orientd("verify") == 0
    assert orientd("forget", 1, "--yes") == 0
    capsys.readouterr()
    assert orientd("verify") == 3
    assert "2  as orientd left them, but not to be undone any more" in capsys.readouterr().out
    assert orientd("verify", "--json") == 3
    *files, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert {file["path"] for file in files if file["state"] == "forgotten"} == {f"{photos}/1/a.png", f"{photos}/1/b.png"}
    assert (summary["forgotten"], summary["holds"]) == (2, 2)
    assert orientd("history") == 0
    heading, second, first = capsys.readouterr().out.splitlines()
    column = heading.index("no undo")
    assert [line[column:].split()[0] for line in (first, second)] == ["2", "0"]
    assert orientd("status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["forgotten"] == 2


def test_what_was_taken_back_needs_no_copy(orientd, two_runs, capsys):
    assert orientd("undo", 1) == 0
    assert orientd("forget", "--all", "--yes") == 0
    assert "1 photo cannot be undone" in capsys.readouterr().out
    assert orientd("forget", "--all") == 0, "nothing is left to ask about"
    assert "0 copies deleted" in capsys.readouterr().out
