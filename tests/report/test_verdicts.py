import json
import os
import stat
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import report_rows
from support.report_rows import write

from orientd.errors import ConfigError, StateError
from orientd.orientation import TURNS, turned
from orientd.reasons import Reason
from orientd.records import Method, Row, Verdict
from orientd.report import verdicts
from orientd.report.plan import read_decided, read_plan, read_rows
from orientd.report.verdicts import PERSON, Choice, PersonVerdict, append, fold, path_for, read

WHEN = "2026-11-29T12:00:00Z"
SHA = "0123456789abcdef" * 4

names = st.binary(min_size=1, max_size=4096).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"0")))
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
given_verdicts = st.builds(
    lambda path, sha256, said, when: PersonVerdict(path, sha256, *said, when),
    names,
    hashes,
    st.tuples(st.just(Choice.TURN), st.sampled_from(TURNS[1:]))
    | st.tuples(st.sampled_from([*set(Choice) - {Choice.TURN}]), st.none()),
    st.text(max_size=30),
)
chances = st.floats(0, 1)
rows = st.builds(
    report_rows.FOUND._replace,
    turn=st.none() | st.sampled_from(TURNS),
    orientation=st.none() | st.integers(0, 9),
    probabilities=st.none() | st.tuples(chances, chances, chances, chances),
    decision=st.sampled_from(Verdict),
    method=st.none() | st.sampled_from(Method),
    reason=st.text(),
)


def said(choice, turn=None, path="/photos/a.jpg", sha256=SHA):
    return PersonVerdict(path, sha256, choice, turn, WHEN)


def last(given):
    found = {}
    for one in given:
        found[one.path, one.sha256] = one
    return {photo: one for photo, one in found.items() if one.choice is not Choice.WITHDRAWN}


@given(st.lists(st.lists(given_verdicts, max_size=4), max_size=3))
def test_the_last_verdict_on_each_photo_comes_back(tmp_path_factory, batches):
    plan = str(tmp_path_factory.mktemp("plan") / "plan.csv")
    for batch in batches:
        append(plan, batch)
    assert read(plan, pytest.fail) == last(one for batch in batches for one in batch)


def test_one_verdict_is_taken_back_alone(tmp_path):
    plan, other = str(tmp_path / "plan.csv"), said(Choice.KEEP, path="/photos/b.jpg")
    append(plan, [said(Choice.TURN, 90), other, said(Choice.WITHDRAWN)])
    assert list(read(plan).values()) == [other]


@given(st.lists(given_verdicts, min_size=1, max_size=3), st.data())
def test_a_line_cut_off_by_a_crash_is_passed_over_and_ended_by_the_next(tmp_path_factory, written, data):
    plan, told = str(tmp_path_factory.mktemp("plan") / "plan.csv"), []
    append(plan, written)
    with open(path_for(plan), "rb") as file:
        whole = file.read()
    begins = whole[:-1].rfind(b"\n") + 1
    cut = data.draw(st.integers(begins, len(whole) - 1))
    with open(path_for(plan), "wb") as file:
        file.write(whole[:cut])
    left = written if cut == len(whole) - 1 else written[:-1]
    assert read(plan, pytest.fail) == last(left)
    append(plan, [said(Choice.SKIP)])
    assert read(plan, told.append) == last([*left, said(Choice.SKIP)])
    assert len(told) == (begins < cut < len(whole) - 1)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"null",
        b"7",
        b'["path"]',
        b"\xff\xfe",
        b"[" * 60_000,
        b"9" * 60_000,
        b'{"path": "' + b"x" * 200_000 + b'"}',
        *(
            json.dumps(said(Choice.TURN, 90)._asdict() | change).encode()
            for change in (
                {"path": ""},
                {"path": None},
                {"sha256": SHA[1:]},
                {"sha256": SHA.upper()},
                {"choice": "fix"},
                {"choice": []},
                {"turn": 0},
                {"turn": None},
                {"turn": 90.0},
                {"turn": True},
                {"turn": {}},
                {"choice": "keep"},
                {"when": 5},
            )
        ),
        json.dumps({name: value for name, value in said(Choice.KEEP)._asdict().items() if name != "when"}).encode(),
    ],
)
def test_what_is_no_verdict_is_told_and_passed_over(tmp_path, line):
    plan, told = str(tmp_path / "plan.csv"), []
    append(plan, [said(Choice.KEEP)])
    with open(path_for(plan), "ab") as file:
        file.write(line + b"\n")
    append(plan, [said(Choice.SKIP, path="/b")])
    assert list(read(plan, told.append).values()) == [said(Choice.KEEP), said(Choice.SKIP, path="/b")]
    assert told == [f"{plan}.verdicts: passed over 1 line that is no verdict"]


def test_a_verdict_of_a_later_version_may_say_more(tmp_path):
    plan = str(tmp_path / "plan.csv")
    with open(path_for(plan), "w", encoding="ascii") as file:
        file.write(json.dumps(said(Choice.KEEP)._asdict() | {"who": "Ann"}) + "\n")
    assert list(read(plan, pytest.fail).values()) == [said(Choice.KEEP)]


