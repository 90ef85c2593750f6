import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orientd.errors import StateError
from orientd.reasons import Reason
from orientd.records import FileStat, Format, Patch, Splice
from orientd.state.journal import VERSION, Intent, Journal, WriteStatus
from orientd.state.lock import Lock

STAT = FileStat(1, 2, 30, 4, 5)
INTENT = Intent(
    path="/photos/a.jpg",
    format=Format.JPEG,
    old_stat=STAT,
    old_sha256="a" * 64,
    new_sha256="b" * 64,
    patch=Patch((Splice(7, b"\1", b"\6"), Splice(9, b"", b"new"))),
    old_orientation=None,
    new_orientation=6,
    turn=90,
    method="tag",
    mtime_ns=None,
    temp=".orientd-0123456789abcdef.tmp",
    probabilities=(0.1, 0.7, 0.1, 0.1),
)

names = st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name and b".." not in name)
paths = names.map(lambda name: os.fsdecode(b"/" + name))
numbers = [st.integers(0, 2**64 - 1)] * 2
stats = st.builds(FileStat, *numbers, st.integers(2**42, 2**63 - 1), st.integers(-(2**92), 2**92), st.integers(0, 9))
parts = st.lists(st.tuples(st.integers(0, 2**40), st.binary(max_size=9), st.binary(max_size=9)), max_size=3)
intents = st.builds(
    Intent,
    path=paths,
    format=st.sampled_from(Format),
    old_stat=stats,
    old_sha256=st.just("a" * 64),
    new_sha256=st.just("b" * 64),
    patch=parts.map(lambda parts: patch_of(parts)),
    old_orientation=st.none() | st.integers(-(2**31), 2**32 - 1),
    new_orientation=st.none() | st.integers(1, 8),
    turn=st.sampled_from((0, 90, 180, 270)),
    method=st.just("tag"),
    mtime_ns=st.none() | st.integers(-(2**92), 2**92) | st.integers(-(2**63) - 2, 2**63 + 2),
    temp=st.just(".orientd-0123456789abcdef.tmp"),
    probabilities=st.just(()) | st.tuples(*[st.floats(0, 1)] * 4),
    marks=st.frozensets(st.text(st.characters(codec="utf-8"))),
)


def patch_of(parts):
    """Splices that follow each other, each so far behind the one before."""
    splices, end = [], 0
    for gap, old, new in parts:
        splices.append(Splice(end + gap, old, new))
        end += gap + len(old)
    return Patch(tuple(splices))


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "state") as journal:
        yield journal


@given(intents, stats, paths)
def test_a_write_comes_back_as_it_went_in(tmp_path_factory, intent, stat, reason):
    with Journal(tmp_path_factory.getbasetemp() / "round trip") as journal:
        run = journal.start_run("scan --fix")
        number = journal.intend(run, intent)
        (write,) = journal.writes(run)
        assert (write.id, write.run, write.intent) == (number, run, intent)
        assert (write.status, write.reason, write.new_stat) == (WriteStatus.INTENDED, "", None)
        assert write.code is None
        journal.settle(number, WriteStatus.FIXED, reason, stat, Reason.INTERRUPTED)
        (write,) = journal.writes(run)
        assert (write.intent, write.status, write.reason, write.new_stat) == (intent, WriteStatus.FIXED, reason, stat)
        assert write.code is Reason.INTERRUPTED


def test_another_process_sees_an_intent_at_once(journal):
    number = journal.intend(journal.start_run("apply"), INTENT)
    with Journal(os.path.dirname(journal.path)) as other:
        assert [write.id for write in other.unsettled()] == [number]


def test_every_commit_is_synced(journal):
    pragmas = {name: journal._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}


def test_what_is_settled_is_no_longer_open(journal):
    run = journal.start_run("scan --fix")
    numbers = [journal.intend(run, replace(INTENT, path=f"/{n}")) for n in range(5)]
    for number, status in zip(numbers, list(WriteStatus)[1:], strict=False):
        journal.settle(number, status, "because")
    numbers.append(journal.intend(run, INTENT))
    assert [write.id for write in journal.unsettled()] == numbers[4:]
    assert [write.id for write in journal.writes(run)] == numbers[::-1]


