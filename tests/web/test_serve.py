"""The command as a process: its address, what a browser's command line shows, and how it ends."""

import http.client
import os
import queue
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import sky_library

from orientd.errors import ConfigError
from orientd.web import serve


@pytest.fixture
def plan(orientd, photos, tmp_path):
    sky_library.library(photos)
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv", "-q") == 0
    return tmp_path / "plan.csv"


@contextmanager
def started(*arguments, cwd, **environment):
    """orientd review, and its address once it is printed."""
    command = [sys.executable, "-m", "orientd", "review", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        environment.pop(name, None)
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            found = re.search(r"http://(\S+):(\d+)/\?token=(\S+)", process.stdout.readline())
            assert found, process.communicate()
            yield process, *found.groups()
        finally:
            if process.poll() is None:
                process.kill()


def ask(port, path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_end(plan, number):
    with started(plan, "--no-browser", cwd=plan.parent) as (process, host, port, token):
        assert host == "127.0.0.1"
        assert ask(port, "/")[0] == 403
        status, headers, _ = ask(port, f"/?token={token}")
        cookie = headers["set-cookie"].partition(";")[0]
        assert (status, "server" in headers) == (200, False)
        assert b"<!doctype html>" in ask(port, "/", Cookie=cookie)[2]
        assert ask(port, "/photo/1/320", Cookie=cookie, **{"Sec-Fetch-Site": "same-origin"})[0] == 200
        assert ask(port, "/", Cookie=cookie, Host="evil.example")[0] == 403
        process.send_signal(number)
        assert (process.communicate(timeout=60)[1], process.returncode) == ("", 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_also_when_it_is_told_so_before_it_serves(number):
    """While the plan is read, say: uvicorn hears of signals only once it runs."""
    from support.review_pages import rules

    from orientd.cli.stopping import stoppable
    from orientd.web.desk import Desk

    with serve.listening("127.0.0.1:0") as (bound, access), stoppable() as stop:
        serve.serve(Desk(rules()), bound, access, lambda: signal.raise_signal(number), stop)
        assert stop()


def test_it_listens_on_this_machine_alone(plan):
    with started(plan, "--no-browser", cwd=plan.parent) as (_, _, port, _):
        table = Path("/proc/net/tcp").read_text().splitlines()
        (place,) = [
            line.split()[1] for line in table if line.split()[1].endswith(f":{int(port):04X}") and line.split()[3] == "0A"
        ]
        assert place.startswith("0100007F:")


def test_one_that_says_nothing_keeps_nobody_waiting(plan):
    with started(plan, "--no-browser", cwd=plan.parent) as (_, _, port, token):
        silent = [socket.create_connection(("127.0.0.1", int(port))) for _ in range(20)]
        for connection in silent:
            connection.sendall(b"POST /api/apply HTTP/1.1\r\nContent-Le")
        assert ask(port, f"/?token={token}")[0] == 200
        for connection in silent:
            connection.close()


def test_a_header_without_an_end_is_not_read_for_ever(plan):
    with (
        started(plan, "--no-browser", cwd=plan.parent) as (_, _, port, _),
        socket.create_connection(("127.0.0.1", int(port))) as one,
    ):
        one.settimeout(60)
        sent = 0
        try:
            one.sendall(b"GET / HTTP/1.1\r\nX: ")
            while sent < 10 * 2**20:
                sent += one.send(b"x" * 65536)
        except OSError:
            pass
        assert sent < 10 * 2**20


def test_who_listens_elsewhere_is_warned_and_has_a_token_all_the_same(plan):
    with started(plan, "--no-browser", "--listen", "0.0.0.0:0", cwd=plan.parent) as (process, _, port, _):
        assert ask(port, "/")[0] == 403
        process.send_signal(signal.SIGINT)
        assert "not encrypted" in process.communicate(timeout=60)[1]


def test_the_command_line_of_the_browser_shows_no_token(plan, tmp_path):
    browser, shown = tmp_path / "browser", tmp_path / "shown"
    looks = 'echo "$@"; stat -c %a "$file" "${file%/*}"; cat "$file"'
    browser.write_text(f"#!/bin/sh\nfile=${{1#file://}}\n{{ {looks}; }} > {shown}.new; mv {shown}.new {shown}\n")
    browser.chmod(0o755)
    with started(plan, cwd=plan.parent, BROWSER=str(browser)) as (process, _, port, token):
        until = time.monotonic() + 60
        while not shown.exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        line, file_mode, folder_mode, page = shown.read_text().split("\n", 3)
        assert token not in line
        assert (file_mode, folder_mode) == ("600", "700")
        assert f"http://127.0.0.1:{port}/?token={token}" in page
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert not Path(line.removeprefix("file://")).exists()


def test_without_a_screen_no_browser_is_looked_for(monkeypatch, tmp_path):
    opened = queue.SimpleQueue()
    monkeypatch.setattr("webbrowser.open", opened.put)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    serve.browse(tmp_path)
    assert opened.empty()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    serve.browse(tmp_path)
    assert opened.get(timeout=60) == tmp_path.as_uri()


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", ":80", "no.such.host.invalid:0"]
)
def test_an_address_that_cannot_be_used_is_named(address):
    with pytest.raises(ConfigError, match=f"--listen {re.escape(address)} cannot be used"), serve.listening(address):
        pass


def test_a_port_that_is_taken_is_an_error_and_port_0_is_a_free_one():
    with serve.listening("127.0.0.1:0") as (bound, access), serve.listening("127.0.0.1:0") as (_, other):
        assert access.port == bound.getsockname()[1] != other.port
        assert bound.proto == socket.IPPROTO_TCP, "else asyncio lets the kernel wait for more before it sends"
        with pytest.raises(ConfigError, match="in use"), serve.listening(f"127.0.0.1:{access.port}"):
            pass


def test_the_file_that_leads_there_is_for_its_owner_and_is_gone_afterwards():
    with serve.doorway("http://127.0.0.1:1/?token=a&b=<") as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert "0;url=http://127.0.0.1:1/?token=a&amp;b=&lt;" in path.read_text()
    assert not path.parent.exists()
