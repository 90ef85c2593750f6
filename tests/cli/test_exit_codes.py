"""What a script is told: by the exit code, by the history, and by a report on standard output; and that -q is quiet."""

import builtins
import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys

import pytest
from support import sky_library

from orientd.state.lock import Lock


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("ORIENTD_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def written(orientd, photos, tmp_path, state):
    """A photo was turned by its pixels in run 1 and that was taken back in run 2, another was turned by its pixels in run 3, and
    there is a plan for a third."""
    for name in "abc":
        sky_library.draw(photos / name / "p.png", 90, by_tag=False, seed=ord(name), kind="PNG")
    for name in "ab":
        assert orientd("scan", photos / name, "--fix", "--method", "rotate", "--report", tmp_path / "r.csv") == 0
        assert name != "a" or orientd("undo", 1) == 0
    assert orientd("scan", photos / "c", "--report", tmp_path / "plan.csv") == 0


WRITING = {
    "scan": ["scan", "{photos}", "--fix", "--report", "{tmp}/s.csv"],
    "apply": ["apply", "{tmp}/plan.csv", "--report", "{tmp}/a.csv"],
    "undo": ["undo", "3"],
    "redo": ["redo", "1"],
    "forget": ["forget", "3", "--yes"],
}
each_that_writes = pytest.mark.parametrize("name", WRITING)


def words(name, photos, tmp_path):
    return [word.format(photos=photos, tmp=tmp_path) for word in WRITING[name]]


def busy_at_first(monkeypatch, times, then=lambda: None):
    """Another orientd holds the lock when it is asked for the first few times; `then` happens meanwhile."""
    is_taken, left = Lock._is_taken, [times]

    def taken(lock):
        if left[0]:
            left[0] -= 1
            then()
            return False
        return is_taken(lock)

    monkeypatch.setattr(Lock, "_is_taken", taken)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_no_right_or_room_for_a_report_is_no_wrong_usage(orientd, photos, tmp_path, monkeypatch, capsys, number):
    sky_library.draw(photos / "a.jpg", 90)
    really = builtins.open

    def refusing(path, *arguments, **named):
        if str(path).endswith(".partial"):
            raise OSError(number, os.strerror(number))
        return really(path, *arguments, **named)

    monkeypatch.setattr(builtins, "open", refusing)
    assert orientd("scan", photos, "--report", tmp_path / "1.csv") == 73
    assert f"1.csv cannot be written: {os.strerror(number)}" in capsys.readouterr().err


@pytest.mark.parametrize("report", ["nowhere/1.csv", f"{'x' * 300}.csv", "photos/a.jpg", "photos/a.jpg/1.csv"])
def test_a_report_that_leads_nowhere_is_a_wrong_usage(orientd, photos, tmp_path, report):
    sky_library.draw(photos / "a.jpg", 90)
    assert orientd("scan", photos, "--report", tmp_path / report) == 2


def test_a_disk_that_gets_full_under_the_report_has_the_same_code(orientd, photos, tmp_path, monkeypatch, state):
    from orientd.report.csv_file import CsvReport

    for number in range(3):
        sky_library.draw(photos / f"{number}.jpg", seed=number)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    finish = CsvReport.finish

    def full(report):
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            return finish(report)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    monkeypatch.setattr(CsvReport, "finish", full)
    assert orientd("scan", photos, "--report", tmp_path / "1.csv") == 73


@each_that_writes
def test_while_another_orientd_writes_it_is_busy(orientd, written, photos, tmp_path, state, capsys, name):
    before = sky_library.snapshot(photos)
    with Lock(state):
        assert orientd(*words(name, photos, tmp_path)) == 4
    assert f"another orientd is writing (process {os.getpid()})" in capsys.readouterr().err
    assert sky_library.snapshot(photos) == before


@each_that_writes
def test_it_waits_for_it_if_asked_and_says_so_once(orientd, written, photos, tmp_path, state, monkeypatch, capsys, name):
    capsys.readouterr()
    busy_at_first(monkeypatch, 3)
    assert orientd(*words(name, photos, tmp_path), "--wait") == 0
    assert capsys.readouterr().err.count(f"another orientd is writing (process {os.getpid()}): waiting for it") == 1


@each_that_writes
def test_it_waits_no_longer_than_asked(orientd, written, photos, tmp_path, state, name):
    with Lock(state):
        assert orientd(*words(name, photos, tmp_path), "--wait=0.2") == 4


@each_that_writes
def test_ctrl_c_ends_the_waiting(orientd, written, photos, tmp_path, state, monkeypatch, name):
    before = sky_library.snapshot(photos)
    busy_at_first(monkeypatch, 10**9, lambda: signal.raise_signal(signal.SIGINT))
    assert orientd(*words(name, photos, tmp_path), "--wait") == 130
    assert sky_library.snapshot(photos) == before
    assert not list(tmp_path.glob("*.partial"))


def test_no_argument_is_taken_for_a_number_of_seconds_or_the_reverse(orientd, written, photos, tmp_path, capsys):
    assert orientd("scan", "--wait", photos, "--report", tmp_path / "1.csv") == 0
    assert len(sky_library.rows(tmp_path / "1.csv")) == 3
    capsys.readouterr()
    assert orientd("undo", "--wait", "3") == 2
    assert "write --wait=3 to wait so many seconds, or put 3 first" in capsys.readouterr().err
    for value in ("soon", "-1", "nan", ""):
        assert orientd("undo", "3", f"--wait={value}") == 2
    assert orientd("history") == 0
    assert re.search(r"^3 .* 1 +0 +0 +0 +done", capsys.readouterr().out, re.MULTILINE), "nothing of run 3 was taken back"


def test_a_report_that_another_orientd_writes_is_busy(orientd, photos, tmp_path):
    from orientd.report.csv_file import CsvReport

    sky_library.draw(photos / "a.jpg")
    with CsvReport(str(tmp_path / "1.csv")):
        assert orientd("scan", photos, "--report", tmp_path / "1.csv") == 4


def test_a_folder_that_is_watched_is_busy(orientd, photos, state):
    photos.mkdir()
    with Lock(state, "watching"):
        assert orientd("watch", photos) == 4


def test_history_counts_the_photos_that_failed_before_anything_was_begun(orientd, photos, tmp_path, capsys):
    for number in range(4):
        sky_library.draw(photos / f"{number}.jpg", 90, seed=number)
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv") == 0
    for name in ("0.jpg", "1.jpg"):
        (photos / name).write_bytes((photos / name).read_bytes() + b"edited")
    assert orientd("apply", tmp_path / "plan.csv", "--report", tmp_path / "done.csv") == 3
    (photos / "2.jpg").write_bytes((photos / "2.jpg").read_bytes() + b"edited")
    assert orientd("undo", 1) == 3
    capsys.readouterr()
    assert orientd("history") == 0
    heading, *runs = (line.split()[:7] for line in capsys.readouterr().out.splitlines())
    assert heading == ["run", "started", "fixed", "undone", "no", "undo", "failed"]
    fixed_undone_lost_failed = {run[0]: run[3:7] for run in runs}
    assert fixed_undone_lost_failed == {"2": ["0", "1", "0", "1"], "1": ["1", "1", "0", "2"]}


def test_a_report_goes_to_standard_output_and_all_else_to_standard_error(orientd, photos, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    needs = sky_library.library(photos)
    assert orientd("scan", photos, "--verbose", "--report", "-") == 0
    told = capfd.readouterr()
    (tmp_path / "kept.csv").write_text(told.out)
    assert {path: int(row["turn"]) for path, row in sky_library.rows(tmp_path / "kept.csv").items()} == needs
    assert ("4 photos are sideways or upside down. Nothing was changed." in told.err, "Report:" in told.err) == (True, False)
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "kept.csv"}
    assert orientd("apply", "kept.csv", "--report", "-") == 0
    told = capfd.readouterr()
    assert told.out.count(",fixed,") == 4
    assert "4 photos were sideways or upside down: 4 fixed." in told.err
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "kept.csv"}