def test_what_is_settled_keeps_its_reason_and_the_state_it_left(journal):
    number = journal.intend(journal.start_run("scan --fix"), INTENT)
    journal.note(number, "not mounted", Reason.VANISHED)
    assert (journal.write(number).reason, journal.write(number).code) == ("not mounted", Reason.VANISHED)
    journal.settle(number, WriteStatus.FIXED, "", STAT)
    journal.note(number, "not mounted", Reason.VANISHED)
    assert (journal.write(number).reason, journal.write(number).code, journal.write(number).new_stat) == ("", None, STAT)
    journal.settle(number, WriteStatus.UNDONE, "the old bytes were back already")
    assert (journal.write(number).reason, journal.write(number).new_stat) == ("the old bytes were back already", STAT)


def test_of_each_file_the_last_write_that_did_not_fail_is_listed(journal):
    run = journal.start_run("scan --fix")
    numbers = {status: journal.intend(run, INTENT) for status in (WriteStatus.UNDONE, WriteStatus.FIXED, WriteStatus.FAILED)}
    for status, number in numbers.items():
        journal.settle(number, status)
    journal.settle(journal.intend(run, replace(INTENT, path="/photos/b.jpg")), WriteStatus.FAILED)
    assert [write.id for write in journal.last_writes()] == [numbers[WriteStatus.FIXED]]


def test_the_journal_may_change_while_it_is_read(journal):
    run = journal.start_run("scan --fix")
    numbers = [journal.intend(run, INTENT) for _ in range(4)]
    seen = []
    for write in journal.writes(run):
        journal.settle(write.id, WriteStatus.FIXED)
        journal.intend(run, INTENT)
        seen.append(write.id)
    assert seen == numbers[::-1]


def test_a_write_that_is_not_there_is_told(journal):
    with pytest.raises(StateError, match="write 7: there is none"):
        journal.write(7)


def test_undoing_settles_both_writes(journal):
    first = journal.start_run("scan --fix")
    one, other = (journal.intend(first, replace(INTENT, old_sha256=sha * 64)) for sha in "10")
    for number in (one, other):
        journal.settle(number, WriteStatus.FIXED)
    second = journal.start_run("undo")
    failed = journal.intend(second, replace(INTENT, undoes=one))
    journal.settle(failed, WriteStatus.FAILED)
    assert journal.was_undone("1" * 64, "tag", unattended=True) is None
    journal.settle(journal.intend(second, replace(INTENT, undoes=one)), WriteStatus.FIXED)
    assert [write.status for write in journal.writes(first)] == [WriteStatus.FIXED, WriteStatus.UNDONE]
    assert (
        journal.was_undone("1" * 64, "tag", unattended=True),
        journal.was_undone("0" * 64, "tag", unattended=True),
        journal.was_undone("b" * 64, "tag", unattended=True),
    ) == (first, None, None)


def test_the_last_run_that_can_be_undone(journal):
    assert journal.undoable() == []
    first, second = journal.start_run("scan --fix"), journal.start_run("scan --fix")
    done, failed = journal.intend(first, INTENT), journal.intend(second, INTENT)
    assert journal.undoable() == []
    journal.settle(done, WriteStatus.FIXED)
    journal.settle(failed, WriteStatus.FAILED)
    assert journal.undoable() == [first]
    undoing = journal.start_run("undo")
    journal.settle(journal.intend(undoing, replace(INTENT, undoes=done)), WriteStatus.FIXED)
    assert journal.undoable() == []


def settled(journal, run, status, **changes):
    number = journal.intend(run, replace(INTENT, **changes))
    journal.settle(number, status)
    return number


def test_the_newest_run_is_undone_first(journal):
    runs = [journal.start_run("scan --fix") for _ in range(3)]
    for run in (runs[1], runs[0], runs[2]):
        settled(journal, run, WriteStatus.FIXED)
    assert journal.undoable() == runs[::-1]


def test_what_was_taken_back_at_a_path_is_told_by_the_orientation_before(journal):
    run, beside = journal.start_run("scan --fix"), "/photos/a.xmp"
    settled(journal, run, WriteStatus.UNDONE)
    settled(journal, run, WriteStatus.UNDONE, path=beside, old_orientation=8)
    settled(journal, run, WriteStatus.FIXED, path=beside, old_orientation=3)
    asked = [(path, value) for path in (INTENT.path, beside, "/photos/b.jpg") for value in (None, 3, 6, 8)]
    assert [each for each in asked if journal.was_undone_at([each[0]], each[1], unattended=True)] == [
        (INTENT.path, None),
        (beside, 8),
    ]
    assert journal.was_undone_at([INTENT.path, beside], 8, unattended=True) == run
    later = journal.start_run("apply")
    settled(journal, later, WriteStatus.UNDONE)
    assert (
        journal.was_undone_at([INTENT.path], None, unattended=True)
        == journal.was_undone(INTENT.old_sha256, "tag", unattended=True)
        == later
    )


