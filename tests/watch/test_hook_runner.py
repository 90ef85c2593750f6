"""The hooks of a watcher: when they are run, what they are told, and that the loop never waits for one."""

import time

import pytest
from support import sky_library
from support import watcher as watching
from support.hook_programs import noted, noting, shell
from support.watch_process import Process
from support.watcher import Watcher

from orientd.errors import LibraryUnavailable, StateError
from orientd.state.lock import Lock
from orientd.watch import daemon, hook_runner
from orientd.watch.sd_notify import Systemd

_model, photos = watching.model_of_skies, watching.photos
HOOKS = {"on_found": ["tell"], "on_error": ["tell"], "on_finish": ["tell"]}


@pytest.fixture
def told(monkeypatch):
    """(event, facts) of the hooks that would have been run."""
    found = []
    monkeypatch.setattr(hook_runner, "run", lambda config, event, facts, *_: found.append((event.value, facts)))
    return found


def until_told(watcher, seconds):
    """Let that much time go by, and the hooks that run come to their ends."""
    watcher.after(seconds)
    if watcher.hooks._running.ident:
        watcher.hooks._running.join()
    watcher.after(0)


def decisions(facts):
    return {name: number for name in ("keep", "fix", "unsure") if (number := facts.tally.count(name))}


def test_what_was_found_is_told_at_once_and_then_together(photos, told):
    sky_library.draw(photos / "a.jpg", 90)
    sky_library.draw(photos / "b.jpg", 0, seed=1)
    with Watcher(photos, fix="true", **HOOKS) as watcher:
        until_told(watcher, 10)
        ((event, facts),) = told
        assert (event, facts.command, facts.roots, decisions(facts)) == (
            "on_found",
            "watch",
            [str(photos)],
            {"keep": 1, "fix": 1},
        )
        assert (facts.tally.count(outcome="fixed"), facts.run, facts.exit_code, facts.error) == (1, 1, None, "")
        for number in range(4):
            sky_library.draw(photos / f"{number}.jpg", 90, seed=10 + number)
            until_told(watcher, 100)
        assert len(told) == 1, "not for every photo"
        until_told(watcher, 400)
        assert decisions(told[1][1]) == {"fix": 4}
        until_told(watcher, 5000)
        assert len(told) == 2


def test_nothing_found_is_nothing_told(photos, told):
    sky_library.draw(photos / "a.jpg", 0)
    with Watcher(photos, **HOOKS) as watcher:
        until_told(watcher, 5000)
    assert told == []


def test_without_a_hook_nothing_is_told(photos, monkeypatch):
    monkeypatch.setattr(hook_runner, "run", lambda *_: pytest.fail("it was run"))
    sky_library.draw(photos / "a.jpg", 90)
    with Watcher(photos) as watcher:
        until_told(watcher, 5000)
        watcher.hooks.trouble(StateError("full"))
        assert watcher.hooks.next() is None


def test_the_plan_is_the_report_of_a_watcher(photos, told, tmp_path):
    sky_library.draw(photos / "a.jpg", 90)
    with Watcher(photos, plan=str(tmp_path / "plan.csv"), **HOOKS) as watcher:
        until_told(watcher, 10)
    assert told[0][1].report == str(tmp_path / "plan.csv")


def test_in_quiet_hours_nobody_is_told(photos, told):
    with Watcher(photos, quiet_hours="22:00-07:00", **HOOKS) as watcher:
        watcher.hooks.trouble(StateError("full"))
        watcher.day = time.struct_time((2026, 5, 1, 23, 0, 0, 4, 121, 0))
        until_told(watcher, 5000)
        assert told == []
        watcher.day = time.struct_time((2026, 5, 2, 7, 0, 0, 5, 122, 0))
        until_told(watcher, 40)
        assert [event for event, _ in told] == ["on_error"]


