"""The units themselves: systemd's own tools read them, and their sandboxes are what they are said to be."""

import os
import re
import subprocess
import sys

import pytest
from support.units import UNITS, analyse, lines_of, needs_systemd

from orientd.errors import ExitCode
from orientd.watch.units import grants

SANDBOXED = ["orientd.service", "orientd@.service", "orientd-scan.service", "orientd-immich.service"]
EXPOSURE = 2.0
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is for Linux")


@needs_systemd
@pytest.mark.parametrize(
    "name", [*SANDBOXED, "orientd-serve.service", "orientd-scan.timer", "orientd-immich.timer", "orientd-user.service"]
)
def test_systemd_finds_no_fault_with_a_unit(name, tmp_path):
    for file in UNITS.iterdir():
        (tmp_path / file.name).write_text(file.read_text().replace("/usr/bin/orientd", sys.executable))
    asked = name.replace("@", "@holiday")
    verify = analyse(tmp_path, *(["--user"] if "user" in name else []), "verify", "--man=no", tmp_path / asked)
    assert (verify.returncode, verify.stderr) == (0, "")


@needs_systemd
def test_verify_finds_faults(tmp_path):
    (tmp_path / "bad.service").write_text("[Service]\nExecStart=/bin/true\nProtectSistem=strict\n")
    assert "ProtectSistem" in analyse(tmp_path, "verify", "--man=no", tmp_path / "bad.service").stderr


@needs_systemd
@pytest.mark.parametrize("name", [*SANDBOXED, "orientd-serve.service"])
def test_the_sandbox_leaves_little_exposed(name, tmp_path):
    security = analyse(tmp_path, "security", "--offline=yes", f"--threshold={int(EXPOSURE * 10)}", "--no-pager", UNITS / name)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", security.stdout)
    assert found, security.stderr
    assert float(found[1]) < EXPOSURE


@pytest.mark.parametrize("name", SANDBOXED)
def test_a_sandbox_is_the_same_everywhere(name):
    """Whatever stands in orientd.service from User= on stands in the others too, the names of the folders apart."""
    settings = [line for line in lines_of("orientd.service") if re.match(r"[A-Z]\w+=", line)]
    start, end = settings.index("User=orientd"), settings.index("WantedBy=multi-user.target")
    places = ("ConfigurationDirectory=", "StateDirectory=", "CacheDirectory=")
    assert {line for line in settings[start:end] if not line.startswith(places)} <= set(lines_of(name))
    own = "orientd-%i" if "@" in name else "orientd"  # not below that of orientd.service, which may be another user's
    assert {f"StateDirectory={own}", f"CacheDirectory={own}"} <= set(lines_of(name))


def test_the_sandbox_of_what_answers_over_http_is_stricter():
    """It has all that stands in orientd.service from UMask= on, but for what is about the owners of photos and about idleness."""
    settings = [line for line in lines_of("orientd.service") if re.match(r"[A-Z]\w+=", line)]
    start, end = settings.index("UMask=0077"), settings.index("WantedBy=multi-user.target")
    serving = set(lines_of("orientd-serve.service"))
    of_photos = {"ProtectHome=read-only", "SystemCallFilter=@chown", "MemoryHigh=1G"}
    idle = {"Nice=19", "CPUSchedulingPolicy=batch", "IOSchedulingClass=idle"}
    assert set(settings[start:end]) - serving == of_photos | idle
    assert {"DynamicUser=yes", "ProtectHome=yes", "PrivateUsers=yes"} <= serving
    assert {
        "InaccessiblePaths=-/srv -/mnt -/media -/var/lib/orientd",
        "LoadCredential=serve-token:/etc/orientd/serve-token",
        "RestrictAddressFamilies=AF_INET6",
        "RestartPreventExitStatus=243",
    } <= serving
    assert not [line for line in serving if line.startswith(("StateDirectory=", "ReadWritePaths="))], "it keeps nothing"
    assert {"Type=notify", "WatchdogSec=5min", "Restart=on-failure", "RestartPreventExitStatus=2"} <= serving


@pytest.mark.parametrize("name", ["orientd.service", "orientd@.service", "orientd-user.service"])
def test_what_a_service_that_people_forget_needs(name):
    lines = set(lines_of(name))
    assert {
        "Type=notify",
        "WatchdogSec=5min",
        "Restart=on-failure",
        "RestartPreventExitStatus=2",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "Nice=19",
        "IOSchedulingClass=idle",
        "MemoryHigh=1G",
    } <= lines


def test_the_folders_that_are_told_to_be_hidden_are_those_of_the_unit():
    lines = lines_of("orientd-serve.service")
    (named,) = [line.partition("=")[2] for line in lines if line.startswith("InaccessiblePaths=")]
    homes = ["/home", "/root", "/run/user"]  # ProtectHome=yes
    assert "ProtectHome=yes" in lines
    assert [*homes, *(path.removeprefix("-") for path in named.split())] == list(grants.HIDDEN_FROM_SERVING)


@pytest.mark.parametrize("name", ["orientd-scan.service", "orientd-immich.service"])
def test_a_night_that_was_stopped_is_no_failure_nor_is_one_of_which_a_photo_could_not_be_read(name):
    (codes,) = [line.partition("=")[2].split() for line in lines_of(name) if line.startswith("SuccessExitStatus=")]
    assert set(map(int, codes)) == {ExitCode.INCOMPLETE, ExitCode.INTERRUPTED}


@pytest.mark.parametrize("name", ["orientd-scan.service", "orientd-immich.service"])
def test_the_nightly_scan_writes_a_page_and_old_reports_go_with_all_that_belongs_to_them(name, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    unit = lines_of(name)
    assert any(line.startswith("ExecStart=") and "--html ${STATE_DIRECTORY}" in line for line in unit)
    names = [f"orientd-20261129-120000.{ending}" for ending in ("csv", "html", "csv.verdicts")]
    for name in (*names, "journal.db", "orientd-20270101-120000.csv"):
        (state / name).touch()
        if name in names or name == "journal.db":
            os.utime(state / name, (0, 0))
    (clean,) = [line.removeprefix("ExecStartPost=-") for line in unit if line.startswith("ExecStartPost=")]
    subprocess.run([str(state) if word == "${STATE_DIRECTORY}" else word for word in clean.split()], check=True)
    assert sorted(path.name for path in state.iterdir()) == ["journal.db", "orientd-20270101-120000.csv"]
