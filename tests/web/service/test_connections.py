"""Clients that say nothing, never end, do not read, or are many: bounded, and nobody else waits for them."""

import http.client
import json
import socket
import threading
import time
from contextlib import closing, suppress

import pytest
from support.serving import JPEG, ask, running

from orientd.web.service import connections, serving
from orientd.web.service.connections import Connection
from orientd.web.service.door import Limits
from orientd.web.service.tasks import Answer

PATH = "/v1/orientation"
POST = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: 1\r\n\r\n" % PATH.encode()
SECONDS = {"waited": 0.0, "took": 0.0}


def work(tasks):
    return [Answer({"decision": "keep", "seconds": SECONDS}) for _ in tasks]


@pytest.fixture
def hasty(monkeypatch):
    """Time limits that a test can wait for."""
    monkeypatch.setattr(Connection, "every", 0.02)
    monkeypatch.setattr(Connection, "idle", 0.1)


def connected(port, said=b""):
    one = socket.create_connection(("127.0.0.1", port), timeout=60)
    one.sendall(said)
    return one


def ended(one):
    """True once the other side has cut it off."""
    try:
        while one.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", b"GE"])
def test_who_does_not_begin_or_end_a_request_is_cut_off(hasty, said):
    with running(work) as (port, _), connected(port, said) as one:
        assert ended(one)
        assert ask(port, "GET", "/healthz")[0] == 200


def test_a_header_without_an_end_is_cut_off(hasty):
    with running(work) as (port, _), connected(port, b"GET / HTTP/1.1\r\nX: ") as one:
        end = time.monotonic() + 60
        with suppress(OSError):
            while time.monotonic() < end:
                one.sendall(b"x" * 4096)
        assert time.monotonic() < end


def test_who_goes_on_with_requests_is_not_cut_off(hasty):
    with running(work) as (port, _), closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as one:
        one.connect()
        first, until = one.sock, time.monotonic() + 5 * Connection.idle
        while time.monotonic() < until:
            one.request("GET", "/healthz")
            assert one.getresponse().read() == b"ok\n"
        assert one.sock is first


def test_who_does_not_read_is_cut_off(hasty, monkeypatch):
    """What is on the way to a client is held, and so is the place among the connections."""
    monkeypatch.setattr(Connection, "in_hand", 0.2)
    large = [Answer({"decision": "keep", "seconds": SECONDS}, bytes(50_000_000), "image/jpeg")]
    with running(lambda tasks: large) as (port, _):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.settimeout(60)
        one.connect(("127.0.0.1", port))
        one.sendall(POST + b"x")
        assert one.recv(100)
        until_none(port)
        assert ended(one)
        one.close()


def until_none(port):
    """Until nobody is connected but who asks."""
    while b"orientd_serve_connections 1\n" not in ask(port, "GET", "/metrics")[2]:
        pass