def test_trouble_is_told_once_and_another_orientd_at_work_is_none(photos, told):
    sky_library.draw(photos / "a.jpg", 90)
    with Watcher(photos, fix="true", on_error=["tell"]) as watcher:
        with Lock(watcher.config.state_dir):
            until_told(watcher, 300)
        assert told == []
        judge_all = watcher.work._judge_all

        def fail(_):
            raise StateError("the disk is full")

        watcher.work._judge_all = fail
        worked = watcher.metrics.worked
        until_told(watcher, 300)
        assert [(event, facts.error) for event, facts in told] == [("on_error", "the disk is full")]
        assert watcher.metrics.worked <= worked + 60
        watcher.work._judge_all = judge_all
        until_told(watcher, 100)
        assert watcher.photos == {"fix": 1, "fixed": 1}
        assert len(told) == 1


def test_what_was_not_told_yet_is_told_at_the_end(photos, told):
    with Watcher(photos, **HOOKS) as watcher:
        sky_library.draw(photos / "a.jpg", 90)
        until_told(watcher, 10)
        sky_library.draw(photos / "b.jpg", 90, seed=1)
        until_told(watcher, 10)
        assert len(told) == 1
    assert [decisions(facts) for _, facts in told] == [{"fix": 1}, {"fix": 1}]


def test_a_hook_that_hangs_holds_up_neither_the_loop_nor_the_end(photos, monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(hook_runner, "_AT_THE_END", 0.1)
    program = shell(tmp_path, "exec sleep 1000")
    sky_library.draw(photos / "a.jpg", 90)
    with Watcher(photos, fix="true", on_found=[str(program)]) as watcher:
        watcher.after(10)
        assert watcher.hooks._running.is_alive()
        sky_library.draw(photos / "b.jpg", 90, seed=1)
        watcher.after(1000)
        assert watcher.photos == {"fix": 2, "fixed": 2}
        assert watcher.hooks._running.is_alive()
    assert not watcher.hooks._running.is_alive()
    assert f"on_found: {program} was ended, as orientd stops" in caplog.messages
    assert f"on_found: {program} was ended: it took longer than 0.1 seconds" in caplog.messages


def test_a_changed_configuration_is_heeded(photos, told):
    with Watcher(photos, **HOOKS) as watcher:
        watcher.settings |= {"on_found": []}
        watcher._reload = True
        sky_library.draw(photos / "a.jpg", 90)
        until_told(watcher, 10)
    assert told == []


@pytest.mark.parametrize("ready", [True, False])
def test_an_error_that_ends_it_is_told_but_not_one_that_keeps_it_from_beginning(photos, told, monkeypatch, ready):
    watcher = Watcher(photos, **HOOKS)

    def run(self):
        self.is_ready = ready
        raise LibraryUnavailable("it is gone")

    monkeypatch.setattr(daemon.Daemon, "run", run)
    watcher.close()
    with pytest.raises(LibraryUnavailable):
        daemon.watch(watcher.read(), [str(photos)], watcher.read, "orientd watch", Systemd(), watcher._log)
    assert [(event, facts.error, facts.exit_code) for event, facts in told] == ([("on_error", "it is gone", 75)] if ready else [])


def test_a_real_watcher_runs_a_real_hook(photos, tmp_path):
    program, notes = noting(tmp_path)
    config = tmp_path / "orientd.yaml"
    config.write_text(f"on_found: ['{program}', two words]\n")
    sky_library.draw(photos / "a.jpg", 90)
    with Process(photos, "--config", config) as watching_:
        watching_.says("sideways or upside down")
        watching_.until(lambda: noted(notes))
        assert watching_.end() == 0
    (call,) = noted(notes)
    assert (call["arguments"], call["facts"]["decisions"]["fix"]) == (["two words"], 1)


def test_health_is_that_of_the_loop(photos):
    with Watcher(photos) as watcher:
        watcher.after(1000)
        assert watcher.status.is_well()
        watcher.now += 299
        assert watcher.status.is_well()
        watcher.now += 2
        assert not watcher.status.is_well(), "the loop does not turn"
        watcher.after(0)
        assert watcher.status.is_well()


def test_a_pass_and_the_last_success_are_measured(photos):
    with Watcher(photos) as watcher:
        sky_library.draw(photos / "a.jpg", 0)
        alive = watcher.work.alive

        def slow():
            watcher.now += 7
            alive()

        watcher.work.alive = slow
        watcher.after(100)
        assert watcher.metrics.pass_seconds == 7
        assert watcher.metrics.worked > time.time()
        assert watcher.metrics.model == "sky.onnx"
