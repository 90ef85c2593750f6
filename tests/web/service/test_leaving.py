"""Clients that leave in the middle, or close their half of the connection: nothing is held for them, and the log says so."""

import logging
import socket
import threading
import time

import pytest
from support.serving import JPEG, ask, running

from orientd.web.service.connections import Connection
from orientd.web.service.door import Limits
from orientd.web.service.numbers import Left, Numbers
from orientd.web.service.serving import Terms
from orientd.web.service.tasks import Answer

PATH = "/v1/orientation"
HEAD = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: %%d\r\n\r\n" % PATH.encode()
SECONDS = {"waited": 0.0, "took": 0.0}
LARGE = Answer({"decision": "keep", "seconds": SECONDS}, bytes(50_000_000), "image/jpeg")


def work(tasks):
    return [Answer({"decision": "keep", "seconds": SECONDS}) for _ in tasks]


@pytest.fixture(autouse=True)
def logged(caplog):
    caplog.set_level(logging.INFO, "orientd")


def half_closed(one):
    one.shutdown(socket.SHUT_WR)


def reset(one):
    """Vanish at once, without a farewell, as a program that is killed with unread data does."""
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    one.close()


LEAVING = pytest.mark.parametrize("leave", [half_closed, reset, socket.socket.close])


def until_left(port, when):
    """Until that is counted, and nobody is connected but who asks."""
    end = time.monotonic() + 60
    wanted = (f'orientd_serve_left_total{{when="{when}"}} 1', "orientd_serve_connections 1", "orientd_serve_waiting 0")
    while time.monotonic() < end:
        said = ask(port, "GET", "/metrics")[2].decode().splitlines()
        if all(line in said for line in wanted):
            return
    raise AssertionError(said)


def messages(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "orientd"]


@LEAVING
def test_who_leaves_in_the_middle_of_an_upload(leave, caplog):
    """All bodies together may have 1,000 bytes, and this one had them all."""
    with running(work, Terms("", Limits(most_body=1000, most_bodies=1000), 1, 8)) as (port, _):
        one = socket.create_connection(("127.0.0.1", port), timeout=60)
        one.sendall(HEAD % 1000 + b"x" * 10)
        leave(one)
        until_left(port, "uploading")
        assert ask(port, "POST", PATH, b"x" * 1000, JPEG)[0] == 200
        one.close()
    assert messages(caplog) == ["a client ended its connection (uploading) before its request was here"]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@LEAVING
def test_who_leaves_before_the_answer(leave, caplog):
    gate, arrived = threading.Event(), threading.Event()

    def held(tasks):
        arrived.set()
        assert gate.wait(60)
        return work(tasks)

    with running(held, Terms("", Limits(most_bodies=2), 1, 8)) as (port, _):
        one = socket.create_connection(("127.0.0.1", port), timeout=60)
        one.sendall(HEAD % 1 + b"x")
        assert arrived.wait(60)
        leave(one)
        until_left(port, "waiting")
        gate.set()
        assert ask(port, "POST", PATH, b"yz", JPEG)[0] == 200, "its bytes are given back"
        one.close()
    assert messages(caplog) == ["a client ended its connection (waiting) before it was answered, so its pictures are dropped"]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("leave", [reset, socket.socket.close])
def test_who_leaves_in_the_middle_of_an_answer(leave, caplog):
    with running(lambda tasks: [LARGE], Terms("", Limits(most_bodies=1), 1, 8)) as (port, _):
        one = socket.create_connection(("127.0.0.1", port), timeout=60)
        one.sendall(HEAD % 1 + b"x")
        assert one.recv(100)
        leave(one)
        until_left(port, "reading")
        assert ask(port, "POST", PATH, b"x", JPEG)[0] == 200
    assert messages(caplog) == ["a client ended its connection (reading) before it had read its answer"]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_who_says_in_the_middle_of_an_answer_that_it_sends_no_more_gets_all_of_it(caplog):
    with running(lambda tasks: [LARGE]) as (port, _):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as one:
            one.sendall(HEAD % 1 + b"x")
            size = 0
            while size < 10_000:  # more than the header: all of the rest is on its way then
                size += len(one.recv(1000))
            half_closed(one)
            while part := one.recv(1 << 20):
                size += len(part)
        assert size > len(LARGE.file)
    assert messages(caplog) == []


def test_who_does_not_read_for_too_long_is_logged(monkeypatch, caplog):
    monkeypatch.setattr(Connection, "every", 0.02)
    monkeypatch.setattr(Connection, "in_hand", 0.1)
    with running(lambda tasks: [LARGE]) as (port, _), socket.create_connection(("127.0.0.1", port), timeout=60) as one:
        one.sendall(HEAD % 1 + b"x")
        assert one.recv(100)
        until_left(port, "reading")
    assert messages(caplog) == ["a client ended its connection (reading) before it had read its answer"]


def test_many_that_leave_do_not_flood_the_log(caplog):
    now = [100.0]
    numbers = Numbers("a model", logging.getLogger("orientd"), lambda: now[0])
    for _ in range(1000):
        numbers.left(Left.UPLOADING)
    now[0] += 60
    numbers.left(Left.UPLOADING)
    assert messages(caplog) == [
        "a client ended its connection (uploading) before its request was here",
        "a client ended its connection (uploading, 1,000 times) before its request was here",
    ]
