import json
import os
import re
import socket
import threading
import urllib.error
import urllib.request

import pytest

from orientd.errors import ConfigError
from orientd.metrics import Metrics, save, served, watcher
from orientd.record import Lock


def metrics():
    made = Metrics(started=100.0, state="idle", waiting=7)
    for name in ("keep", "fix", "fix", "fixed"):
        made.count(name)
    return made


def test_the_text_is_what_prometheus_reads():
    made = metrics()
    made.timed("decode", lambda: None)()
    samples = dict(re.findall(r"^([a-z_]+(?:\{[a-z]+=\"[a-z]+\"\})?) ([\d.e-]+)$", made.text(), flags=re.MULTILINE))
    assert samples.pop('orientd_stage_seconds_total{stage="decode"}')
    assert samples == {
        'orientd_photos_total{result="fix"}': "2",
        'orientd_photos_total{result="fixed"}': "1",
        'orientd_photos_total{result="keep"}': "1",
        "orientd_queue_depth": "7",
        "orientd_start_time_seconds": "100",
    }
    described = re.findall(r"^# TYPE (\w+) (?:counter|gauge)$", made.text(), flags=re.MULTILINE)
    assert {name.partition("{")[0] for name in samples} <= set(described)
    assert made.text().endswith("\n")


def test_time_is_counted_also_for_what_fails_and_in_several_threads(monkeypatch):
    ticks = iter(range(100))
    monkeypatch.setattr("orientd.metrics.time.perf_counter", lambda: next(ticks))
    made = Metrics()

    def fail(what):
        raise ValueError(what)

    timed = made.timed("decode", fail)
    with pytest.raises(ValueError, match="odd"):
        timed("odd")
    assert made.facts()["seconds"] == {"decode": 1}


def test_counts_of_several_threads_add_up():
    made = Metrics()
    threads = [threading.Thread(target=lambda: [made.count("keep") for _ in range(1000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.facts()["photos"] == {"keep": 4000}


def test_it_answers_on_this_machine_and_only_to_what_it_knows():
    with served("127.0.0.1:0", lambda: "orientd_x 1\n") as port:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert answer.read() == b"orientd_x 1\n"
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10)
        caught.value.close()
        assert caught.value.code == 404


def test_a_client_that_says_nothing_does_not_keep_it_from_ending():
    with served("127.0.0.1:0", lambda: "") as port:
        silent = socket.create_connection(("127.0.0.1", port))
        silent.close()


def test_an_address_in_use_is_a_mistake_of_the_configuration():
    with served("127.0.0.1:0", lambda: "") as port, pytest.raises(ConfigError, match="metrics"), served(f"127.0.0.1:{port}", str):
        pass


def test_the_note_is_read_back_and_says_whether_the_watcher_runs(tmp_path):
    state = str(tmp_path)
    assert watcher(state)["running"] is False
    save(metrics().facts(), state)
    with Lock(state, "watching"):
        known = watcher(state)
    assert (known["running"], known["pid"], known["state"], known["waiting"]) == (True, os.getpid(), "idle", 7)
    assert known["photos"] == {"keep": 1, "fix": 2, "fixed": 1}
    assert watcher(state)["running"] is False
    (tmp_path / "watch.json").write_text("{damaged")
    assert watcher(state)["photos"] == {}
    (tmp_path / "watch.json").write_text("[1]")
    assert watcher(state)["photos"] == {}


def test_a_state_directory_that_cannot_be_written_is_no_error(tmp_path):
    save(metrics().facts(), str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_the_command_tells_of_a_watcher(orientd, capsys, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    save(metrics().facts(), str(state))
    assert orientd("status", "--state-dir", state) == 0
    assert "not running" in capsys.readouterr().out
    with Lock(state, "watching"):
        assert orientd("status", "--state-dir", state) == 0
        assert "idle, 7 waiting; 2 fix, 1 fixed, 1 keep" in capsys.readouterr().out
        assert orientd("status", "--json", "--state-dir", state) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["watch"]["running"], told["watch"]["photos"]["fixed"]) == (True, 1)
