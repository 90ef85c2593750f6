"""What systemd and the log are told, read back from a real socket and a real stream."""

import io
import json
import logging
import socket
import time

import pytest

from orientd.watch.logs import logging_to
from orientd.watch.sd_notify import Systemd, systemd


@pytest.fixture
def manager(tmp_path):
    """A socket as systemd's; gives the messages that came."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path)
        listening.settimeout(10)
        yield path, lambda: listening.recv(4096).decode()


def test_systemd_hears_every_state(manager):
    address, heard = manager
    told = Systemd(address, watchdog=10)
    told.ready()
    assert heard() == "READY=1"
    told.status("3 photos\nX=1")
    assert heard() == r"STATUS=3 photos\nX=1"
    told.alive()
    assert heard() == "WATCHDOG=1"
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    told.reloading()
    reloading, when = heard().splitlines()
    assert reloading == "RELOADING=1"
    assert before <= int(when.removeprefix("MONOTONIC_USEC=")) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    told.patience(120)
    assert heard() == "EXTEND_TIMEOUT_USEC=120000000"
    told.stopping()
    assert heard() == "STOPPING=1"


def test_an_abstract_address_works_too():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("")  # the kernel chooses one
        name = listening.getsockname()[1:].decode()
        listening.settimeout(10)
        Systemd(f"@{name}").ready()
        assert listening.recv(100) == b"READY=1"


def test_without_a_manager_nothing_is_sent_and_a_dead_one_is_no_error(tmp_path, caplog):
    Systemd().ready()
    assert caplog.text == ""
    Systemd(str(tmp_path / "nobody")).ready()
    assert "READY" in caplog.text


def test_a_sign_of_life_is_given_only_if_it_is_wanted(manager):
    address, heard = manager
    Systemd(address).alive()
    Systemd(address).stopping()
    assert heard() == "STOPPING=1"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Systemd()),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "300000000", "WATCHDOG_PID": "7"}, Systemd("/run/n", 300.0)),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "300000000"}, Systemd("@n", 300.0)),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "300000000", "WATCHDOG_PID": "8"}, Systemd("/run/n")),
        ({"NOTIFY_SOCKET": "vsock:2:1", "WATCHDOG_USEC": "soon"}, Systemd()),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "0"}, Systemd("/run/n")),
    ],
)
def test_the_environment_says_who_listens_and_is_cleared(environment, expected):
    assert systemd(environment, 7) == expected
    assert environment == {}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def logged(stream, kind="auto"):
    with logging_to(stream, kind) as log:
        log.info("watching %s", "/photos/a\nb")
        log.warning("disk full", extra={"path": "/p.jpg", "run": 3})
        logging.getLogger("PIL").warning("odd")
        logging.getLogger("PIL").info("chatter")
        logging.getLogger("watchdog.observers").error("called when the thread is inactive")
        log.debug("hidden")
    return stream.getvalue().splitlines()


def test_the_journal_gets_levels_and_a_terminal_the_time():
    assert logged(io.StringIO()) == [r"<6>watching /photos/a | b", "<4>disk full", "<4>odd"]
    first, second, third = logged(Terminal())
    assert first[2] == first[5] == ":"
    assert (first[8:], second[8:], third[8:]) == (" watching /photos/a | b", " warning: disk full", " warning: odd")


def test_json_lines_carry_nothing_that_another_handler_wrote_into_a_record():
    class Other(logging.Handler):
        def emit(self, record):
            logging.Formatter("%(asctime)s %(message)s").format(record)

    other = Other()
    logging.getLogger("orientd").addHandler(other)
    try:
        first = json.loads(logged(io.StringIO(), "json")[0])
    finally:
        logging.getLogger("orientd").removeHandler(other)
    assert set(first) == {"time", "level", "message"}


def test_json_lines_carry_what_belongs_to_them():
    lines = [json.loads(line) for line in logged(io.StringIO(), "json")]
    assert [(line["level"], line["message"]) for line in lines] == [
        ("info", "watching /photos/a\nb"),
        ("warning", "disk full"),
        ("warning", "odd"),
    ]
    assert (lines[1]["path"], lines[1]["run"]) == ("/p.jpg", 3)
    assert set(lines[0]) == {"time", "level", "message"}
    assert lines[0]["time"].endswith("Z")


def test_an_exception_stays_on_one_line_and_logging_ends_as_it_began():
    before = logging.getLogger().handlers[:], logging.getLogger("orientd").level
    stream = io.StringIO()
    with logging_to(stream) as log:
        try:
            raise ValueError("odd")
        except ValueError:
            log.exception("stuck")
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("<3>stuck | Traceback")
    assert line.endswith("ValueError: odd")
    assert (logging.getLogger().handlers[:], logging.getLogger("orientd").level) == before