@pytest.mark.parametrize(
    "wrong",
    [
        said(Choice.TURN),
        said(Choice.TURN, 0),
        said(Choice.KEEP, 90),
        said(Choice.KEEP, path=""),
        said(Choice.KEEP, sha256=""),
        said(Choice.KEEP, path="x" * verdicts.LONGEST),
    ],
)
def test_what_would_not_come_back_is_not_written(tmp_path, wrong):
    plan = str(tmp_path / "plan.csv")
    with pytest.raises(ValueError, match="no verdict"):
        append(plan, [said(Choice.KEEP), wrong])
    assert not os.path.exists(path_for(plan))


WRITER = """
import sys
from orientd.report.verdicts import Choice, PersonVerdict, append
plan, who = sys.argv[1:]
sys.stdin.readline()
for number in range(200):
    photo = f"/{who}/{number}/{'x' * 300}", f"{number:064x}"
    append(plan, [PersonVerdict(*photo, Choice.KEEP, None, str(part)) for part in range(3)])
"""


def test_several_processes_write_without_a_line_lost_or_mixed(tmp_path):
    plan = str(tmp_path / "plan.csv")
    command = [sys.executable, "-c", WRITER, plan]
    writers = [subprocess.Popen([*command, str(who)], stdin=subprocess.PIPE) for who in range(4)]
    for writer in writers:
        writer.communicate(b"go\n")
    assert [writer.returncode for writer in writers] == [0] * 4
    with open(path_for(plan), "rb") as file:
        assert len(file.readlines()) == 4 * 200 * 3
    assert len(read(plan, pytest.fail)) == 4 * 200


def test_the_file_is_its_owners_alone(tmp_path):
    plan = str(tmp_path / "plan.csv")
    append(plan, [])
    assert not os.path.exists(path_for(plan))
    append(plan, [said(Choice.KEEP)])
    assert stat.S_IMODE(os.stat(path_for(plan)).st_mode) == 0o600


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_what_is_no_file_is_neither_read_nor_written(tmp_path, kind):
    plan = str(tmp_path / "plan.csv")
    make = {"folder": os.mkdir, "pipe": os.mkfifo, "link": lambda path: os.symlink(tmp_path / "other", path)}
    make[kind](path_for(plan))
    with pytest.raises(StateError, match="cannot be read"):
        read(plan)
    with pytest.raises(StateError, match="cannot be written"):
        append(plan, [said(Choice.KEEP)])
    assert not (tmp_path / "other").exists()


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    plan = str(tmp_path / "plan.csv")
    append(plan, [said(Choice.KEEP)])
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:-20]))
    with pytest.raises(StateError, match="free some space"):
        append(plan, [said(Choice.SKIP), said(Choice.SKIP)])
    monkeypatch.undo()
    assert list(read(plan, pytest.fail).values()) == [said(Choice.KEEP)]


@given(rows, st.none() | given_verdicts)
def test_what_a_verdict_makes_of_a_row(row, verdict):
    made = fold(row, verdict)
    left = verdict is None or verdict.choice in (Choice.SKIP, Choice.WITHDRAWN) or row.decision in (Verdict.SKIP, Verdict.ERROR)
    if left or made == row:
        assert made == row
        return
    assert made.decided_by == PERSON
    same = ("path", "size", "mtime_ns", "sha256", "orientation", "probabilities", "evidence", "outcome", "width", "height")
    assert [getattr(made, name) for name in same] == [getattr(row, name) for name in same]
    assert (made.method is Method.SIDECAR) == (row.method is Method.SIDECAR)
    if verdict.choice is Choice.KEEP or (verdict.choice is Choice.ACCEPT and row.decision is Verdict.KEEP):
        assert (made.decision, made.turn, made.new_orientation, made.reason) == (Verdict.KEEP, 0, None, "")
        return
    assert made.decision is Verdict.FIX
    assert made.turn == (verdict.turn or verdicts.best_turn(row))
    assert made.turn in TURNS[1:]
    if made.turn != row.turn:
        assert made.confidence is None
    if (row.decision, row.turn) != (Verdict.FIX, made.turn):
        assert made.new_orientation == (1 if made.method is Method.ROTATE else turned(row.orientation, made.turn))
    assert fold(made, verdict) == made, "as a report of it would be folded once more"


@pytest.mark.parametrize("decision", [Verdict.UNSURE, Verdict.FIX, Verdict.KEEP])
def test_a_turn_is_meant_as_the_photo_is_shown_now(decision):
    row = report_rows.FOUND._replace(orientation=6, turn=90, decision=decision, method=None, new_orientation=None)
    made = fold(row, said(Choice.TURN, 180))
    assert (made.decision, made.turn, made.new_orientation, made.confidence) == (Verdict.FIX, 180, 8, None)