def test_a_report_on_standard_output_is_no_place_for_json(orientd, photos, capsys):
    sky_library.draw(photos / "a.jpg", 90)
    assert orientd("scan", photos, "--report", "-", "--json") == 2
    told = capsys.readouterr()
    assert [json.loads(line)["message_type"] for line in told.out.splitlines()] == ["error"]
    assert "--report - and --json both write to standard output" in told.err


def test_a_path_that_is_not_utf8_goes_through_a_pipe_unchanged(orientd, photos, tmp_path, capfdbinary):
    path = os.fsencode(photos) + b"/caf\xe9.jpg"
    sky_library.draw(photos / "a.jpg", 90).rename(os.fsdecode(path))
    assert orientd("scan", photos, "--report", "-", "--quiet") == 0
    assert path in capfdbinary.readouterr().out


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_of_the_report_that_goes_away_is_no_fault_of_the_report(photos, model, unbuffered):
    for number in range(6):
        sky_library.draw(photos / f"{number}.jpg", 90, seed=number)
    command = f"exec 3> >(true); wait $!; {sys.executable} -m orientd scan {photos} --report - >&3"
    environment = os.environ | {"ORIENTD_MODEL": str(model), "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=600)
    assert (done.returncode, "Traceback" in done.stderr, "Exception" in done.stderr) == (1, False, False), done.stderr
    full = command.replace("exec 3> >(true); wait $!; ", "").replace(">&3", "> /dev/full")
    done = subprocess.run(["bash", "-c", full], env=environment, capture_output=True, text=True, timeout=600)
    assert (done.returncode, "Traceback" in done.stderr) == (73, False), done.stderr
    assert "the report cannot be written to standard output: No space left on device" in done.stderr


def test_what_was_printed_until_ctrl_c_are_whole_rows(orientd, photos, tmp_path, monkeypatch, capfd):
    from orientd.cli.session import Session

    for number in range(6):
        sky_library.draw(photos / f"{number}.jpg", 90, seed=number)
    add = Session.add

    def stop(session, row):
        add(session, row)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Session, "add", stop)
    monkeypatch.chdir(tmp_path)
    assert orientd("scan", photos, "--report", "-") == 130
    told = capfd.readouterr()
    assert told.out.endswith("\n")
    (tmp_path / "kept.csv").write_text(told.out)
    assert len(sky_library.rows(tmp_path / "kept.csv")) == 1
    assert "Stopped before the end" in told.err
    assert not list(tmp_path.glob("*.partial"))


