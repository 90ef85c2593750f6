"""Hooks as programs: run without a shell, for a bounded time, and nothing of them is left."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from support.hook_programs import noted, noting, shell

from orientd import __version__
from orientd.config import Config
from orientd.hooks import process
from orientd.hooks.facts import Event, Facts
from orientd.hooks.run import run
from orientd.records import Row, Status, Verdict
from orientd.report.tally import Tally

LONG = 600.0
FACTS = Facts("scan", ("/srv/photos",), 1_700_000_000.0, 2.5)


def called(*command, facts=FACTS, event=Event.FINISH, seconds=LONG, stop=lambda: False):
    """What was told of trouble with the hook."""
    told = []
    run(replace(Config(), **{event: tuple(map(str, command))}), event, facts, told.append, seconds, stop)
    return told


def ends(pid, within=60.0):
    """True once a process is gone, or only waits for its parent to notice."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        threading.Event().wait(0.02)
    return False


def test_arguments_arrive_as_they_are_written_and_no_shell_sees_them(tmp_path):
    program, notes = noting(tmp_path)
    odd = ["two words", "$HOME", "; touch /tmp/x", "`id`", "*", "", "\\n", '"quoted"', "~"]
    assert called(program, *odd) == []
    (call,) = noted(notes)
    assert call["arguments"] == odd
    assert call["folder"] == "/", "it keeps no disk from being unmounted"


def test_the_facts_are_one_line_of_json_with_stable_keys(tmp_path):
    program, notes = noting(tmp_path)
    tally = Tally()
    for decision, outcome in ((Verdict.KEEP, ""), (Verdict.FIX, "fixed"), (Verdict.FIX, "failed"), (Verdict.UNSURE, "")):
        tally.add(Row("/a", decision=decision, outcome=Status(outcome)))
    facts = replace(FACTS, roots=("/srv/ph\udce9tos",), tally=tally, report="/r.csv", run=7, exit_code=3)
    assert called(program, facts=facts) == []
    (call,) = noted(notes)
    assert call["given"].count("\n") == 1
    assert call["facts"] == {
        "event": "finish",
        "command": "scan",
        "roots": ["/srv/ph\ufffdtos"],
        "decisions": {"keep": 1, "fix": 2, "unsure": 1, "skip": 0, "error": 0},
        "outcomes": {"fixed": 1, "unchanged": 0, "failed": 1},
        "report": "/r.csv",
        "run": 7,
        "exit_code": 3,
        "error": None,
        "started": "2023-11-14T22:13:20Z",
        "duration": 2.5,
        "version": __version__,
    }


def test_nothing_is_run_where_nothing_is_configured(monkeypatch):
    monkeypatch.setattr(process, "run", lambda *_: pytest.fail("it was run"))
    assert called() == []


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("exit 0", None),
        ("cat >/dev/null; echo nobody is there >&2; exit 4", "failed with exit code 4: nobody is there"),
        ("exit 4", "failed with exit code 4"),
        ("kill -9 $$", "was ended by signal 9"),
        ("printf 'a\\033[31mred\\n'; exit 1", "failed with exit code 1: a\\x1b[31mred"),
    ],
)
def test_a_hook_that_fails_is_one_line(tmp_path, text, trouble):
    program = shell(tmp_path, text)
    assert called(program) == ([f"on_finish: {program} {trouble}"] if trouble else [])


def test_a_program_that_is_not_there_or_is_none_is_told(tmp_path):
    assert called(tmp_path / "none") == [f"on_finish: {tmp_path}/none cannot be run: No such file or directory"]
    assert called("no-such-program-of-orientd") == [
        "on_finish: no-such-program-of-orientd cannot be run: No such file or directory"
    ]
    (tmp_path / "text").write_text("not a program")
    assert called(tmp_path / "text") == [f"on_finish: {tmp_path}/text cannot be run: Permission denied"]
    (tmp_path / "text").chmod(0o755)
    assert called(tmp_path / "text") == [f"on_finish: {tmp_path}/text cannot be run: Exec format error"]


def test_one_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path):
    pids = tmp_path / "pids"
    program = shell(tmp_path, f"sleep 1000 & echo $! >{pids}.part\necho $$ >>{pids}.part\nmv {pids}.part {pids}\nwait")
    assert called(program, seconds=LONG, stop=pids.exists) == [f"on_finish: {program} was ended, as orientd stops"]
    assert all(ends(pid) for pid in pids.read_text().split())
    assert called(shell(tmp_path, "exec sleep 1000"), seconds=0.1) == [
        f"on_finish: {program} was ended: it took longer than 0.1 seconds"
    ]


def test_what_it_leaves_in_the_background_ends_with_it_and_holds_up_nobody(tmp_path):
    pid = tmp_path / "pid"
    assert called(shell(tmp_path, f"sleep 1000 & echo $! >{pid}")) == []
    assert ends(pid.read_text().strip())


def test_one_that_reads_nothing_or_closes_everything_holds_up_nobody(tmp_path):
    many = replace(FACTS, roots=tuple(f"/{number:0100}" for number in range(5000)))
    assert called(shell(tmp_path, "exit 0"), facts=many) == []
    assert called(shell(tmp_path, "exec <&- >&- 2>&-; sleep 0.2; exit 3"), facts=many)[0].endswith("failed with exit code 3")


def test_one_that_says_a_lot_fills_neither_memory_nor_a_disk(tmp_path):
    program = shell(tmp_path, f"{sys.executable} -c 'print(\"x\" * 10**7)'; echo the end; exit 1")
    assert called(program) == [f"on_finish: {program} failed with exit code 1: the end"]


def test_a_second_ctrl_c_ends_the_hook_and_nothing_else(tmp_path, monkeypatch):
    pid = tmp_path / "pid"

    def interrupt():
        if pid.exists():
            raise KeyboardInterrupt
        return False

    program = shell(tmp_path, f"echo $$ >{pid}.part; mv {pid}.part {pid}; exec sleep 1000")
    assert called(program, stop=interrupt) == [f"on_finish: {program} was ended, as you interrupted it"]
    assert ends(pid.read_text().strip())


def test_who_ignores_the_end_of_children_gets_by(tmp_path):
    """As a process that was started so hands it on."""
    program = shell(tmp_path, "exit 0")
    code = (
        "import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "from orientd.hooks import process; print(process.run([sys.argv[1]], b'', 60.0, lambda: False))"
    )
    ran = subprocess.run([sys.executable, "-c", code, program], capture_output=True, text=True, check=True)
    assert ran.stdout == "(0, '')\n"


def children():
    """Of this process, those included that have ended and were not noticed."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
            found |= {int(stat.parent.name)} if parent == os.getpid() else set()
    return found


def test_no_descriptor_and_no_child_is_left(tmp_path):
    before = set(os.listdir("/proc/self/fd")), children()
    for text in ("exit 0", "exit 1", "exec sleep 1000"):
        called(shell(tmp_path, text), seconds=LONG if "exit" in text else 0.1)
    assert (set(os.listdir("/proc/self/fd")), children()) == before


def test_signals_for_the_terminal_reach_orientd_alone(tmp_path):
    program, notes = noting(tmp_path)
    program.write_text(program.read_text() + f"import os\nopen({str(notes)!r}, 'a').write(str(os.getsid(0) == os.getpid()))")
    called(program)
    assert notes.read_text().endswith("True")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