def test_roots_and_marks_are_noted_once_and_what_is_none_is_passed_over(journal):
    number = journal.intend(journal.start_run("scan"), replace(INTENT, marks=frozenset({"picture"})))
    for roots in (["/a", "/caf\udce9"], ["/a", "/b"]):
        journal.add_roots(roots)
    journal._db.execute("INSERT INTO roots VALUES ('/text')")
    journal._db.execute("INSERT INTO marks VALUES (?, x'00')", (number,))
    assert sorted(journal.roots()) == ["/a", "/b", "/caf\udce9"]
    assert journal.write(number).intent.marks == {"picture"}


def test_a_later_run_that_wrote_a_photo_is_found_unless_that_was_taken_back(journal):
    first, second = journal.start_run("scan --fix"), journal.start_run("apply")
    number = settled(journal, first, WriteStatus.FIXED)
    assert (journal.run_that_wrote(INTENT.path, number - 1), journal.run_that_wrote(INTENT.path, number)) == (first, None)
    for status in (WriteStatus.UNDONE, WriteStatus.FAILED, WriteStatus.INTENDED):
        settled(journal, second, status)
    settled(journal, second, WriteStatus.FIXED, path="/photos/b.jpg")
    settled(journal, second, WriteStatus.FIXED, undoes=settled(journal, second, WriteStatus.FIXED))
    assert journal.run_that_wrote(INTENT.path, number) is None


def test_the_run_that_made_these_bytes_is_known_by_path_turn_and_hashes(journal):
    run, right = journal.start_run("scan --fix"), (INTENT.path, 90, "b" * 64)
    number = settled(journal, run, WriteStatus.FIXED)
    assert journal.run_that_made(*right) == journal.run_that_made(*right, "a" * 64) == run
    for wrong in (("/photos/b.jpg", *right[1:]), (right[0], 180, right[2]), (*right[:2], "a" * 64), (*right, "b" * 64)):
        assert journal.run_that_made(*wrong) is None
    settled(journal, run, WriteStatus.FIXED, undoes=number, old_sha256="b" * 64, new_sha256="a" * 64, turn=270)
    assert journal.run_that_made(*right) is journal.run_that_made(INTENT.path, 270, "a" * 64) is None


def test_the_turns_of_a_photo_are_found_by_its_path_and_its_marks_newest_first(journal):
    run, marks = journal.start_run("scan --fix"), frozenset({"picture"})
    here = settled(journal, run, WriteStatus.UNDONE)
    moved = settled(journal, run, WriteStatus.FIXED, path="/photos/b.jpg", marks=marks)
    settled(journal, run, WriteStatus.FIXED, path="/photos/c.jpg", marks=frozenset({"another"}))
    settled(journal, run, WriteStatus.FAILED, marks=marks)
    settled(journal, run, WriteStatus.FIXED, marks=marks, turn=180)
    settled(journal, run, WriteStatus.FIXED, marks=marks, undoes=here)
    assert [write.id for write in journal.turns(90, INTENT.path, ["picture", "other"], "tag", unattended=True)] == [moved, here]
    assert [write.id for write in journal.turns(90, INTENT.path, [], "tag", unattended=True)] == [here]


def test_runs_tell_their_story(journal):
    first = journal.start_run("scan --fix " + os.fsdecode(b"/caf\xe9"))
    statuses = [WriteStatus.FIXED, WriteStatus.FIXED, WriteStatus.UNDONE, WriteStatus.FAILED, WriteStatus.LOST]
    for status in statuses:
        journal.settle(journal.intend(first, INTENT), status)
    journal.finish_run(first)
    second = journal.start_run("undo")
    journal.mark_interrupted()
    later, earlier = journal.runs()
    assert (earlier.id, earlier.command, earlier.status) == (first, "scan --fix /caf\udce9", "done")
    assert (earlier.fixed, earlier.undone, earlier.failed) == (2, 1, 2)
    assert earlier.started_ns <= (earlier.finished_ns or 0) <= later.started_ns
    assert (later.id, later.status, later.finished_ns, later.fixed) == (second, "interrupted", None, 0)


def test_the_journal_is_for_its_owner_alone(tmp_path):
    with Journal(tmp_path / "a" / "state") as journal, Lock(tmp_path / "a" / "state"):
        journal.start_run("x")
        folder = tmp_path / "a" / "state"
        modes = {entry.name: entry.stat().st_mode & 0o777 for entry in folder.iterdir()}
    assert modes == dict.fromkeys(("journal.db", "journal.db-wal", "journal.db-shm", "lock"), 0o600)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_newer_journal_is_left_alone(journal):
    journal._db.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(StateError, match="newer orientd: upgrade"):
        Journal(os.path.dirname(journal.path))


