"""The units: systemd's own tools read them, and what install puts in place is read by them, too."""

import os
import pwd
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orientd.errors import ConfigError, OrientdError
from orientd.watch import grants, systemd_units
from orientd.watch.systemd_units import Place

UNITS = Path(__file__).parents[2] / "systemd"
SANDBOXED = ["orientd.service", "orientd@.service", "orientd-scan.service", "orientd-immich.service"]
EXPOSURE = 2.0
REALLY = systemd_units._succeeds

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is for Linux")
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
    monkeypatch.setattr(systemd_units, "_succeeds", lambda *_: True)
    return answer


@pytest.fixture
def installed(tmp_path):
    """What install puts in place for a library with an awkward name: (folder, library)."""
    library = tmp_path / 'my "photos" 100% $HOME'
    library.mkdir()

    def make(user=False, fix=True):
        place = placed(tmp_path, user)
        lines = list(systemd_units.install(place, [str(library)], fix, None if user else "daemon"))
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
    written = " --report ${STATE_DIRECTORY} --html ${STATE_DIRECTORY}"
    assert nightly[3].endswith(' "--unattended"' + written + ' "' + escaped.replace("$", "$$") + '"')
    assert nightly[4:] == ["User=daemon"]
    instances = (place.folder / "orientd@.service.d" / "install.conf").read_text().splitlines()
    assert instances[2] == "ExecStart="
    assert instances[3].endswith(' "watch"')
    assert instances[4:] == ["User=daemon"]
    serving = (place.folder / "orientd-serve.service.d" / "install.conf").read_text().splitlines()
    assert serving[2] == "ExecStart="
    assert serving[3].endswith(' "serve" "--listen" "127.0.0.1:8765"')
    assert serving[4:] == []
    assert lines[-1].endswith("systemctl enable --now orientd")


def test_without_fix_nothing_may_be_written_and_a_user_needs_no_name(installed):
    place, _, lines = installed(fix=False)
    assert written(place) == []
    assert any("It will only log" in line for line in lines)
    place, _, lines = installed(user=True)
    text = (place.folder / systemd_units._DROP_IN).read_text()
    assert "User=" not in text
    assert "linger" in lines[-1]
    assert (place.folder / "orientd.service").read_text() == (UNITS / "orientd-user.service").read_text()


def test_what_the_configuration_says_is_as_good_as_a_flag(installed, configured):
    configured("fix: true")
    place, library, lines = installed(fix=False)
    assert written(place) == ["-" + str(library).replace('"', '\\"').replace("%", "%%")]
    assert '"--fix"' not in (place.folder / systemd_units._DROP_IN).read_text()
    assert any("fix photos that are sideways or upside down" in line for line in lines)


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
    monkeypatch.setenv("HOME", "/root")
    user = pwd.getpwnam("daemon")
    home = pwd.struct_passwd([*user[:5], str(tmp_path), user.pw_shell])
    monkeypatch.setattr(pwd, "getpwnam", lambda _: home)
    configured("plan: ~/plan.csv")
    place = placed(tmp_path)
    list(systemd_units.install(place, [str(tmp_path)], False, "daemon"))
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


@pytest.mark.parametrize(("model", "told"), [("/srv/m.onnx", ["model"]), ("/opt/m.onnx", []), ("", [])])
def test_what_is_hidden_from_the_service_over_http_alone_is_told(installed, configured, monkeypatch, model, told):
    monkeypatch.setattr(systemd_units, "_program", lambda: ["/opt/orientd/bin/orientd"])
    monkeypatch.setattr(sys, "executable", "/opt/orientd/bin/python")
    configured(f"model: {model}" if model else "")
    assert hidden_from_serving(installed()[2]) == told
    monkeypatch.setattr(systemd_units, "_program", lambda: ["/home/me/bin/orientd"])
    monkeypatch.setattr(sys, "executable", "/root/python/bin/python")
    assert hidden_from_serving(installed()[2]) == ["orientd", "its Python", *told]
    assert hidden_from_serving(installed(user=True)[2]) == [], "there is no such unit"


def hidden_from_serving(lines):
    return [found[1] for line in lines if (found := re.match("orientd-serve could not see (.+), which is /", line))]


def test_the_folders_that_are_told_to_be_hidden_are_those_of_the_unit():
    lines = lines_of("orientd-serve.service")
    (named,) = [line.partition("=")[2] for line in lines if line.startswith("InaccessiblePaths=")]
    homes = ["/home", "/root", "/run/user"]  # ProtectHome=yes
    assert "ProtectHome=yes" in lines
    assert [*homes, *(path.removeprefix("-") for path in named.split())] == list(grants.HIDDEN_FROM_SERVING)


