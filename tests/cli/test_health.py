"""`orientd status --check` says by its exit code whether a watcher runs: what a container is asked for its health."""

import json

import pytest

from orientd.state.lock import Lock
from orientd.watch import metrics

WELL, GONE = 0, 12


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("ORIENTD_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def test_nothing_is_made_where_nothing_was(orientd, state, capsys):
    assert orientd("status", "--check") == GONE
    assert "not running" in capsys.readouterr().out
    assert not state.exists()


def test_the_exit_code_follows_the_watcher(orientd, state, capsys):
    with Lock(state, "watching"):
        metrics.save(metrics.Metrics(state="idle").facts(), str(state))
        assert orientd("status", "--check") == WELL
        assert "idle" in capsys.readouterr().out
    assert (state / "watch.json").exists(), "what it left behind must not count for life"
    assert orientd("status", "--check") == GONE
    assert orientd("status") == 0, "only --check judges"


def test_one_that_writes_is_no_watcher(orientd, state):
    with Lock(state):
        assert orientd("status", "--check") == GONE


def test_json_says_the_same(orientd, state, capsys):
    assert orientd("status", "--check", "--json") == GONE
    assert json.loads(capsys.readouterr().out)["watch"]["running"] is False
    with Lock(state, "watching"):
        assert orientd("status", "--check", "--json") == WELL
    assert json.loads(capsys.readouterr().out)["watch"]["running"] is True
