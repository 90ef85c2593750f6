"""A photo that kills orientd does so once: the next start finds it, leaves it out, names it, and does the rest."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import deadly, sky_library, watch_process

from orientd.config import Config
from orientd.pipeline import deaths
from orientd.state.in_hand import Hand, Held, stat_of

CRASH = "it makes orientd crash (SIGSEGV): left out until it changes"


@pytest.fixture
def environment(tmp_path, monkeypatch, model):
    """Of this process and its children: photos are deadly in these, not in this one."""
    for name, value in deadly.stand_in(tmp_path / "stand-in").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ORIENTD_MODEL", str(model))
    monkeypatch.setenv("ORIENTD_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
def run(environment, tmp_path):
    """Run orientd in a process of its own: exit code, standard error, rows by path."""

    def ran(*arguments, plain=("--no-isolate",)):
        command = [sys.executable, "-m", "orientd", *map(str, arguments), *plain, "-q", "--report", str(tmp_path / "1.csv")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        rows = sky_library.rows(tmp_path / "1.csv") if (tmp_path / "1.csv").exists() else {}
        (tmp_path / "1.csv").unlink(missing_ok=True)
        return done.returncode, done.stderr, rows

    return ran


def in_hand(tmp_path):
    return list((tmp_path / "state" / "in-hand").iterdir())


@pytest.mark.parametrize("workers", [1, 3])
def test_a_photo_kills_a_run_but_once(run, photos, tmp_path, workers):
    needs = sky_library.library(photos, 8)
    bad = str(deadly.draw(photos / "1" / "bad.jpg", "crash"))
    code, said, _ = run("scan", photos, "--fix", "--workers", workers, "--batch", 4)
    assert code == -signal.SIGSEGV
    assert "orientd died or was killed while it decoded" in said
    assert bad in said
    assert "Run it again" in said
    for plain in (["--no-isolate"], ["--no-isolate"], []):
        code, said, rows = run("scan", photos, "--fix", "--workers", workers, plain=plain)
        assert code == 3
        assert rows[bad]["decision"] == "error"
        assert rows[bad]["reason"].startswith(CRASH)
        assert {path: sky_library.shown_turned(path) for path in needs} == dict.fromkeys(needs, 0)
        assert in_hand(tmp_path) == []
    assert "an earlier run died" not in said


def test_it_is_left_out_until_it_changes_also_by_a_rescan(run, photos):
    bad = deadly.draw(photos / "bad.jpg", "crash")
    assert run("scan", photos)[0] == -signal.SIGSEGV
    for more in ([], ["--rescan"], []):
        code, _, rows = run("scan", photos, *more)
        assert (code, rows[str(bad)]["reason"][: len(CRASH)]) == (3, CRASH)
    sky_library.draw(bad, 90)
    code, _, rows = run("scan", photos, "--rescan")
    assert (code, rows[str(bad)]["decision"]) == (0, "fix")


def test_a_rescan_judges_what_kills_no_more(run, photos, monkeypatch):
    """As after a newer version of whatever crashed."""
    bad = deadly.draw(photos / "bad.jpg", "crash")
    assert run("scan", photos)[0] == -signal.SIGSEGV
    assert run("scan", photos)[0] == 3
    monkeypatch.delenv("DEADLY")
    assert run("scan", photos)[0] == 3
    for more in (["--rescan"], []):
        code, _, rows = run("scan", photos, *more)
        assert (code, rows[str(bad)]["decision"]) == (0, "fix")


def test_after_a_kill_nothing_is_left_out(run, photos, tmp_path, monkeypatch):
    """Neither if the photos are sound, nor if the process that tries them is killed as well."""
    bad = deadly.draw(photos / "bad.jpg", "kill")
    sky_library.draw(photos / "a.jpg", 90)
    code, said, _ = run("scan", photos)
    assert code == -signal.SIGKILL
    assert str(bad) in said
    code, said, _ = run("scan", photos)
    assert (code, "an earlier run died or was killed" in said) == (-signal.SIGKILL, True)
    assert list((tmp_path / "state" / "left-out").iterdir()) == []
    monkeypatch.delenv("DEADLY")
    code, said, rows = run("scan", photos)
    assert (code, {row["decision"] for row in rows.values()}, len(rows)) == (0, {"fix"}, 2)
    assert in_hand(tmp_path) == []


def test_apply_goes_on_past_a_photo_that_kills_the_other_reader(run, photos, tmp_path):
    plan, needs = tmp_path / "plan.csv", sky_library.library(photos, 4)
    bad = str(deadly.draw(photos / "0" / "bad.jpg", "second_reader"))
    before = Path(bad).read_bytes()
    subprocess.run([sys.executable, "-m", "orientd", "scan", photos, "-q", "--no-isolate", "--report", plan], check=True)
    code, said, _ = run("apply", plan)
    assert code == -signal.SIGSEGV
    assert f"with {bad} in hand" in said
    for plain in (["--no-isolate"], []):
        code, _, rows = run("apply", plan, plain=plain)
        assert code == 3
        assert rows[bad]["outcome"] == "failed"
        assert rows[bad]["reason"].startswith(CRASH)
        assert {path: sky_library.shown_turned(path) for path in needs} == dict.fromkeys(needs, 0)
    assert Path(bad).read_bytes() == before


def test_a_photo_that_kills_the_model_is_left_out_too(run, photos):
    """It does so in orientd itself, wherever it is decoded."""
    needs, bad = sky_library.library(photos, 4), str(deadly.draw_red(photos / "red.jpg"))
    assert run("scan", photos, "--fix", plain=[])[0] == -signal.SIGSEGV
    code, said, rows = run("scan", photos, "--fix", plain=[])
    assert (code, "an earlier run died or was killed with" in said) == (3, True)
    assert rows[bad]["reason"].startswith(CRASH)
    assert {path: sky_library.shown_turned(path) for path in needs} == dict.fromkeys(needs, 0)


def test_in_children_a_crash_is_a_row_and_remembered(run, photos, tmp_path, monkeypatch):
    needs, bad = sky_library.library(photos, 4), str(deadly.draw(photos / "bad.jpg", "crash"))
    first = run("scan", photos, "--fix", plain=[])
    monkeypatch.delenv("DEADLY")
    for code, said, rows in (first, run("scan", photos, plain=[])):
        assert (code, "died" in said) == (3, False)
        assert rows[bad]["reason"].startswith("its data makes the decoder crash (SIGSEGV)")
        assert len(rows[bad]["sha256"]) == 64
    assert {path: sky_library.shown_turned(path) for path in needs} == dict.fromkeys(needs, 0)
    assert list((tmp_path / "state" / "left-out").iterdir()) == []


def test_of_several_only_the_guilty_is_blamed(environment, photos, tmp_path):
    """Also where memory that one file spoils kills the process at the next; and one that dies by itself, before and behind."""
    kinds = ["", "spoil", "", "crash", "kill", "", "crash"]
    files = []
    for number, deed in enumerate(kinds):
        path = photos / f"{number}.jpg"
        sky_library.draw(path, seed=number) if not deed else deadly.draw(path, deed)
        files.append(Held.of(str(path), stat_of(str(path))))
    config = Config(model=os.environ["ORIENTD_MODEL"], state_dir=str(tmp_path / "state"))
    told, beats = [], []
    with Hand(config.state_dir) as hand:
        deaths.look_after(hand, config, told.append, lambda: False, files, lambda: beats.append(1))
        blamed = {held.path: hand.left_out(held.path, stat_of(held.path)) for held in hand.all_left_out()}
    assert {path: reason[:34] for path, reason in blamed.items()} == {
        files[1].path: "it makes orientd crash (SIGABRT): ",
        files[3].path: "it makes orientd crash (SIGSEGV): ",
        files[6].path: "it makes orientd crash (SIGSEGV): ",
    }
    assert len(told) == 3


def test_who_is_asked_to_stop_tries_no_more_and_the_next_start_does(environment, photos, tmp_path, monkeypatch):
    bad = str(deadly.draw(photos / "bad.jpg", "crash"))
    config = Config(model=os.environ["ORIENTD_MODEL"], state_dir=str(tmp_path / "state"))
    with Hand(config.state_dir) as dead, dead.holding([Held.of(bad, stat_of(bad))]):
        shutil.copy(dead.path, dead.path.with_name("1-dead"))
    with Hand(config.state_dir) as hand:
        monkeypatch.setattr(deaths, "_LOOK", 0.0)
        deaths.look_after(hand, config, lambda _: None, lambda: True)
        assert hand.all_left_out() == []
        deaths.look_after(hand, config, lambda _: None, lambda: False)
        assert [held.path for held in hand.all_left_out()] == [bad]


def started_again(photos, bad, settings):
    """The watcher does its work and ends when it is told to; what it said."""
    with watch_process.Process(photos, **settings) as watcher:
        watcher.ready()
        watcher.until(lambda: sky_library.shown_turned(photos / "c.jpg") == 0)
        if bad:
            watcher.says(bad)
        assert watcher.end() == 0
        return watcher.messages


@pytest.mark.parametrize("isolate", ["true", "false"])
def test_the_watcher_never_dies_twice_of_a_photo(environment, photos, isolate):
    """Started again, as its unit does it, it goes on past it and names it."""
    sky_library.draw(photos / "a.jpg", 0)
    bad = str(deadly.draw(photos / "bad.jpg", "crash"))
    sky_library.draw(photos / "c.jpg", 90, seed=1)
    settings = {"fix": "true", "workers": "1", "batch": "4", "isolate": isolate}
    if isolate == "false":
        with watch_process.Process(photos, **settings) as watcher:
            assert watcher.code() == -signal.SIGSEGV
            assert any(bad in message and "Run it again" in message for message in watcher.messages)
    said = started_again(photos, bad, settings)
    assert any("crash (SIGSEGV)" in message and bad in message for message in said)
    sky_library.draw(photos / "c.jpg", 90, seed=2)
    assert not any("died" in message for message in started_again(photos, "", settings))