@pytest.mark.parametrize("name", ["two\nlines", "carriage\rreturn", "tab\t", os.fsdecode(b"caf\xe9")])
@pytest.mark.parametrize("user", [False, True])
def test_a_name_that_no_unit_file_can_hold_is_refused(tmp_path, name, user):
    (tmp_path / name).mkdir()
    with pytest.raises(ConfigError, match="cannot be given"):
        list(systemd_units.install(placed(tmp_path, user), [str(tmp_path / name)], True, None if user else "daemon"))
    assert not (tmp_path / "units").exists()


def opened(place, name="orientd.service"):
    """The lines of a drop-in that open the network."""
    lines = (place.folder / f"{name}.d" / "install.conf").read_text().splitlines()
    return [line for line in lines if line.startswith(("IPAddress", "RestrictAddress"))]


ALL = ["RestrictAddressFamilies=AF_INET6", "IPAddressAllow=any"]


@pytest.mark.parametrize(
    ("text", "watcher", "nightly"),
    [
        ("", [], []),
        ("metrics: 127.0.0.1:9812", [], []),
        ("on_finish: [/bin/true, https://example.org]", [], []),
        ("on_finish: https://example.org/uuid", [], ALL),
        ("on_found: https://example.org/uuid", ALL, ALL),
        ("on_error: http://192.168.1.9:8080/x", ["IPAddressAllow=192.168.1.9"], ["IPAddressAllow=192.168.1.9"]),
        ("on_error: http://127.0.0.1:8080/x", [], []),
        ("on_error: http://localhost/x", [], []),
        ("on_error: 'http://[::1]/x'", ["RestrictAddressFamilies=AF_INET6"], ["RestrictAddressFamilies=AF_INET6"]),
        (
            "on_found: http://10.0.0.9/\non_error: 'http://[fd00::9]/x'",
            ["RestrictAddressFamilies=AF_INET6", "IPAddressAllow=10.0.0.9 fd00::9"],
            ["RestrictAddressFamilies=AF_INET6", "IPAddressAllow=10.0.0.9 fd00::9"],
        ),
        ("metrics: 0.0.0.0:9812\nmetrics_open: true", ["IPAddressAllow=any"], []),
        ("metrics: '[::]:9812'\nmetrics_open: true", ALL, []),
        ("metrics: '[::1]:9812'", ["RestrictAddressFamilies=AF_INET6"], []),
    ],
)
def test_the_network_is_opened_for_what_the_configuration_names_and_no_further(installed, configured, text, watcher, nightly):
    configured(text)
    place, _, _ = installed(fix=False)
    assert (opened(place), opened(place, "orientd-scan.service")) == (watcher, nightly)
    assert opened(place, "orientd@.service") == [], "its configurations are others"
    place, _, _ = installed(user=True, fix=False)
    assert opened(place) == [line for line in watcher if line.startswith("RestrictAddress")]


def test_a_program_as_a_hook_is_told_its_limits_and_one_that_cannot_be_run_is_told(installed, configured, monkeypatch, tmp_path):
    configured(f"on_found: [{tmp_path}/tell, photos]\non_error: [mail]\non_finish: https://example.org/\n")
    _, _, lines = installed(fix=False)
    assert [line.partition(" within the limits")[0] for line in lines if "within the limits" in line] == [
        f"on_found runs {tmp_path}/tell",
        "on_error runs mail",
    ]
    assert not [line for line in lines if line.startswith("But")]
    monkeypatch.setattr(systemd_units, "_succeeds", lambda user, *command: str(tmp_path / "tell") not in command)
    _, _, lines = installed(fix=False)
    assert f"But daemon cannot run {tmp_path}/tell, which on_found names: check its permissions." in lines


