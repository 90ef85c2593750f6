"""What could never work as a service is refused, or said, before anything is installed."""

import os
import pwd
import re
import shutil
import sys
from dataclasses import replace

import pytest
from support.units import (
    REALLY,
    configured,
    installed,
    lines_of,
    manager,
    placed,
)

from orientd.errors import ConfigError, OrientdError
from orientd.watch.units import checks, installation, unit_files
from orientd.watch.units.manager import ServiceManager

__all__ = ["configured", "installed", "manager"]  # fixtures

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is for Linux")


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
        list(installation.install(placed(tmp_path, user), [str(tmp_path / name)], True, None if user else "daemon"))
    assert not (tmp_path / "units").exists()


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


def test_without_systemd_nothing_is_installed_but_all_can_be_removed(installed, tmp_path, monkeypatch):
    place, library, _ = installed()
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    with pytest.raises(OrientdError, match=r"no systemd here.*orientd watch"):
        list(installation.install(placed(tmp_path / "other"), [str(library)], True, "daemon"))
    assert not (tmp_path / "other").exists()
    assert next(installation.status(place)) == "orientd.service: installed, no systemctl here, no systemctl here"
    assert len(list(installation.uninstall(place))) == len(place.units) + 4


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
        monkeypatch.setattr(unit_files, "program", lambda: [str(hidden / "bin" / "orientd")])
    with pytest.raises(ConfigError, match=r"PrivateTmp.*--user"):
        list(installation.install(place, [str(hidden if what == "folder" else seen)], False, "daemon"))
    assert not place.folder.exists()


def test_what_lies_beside_a_hidden_folder_is_seen_and_a_user_sees_all(tmp_path, manager):
    (tmp_path / "tmpfoo").mkdir()
    place = replace(placed(tmp_path), hidden=(str(tmp_path / "tmp"),))
    assert list(installation.install(place, [str(tmp_path / "tmpfoo")], False, "daemon"))
    assert set(ServiceManager.of(False).hidden) == {"/tmp", "/var/tmp"}
    assert ServiceManager.of(True).hidden == ()
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

    monkeypatch.setattr(checks, "succeeds", succeeds)
    with pytest.raises(ConfigError, match=r"daemon cannot read .*orientd\.yaml"):
        list(installation.install(placed(tmp_path), [str(tmp_path)], False, "daemon"))
    assert asked == [
        ("daemon", *unit_files.program(), "--version"),
        ("daemon", "test", "-r", str(tmp_path / "etc" / "orientd.yaml")),
    ]
    monkeypatch.setattr(checks, "succeeds", lambda *_: False)
    with pytest.raises(ConfigError, match=r"daemon cannot run .*not in a home"):
        list(installation.install(placed(tmp_path), [str(tmp_path)], False, "daemon"))
    assert not (tmp_path / "units").exists()


@pytest.mark.parametrize(("fix", "rights"), [(False, ["read"]), (True, ["read", "write"])])
def test_a_folder_that_its_user_cannot_use_is_told(tmp_path, monkeypatch, fix, rights):
    monkeypatch.setattr(checks, "succeeds", lambda user, *command: str(tmp_path) not in command)
    lines = list(installation.install(placed(tmp_path), [str(tmp_path)], fix, "daemon"))
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
        list(installation.install(placed(tmp_path, user=True), [str(tmp_path)], True, "daemon"))


def test_a_program_that_systemd_could_not_start_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a$b").mkdir()
    (tmp_path / "a$b" / "orientd").touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "a$b" / "python"))
    with pytest.raises(ConfigError, match=r"no folder has a \$"):
        list(installation.install(placed(tmp_path), [str(tmp_path)], True, "daemon"))


def test_the_service_never_runs_as_root_nor_as_nobody_known(tmp_path):
    place = placed(tmp_path)
    with pytest.raises(ConfigError, match="not run as root"):
        list(installation.install(place, [str(tmp_path)], True, pwd.getpwuid(0).pw_name))
    with pytest.raises(ConfigError, match="no user"):
        list(installation.install(place, [str(tmp_path)], True, "no such user"))


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OrientdError, match="cannot be written"):
        list(installation.install(placed(tmp_path / "file"), ["/"], False, "daemon"))