def spoil_header(data):
    return b"not a database at all, not even nearly" + data[38:]


def spoil_page(data):
    return data[:4096] + b"\xff" * 4096 + data[8192:]


@pytest.mark.parametrize("spoil", [spoil_header, spoil_page, lambda data: data[: len(data) // 2]])
def test_a_damaged_journal_is_moved_aside_and_kept(tmp_path, spoil):
    with Journal(tmp_path) as journal:
        run = journal.start_run("scan --fix")
        for _ in range(50):
            journal.intend(run, INTENT)
    file = tmp_path / "journal.db"
    damaged = spoil(file.read_bytes())
    file.write_bytes(damaged)
    with Journal(tmp_path) as journal:
        (kept,) = tmp_path.glob("journal.db.damaged-*")
        assert kept.read_bytes() == damaged
        assert str(kept) in journal.warning
        assert journal.runs() == []
        assert journal.start_run("scan --fix") == 1
    with Journal(tmp_path) as journal:
        assert (journal.warning, len(journal.runs())) == ("", 1)


def test_a_sound_journal_is_not_moved(tmp_path):
    for count in range(3):
        with Journal(tmp_path) as journal:
            assert (journal.warning, len(journal.runs())) == ("", count)
            journal.start_run("scan --fix")
    assert list(tmp_path.glob("*damaged*")) == []


def test_a_journal_that_somebody_holds_is_not_taken_for_damaged(tmp_path, monkeypatch):
    connect = sqlite3.connect
    with closing(connect(tmp_path / "journal.db")) as holder:
        holder.execute("CREATE TABLE held (x)")
        holder.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(sqlite3, "connect", lambda path, **more: connect(path, **(more | {"timeout": 0})))
        with pytest.raises(StateError, match="locked"):
            Journal(tmp_path)
    assert [name for name in os.listdir(tmp_path) if "damaged" in name] == []


@pytest.mark.parametrize("folder", ["file", "file/below"])
def test_a_state_directory_that_cannot_be_made_is_told(tmp_path, folder):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StateError, match=f"{folder}.*cannot be used"):
        Journal(tmp_path / folder)
    with pytest.raises(StateError, match=f"{folder}.*cannot be used"):
        Lock(tmp_path / folder)


def test_a_full_disk_is_told_and_leaves_no_half_intent(journal):
    run = journal.start_run("scan --fix")
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StateError, match=r"full.*check its permissions and the space left"):
        journal.intend(run, replace(INTENT, patch=Patch((Splice(1, b"a", bytes(10**6)),))))
    journal._db.execute("PRAGMA max_page_count = 100000")
    assert journal.unsettled() == []
    assert journal.intend(run, INTENT) == 1


def test_one_process_writes_at_a_time(tmp_path):
    with Lock(tmp_path), pytest.raises(StateError, match=rf"another orientd is writing \(process {os.getpid()}\)"):
        Lock(tmp_path)
    with Lock(tmp_path):
        pass


def test_the_lock_names_its_holder_and_dies_with_it(tmp_path):
    script = f"from orientd.state.lock import Lock; lock = Lock({str(tmp_path)!r}); print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StateError, match=rf"\(process {holder.pid}\)"):
            Lock(tmp_path)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    (tmp_path / "lock").write_text("9" * 20)
    with Lock(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


@st.composite
def patched_files(draw):
    data = draw(st.binary(max_size=200))
    ends = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    pairs = zip(ends[::2], ends[1::2], strict=False)
    return data, Patch(tuple(Splice(start, data[start:end], draw(st.binary(max_size=20))) for start, end in pairs))


@given(patched_files())
def test_a_patch_and_its_inverse_give_back_every_byte(case):
    data, patch = case
    patched = patch.apply(data)
    assert patch.inverse().apply(patched) == data
    assert patch.inverse().inverse() == patch
    assert len(patched) - len(data) == sum(len(splice.new) - len(splice.old) for splice in patch.splices)
    assert patch.keeps_length == all(len(splice.new) == len(splice.old) for splice in patch.splices)


@given(patched_files(), st.integers(0, 199))
def test_a_patch_refuses_a_file_that_differs_where_it_writes(case, place):
    data, patch = case
    if any(splice.offset <= place < splice.offset + len(splice.old) for splice in patch.splices):
        other = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(ValueError, match="not those the patch was made for"):
            patch.apply(other)
