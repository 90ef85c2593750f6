import json
import os
import re
import socket
import struct
import threading
import time
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection

import pytest

from orientd.config import load
from orientd.errors import ConfigError
from orientd.state.lock import Lock
from orientd.watch.metrics import Metrics, save, watcher
from orientd.watch.metrics_http import _CLIENTS, served

PATIENCE = 60.0


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
    monkeypatch.setattr("orientd.watch.metrics.time.perf_counter", lambda: next(ticks))
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


def asked(port, path="/metrics"):
    """The answer and its body; urllib would ask a proxy where there is one."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as client:
        client.request("GET", path)
        answer = client.getresponse()
        return answer, answer.read()


def test_it_answers_on_this_machine_and_only_to_what_it_knows():
    with served("127.0.0.1:0", lambda: "orientd_x 1\n") as port:
        answer, body = asked(port)
        assert (answer.status, body) == (200, b"orientd_x 1\n")
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        answer, _ = asked(port, "/")
        assert answer.status == 404


def test_a_question_mark_after_the_name_changes_nothing():
    with served("127.0.0.1:0", lambda: "orientd_x 1\n") as port:
        assert asked(port, "/metrics?name=x")[1] == b"orientd_x 1\n"


def test_a_slow_client_keeps_neither_others_waiting_nor_the_end(monkeypatch):
    monkeypatch.setattr("orientd.watch.metrics_http._HEARD", 1000)
    with socket.socket() as slow:
        with served("127.0.0.1:0", lambda: "orientd_x 1\n") as port:
            slow.connect(("127.0.0.1", port))
            slow.sendall(b"GET /met")
            begun = time.monotonic()
            assert asked(port)[1] == b"orientd_x 1\n"
        assert time.monotonic() - begun < 500, "and the fixture sees that no thread is left"


def test_a_client_that_goes_on_and_on_is_cut_off(monkeypatch):
    monkeypatch.setattr("orientd.watch.metrics_http._HEARD", 0.3)
    ended = threading.Event()

    def drip(client):
        try:
            while not ended.wait(0.05):
                client.sendall(b"G")
        except OSError:
            ended.set()

    with served("127.0.0.1:0", str) as port, socket.create_connection(("127.0.0.1", port)) as client:
        dripping = threading.Thread(target=drip, args=(client,))
        dripping.start()
        cut = ended.wait(PATIENCE)
        ended.set()
        dripping.join()
        assert cut


def test_there_is_an_end_to_how_many_are_heard_and_they_make_room(monkeypatch):
    monkeypatch.setattr("orientd.watch.metrics_http._HEARD", 1000)
    with served("127.0.0.1:0", lambda: "x") as port:
        with ExitStack() as stack:
            for _ in range(_CLIENTS):
                stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            surplus = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
            assert surplus.recv(1) == b"", "it is hung up on without an answer"
        deadline = time.monotonic() + PATIENCE
        while True:
            with suppress(OSError):
                assert asked(port)[1] == b"x"
                break
            assert time.monotonic() < deadline


def test_a_client_that_hangs_up_is_no_fault_worth_telling(capfd):
    with served("127.0.0.1:0", lambda: "x" * 10**7) as port:
        client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        client.recv(1)
        client.close()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("port", ["65536", "99999", "none", ""])
def test_a_port_that_does_not_exist_is_a_mistake_of_the_configuration(port):
    with pytest.raises(ConfigError, match=r"metrics: 127\.0\.0\.1:"), served(f"127.0.0.1:{port}", str):
        pass


@pytest.mark.parametrize("address", ["127.0.0.1:65536", "127.0.0.1:99999", "127.0.0.256:9812", "127.0.0.1:", "10.0.0.1:9812"])
def test_an_address_that_cannot_be_used_is_told_by_a_check(address):
    assert load(None, {"ORIENTD_METRICS": "127.0.0.1:65535"}, {}).metrics == "127.0.0.1:65535"
    with pytest.raises(ConfigError, match="an address of this machine alone"):
        load(None, {"ORIENTD_METRICS": address}, {})


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
