"""Where a service manager looks for units, and what it answers."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from orientd.config import config_directory

UNITS_OF_SERVER: Final = ("orientd-immich.service", "orientd-immich.timer")
_OF_MACHINE: Final = (
    "orientd.service",
    "orientd@.service",
    "orientd-scan.service",
    "orientd-scan.timer",
    "orientd-serve.service",
)
_MACHINE: Final = {name: name for name in _OF_MACHINE}
_USER: Final = {"orientd.service": "orientd-user.service"}


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """A service manager: the machine's, or that of a user.

    folder: where it looks for units. command: what asks it. units: the file to copy for each name. environment: the variables
    that it sets for the service. hidden: the folders that the service sees its own versions of (PrivateTmp=).
    """

    folder: Path
    command: tuple[str, ...]
    units: dict[str, str]
    environment: Mapping[str, str]
    hidden: tuple[str, ...] = ()

    @classmethod
    def of(cls, user: bool) -> Self:
        """The user's, or the machine's (see systemd.unit(5), unit file load path)."""
        if user:
            environment = {name: os.environ[name] for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME") if name in os.environ}
            return cls(Path(config_directory(os.environ), "systemd", "user"), ("systemctl", "--user"), _USER, environment)
        environment = {"CONFIGURATION_DIRECTORY": "/etc/orientd", "STATE_DIRECTORY": "/var/lib/orientd"}
        return cls(Path("/etc/systemd/system"), ("systemctl",), _MACHINE, environment, ("/tmp", "/var/tmp"))

    @property
    def is_for_user(self) -> bool:
        return "--user" in self.command

    @property
    def installed_for_server(self) -> list[str]:
        """The units for a photo server that are in place."""
        return [name for name in UNITS_OF_SERVER if not self.is_for_user and (self.folder / name).exists()]

    def line(self, *words: str) -> str:
        """A command as an administrator types it."""
        return " ".join((*self.command, *words))

    def reload(self) -> Iterator[str]:
        """Have it read the units again; a line if it does not answer."""
        if shutil.which("systemctl") and self.tell("daemon-reload"):
            yield f"The service manager could not be reached; once it runs: {self.line('daemon-reload')}"

    def ask(self, question: str, name: str) -> str:
        """Its answer in a word, such as is-active: active."""
        if not shutil.which("systemctl"):
            return "no systemctl here"
        ran = subprocess.run([*self.command, question, name], capture_output=True, text=True, check=False)
        return ran.stdout.strip() or "the service manager does not answer"

    def tell(self, *words: str) -> int:
        """Run a command of it; gives the exit code."""
        return subprocess.run([*self.command, *words], capture_output=True, check=False).returncode
