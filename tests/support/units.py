"""systemd's units in tests: a folder that a service manager reads, one that answers nothing else, and systemd's own tools."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from orientd.watch.units import checks, installation
from orientd.watch.units.manager import ServiceManager

UNITS = Path(__file__).parents[2] / "systemd"
REALLY = checks.succeeds
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


def analyse(folder, *arguments):
    environment = os.environ | {"XDG_RUNTIME_DIR": str(folder), "LC_ALL": "C", "SYSTEMD_COLORS": "0"}
    command = ["systemd-analyze", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)


@pytest.fixture(autouse=True)
def manager(tmp_path, monkeypatch):
    """A systemctl that does nothing but answer: gives the file of its answer; and users who can do whatever is tried."""
    (tmp_path / "bin").mkdir()
    answer, program = tmp_path / "bin" / "answer", tmp_path / "bin" / "systemctl"
    answer.write_text("inactive")
    program.write_text(f"#!/bin/sh\ncat '{answer}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(checks, "succeeds", lambda *_: True)
    return answer


@pytest.fixture
def installed(tmp_path):
    """What install puts in place for a library with an awkward name: (folder, library)."""
    library = tmp_path / 'my "photos" 100% $HOME'
    library.mkdir()

    def make(user=False, fix=True):
        place = placed(tmp_path, user)
        lines = list(installation.install(place, [str(library)], fix, None if user else "daemon"))
        return place, library, lines

    return make


def placed(folder, user=False):
    """A service manager that looks for everything in a folder."""
    told = {"HOME": str(folder), "CONFIGURATION_DIRECTORY": str(folder / "etc"), "STATE_DIRECTORY": str(folder / "state")}
    return ServiceManager(
        folder / "units", ("systemctl", "--user") if user else ("systemctl",), ServiceManager.of(user).units, told
    )


@pytest.fixture
def configured(tmp_path):
    """Write the configuration that the service will read."""

    def write(text):
        (tmp_path / "etc").mkdir(exist_ok=True)
        (tmp_path / "etc" / "orientd.yaml").write_text(text)

    return write


def written(place, name="orientd.service"):
    """What the drop-in of a unit lets be written beside the state."""
    found = re.findall(r"^ReadWritePaths=(.*)$", (place.folder / f"{name}.d" / "install.conf").read_text(), flags=re.MULTILINE)
    return found[0].strip('"').split('" "') if found else []


def lines_of(name):
    return (UNITS / name).read_text().splitlines()


def opened(place, name="orientd.service"):
    """The lines of a drop-in that open the network."""
    lines = (place.folder / f"{name}.d" / "install.conf").read_text().splitlines()
    return [line for line in lines if line.startswith(("IPAddress", "RestrictAddress"))]


ALL = ["RestrictAddressFamilies=AF_INET6", "IPAddressAllow=any"]
