"""orientd watch as a process of its own, as systemd would start it: what it tells systemd, what it logs, how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

PATIENCE = 60.0


class Process:
    """Started with JSON logs and a manager that listens; `settings` are those of the configuration, as text, by name."""

    def __init__(self, folder, *arguments, **settings):
        self.lines, self.heard, self.changed = [], [], threading.Condition()
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(address := str(folder / f"notify-{time.monotonic_ns()}"))
        usual = {"log_format": "json", "settle": "0.3", "latency": "0.1"}
        options = {f"ORIENTD_{name.upper()}": text for name, text in (usual | settings).items()}
        environment = os.environ | {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"} | options
        command = [sys.executable, "-m", "orientd", "watch", *map(str, arguments)]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        self.readers = [threading.Thread(target=self._read), threading.Thread(target=self._listen)]
        for reader in self.readers:
            reader.start()

    def _read(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(json.loads(line) if line.startswith("{") else {"message": line.rstrip()})
                self.changed.notify_all()

    def _listen(self):
        while text := self.manager.recv(4096).decode():
            with self.changed:
                self.heard.append(text)
                self.changed.notify_all()

    def until(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), self.messages[-20:]

    @property
    def messages(self):
        return [line["message"] for line in self.lines]

    def ready(self):
        self.until(lambda: "READY=1" in self.heard or self.process.poll() is not None)
        return self

    def says(self, text, times=1):
        self.until(lambda: sum(text in message for message in self.messages) >= times)

    def end(self, number=signal.SIGTERM):
        """Send a signal; the exit code and how many seconds it took to end."""
        begun = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(PATIENCE), time.monotonic() - begun

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.manager.getsockname())
        for reader in self.readers:
            reader.join()
        self.process.stderr.close()
        self.manager.close()
