import json
import os
import socket
import struct
import threading
import time
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orientd import __version__
from orientd.config import load
from orientd.errors import ConfigError
from orientd.records import Verdict
from orientd.state.lock import Lock
from orientd.watch.metrics import Metrics, save, watcher
from orientd.watch.metrics_http import _CLIENTS, read_token, served

PATIENCE = 60.0


def metrics():
    made = Metrics(started=100.0, state="idle", waiting=7)
    for name in ("keep", "fix", "fix", "fix", "error", "fixed", "failed", "proposed"):
        made.count(name)
    return made


def samples(text):
    """By name, labels → value, as the reader of Prometheus' own client sees them; and the kind by name."""
    found, kinds = {}, {}
    for family in text_string_to_metric_families(text):
        kinds[family.name] = family.type
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found, kinds


def test_the_text_is_what_prometheus_reads():
    made = metrics()
    made.timed("decode", lambda: None)()
    made.worked, made.pass_seconds, made.model = 1_700_000_000.5, 2.25, 'my "model"\\\n'
    found, kinds = samples(made.text())
    assert set(found.pop("orientd_stage_seconds_total")) == {("decode",)}
    assert found == {
        "orientd_photos_total": {("keep",): 1, ("fix",): 3, ("unsure",): 0, ("skip",): 0, ("error",): 1},
        "orientd_fixes_total": {("fixed",): 1, ("unchanged",): 0, ("failed",): 1},
        "orientd_proposals_total": {(): 1},
        "orientd_queue_depth": {(): 7},
        "orientd_start_time_seconds": {(): 100},
        "orientd_last_success_timestamp_seconds": {(): 1_700_000_000.5},
        "orientd_last_pass_duration_seconds": {(): 2.25},
        "orientd_build_info": {(__version__, 'my "model"\\\n'): 1},
    }
    counters = {"orientd_photos", "orientd_fixes", "orientd_proposals", "orientd_stage_seconds"}
    assert {name for name, kind in kinds.items() if kind == "counter"} == counters
    assert {name for name, kind in kinds.items() if kind == "gauge"} == set(kinds) - counters
    assert made.text().endswith("\n")


def test_a_service_that_has_done_nothing_yet_has_every_count_at_nought():
    found, _ = samples(Metrics(started=100.0).text())
    assert set(found["orientd_photos_total"].values()) == set(found["orientd_fixes_total"].values()) == {0}
    assert len(found["orientd_photos_total"]) == len(Verdict)


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


def asked(port, path="/metrics", host="127.0.0.1", **headers):
    """The answer and its body; urllib would ask a proxy where there is one."""
    with closing(HTTPConnection(host, port, timeout=PATIENCE)) as client:
        client.request("GET", path, headers=headers)
        answer = client.getresponse()
        return answer, answer.read()


def test_it_answers_on_this_machine_and_only_to_what_it_knows():
    with served("127.0.0.1:0", lambda: "orientd_x 1\n") as port:
        answer, body = asked(port)
        assert (answer.status, body) == (200, b"orientd_x 1\n")
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        answer, _ = asked(port, "/")
        assert answer.status == 404


def test_health_is_200_while_all_is_well_and_503_else():
    well = [True]
    with served("127.0.0.1:0", str, lambda: well[0], "0123456789abcdef") as port:
        answer, body = asked(port, "/healthz")
        assert (answer.status, body) == (200, b"ok\n")
        well[0] = False
        answer, body = asked(port, "/healthz")
        assert (answer.status, body) == (503, b"it does not go on with its work\n")


def test_who_does_not_know_the_token_reads_no_metrics():
    with served("127.0.0.1:0", lambda: "orientd_x 1\n", token="0123456789abcdef") as port:
        for said in ({}, {"Authorization": "Bearer 0123456789abcdee"}, {"Authorization": "Basic 0123456789abcdef"}):
            answer, body = asked(port, **said)
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert b"orientd_x" not in body
        for odd in ("Bearer", "Bearer ", "Bearer \xe9", "0123456789abcdef"):
            assert asked(port, Authorization=odd)[0].status == 401
        answer, body = asked(port, Authorization="Bearer 0123456789abcdef")
        assert (answer.status, body) == (200, b"orientd_x 1\n")


def test_the_token_is_one_word_of_a_file(tmp_path):
    file = tmp_path / "token"
    assert read_token("") == ""
    file.write_text("0123456789abcdef\n")
    assert read_token(str(file)) == "0123456789abcdef"
    for text in ("", "short", "0123456789 abcdef", "0123456789\nabcdef0123", "0123456789abcdef\xe9"):
        file.write_text(text)
        with pytest.raises(ConfigError, match="must hold one word of at least 16"):
            read_token(str(file))
    with pytest.raises(ConfigError, match=r"metrics_token_file: .*none cannot be read"):
        read_token(str(tmp_path / "none"))


@pytest.mark.skipif(not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"), reason="no IPv6 here")
def test_it_answers_at_an_address_of_ipv6():
    with served("[::1]:0", lambda: "x") as port:
        assert asked(port, host="::1")[1] == b"x"


@pytest.mark.parametrize("address", ["0.0.0.0:9812", "192.168.1.9:9812", "[::]:9812", "[::1:9812]:9812"])
def test_an_address_that_others_can_reach_needs_a_token_or_a_word(address):
    with pytest.raises(ConfigError, match=r"metrics: others can reach .*: name a metrics_token_file"):
        load(None, {"ORIENTD_METRICS": address}, {})
    assert load(None, {"ORIENTD_METRICS": address, "ORIENTD_METRICS_TOKEN_FILE": "/t"}, {}).metrics == address
    assert load(None, {"ORIENTD_METRICS": address, "ORIENTD_METRICS_OPEN": "yes"}, {}).metrics == address


@pytest.mark.parametrize("address", ["127.0.0.1:9812", "127.9.9.9:9812", "localhost:9812", "[::1]:9812"])
def test_an_address_of_this_machine_needs_none(address):
    assert load(None, {"ORIENTD_METRICS": address}, {}).metrics == address


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


@pytest.mark.parametrize("address", ["127.0.0.1:65536", "127.0.0.1:99999", "127.0.0.256:9812", "127.0.0.1:", "example.org:9812"])
def test_an_address_that_cannot_be_used_is_told_by_a_check(address):
    assert load(None, {"ORIENTD_METRICS": "127.0.0.1:65535"}, {}).metrics == "127.0.0.1:65535"
    with pytest.raises(ConfigError, match=r"must be an address such as 127\.0\.0\.1:9812"):
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
    assert known["photos"] == {"keep": 1, "fix": 3, "error": 1, "fixed": 1, "failed": 1, "proposed": 1}
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
        assert "idle, 7 waiting; 1 error, 1 failed, 3 fix, 1 fixed, 1 keep, 1 proposed" in capsys.readouterr().out
        assert orientd("status", "--json", "--state-dir", state) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["watch"]["running"], told["watch"]["photos"]["fixed"]) == (True, 1)
