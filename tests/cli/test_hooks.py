"""Who is told after a command, by which facts; and that whatever comes of it changes nothing."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import sky_library
from support.hook_programs import noted, noting, shell
from support.web_page import Page, served

from orientd.state.lock import Lock

NAMES = ("on_finish", "on_found", "on_error")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def told(tmp_path):
    """Every hook notes what it is given in one file; gives what was noted since, by event."""
    program, notes = noting(tmp_path)
    config = tmp_path / "orientd.yaml"
    config.write_text("".join(f"{name}: ['{program}', {name}]\n" for name in NAMES))

    def since():
        calls = noted(notes)
        notes.unlink(missing_ok=True)
        assert all(call["arguments"] == [f"on_{call['facts']['event']}"] for call in calls)
        return {call["facts"]["event"]: call["facts"] for call in calls}

    since.config = config
    return since


def test_a_scan_tells_what_it_found_and_did(orientd, photos, told, tmp_path):
    sky_library.library(photos)
    report = tmp_path / "r.csv"
    assert orientd("scan", "--config", told.config, "--report", report, photos) == 0
    events = told()
    assert list(events) == ["found", "finish"]
    facts = events["finish"]
    assert {name: value for name, value in events["found"].items() if name != "event"} == {
        name: value for name, value in facts.items() if name != "event"
    }
    assert (facts["command"], facts["roots"], facts["report"]) == ("scan", [str(photos)], str(report))
    assert facts["decisions"] == {"keep": 4, "fix": 4, "unsure": 0, "skip": 0, "error": 0}
    assert facts["outcomes"] == {"fixed": 0, "unchanged": 0, "failed": 0}
    assert (facts["run"], facts["exit_code"], facts["error"]) == (None, 0, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", facts["started"])
    assert facts["duration"] > 0

    assert orientd("apply", "--config", told.config, report) == 0
    events = told()
    assert list(events) == ["finish"]
    assert (events["finish"]["command"], events["finish"]["run"]) == ("apply", 1)
    assert events["finish"]["outcomes"]["fixed"] == 4

    assert orientd("scan", "--config", told.config, photos) == 0
    assert list(told()) == ["finish"], "nothing is found any more"


def test_the_exit_code_is_that_of_the_command(orientd, photos, told):
    sky_library.draw(photos / "a.jpg", 90)
    assert orientd("scan", "--config", told.config, "--exit-code", photos) == 11
    assert told()["finish"]["exit_code"] == 11
    (photos / "b.jpg").write_bytes((photos / "a.jpg").read_bytes()[:200])
    assert orientd("scan", "--config", told.config, photos) == 3
    facts = told()
    assert list(facts) == ["found", "finish"], "photos that cannot be read are no error of the run"
    assert (facts["finish"]["exit_code"], facts["finish"]["decisions"]["error"]) == (3, 1)


def test_unsure_photos_are_counted_but_not_found(orientd, photos, told):
    sky_library.draw(photos / "a.jpg", 90)
    assert orientd("scan", "--config", told.config, "--min-confidence", "1", "--prior-upright", "0.9999", photos) == 0
    facts = told()
    assert (list(facts), facts["finish"]["decisions"]["unsure"]) == (["finish"], 1)


def test_what_ended_a_run_is_told(orientd, photos, told, tmp_path, capsys):
    sky_library.draw(photos / "a.jpg", 90)
    gone = tmp_path / "gone"
    assert orientd("scan", "--config", told.config, gone) == 75
    facts = told()
    assert list(facts) == ["error"]
    assert (facts["error"]["exit_code"], facts["error"]["roots"]) == (75, [str(gone)])
    assert str(gone) in facts["error"]["error"]
    assert orientd("scan", "--config", told.config, "--report", tmp_path / "none" / "r.csv", photos) == 2
    assert list(told()) == ["error"]
    assert orientd("apply", "--config", told.config, tmp_path / "none.csv") == 2
    assert told()["error"]["command"] == "apply"
    assert orientd("scan", "--config", told.config) == 2
    assert told() == {}, "typed wrong: whoever did it sees it"


@pytest.mark.parametrize("hook", ["exit 5", "exec sleep 1000", "kill -9 $$"])
def test_a_hook_that_fails_is_one_line_and_changes_nothing(orientd, photos, tmp_path, monkeypatch, capsys, hook):
    monkeypatch.setattr("orientd.hooks.run.run.__defaults__", (0.3, lambda: False))
    sky_library.library(photos)
    before = sky_library.snapshot(photos)
    program = shell(tmp_path, hook)
    config = tmp_path / "orientd.yaml"
    config.write_text(f"on_finish: ['{program}']\n")
    assert orientd("scan", "--config", config, "--exit-code", "--json", photos) == 11
    said = capsys.readouterr()
    assert [line for line in said.err.splitlines() if "on_finish" in line] == [said.err.strip()]
    assert said.err.startswith(f"on_finish: {program} ")
    assert json.loads(said.out.splitlines()[-1])["message_type"] == "summary"
    assert sky_library.snapshot(photos) == before


def test_it_runs_once_the_locks_are_free_and_the_report_is_closed(orientd, photos, told, tmp_path):
    """The hook itself scans and fixes: with the same state, and the report of the scan as its plan."""
    sky_library.draw(photos / "a.jpg", 90)
    state, report, code = tmp_path / "state", tmp_path / "r.csv", tmp_path / "code"
    again = f"{sys.executable} -m orientd apply --state-dir {state} --report {tmp_path}/a.csv {report} {photos}"
    program = shell(tmp_path, f"cd {Path(__file__).parents[2]}; {again} >{tmp_path}/said 2>&1; echo $? >{code}")
    config = tmp_path / "hook.yaml"
    config.write_text(f"on_found: ['{program}']\n")
    assert orientd("scan", "--fix", "--config", config, "--state-dir", state, "--report", report, photos) == 0
    assert code.read_text() == "0\n", (tmp_path / "said").read_text()
    with Lock(state):
        pass


def test_an_orientd_that_a_hook_starts_runs_no_hooks(orientd, photos, tmp_path, monkeypatch):
    sky_library.draw(photos / "a.jpg", 90)
    config, times = tmp_path / "hook.yaml", tmp_path / "times"
    again = f"{sys.executable} -m orientd scan --config {config} --report {tmp_path} {photos}"
    program = shell(tmp_path, f"cd {Path(__file__).parents[2]}; {again} >/dev/null; echo $? >>{times}")
    config.write_text(f"on_finish: ['{program}']\n")
    assert orientd("scan", "--config", config, "--report", tmp_path / "r.csv", photos) == 0
    assert times.read_text() == "0\n"


def test_an_interrupted_scan_tells_nobody(orientd, photos, told, monkeypatch):
    sky_library.library(photos)
    monkeypatch.setattr("orientd.cli.scan.stoppable", _stopped)
    assert orientd("scan", "--config", told.config, photos) == 130
    assert told() == {}


class _stopped:  # noqa: N801
    def __enter__(self):
        return lambda: True

    def __exit__(self, *_):
        pass


def test_sigterm_ends_the_hook_and_changes_no_exit_code(photos, model, tmp_path):
    sky_library.draw(photos / "a.jpg", 90)
    pid, config = tmp_path / "pid", tmp_path / "orientd.yaml"
    os.mkfifo(pid)
    program = shell(tmp_path, f"echo $$ >{pid}; exec sleep 1000")
    config.write_text(f"on_finish: ['{program}']\n")
    options = ["--model", model, "--report", tmp_path / "r.csv", "--config", config, "--exit-code"]
    command = [sys.executable, "-m", "orientd", "scan", "-q", *map(str, options), str(photos)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as scan:
        hook = pid.read_text().strip()  # waits until the hook has begun
        scan.terminate()
        _, said = scan.communicate(timeout=240)
    assert (scan.returncode, said) == (11, f"on_finish: {program} was ended, as orientd stops\n")
    assert not Path("/proc", hook).exists()


def test_nothing_in_the_library_or_the_current_folder_names_a_hook(orientd, photos, tmp_path, monkeypatch):
    """Markers hold patterns, and configurations are read from where they belong."""
    sky_library.draw(photos / "a.jpg", 90)
    program, notes = noting(tmp_path)
    text = f"on_finish: ['{program}']\non_found: ['{program}']\non_error: ['{program}']\n"
    for name in (".orientd-ignore", "orientd.yaml", ".orientd.yaml", "orientd/orientd.yaml", ".config/orientd/orientd.yaml"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).write_text(text)
    monkeypatch.chdir(photos)
    assert orientd("scan", "--report", tmp_path / "r.csv", photos) == 0
    assert orientd("apply", "--report", tmp_path / "a.csv", tmp_path / "r.csv", photos) == 0
    assert orientd("scan", "--report", tmp_path / "r2.csv", tmp_path / "none") == 75
    assert not notes.exists()


def test_a_page_is_asked_after_a_nightly_scan(orientd, photos, tmp_path, capsys):
    sky_library.draw(photos / "a.jpg", 90)
    config = tmp_path / "orientd.yaml"
    with served(Page()) as page:
        config.write_text(f"on_finish: {page.url('/uuid')}\n")
        assert orientd("scan", "-q", "--unattended", "--config", config, photos) == 0
        ((_, path, body),) = page.asked
    assert (path, json.loads(body)["decisions"]["fix"]) == ("/uuid", 1)
    assert orientd("scan", "-q", "--unattended", "--config", config, photos) == 0
    assert "on_finish: 127.0.0.1 cannot be reached" in capsys.readouterr().err


def test_the_numbers_of_a_scan_are_left_for_node_exporter(orientd, photos, tmp_path, monkeypatch, capsys):
    from prometheus_client.parser import text_string_to_metric_families

    sky_library.library(photos)
    monkeypatch.setattr("orientd.cli.notifying.time.time", lambda: 1_700_000_000.0)
    file = tmp_path / "collector" / "orientd.prom"
    file.parent.mkdir()
    old = os.umask(0o077)
    try:
        assert orientd("scan", "--fix", "--metrics-textfile", file, photos) == 0
    finally:
        os.umask(old)
    assert [path.name for path in file.parent.iterdir()] == ["orientd.prom"]
    assert file.stat().st_mode & 0o777 == 0o644, "the collector is another user"
    found = {family.name: family for family in text_string_to_metric_families(file.read_text())}
    assert {sample.labels["decision"]: sample.value for sample in found["orientd_scan_photos"].samples} == {
        "keep": 4,
        "fix": 4,
        "unsure": 0,
        "skip": 0,
        "error": 0,
    }
    assert {sample.labels["outcome"]: sample.value for sample in found["orientd_scan_fixes"].samples} == {
        "fixed": 4,
        "unchanged": 0,
        "failed": 0,
    }
    assert found["orientd_scan_last_success_timestamp_seconds"].samples[0].value == 1_700_000_000.0
    assert found["orientd_scan_duration_seconds"].samples[0].value > 0
    assert set(found["orientd_build_info"].samples[0].labels) == {"version", "model"}
    assert {family.type for family in found.values()} == {"gauge"}

    before = file.read_text()
    assert orientd("scan", "--metrics-textfile", file, tmp_path / "none") == 75
    assert file.read_text() == before, "the last success stays the last"
    capsys.readouterr()
    assert orientd("scan", "--metrics-textfile", tmp_path / "none" / "x.prom", photos) == 0
    assert "metrics_textfile: " in capsys.readouterr().err
    assert orientd("scan", "--metrics-textfile", tmp_path / "x.txt", photos) == 2
    assert "ends with .prom" in capsys.readouterr().err


def test_a_command_that_tells_nobody_loads_nothing_for_it(photos, model, tmp_path):
    sky_library.draw(photos / "a.jpg", 0)
    code = (
        "import sys; from orientd.cli.main import main\n"
        "try: main()\n"
        "finally: print(sorted(name for name in sys.modules if name.startswith('orientd.hooks')))"
    )
    command = [sys.executable, "-c", code, "scan", "-q", "--model", model, "--report", tmp_path / "r.csv", photos]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert ran.stdout.splitlines()[-1] == "[]"