QUIET = {**WRITING, "verify": ["verify"], "offer": ["offer", "1"], "dry run": ["scan", "{photos}", "--report", "{tmp}/d.csv"]}


@pytest.mark.parametrize("flag", ["-q", "--quiet"])
@pytest.mark.parametrize("name", QUIET)
def test_quiet_is_quiet(orientd, written, photos, tmp_path, capsys, name, flag):
    arguments = [word.format(photos=photos, tmp=tmp_path) for word in QUIET[name]]
    capsys.readouterr()
    assert orientd(*arguments, flag) == 0
    assert capsys.readouterr() == ("", "")


def test_quiet_leaves_errors_and_json(orientd, written, photos, tmp_path, capsys):
    capsys.readouterr()
    assert orientd("verify", "--json", "-q") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["message_type"] == "summary"
    assert orientd("scan", photos, "--json", "-q", "--report", tmp_path / "1.csv") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["message_type"] == "summary"
    (photos / "b" / "p.png").write_bytes(b"edited")
    assert orientd("undo", "3", "-q") == 3
    told = capsys.readouterr()
    assert (told.out, "p.png" in told.err) == ("", True)
    assert orientd("undo", "-q", "--dry-run") == 3
    assert capsys.readouterr().out == ""


def test_quiet_or_not_nothing_is_taken_back_unasked(orientd, written, photos, capsys):
    before = sky_library.snapshot(photos)
    capsys.readouterr()
    for command in (["undo"], ["forget", "3"]):
        assert orientd(*command, "-q") == 2
        told = capsys.readouterr()
        assert (told.out, "Nothing was changed, as there is no terminal to ask on" in told.err) == ("", True)
    assert sky_library.snapshot(photos) == before
