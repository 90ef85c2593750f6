"""What install puts in place for this machine and its configuration, and what it says; and taking it away."""

import pwd
import re
import sys

import pytest
from support.units import (
    ALL,
    UNITS,
    analyse,
    configured,
    installed,
    manager,
    needs_systemd,
    opened,
    placed,
    written,
)

from orientd.watch.units import checks, drop_ins, installation, unit_files

__all__ = ["configured", "installed", "manager"]  # fixtures

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is for Linux")


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
    text = (place.folder / drop_ins.WATCHER).read_text()
    assert "User=" not in text
    assert "linger" in lines[-1]
    assert (place.folder / "orientd.service").read_text() == (UNITS / "orientd-user.service").read_text()


def test_what_the_configuration_says_is_as_good_as_a_flag(installed, configured):
    configured("fix: true")
    place, library, lines = installed(fix=False)
    assert written(place) == ["-" + str(library).replace('"', '\\"').replace("%", "%%")]
    assert '"--fix"' not in (place.folder / drop_ins.WATCHER).read_text()
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
    list(installation.install(place, [str(tmp_path)], False, "daemon"))
    assert written(place) == [f"-{tmp_path}"]


@pytest.mark.parametrize(("model", "told"), [("/srv/m.onnx", ["model"]), ("/opt/m.onnx", []), ("", [])])
def test_what_is_hidden_from_the_service_over_http_alone_is_told(installed, configured, monkeypatch, model, told):
    monkeypatch.setattr(unit_files, "program", lambda: ["/opt/orientd/bin/orientd"])
    monkeypatch.setattr(sys, "executable", "/opt/orientd/bin/python")
    configured(f"model: {model}" if model else "")
    assert hidden_from_serving(installed()[2]) == told
    monkeypatch.setattr(unit_files, "program", lambda: ["/home/me/bin/orientd"])
    monkeypatch.setattr(sys, "executable", "/root/python/bin/python")
    assert hidden_from_serving(installed()[2]) == ["orientd", "its Python", *told]
    assert hidden_from_serving(installed(user=True)[2]) == [], "there is no such unit"


def hidden_from_serving(lines):
    return [found[1] for line in lines if (found := re.match("orientd-serve could not see (.+), which is /", line))]


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
    monkeypatch.setattr(checks, "succeeds", lambda user, *command: str(tmp_path / "tell") not in command)
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
    monkeypatch.setattr(checks, "succeeds", lambda user, *command: command[-1] not in shut)
    _, _, lines = installed(fix=False)
    assert [line for line in lines if line.startswith("But")] == [
        f"But daemon cannot read {tmp_path}/token, which metrics_token_file names: check its permissions.",
        f"But daemon cannot write {tmp_path}/collector, for metrics_textfile: check its permissions.",
    ]


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
    assert next(installation.status(place)) == "orientd.service: installed, inactive, inactive"
    assert len(list(installation.uninstall(place))) == len(place.units) + 4
    assert list(place.folder.iterdir()) == [other]
    assert next(installation.status(place)) == "orientd.service: not installed"
    assert list(installation.uninstall(place)) == [f"Nothing of it is installed in {place.folder}."]


def test_a_manager_that_does_not_answer_is_to_be_told_later(installed, manager):
    manager.unlink()
    _, _, lines = installed()
    assert any(line.endswith("once it runs: systemctl daemon-reload") for line in lines)
    assert lines[-1].endswith("systemctl enable --now orientd")


@pytest.mark.parametrize(("user", "command"), [(False, "journalctl -u"), (True, "journalctl --user -u")])
def test_where_to_read_why_it_failed_is_told(installed, manager, user, command):
    manager.write_text("failed")
    place, _, _ = installed(user=user)
    assert next(installation.status(place)) == f"orientd.service: installed, failed, failed ({command} orientd.service)"


def test_one_that_runs_is_to_be_restarted(installed, manager):
    manager.write_text("active")
    assert installed()[2][-1].endswith("as it was installed before; to end that: systemctl restart orientd")
    assert installed(user=True)[2][-1].endswith("systemctl --user restart orientd")


def test_the_commands(orientd, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert orientd("service", "install", "--user", tmp_path, tmp_path / "bin" / "..") == 0
    folder = tmp_path / "config" / "systemd" / "user"
    assert (folder / "orientd.service").exists()
    assert (folder / drop_ins.WATCHER).read_text().count(f'"{tmp_path}"') == 1
    assert orientd("service", "status", "--user") == 0
    assert "orientd.service: installed" in capsys.readouterr().out
    assert orientd("service", "uninstall", "--user") == 0
    assert not (tmp_path / "config" / "systemd" / "user" / "orientd.service").exists()
