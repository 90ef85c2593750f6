"""How a service talks: to systemd by sd_notify, to people and programs by its log."""

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TextIO

from orientd.report.text import printable

_LEVELS: Final = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}  # see sd-daemon(3)
_RECORD: Final = frozenset(vars(logging.makeLogRecord({})))


@dataclass(frozen=True, slots=True)
class Systemd:
    """The manager that started this process, if it was one; else nobody hears (sd_notify(3)).

    `watchdog` is the time in seconds within which it wants a sign of life (None: it wants none).
    """

    address: str = ""
    watchdog: float | None = None

    def ready(self) -> None:
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={printable(text)}")

    def alive(self) -> None:
        """The sign of life; to be given by the loop that does the work, so that a stuck one is restarted."""
        if self.watchdog is not None:
            self._send("WATCHDOG=1")

    def patience(self, seconds: float) -> None:
        """To be given while starting or reloading takes long: it may take that much longer, from now on."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def reloading(self) -> None:
        """To be followed by `ready`. systemd wants to know when, to tell one reload from the next."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self.address:
            return
        name = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
                to.connect(name)
                to.sendall(text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            logging.getLogger(__name__).warning("systemd cannot be told %s: %s", text.partition("=")[0], error.strerror)


def systemd(environment: MutableMapping[str, str], pid: int) -> Systemd:
    """What the environment says of the manager; taken out of it, so that no child speaks for this process."""
    address = environment.pop("NOTIFY_SOCKET", "")
    usec, meant = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", str(pid))
    watchdog = int(usec) / 1e6 if usec.isdecimal() and int(usec) and meant == str(pid) else None
    return Systemd(address if address[:1] in ("/", "@") else "", watchdog)


class _Human(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        said = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        return f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {said}{_line(record)}"


class _Journal(logging.Formatter):
    """The journal knows the time; it reads the level from the start of the line."""

    def format(self, record: logging.LogRecord) -> str:
        return f"<{_LEVELS.get(record.levelname, 6)}>{_line(record)}"


class _Json(logging.Formatter):
    """What a call gives as `extra` stands beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        made = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        extra = {name: value for name, value in vars(record).items() if name not in _RECORD and name != "message"}
        return json.dumps(
            {"time": f"{made}.{record.msecs:03.0f}Z", "level": record.levelname.lower(), "message": record.getMessage(), **extra}
        )


def _line(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info:
        text += "\n" + logging.Formatter().formatException(record.exc_info)
    return printable(text.replace("\n", " | "))


FORMATS: Final[Mapping[str, Callable[[], logging.Formatter]]] = {"human": _Human, "journal": _Journal, "json": _Json}


@contextmanager
def logging_to(stream: TextIO, kind: str = "auto") -> Iterator[logging.Logger]:
    """Log to a stream as long as this lasts: `auto` is human on a terminal and journal elsewhere, or json.

    What the libraries log as a warning comes out, too, but for watchdog's: it complains of its own threads when they are stopped,
    and what matters of the rest is told as a hint that was lost.
    """
    chosen = ("human" if stream.isatty() else "journal") if kind == "auto" else kind
    handler = logging.StreamHandler(stream)
    handler.setFormatter(FORMATS[chosen]())
    handler.addFilter(lambda record: not record.name.startswith("watchdog"))
    root, ours = logging.getLogger(), logging.getLogger("orientd")
    before = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield ours
    finally:
        ours.setLevel(before)
        root.removeHandler(handler)
        handler.close()