def test_accept_is_the_proposal_itself_and_of_an_unsure_one_its_best_turn():
    assert fold(report_rows.FOUND, said(Choice.ACCEPT)) == report_rows.FOUND._replace(decided_by=PERSON)
    unsure = report_rows.FOUND._replace(
        decision=Verdict.UNSURE, turn=270, confidence=0.4, method=None, reason="views disagree", reason_code=Reason.VIEWS_DISAGREE
    )
    made = fold(unsure, said(Choice.ACCEPT))
    assert (made.decision, made.turn, made.confidence, made.reason, made.reason_code) == (Verdict.FIX, 270, 0.4, "", None)
    told = unsure._replace(turn=None, probabilities=(0.9, 0.01, 0.06, 0.03))
    assert fold(told, said(Choice.ACCEPT)).turn == 180
    lost = told._replace(probabilities=None)
    assert fold(lost, said(Choice.ACCEPT)) == lost


def test_a_plan_is_read_with_its_verdicts(tmp_path):
    found = report_rows.FOUND._replace(confidence=0.9876, probabilities=(0.0012, 0.9876, 0.01, 0.0012))
    wrong, unsure, kept, broken = (
        found._replace(path=f"/{name}.jpg", sha256=f"{number:064x}") for number, name in enumerate("abcd")
    )
    unsure = unsure._replace(decision=Verdict.UNSURE, turn=180)
    broken = broken._replace(decision=Verdict.ERROR, turn=None)
    all_rows = [wrong, unsure, kept, broken]
    plan = write(str(tmp_path / "plan.csv"), *all_rows)
    assert read_plan(plan) == [wrong, kept]
    append(plan, [said(Choice.ACCEPT, None, row.path, row.sha256) for row in (unsure, broken)])
    append(plan, [said(Choice.KEEP, None, kept.path, kept.sha256), said(Choice.KEEP, None, wrong.path, SHA)])
    assert [(row.path, row.turn, row.decided_by) for row in read_plan(plan)] == [
        ("/a.jpg", wrong.turn, ""),
        ("/b.jpg", 180, PERSON),
    ]
    assert [row.decision for row in read_decided(plan)] == [Verdict.FIX, Verdict.FIX, Verdict.KEEP, Verdict.ERROR]
    assert read_rows(plan) == all_rows


def test_a_row_that_verdicts_make_wrong_is_told_like_any_other(tmp_path):
    unsure = report_rows.FOUND._replace(path="/a.jpg", sha256=SHA, decision=Verdict.UNSURE, size=None)
    plan = write(str(tmp_path / "plan.csv"), unsure)
    append(plan, [said(Choice.ACCEPT, None, "/a.jpg")])
    with pytest.raises(ConfigError, match="line 2: size is missing"):
        read_plan(plan)


def test_a_plan_that_a_spreadsheet_saved_meanwhile_is_read_with_its_verdicts(tmp_path):
    plan = write(str(tmp_path / "plan.csv"), report_rows.FOUND._replace(path="/a.jpg", sha256=SHA, decision=Verdict.UNSURE))
    append(plan, [said(Choice.TURN, 90, "/a.jpg")])
    header, line = (text.split(",") for text in (tmp_path / "plan.csv").read_text().splitlines())
    text = "\ufeff" + "".join(";".join(cells[::-1]) + "\r\n" for cells in (header, line))
    (tmp_path / "plan.csv").write_text(text, "utf-8", newline="")
    assert [(row.path, row.turn) for row in read_plan(plan)] == [("/a.jpg", 90)]


def test_a_row_without_a_verdict_is_no_other_object():
    assert fold(Row("/a"), None) == Row("/a")


def test_the_file_is_locked_while_it_is_written_also_if_it_was_moved_away_meanwhile(tmp_path, monkeypatch):
    plan, steps = str(tmp_path / "plan.csv"), []
    append(plan, [said(Choice.KEEP)])
    lock, really = verdicts.fcntl.flock, os.write

    def locked(file, how):
        steps.append("lock")
        lock(file, how)
        if len(steps) == 1:
            os.rename(path_for(plan), tmp_path / "aside")

    def write(file, data):
        steps.append("write")
        with open(path_for(plan), "rb") as other, pytest.raises(BlockingIOError):
            lock(other, verdicts.fcntl.LOCK_EX | verdicts.fcntl.LOCK_NB)
        return really(file, data)

    monkeypatch.setattr(verdicts.fcntl, "flock", locked)
    monkeypatch.setattr(os, "write", write)
    append(plan, [said(Choice.SKIP)])
    monkeypatch.undo()
    assert steps == ["lock", "lock", "write"]
    assert list(read(plan).values()) == [said(Choice.SKIP)]


def test_a_file_system_without_locks_is_written_all_the_same(tmp_path, monkeypatch):
    plan = str(tmp_path / "plan.csv")
    monkeypatch.setattr(verdicts.fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(95, "Operation not supported")))
    append(plan, [said(Choice.KEEP)])
    assert list(read(plan).values()) == [said(Choice.KEEP)]


def test_what_was_said_is_on_the_disk_and_so_is_the_name_of_a_new_file(tmp_path, monkeypatch):
    plan, synced = str(tmp_path / "plan.csv"), []
    really = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.path.realpath(f"/proc/self/fd/{file}")) or really(file))
    append(plan, [said(Choice.KEEP)])
    append(plan, [said(Choice.SKIP)])
    assert synced == [path_for(plan), str(tmp_path), path_for(plan)]