def test_a_body_without_an_end_is_cut_off():
    with running(work) as (port, _), connected(port) as one:
        one.sendall(b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n" % PATH.encode())
        one.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        sent = 0
        try:
            while True:
                one.sendall(b"100000\r\n" + bytes(0x100000) + b"\r\n")
                sent += 1
        except OSError:
            pass
        assert 64 <= sent < 90, "64 MiB may come, and what lies in the buffers of the two sides"
        assert ask(port, "POST", PATH, b"x", JPEG)[0] == 200


def test_a_thousand_connections_are_bounded_and_answered(monkeypatch, caplog):
    monkeypatch.setattr(Connection, "most", 100)
    monkeypatch.setattr(connections, "_LEAVING", 0.2)
    with running(work) as (port, _):
        many = [connected(port) for _ in range(100)]
        assert ask_in(many[0])[0] == b"HTTP/1.1 200 OK"
        refused = b"HTTP/1.1 503 Service Unavailable"
        answered = 0
        for _ in range(900):
            with connected(port) as one:
                try:
                    first = one.recv(100).partition(b"\r\n")[0]
                except ConnectionResetError:
                    first = b""
                assert first in (refused, b""), "those far beyond the limit are told nothing"
                answered += first == refused
        assert answered > 80
        assert ask_in(many[1])[0] == b"HTTP/1.1 200 OK", "who was there goes on"
        for one in many:
            one.close()
        until_none(port)
        assert ask(port, "POST", PATH, b"x", JPEG)[0] == 200
        assert 'orientd_serve_refused_total{reason="connections"} 900' in ask(port, "GET", "/metrics")[2].decode()
    assert caplog.text.count("too many are connected already") <= 2, "the log is not flooded"


def ask_in(one):
    """The lines of an answer."""
    one.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    answer = b""
    while not answer.endswith(b"\r\n\r\nok\n"):
        answer += one.recv(65536)
    return answer.split(b"\r\n")


def test_the_answer_to_who_is_turned_away_is_whole():
    head, body = connections._FULL.split(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head


def test_who_goes_away_costs_no_work(caplog):
    gate, arrived, seen = threading.Event(), threading.Semaphore(0), []

    def held(tasks):
        seen.extend(task.data for task in tasks)
        arrived.release()
        assert gate.wait(60)
        return work(tasks)

    with running(held) as (port, _):
        first = connected(port, POST + b"1")
        assert arrived.acquire(timeout=60)
        second = connected(port, POST + b"2")
        while b"orientd_serve_waiting 1\n" not in ask(port, "GET", "/metrics")[2]:
            pass
        second.close()
        while b"orientd_serve_connections 2\n" not in ask(port, "GET", "/metrics")[2]:
            pass
        gate.set()
        assert first.recv(100).startswith(b"HTTP/1.1 200")
        first.close()
        assert ask(port, "POST", PATH, b"3", JPEG)[0] == 200
    assert seen == [b"1", b"3"]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_who_sends_all_before_reading_hears_that_it_is_too_much():
    terms = serving.Terms("", Limits(most_body=1000), 1, 8)
    with running(work, terms) as (port, _):
        assert ask(port, "POST", PATH, bytes(30_000_000), JPEG)[0] == 413
        assert ask(port, "GET", "/healthz")[0] == 200


def test_what_is_no_http_is_told_so_as_everything_else_is():
    with running(work) as (port, _):
        with connected(port, b"GET / HTTP/1.1\r\n\r\n") as one:  # no Host
            head, _, body = one.recv(65536).partition(b"\r\n\r\n")
            assert ended(one)
        assert head.startswith(b"HTTP/1.1 400 ")
        assert f"Content-Length: {len(body)}".encode() in head
        assert json.loads(body)["reason_code"] == "bad_request"
        assert 'orientd_serve_refused_total{reason="bad_request"} 1' in ask(port, "GET", "/metrics")[2].decode()


def test_a_body_that_breaks_after_its_answer_is_cut_off_in_silence(caplog):
    with running(work) as (port, _), connected(port) as one:
        one.sendall(b"PUT / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert one.recv(65536).startswith(b"HTTP/1.1 405")
        one.sendall(b"no size\r\n")
        assert ended(one)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_what_takes_longer_than_the_end_waits_for_is_told(monkeypatch, caplog):
    gate, arrived = threading.Event(), threading.Event()

    def held(tasks):
        arrived.set()
        assert gate.wait(60)
        return work(tasks)

    monkeypatch.setattr(serving, "_LAST_ANSWERS", 0)
    stop = threading.Event()
    with running(held, stop=stop) as (port, _), connected(port, POST + b"1") as one:
        assert arrived.wait(60)
        stop.set()
        said = b""
        while part := one.recv(65536):
            said += part
        gate.set()
    assert said.startswith(b"HTTP/1.1 503 ")
    assert b"it is ending" in said
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("said", [b"\x16\x03\x01\x02\x00\x01\x00", b"\r\n\r\n\r\n", b"POST /v1/page HTTP/9\r\n\r\n", b"\0" * 300])
def test_what_is_no_http_is_answered_or_cut_off(hasty, said):
    with running(work) as (port, _), connected(port, said) as one:
        assert ended(one)
        assert ask(port, "GET", "/healthz")[0] == 200
