"""Reports the state of a service to systemd (sd_notify(3))."""

import logging
import socket
import time
from collections.abc import MutableMapping
from dataclasses import dataclass

from orientd.report.text import printable


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
        """To be followed by `ready`. systemd needs the time, to distinguish one reload from the next."""
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
            logging.getLogger(__name__).warning("systemd cannot be notified (%s): %s", text.partition("=")[0], error.strerror)


def systemd(environment: MutableMapping[str, str], pid: int) -> Systemd:
    """What the environment says of the manager; taken out of it, so that no child speaks for this process."""
    address = environment.pop("NOTIFY_SOCKET", "")
    usec, meant = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", str(pid))
    watchdog = int(usec) / 1e6 if usec.isdecimal() and int(usec) and meant == str(pid) else None
    return Systemd(address if address[:1] in ("/", "@") else "", watchdog)
