"""What goes wrong around the command line: odd plans, dead pipes, full disks, stale memories. Nothing may be left unsaid."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import sky_library

from orientd import app
from orientd.cli.stopping import stoppable
from orientd.library import given
from orientd.state.journal import Journal
from orientd.state.lock import Lock


def shell(command, model):
    """Run a shell command in which $orientd stands for the real program."""
    environment = os.environ | {"ORIENTD_MODEL": str(model), "orientd": f"{sys.executable} -m orientd"}
    return subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=600)


def edit(plan, change):
    with plan.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with plan.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(change(rows))


def test_a_wrong_photo_that_cannot_be_written_is_not_passed_over(orientd, photos, tmp_path, capsys):
    sky_library.draw(photos / "a.bmp", 90, by_tag=False, kind="BMP")
    assert orientd("scan", photos, "--exit-code", "--report", tmp_path / "1.csv") == 11
    assert "1 photo is sideways or upside down and cannot be written" in capsys.readouterr().out


@pytest.mark.parametrize("instead", ["nothing", "an empty folder"])
def test_a_library_that_goes_away_after_it_was_listed_ends_the_scan_without_a_row(
    orientd, photos, tmp_path, capsys, monkeypatch, instead
):
    for seed in range(30):
        sky_library.draw(photos / f"{seed:02}.jpg", 90, seed=seed)
    walk = given.walk

    def walk_and_unplug(*arguments):
        listed = list(walk(*arguments))
        photos.rename(tmp_path / "unplugged")
        if instead == "an empty folder":
            photos.mkdir()
        yield from listed

    monkeypatch.setattr(given, "walk", walk_and_unplug)
    assert orientd("scan", photos, "--quiet", "--report", tmp_path / "report.csv") == 75
    assert "went away during the scan" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "report.csv").exists()


def test_a_photo_that_goes_away_ends_nothing(orientd, photos, tmp_path, monkeypatch):
    for name in ("a.jpg", "b.jpg"):
        sky_library.draw(photos / name)
    walk = given.walk

    def walk_and_delete(*arguments):
        listed = list(walk(*arguments))
        (photos / "a.jpg").unlink()
        yield from listed

    monkeypatch.setattr(given, "walk", walk_and_delete)
    assert orientd("scan", photos, "--quiet", "--report", tmp_path / "report.csv") == 3
    assert [row["decision"] for row in sky_library.rows(tmp_path / "report.csv").values()] == ["error", "keep"]


def test_a_refusal_is_looked_at_again(orientd, photos, tmp_path):
    path = sky_library.draw(photos / "a.jpg", 90)
    os.link(path, tmp_path / "elsewhere.jpg")
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") == 0
    assert sky_library.shown_turned(path) == 90
    (tmp_path / "elsewhere.jpg").unlink()
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "2.csv") == 0
    assert sky_library.shown_turned(path) == 0


def test_a_plan_with_relative_paths_can_be_undone_from_anywhere(orientd, photos, tmp_path, monkeypatch):
    path = sky_library.draw(photos / "a.jpg", 90)
    old, plan = path.read_bytes(), tmp_path / "plan.csv"
    assert orientd("scan", photos, "--report", plan) == 0
    edit(plan, lambda rows: [row | {"path": "photos/a.jpg"} for row in rows])
    monkeypatch.chdir(tmp_path)
    assert orientd("apply", plan, "--report", tmp_path / "done.csv") == 0
    assert sky_library.shown_turned(path) == 0
    monkeypatch.chdir("/")
    assert orientd("undo", "--yes") == 0
    assert path.read_bytes() == old


def test_what_a_person_decided_is_what_the_report_says_was_done(orientd, photos, tmp_path):
    path, plan = sky_library.draw(photos / "a.jpg", 0), tmp_path / "plan.csv"
    assert orientd("scan", photos, "--report", plan) == 0
    edit(plan, lambda rows: [row | {"decision": "fix", "turn": "90", "reason": "views disagree: 6 of 8"} for row in rows])
    assert orientd("apply", plan, "--report", tmp_path / "done.csv") == 0
    row = sky_library.rows(tmp_path / "done.csv")[str(path)]
    assert (row["outcome"], row["reason"], row["new_orientation"], row["method"]) == ("fixed", "", "6", "tag")
    assert sky_library.shown_turned(path) == 270


def test_a_plan_is_never_replaced_by_the_report(orientd, photos, tmp_path, capsys):
    path, plan = sky_library.draw(photos / "a.jpg", 90), tmp_path / "plan.csv"
    assert orientd("scan", photos, "--report", plan) == 0
    before = plan.read_bytes()
    assert orientd("apply", plan, "--report", plan) == 2
    assert (plan.read_bytes(), sky_library.shown_turned(path)) == (before, 90)
    edit(plan, lambda rows: [row | {"decision": "keep"} for row in rows])
    assert orientd("apply", plan, "--report", tmp_path / "done.csv") == 0
    assert "has no row whose decision is fix" in capsys.readouterr().err


def test_a_second_name_of_a_known_photo_is_not_a_photo_of_its_own(orientd, photos, tmp_path):
    path = sky_library.draw(photos / "b.jpg", 90)
    assert orientd("scan", photos, "--hard-links", "--report", tmp_path / "1.csv") == 0
    os.link(path, photos / "a.jpg")
    assert orientd("scan", photos, "--fix", "--hard-links", "--report", tmp_path / "2.csv") == 0
    outcomes = {Path(name).name: row["outcome"] for name, row in sky_library.rows(tmp_path / "2.csv").items()}
    assert outcomes == {"a.jpg": "fixed", "b.jpg": ""}
    assert sky_library.shown_turned(path) == 0


def test_a_second_row_of_the_same_photo_changes_nothing(orientd, photos, tmp_path):
    path, plan = sky_library.draw(photos / "a.jpg", 90), tmp_path / "plan.csv"
    assert orientd("scan", photos, "--report", plan) == 0
    edit(plan, lambda rows: rows * 2)
    assert orientd("apply", plan, "--report", tmp_path / "done.csv") == 0
    with (tmp_path / "done.csv").open(newline="") as file:
        outcomes = [(row["outcome"], row["reason"]) for row in csv.DictReader(file)]
    assert outcomes == [("fixed", ""), ("unchanged", "done already in run 1")]
    assert sky_library.shown_turned(path) == 0


def test_a_photo_applied_with_its_old_time_is_judged_anew(orientd, photos, tmp_path):
    path = sky_library.draw(photos / "a.jpg", 90)
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv") == 0
    assert orientd("apply", tmp_path / "plan.csv", "--mtime", "keep", "--report", tmp_path / "done.csv") == 0
    assert orientd("scan", photos, "--report", tmp_path / "2.csv") == 0
    assert sky_library.rows(tmp_path / "2.csv")[str(path)]["decision"] == "keep"


def test_a_failed_fix_is_judged_anew(orientd, photos, tmp_path):
    """Another program turned the photo and put its time back: the memory of it is worth nothing."""
    path = sky_library.draw(photos / "a.jpg", 90)
    stat = path.stat()
    assert orientd("scan", photos, "--report", tmp_path / "1.csv") == 0
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "2.csv") == 3
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "3.csv") == 0
    assert sky_library.shown_turned(path) == 0


def test_undo_says_when_there_is_nothing_left(orientd, photos, tmp_path, capsys):
    sky_library.draw(photos / "a.jpg", 90)
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") == 0
    assert orientd("undo", 1) == 0
    assert "1 photo has its old bytes back." in capsys.readouterr().out
    for run in (1, 2, 3):
        assert orientd("undo", run) == 2
        assert f"run {run} has nothing to undo" in capsys.readouterr().err
    assert orientd("undo", 2**64) == 2
    assert orientd("status") == 0
    assert "photos fixed        0" in capsys.readouterr().out


def test_a_killed_run_is_not_said_to_be_running(orientd, tmp_path, capsys):
    state = tmp_path / "state"
    with Journal(state) as journal:
        journal.start_run("orientd scan --fix")
    with Lock(state):
        assert orientd("history", "--state-dir", state) == 0
    assert "running" in capsys.readouterr().out
    for command in ("history", "status"):
        assert orientd(command, "--state-dir", state) == 0
        assert "interrupted" in capsys.readouterr().out.replace("interrupted writes", "")


@pytest.mark.parametrize("command", ["scan", "history", "status"])
def test_a_damaged_journal_is_never_moved_aside_in_silence(orientd, photos, tmp_path, capsys, command):
    sky_library.draw(photos / "a.jpg", 0)
    state = tmp_path / "state"
    state.mkdir()
    (state / "journal.db").write_bytes(b"this is not a database" * 500)
    more = (photos, "-q", "--report", tmp_path / "1.csv") if command == "scan" else ()
    assert orientd(command, *more, "--state-dir", state) == 0
    assert "the journal was damaged" in capsys.readouterr().err


def test_what_ends_a_run_is_a_json_line_too(orientd, tmp_path, capsys):
    assert orientd("scan", tmp_path / "nowhere", "--json", "--report", tmp_path / "1.csv") == 75
    message = json.loads(capsys.readouterr().out)
    assert (message["message_type"], "nowhere" in message["message"]) == ("error", True)


def test_a_library_that_may_not_be_read_is_not_a_wrong_usage(orientd, photos, tmp_path, monkeypatch, capsys):
    path = sky_library.draw(photos / "a.jpg", 0)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert orientd("scan", path, "--report", tmp_path / "1.csv") == 75
    assert orientd("inspect", path) == 75
    assert "not a readable file or folder" in capsys.readouterr().err


def test_a_scan_stopped_before_the_first_photo_leaves_no_report(orientd, photos, tmp_path, monkeypatch, capsys):
    sky_library.draw(photos / "a.jpg", 0)
    make_judge = app.make_judge

    def slow_to_start(*arguments):
        signal.raise_signal(signal.SIGINT)
        return make_judge(*arguments)

    monkeypatch.setattr(app, "make_judge", slow_to_start)
    assert orientd("scan", photos, "--report", tmp_path / "1.csv") == 130
    assert "No photo was looked at." in capsys.readouterr().out
    assert not list(tmp_path.glob("*.csv*"))


def test_inspect_names_one_photo(orientd, photos, capsys):
    sky_library.draw(photos / "a.jpg", 0)
    assert orientd("inspect", photos) == 2
    assert "is a folder" in capsys.readouterr().err


def test_the_doctor_says_why_the_state_folder_cannot_be_used(orientd, capsys):
    assert orientd("doctor", "--state-dir", "/dev/null/state") == 1
    assert "Not a directory" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("$orientd scan {photos} --report {report} > /dev/full", 1),
        ("$orientd scan {photos} --json --report {report} > /dev/full", 1),
        ("$orientd scan {photos} --report {report} >&- 2>&-", 0),
        ("PYTHONIOENCODING=ascii $orientd inspect {photos}/a.jpg", 0),
        ("PYTHONIOENCODING=ascii $orientd scan --help", 0),
        ("exec 3> >(true); wait $!; $orientd scan {photos} --json --report {report} >&3", 1),
    ],
)
def test_no_stream_is_worth_a_traceback(photos, tmp_path, model, command, code):
    sky_library.draw(photos / "a.jpg", 90)
    done = shell(command.format(photos=photos, report=tmp_path / "1.csv"), model)
    assert (done.returncode, "Traceback" in done.stderr, "Exception" in done.stderr) == (code, False, False), done.stderr


def test_a_run_that_the_state_folder_stops_tells_what_was_done(photos, tmp_path, model):
    """The limit lets the report grow and the tables be made, and then neither the memory nor the journal."""
    needs = sky_library.library(photos, 60)
    old = {path: Path(path).read_bytes() for path in needs}
    report, state = tmp_path / "1.csv", tmp_path / "state"
    done = shell(f"ulimit -f 96; $orientd scan {photos} --fix --report {report} --state-dir {state}", model)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert "what was done until then is in" in done.stderr
    fixed = {path for path, row in sky_library.rows(f"{report}.partial").items() if row["outcome"] == "fixed"}
    changed = {path for path in needs if Path(path).read_bytes() != old[path]}
    assert fixed <= changed
    with Journal(state) as journal:
        journaled = {write.intent.path for run in journal.runs() for write in journal.writes(run.id)}
    assert changed <= journaled


def test_each_ctrl_c_ends_the_program_sooner():
    before = signal.getsignal(signal.SIGINT)
    with stoppable() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGINT)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is before
