"""The units: systemd's own tools read them, and what install puts in place is read by them, too."""

import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orientd import units
from orientd.errors import ConfigError, OrientdError
from orientd.units import Place

UNITS = Path(__file__).parents[1] / "systemd"
SANDBOXED = ["orientd.service", "orientd@.service", "orientd-scan.service"]
EXPOSURE = 2.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is for Linux")
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


def analyse(folder, *arguments):
    environment = os.environ | {"XDG_RUNTIME_DIR": str(folder), "LC_ALL": "C", "SYSTEMD_COLORS": "0"}
    command = ["systemd-analyze", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """What install puts in place for a library with an awkward name: (folder, library)."""
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    library = tmp_path / 'my "photos" 100% $HOME'
    library.mkdir()

    def make(user=False, fix=True):
        place = placed(tmp_path, user)
        lines = list(units.install(place, [str(library)], fix, "daemon"))
        return place, library, lines

    return make


def placed(folder, user=False):
    """A service manager that looks for everything in a folder."""
    told = {"HOME": str(folder), "CONFIGURATION_DIRECTORY": str(folder / "etc"), "STATE_DIRECTORY": str(folder / "state")}
    return Place(folder / "units", ("systemctl", "--user") if user else ("systemctl",), Place.of(user).units, told)


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


@needs_systemd
@pytest.mark.parametrize("name", [*SANDBOXED, "orientd-scan.timer", "orientd-user.service"])
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
@pytest.mark.parametrize("name", SANDBOXED)
def test_the_sandbox_leaves_little_exposed(name, tmp_path):
    security = analyse(tmp_path, "security", "--offline=yes", f"--threshold={int(EXPOSURE * 10)}", "--no-pager", UNITS / name)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", security.stdout)
    assert found, security.stderr
    assert float(found[1]) < EXPOSURE


def lines_of(name):
    return (UNITS / name).read_text().splitlines()


@pytest.mark.parametrize("name", SANDBOXED)
def test_a_sandbox_is_the_same_everywhere(name):
    """Whatever stands in orientd.service from User= on stands in the others too, the names of the folders apart."""
    settings = [line for line in lines_of("orientd.service") if re.match(r"[A-Z]\w+=", line)]
    start, end = settings.index("User=orientd"), settings.index("WantedBy=multi-user.target")
    places = ("ConfigurationDirectory=", "StateDirectory=", "CacheDirectory=")
    assert {line for line in settings[start:end] if not line.startswith(places)} <= set(lines_of(name))
    own = "orientd-%i" if "@" in name else "orientd"  # not below that of orientd.service, which may be another user's
    assert {f"StateDirectory={own}", f"CacheDirectory={own}"} <= set(lines_of(name))


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


def test_install_names_the_program_the_user_and_what_may_be_written(installed):
    place, library, lines = installed()
    for name in place.units:
        assert (place.folder / name).read_text() == (UNITS / name).read_text()
    drop_in = (place.folder / "orientd.service.d" / "install.conf").read_text().splitlines()
    escaped = str(library).replace('"', '\\"').replace("%", "%%")
    assert drop_in[1:3] == ["[Service]", "ExecStart="]
    assert drop_in[3].endswith(' "watch" "--fix" "{}"'.format(escaped.replace("$", "$$")))
    assert drop_in[4:] == ["User=daemon", f'ReadWritePaths="-{escaped}"']
    nightly = (place.folder / "orientd-scan.service.d" / "install.conf").read_text().splitlines()
    assert nightly[3].endswith(' "--report" ${STATE_DIRECTORY}/nightly.csv "' + escaped.replace("$", "$$") + '"')
    assert nightly[4:] == ["User=daemon"]
    instances = (place.folder / "orientd@.service.d" / "install.conf").read_text().splitlines()
    assert instances[2] == "ExecStart="
    assert instances[3].endswith(' "watch"')
    assert instances[4:] == ["User=daemon"]
    assert any("daemon-reload" in line for line in lines)
    assert lines[-1].endswith("systemctl enable --now orientd")


def test_without_fix_nothing_may_be_written_and_a_user_needs_no_name(installed):
    place, _, lines = installed(fix=False)
    assert written(place) == []
    assert any("It will only tell" in line for line in lines)
    place, _, lines = installed(user=True)
    text = (place.folder / units._DROP_IN).read_text()
    assert "User=" not in text
    assert "linger" in lines[-1]
    assert (place.folder / "orientd.service").read_text() == (UNITS / "orientd-user.service").read_text()


def test_what_the_configuration_says_is_as_good_as_a_flag(installed, configured):
    configured("fix: true")
    place, library, lines = installed(fix=False)
    assert written(place) == ["-" + str(library).replace('"', '\\"').replace("%", "%%")]
    assert '"--fix"' not in (place.folder / units._DROP_IN).read_text()
    assert any("put right what is shown wrong" in line for line in lines)


def test_the_place_of_a_plan_may_be_written_and_that_of_a_state_too(installed, configured, tmp_path):
    (tmp_path / "plans").mkdir()
    (tmp_path / "other").mkdir()
    configured(f"plan: {tmp_path}/plans/plan.csv\nstate_dir: {tmp_path}/other\n")
    place, _, lines = installed(fix=False)
    assert written(place) == [f"-{tmp_path}/plans", f"-{tmp_path}/other"]
    assert written(place, "orientd-scan.service") == [f"-{tmp_path}/other"]
    assert any(f"in {tmp_path}/plans/plan.csv" in line for line in lines)


def test_a_plan_beside_the_state_needs_nothing(installed, configured, tmp_path):
    configured(f"plan: {tmp_path}/state/plan.csv")
    assert written(installed(fix=False)[0]) == []


def test_a_home_is_that_of_the_services_user(configured, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    monkeypatch.setenv("HOME", "/root")
    user = pwd.getpwnam("daemon")
    home = pwd.struct_passwd([*user[:5], str(tmp_path), user.pw_shell])
    monkeypatch.setattr(pwd, "getpwnam", lambda _: home)
    configured("plan: ~/plan.csv")
    place = placed(tmp_path)
    list(units.install(place, [str(tmp_path)], False, "daemon"))
    assert written(place) == [f"-{tmp_path}"]


@pytest.mark.parametrize(
    ("text", "fix", "told"),
    [
        ("plan: /srv/plan.csv", True, "exclude each other"),
        ("plan: /srv/plan.csv\nfix: true", False, "exclude each other"),
        ("plan: /nowhere/at/all/plan.csv", False, "which is no folder"),
        ("plan: plan.csv", False, "whole path"),
        ("plan: /plan.csv", False, "folder of its own"),
        ("state_dir: /", False, "folder of its own"),
        ("state_dir: /nowhere/at/all", False, "which is no folder"),
        ("bogus: 1", False, "no such option"),
    ],
)
def test_a_configuration_that_could_never_work_is_told_and_nothing_is_installed(installed, configured, tmp_path, text, fix, told):
    configured(text)
    with pytest.raises(ConfigError, match=told):
        installed(fix=fix)
    assert not (tmp_path / "units").exists()


def test_a_users_service_reads_the_users_configuration(installed, configured):
    configured("plan: /srv/plan.csv")
    with pytest.raises(ConfigError, match="exclude each other"):
        installed(user=True)


@pytest.mark.parametrize("name", ["two\nlines", "carriage\rreturn", "tab\t", os.fsdecode(b"caf\xe9")])
@pytest.mark.parametrize("user", [False, True])
def test_a_name_that_no_unit_file_can_hold_is_refused(tmp_path, name, user):
    (tmp_path / name).mkdir()
    with pytest.raises(ConfigError, match="cannot be given"):
        list(units.install(placed(tmp_path, user), [str(tmp_path / name)], True, "daemon"))
    assert not (tmp_path / "units").exists()


@needs_systemd
@pytest.mark.parametrize("name", ["orientd.service", "orientd@.service", "orientd-scan.service"])
def test_systemd_reads_what_install_writes(installed, monkeypatch, name):
    place, _, _ = installed()
    monkeypatch.undo()
    program = place.folder.parent / "orientd"
    program.symlink_to("/bin/true")
    drop_in = place.folder / f"{name}.d" / "install.conf"
    drop_in.write_text(re.sub(r'^ExecStart="[^"]+"', f'ExecStart="{program}"', drop_in.read_text(), flags=re.MULTILINE))
    verify = analyse(place.folder, "verify", "--man=no", place.folder / name.replace("@", "@holiday"))
    assert [line for line in verify.stderr.splitlines() if "orientd" in line] == []


def test_uninstall_takes_away_what_install_brought_and_nothing_else(installed):
    place, _, _ = installed()
    other = place.folder / "other.service"
    other.write_text("")
    assert next(units.status(place)) == "orientd.service: installed, no systemctl here, no systemctl here"
    assert len(list(units.uninstall(place))) == len(place.units) + 4
    assert list(place.folder.iterdir()) == [other]
    assert next(units.status(place)) == "orientd.service: not installed"
    assert len(list(units.uninstall(place))) == 1


def test_the_service_never_runs_as_root_nor_as_nobody_known(tmp_path):
    place = placed(tmp_path)
    with pytest.raises(ConfigError, match="not run as root"):
        list(units.install(place, [str(tmp_path)], True, pwd.getpwuid(0).pw_name))
    with pytest.raises(ConfigError, match="no user"):
        list(units.install(place, [str(tmp_path)], True, "no such user"))


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OrientdError, match="cannot be written"):
        list(units.install(placed(tmp_path / "file"), ["/"], False, "daemon"))


def test_the_commands(orientd, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    assert orientd("service", "install", "--user", tmp_path) == 0
    assert (tmp_path / "config" / "systemd" / "user" / "orientd.service").exists()
    assert orientd("service", "status", "--user") == 0
    assert "orientd.service: installed" in capsys.readouterr().out
    assert orientd("service", "uninstall", "--user") == 0
    assert not (tmp_path / "config" / "systemd" / "user" / "orientd.service").exists()