def test_the_nightly_scan_may_write_the_folder_of_the_textfile(installed, configured, monkeypatch, tmp_path):
    (tmp_path / "collector").mkdir()
    (tmp_path / "token").write_text("0123456789abcdef")
    configured(f"metrics_textfile: {tmp_path}/collector/orientd.prom\nmetrics_token_file: {tmp_path}/token\n")
    place, _, lines = installed(fix=False)
    assert (written(place), written(place, "orientd-scan.service")) == ([], [f"-{tmp_path}/collector"])
    assert not [line for line in lines if line.startswith("But")]
    shut = (str(tmp_path / "collector"), str(tmp_path / "token"))
    monkeypatch.setattr(systemd_units, "_succeeds", lambda user, *command: command[-1] not in shut)
    _, _, lines = installed(fix=False)
    assert [line for line in lines if line.startswith("But")] == [
        f"But daemon cannot read {tmp_path}/token, which metrics_token_file names: check its permissions.",
        f"But daemon cannot write {tmp_path}/collector, for metrics_textfile: check its permissions.",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("metrics_textfile: /nowhere/at/all/x.prom", "which is no folder"),
        ("metrics_textfile: x.prom", "whole path"),
        ("metrics_token_file: token", "whole path"),
        ("metrics: 0.0.0.0:9812", "others can reach"),
    ],
)
def test_settings_of_the_metrics_that_could_never_work_are_told(installed, configured, tmp_path, text, told):
    configured(text)
    with pytest.raises(ConfigError, match=told):
        installed(fix=False)
    assert not (tmp_path / "units").exists()


@needs_systemd
@pytest.mark.parametrize("name", ["orientd.service", "orientd@.service", "orientd-scan.service", "orientd-serve.service"])
def test_systemd_reads_what_install_writes(installed, configured, name):
    configured("on_found: https://example.org/\non_error: 'http://[fd00::9]/x'\nmetrics: '[::]:9812'\nmetrics_open: true\n")
    place, _, _ = installed()
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
    assert next(systemd_units.status(place)) == "orientd.service: installed, inactive, inactive"
    assert len(list(systemd_units.uninstall(place))) == len(place.units) + 4
    assert list(place.folder.iterdir()) == [other]
    assert next(systemd_units.status(place)) == "orientd.service: not installed"
    assert list(systemd_units.uninstall(place)) == [f"Nothing of it is installed in {place.folder}."]


def test_without_systemd_nothing_is_installed_but_all_can_be_removed(installed, tmp_path, monkeypatch):
    place, library, _ = installed()
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    with pytest.raises(OrientdError, match=r"no systemd here.*orientd watch"):
        list(systemd_units.install(placed(tmp_path / "other"), [str(library)], True, "daemon"))
    assert not (tmp_path / "other").exists()
    assert next(systemd_units.status(place)) == "orientd.service: installed, no systemctl here, no systemctl here"
    assert len(list(systemd_units.uninstall(place))) == len(place.units) + 4


def test_a_manager_that_does_not_answer_is_to_be_told_later(installed, manager):
    manager.unlink()
    _, _, lines = installed()
    assert any(line.endswith("once it runs: systemctl daemon-reload") for line in lines)
    assert lines[-1].endswith("systemctl enable --now orientd")


@pytest.mark.parametrize(("user", "command"), [(False, "journalctl -u"), (True, "journalctl --user -u")])
def test_where_to_read_why_it_failed_is_told(installed, manager, user, command):
    manager.write_text("failed")
    place, _, _ = installed(user=user)
    assert next(systemd_units.status(place)) == f"orientd.service: installed, failed, failed ({command} orientd.service)"


def test_one_that_runs_is_to_be_restarted(installed, manager):
    manager.write_text("active")
    assert installed()[2][-1].endswith("as it was installed before; to end that: systemctl restart orientd")
    assert installed(user=True)[2][-1].endswith("systemctl --user restart orientd")


@pytest.mark.parametrize(
    "what", ["folder", "state_dir", "plan", "model", "orientd", "metrics_textfile", "metrics_token_file", "on_found"]
)
def test_what_the_service_cannot_see_is_refused(what, configured, tmp_path, monkeypatch):
    hidden, seen = tmp_path / "tmp", tmp_path / "srv"
    for folder in (hidden, seen, tmp_path / "tmpfoo"):
        folder.mkdir()
    (seen / "link").symlink_to(hidden)
    place = replace(placed(tmp_path), hidden=("/var/tmp/not/here", str(hidden)))
    names = {"metrics_textfile": "x.prom"}
    inside = str(seen / "link" / names.get(what, "x"))
    configured("" if what in ("folder", "orientd") else f"{what}: {[inside] if what == 'on_found' else inside}")
    if what == "orientd":
        monkeypatch.setattr(systemd_units, "_program", lambda: [str(hidden / "bin" / "orientd")])
    with pytest.raises(ConfigError, match=r"PrivateTmp.*--user"):
        list(systemd_units.install(place, [str(hidden if what == "folder" else seen)], False, "daemon"))
    assert not place.folder.exists()


