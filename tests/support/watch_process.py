"""orientd watch as a process of its own, as systemd would start it: what it tells systemd, what it logs, how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading

PATIENCE = 240.0
WATCHDOG = 2.0  # seconds


class Process:
    """Started with JSON logs and a manager that listens; `settings` are those of the configuration, as text, by name.

    `first` is Python that it runs before it begins. No test waits for ever: a process that ends ends every wait for it.
    """

    def __init__(self, *arguments, first="", **settings):
        self.lines, self.heard, self.changed, self.ended = [], [], threading.Condition(), False
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind("")  # to a name that the kernel chooses
        address = "@" + self.manager.getsockname()[1:].decode()
        usual = {"log_format": "json", "settle": "0.3", "latency": "0.1", "stalled": "1"}
        options = {f"ORIENTD_{name.upper()}": text for name, text in (usual | settings).items()}
        environment = os.environ | {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": str(int(WATCHDOG * 1e6))} | options
        program = ["-c", f"{first}\nfrom orientd.cli.main import main\nmain()"] if first else ["-m", "orientd"]
        command = [sys.executable, *program, "watch", *map(str, arguments)]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        self.readers = [threading.Thread(target=each, daemon=True) for each in (self._read, self._listen)]
        for reader in self.readers:
            reader.start()

    def _read(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(json.loads(line) if line.startswith("{") else {"message": line.rstrip()})
                self.changed.notify_all()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.manager.getsockname())

    def _listen(self):
        while text := self.manager.recv(4096).decode():
            with self.changed:
                self.heard.append(text)
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def until(self, condition):
        with self.changed:
            self.changed.wait_for(lambda: condition() or self.ended, PATIENCE)
            assert condition(), self.messages[-20:]

    def is_silent(self, seconds):
        """True if it says nothing to its manager for so long."""
        with self.changed:
            said = len(self.heard)
            return not self.changed.wait_for(lambda: len(self.heard) > said or self.ended, seconds)

    @property
    def messages(self):
        return [line["message"] for line in self.lines]

    def ready(self):
        self.until(lambda: "READY=1" in self.heard)
        return self

    def says(self, text, times=1):
        self.until(lambda: sum(text in message for message in self.messages) >= times)

    def end(self, number=signal.SIGTERM):
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.code()

    def code(self):
        """The exit code, once it has ended and all that it said was heard."""
        code = self.process.wait(PATIENCE)
        for reader in self.readers:
            reader.join(PATIENCE)
            assert not reader.is_alive(), "something else has its output open"
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.code()
        self.process.stderr.close()
        self.manager.close()
