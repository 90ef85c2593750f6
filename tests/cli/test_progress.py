"""How far a command is, and what an interrupted one leaves: undo, redo and verify are followed like a scan."""

import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from support import sky_library

from orientd.cli import following, session
from orientd.cli.session import Session
from orientd.report.progress import LineMeter

LINE = "4 of 4 photos · 0.2 a second · {} left alone · 0 s left"


class Slow:
    """A clock by which every look at it takes five seconds."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 5.0
        return self.now


@pytest.fixture
def slowly(monkeypatch):
    monkeypatch.setattr(
        following, "meter", lambda stream, quiet, words: LineMeter(stream, Slow(), float("inf") if quiet else 20.0, words)
    )


@pytest.fixture
def four(orientd, photos, tmp_path):
    """Four photos fixed in run 1."""
    for number in range(4):
        sky_library.draw(photos / f"{number}.jpg", 90, seed=number)
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") == 0
    return photos


def lines(capsys):
    return [line for line in capsys.readouterr().err.splitlines() if " a second " in line]


def test_undo_redo_and_verify_say_how_far_they_are(orientd, four, slowly, capsys):
    capsys.readouterr()
    assert orientd("verify") == 0
    assert lines(capsys) == ["4 of 4 files · 0.2 a second · 0 at fault · 0 s left"]
    assert orientd("verify", "--json") == 0
    assert lines(capsys) == ["4 of 4 files · 0.2 a second · 0 at fault · 0 s left"]
    for command in (["undo", "--dry-run"], ["undo", "1"], ["redo", "1"]):
        assert orientd(*command) == 0
        assert lines(capsys) == [LINE.format(0)]
    assert orientd("verify") == 0
    assert lines(capsys) == ["4 of 4 files · 0.2 a second · 0 at fault · 0 s left"], "each was written three times"
    (four / "0.jpg").write_bytes(b"edited")
    assert orientd("undo", "--file", four) == 3
    assert lines(capsys) == [LINE.format(1)]


def test_apply_does(orientd, photos, tmp_path, monkeypatch, capsys):
    for number in range(4):
        sky_library.draw(photos / f"{number}.jpg", 90, seed=number)
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv") == 0
    capsys.readouterr()
    monkeypatch.setattr(session, "meter", lambda stream, quiet, json: LineMeter(stream, Slow(), 20.0))
    assert orientd("apply", tmp_path / "plan.csv", "--report", tmp_path / "done.csv") == 0
    assert lines(capsys) == ["4 of 4 photos · 0.2 a second · 4 sideways or upside down · 0 s left"]


def test_quiet_ones_do_not(orientd, four, slowly, capsys):
    for command in (["verify"], ["undo", "1"], ["redo", "1"]):
        capsys.readouterr()
        assert orientd(*command, "--quiet") == 0
        assert lines(capsys) == []


def on_a_terminal(model, *arguments):
    """What a command shows on standard error, which is a terminal, and what it prints on standard output."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"ORIENTD_MODEL": str(model), "TERM": "xterm", "COLUMNS": "120"}
    command = [sys.executable, "-m", "orientd", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment, text=True) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the end of a terminal is an error
            while part := os.read(ours, 65536):
                shown += part
        printed = process.stdout.read()
    os.close(ours)
    return shown.decode(), printed


@pytest.mark.parametrize("command", [["verify"], ["undo", "1"], ["undo", "1", "--dry-run"]])
def test_on_a_terminal_there_is_a_bar_that_goes_before_the_numbers_come(four, model, command):
    (four / "0.jpg").write_bytes(b"edited")
    shown, printed = on_a_terminal(model, *command, "--verbose")
    assert "reading the journal" in shown
    assert shown.index("\x1b[?25l") < shown.rindex("\x1b[?25h")
    named = [line for line in shown.splitlines() if "0.jpg" in line]
    assert len(named) == 1
    assert named[0].index("0.jpg") < 200, "it stands on a line of its own"
    assert "\x1b" not in printed
    assert "reading" not in printed


@pytest.fixture
def interrupted(orientd, photos, tmp_path, monkeypatch):
    """A scan that was stopped at the second of six photos; gives what it left."""

    def scan(*more):
        add, seen = Session.add, []

        def stop(session, row):
            add(session, row)
            seen.append(row)
            if len(seen) == 2:
                signal.raise_signal(signal.SIGINT)

        for number in range(6):
            sky_library.draw(photos / f"{number}.jpg", 90, seed=number)
        with monkeypatch.context() as patched:
            patched.setattr(Session, "add", stop)
            assert orientd("scan", photos, "--report", tmp_path / "plan.csv", *more) == 130
        return tmp_path / "plan.csv.partial"

    return scan


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), "To go on from there, run the same command again."),
        (("--fix",), "To go on from there, run the same command again."),
        (("--rescan",), "To go on from there, run the same command again, without --rescan."),
    ],
)
def test_an_interrupted_scan_says_that_the_same_command_goes_on_and_it_does(
    orientd, interrupted, photos, tmp_path, capsys, more, words
):
    interrupted(*more)
    assert words in capsys.readouterr().out.splitlines()
    again = [word for word in more if word != "--rescan"]
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv", *again) == 0
    assert len(sky_library.rows(tmp_path / "plan.csv")) == 6
    assert "To go on" not in capsys.readouterr().out
    if "--fix" in more:
        assert {sky_library.shown_turned(path) for path in photos.iterdir()} == {0}


def test_an_interrupted_apply_says_so_too(orientd, interrupted, photos, tmp_path, monkeypatch, capsys):
    interrupted()
    add = Session.add

    def stop(session, row):
        add(session, row)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(Session, "add", stop)
        assert orientd("apply", tmp_path / "plan.csv.partial", "--report", tmp_path / "done.csv") == 130
    assert "To go on from there, run the same command again." in capsys.readouterr().out.splitlines()
    assert orientd("apply", tmp_path / "plan.csv.partial", "--report", tmp_path / "done.csv") == 0
    outcomes = [row["outcome"] for row in sky_library.rows(tmp_path / "done.csv").values()]
    assert outcomes == ["unchanged", "fixed"]


def test_what_an_interrupted_run_left_is_named_where_a_report_is_written_and_never_deleted(
    orientd, interrupted, photos, tmp_path, capsys
):
    left = interrupted("--fix").read_bytes()
    capsys.readouterr()
    assert orientd("scan", photos, "--report", tmp_path / "other.csv") == 0
    named = f"Left unfinished by interrupted runs, and kept until you delete it: {tmp_path}/plan.csv.partial"
    assert named in capsys.readouterr().err.splitlines()
    assert (tmp_path / "plan.csv.partial").read_bytes() == left
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv") == 0
    assert named.replace("plan.csv", "plan.before.csv") in capsys.readouterr().err.splitlines()
    assert (tmp_path / "plan.before.csv.partial").read_bytes() == left
    assert not (tmp_path / "plan.csv.partial").exists()


@pytest.mark.parametrize("more", [("--quiet",), ("--json",), ("--report", "{elsewhere}/plan.csv")])
def test_but_not_where_nobody_looks_for_it(orientd, interrupted, photos, tmp_path, capsys, more):
    interrupted()
    (tmp_path / "elsewhere").mkdir()
    capsys.readouterr()
    more = [word.format(elsewhere=tmp_path / "elsewhere") for word in more]
    assert orientd("scan", photos, "--report", tmp_path / "other.csv", *more) == 0
    told = capsys.readouterr()
    assert "Left unfinished" not in told.out
    assert ("Left unfinished" in told.err) == (more == ["--json"])