def test_what_lies_beside_a_hidden_folder_is_seen_and_a_user_sees_all(tmp_path, manager):
    (tmp_path / "tmpfoo").mkdir()
    place = replace(placed(tmp_path), hidden=(str(tmp_path / "tmp"),))
    assert list(systemd_units.install(place, [str(tmp_path / "tmpfoo")], False, "daemon"))
    assert set(Place.of(False).hidden) == {"/tmp", "/var/tmp"}
    assert Place.of(True).hidden == ()
    sandbox = lines_of("orientd.service")
    assert "PrivateTmp=yes" in sandbox
    assert "ProtectHome=read-only" in sandbox, "homes are seen"
    assert not [line for line in lines_of("orientd-user.service") if line.startswith(("PrivateTmp", "ProtectHome"))]


def test_a_user_who_could_never_start_it_is_refused(configured, tmp_path, monkeypatch):
    configured("")
    asked = []

    def succeeds(user, *command):
        asked.append((user.pw_name, *command))
        return "test" not in command

    monkeypatch.setattr(systemd_units, "_succeeds", succeeds)
    with pytest.raises(ConfigError, match=r"daemon cannot read .*orientd\.yaml"):
        list(systemd_units.install(placed(tmp_path), [str(tmp_path)], False, "daemon"))
    assert asked == [
        ("daemon", *systemd_units._program(), "--version"),
        ("daemon", "test", "-r", str(tmp_path / "etc" / "orientd.yaml")),
    ]
    monkeypatch.setattr(systemd_units, "_succeeds", lambda *_: False)
    with pytest.raises(ConfigError, match=r"daemon cannot run .*not in a home"):
        list(systemd_units.install(placed(tmp_path), [str(tmp_path)], False, "daemon"))
    assert not (tmp_path / "units").exists()


@pytest.mark.parametrize(("fix", "rights"), [(False, ["read"]), (True, ["read", "write"])])
def test_a_folder_that_its_user_cannot_use_is_told(tmp_path, monkeypatch, fix, rights):
    monkeypatch.setattr(systemd_units, "_succeeds", lambda user, *command: str(tmp_path) not in command)
    lines = list(systemd_units.install(placed(tmp_path), [str(tmp_path)], fix, "daemon"))
    told = [line for line in lines if line.startswith("But ")]
    assert [re.findall(r"daemon cannot (\w+)", line) for line in told] == [[right] for right in rights]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try what others can")
def test_what_a_user_can_do_is_really_tried(tmp_path):
    daemon = pwd.getpwnam("daemon")
    assert REALLY(daemon, "test", "-r", "/etc/passwd")
    assert not REALLY(daemon, "test", "-w", "/etc/passwd")
    assert not REALLY(daemon, "/no/such/program")
    assert not REALLY(daemon, str(tmp_path / "bin" / "systemctl")), "tests are root's own"
    assert REALLY(daemon, "sh", "-c", 'test "$(id -un)" = daemon && test "$(id -gn)" = daemon && test "$PWD" = /')


def test_a_users_service_has_no_other_user(tmp_path):
    with pytest.raises(ConfigError, match="leave out --as"):
        list(systemd_units.install(placed(tmp_path, user=True), [str(tmp_path)], True, "daemon"))


def test_a_program_that_systemd_could_not_start_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a$b").mkdir()
    (tmp_path / "a$b" / "orientd").touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "a$b" / "python"))
    with pytest.raises(ConfigError, match=r"no folder has a \$"):
        list(systemd_units.install(placed(tmp_path), [str(tmp_path)], True, "daemon"))


def test_the_service_never_runs_as_root_nor_as_nobody_known(tmp_path):
    place = placed(tmp_path)
    with pytest.raises(ConfigError, match="not run as root"):
        list(systemd_units.install(place, [str(tmp_path)], True, pwd.getpwuid(0).pw_name))
    with pytest.raises(ConfigError, match="no user"):
        list(systemd_units.install(place, [str(tmp_path)], True, "no such user"))


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OrientdError, match="cannot be written"):
        list(systemd_units.install(placed(tmp_path / "file"), ["/"], False, "daemon"))


def test_the_commands(orientd, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert orientd("service", "install", "--user", tmp_path, tmp_path / "bin" / "..") == 0
    folder = tmp_path / "config" / "systemd" / "user"
    assert (folder / "orientd.service").exists()
    assert (folder / systemd_units._DROP_IN).read_text().count(f'"{tmp_path}"') == 1
    assert orientd("service", "status", "--user") == 0
    assert "orientd.service: installed" in capsys.readouterr().out
    assert orientd("service", "uninstall", "--user") == 0
    assert not (tmp_path / "config" / "systemd" / "user" / "orientd.service").exists()


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
