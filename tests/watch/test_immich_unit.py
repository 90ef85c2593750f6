"""The nightly look at a photo server as a unit: what install makes of the configuration, and that systemd reads it."""

import re
import shlex

import pytest
from support import fake_immich, sky_library
from support.server_photos import landscape
from support.units import analyse, configured, lines_of, manager, needs_systemd, opened, placed

from orientd import commands
from orientd.errors import ConfigError, ExitCode
from orientd.watch.units import checks, grants, installation

__all__ = ["configured", "manager"]  # fixtures

SERVICE, TIMER = "orientd-immich.service", "orientd-immich.timer"
KEY = "immich-key:/etc/orientd/immich.key"


@pytest.fixture
def install(tmp_path, configured):
    """Install for a configuration: (place, lines that were told)."""

    def install(text, *folders, owner="daemon", user=False, fix=False):
        configured(text)
        place = placed(tmp_path, user)
        return place, list(installation.install(place, [str(folder) for folder in folders], fix, owner))

    return install


def drop_in(place):
    return (place.folder / f"{SERVICE}.d" / "install.conf").read_text().splitlines()


def test_without_a_server_there_is_no_such_unit(install, tmp_path):
    place, lines = install("", tmp_path)
    assert not [path for path in place.folder.iterdir() if "immich" in path.name]
    assert not [line for line in lines if "mmich" in line.replace("immich_url in the configuration", "")]
    assert not [line for line in installation.status(place) if "immich" in line]


@pytest.mark.parametrize("with_folder", [False, True])
def test_a_server_is_looked_at_every_night_with_folders_and_without(install, tmp_path, with_folder):
    place, lines = install("immich_url: https://photos.example.com", *([tmp_path] if with_folder else []))
    for name in (SERVICE, TIMER):
        assert (place.folder / name).read_text().splitlines() == lines_of(name)
    assert (place.folder / "orientd.service").exists() == with_folder
    written = drop_in(place)
    assert written[1:3] == ["[Service]", "ExecStart="]
    reports = "--report ${STATE_DIRECTORY} --html ${STATE_DIRECTORY}"
    assert written[3].endswith(f' "immich" "scan" "--quiet" "--unattended" {reports}')
    assert written[4] == "User=daemon"
    told = [line for line in lines if "looked at every night" in line]
    assert told == ["Have https://photos.example.com looked at every night: systemctl enable --now orientd-immich.timer"]
    assert any(line.startswith(f"But {tmp_path}/etc/immich.key is not there") for line in lines)
    (tmp_path / "etc" / "immich.key").touch()
    assert not [line for line in install("immich_url: https://a.example")[1] if line.startswith("But")]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("immich_url: http://127.0.0.1:2283", []),
        ("immich_url: http://localhost:2283/api", []),
        ("immich_url: http://192.168.1.9:2283", ["IPAddressAllow=192.168.1.9"]),
        ("immich_url: 'http://[fd00::9]:2283'", ["RestrictAddressFamilies=AF_INET6", "IPAddressAllow=fd00::9"]),
        ("immich_url: https://photos.example.com", ["RestrictAddressFamilies=AF_INET6", "IPAddressAllow=any"]),
        ("immich_url: http://10.0.0.2\non_found: http://10.0.0.3/x", ["IPAddressAllow=10.0.0.3 10.0.0.2"]),
    ],
)
def test_the_network_is_opened_for_that_host_alone(install, tmp_path, text, wanted):
    place, _ = install(text, tmp_path)
    assert opened(place, SERVICE) == wanted
    assert not [line for line in opened(place) if "192.168" in line or "fd00" in line], "the watcher asks no server"
    unit = lines_of(SERVICE)
    assert {"IPAddressDeny=any", "IPAddressAllow=localhost", "RestrictAddressFamilies=AF_UNIX AF_INET"} <= set(unit)


def test_the_key_is_a_credential_and_stands_in_no_command(install, tmp_path):
    unit = lines_of(SERVICE)
    assert f"LoadCredential={KEY}" in unit
    place, _ = install("immich_url: https://a.example")
    assert not [line for line in (*unit, *drop_in(place)) if line.startswith(("ExecStart", "Environment")) and "key" in line]


def test_a_key_file_of_the_configuration_takes_the_place_of_the_credential(install, tmp_path, monkeypatch):
    key = tmp_path / "own.key"
    key.touch()
    place, lines = install(f"immich_url: https://a.example\nimmich_key_file: {key}\n")
    assert drop_in(place)[-1] == "LoadCredential="
    assert not [line for line in lines if line.startswith("But")]
    monkeypatch.setattr(checks, "succeeds", lambda user, *command: command[-1] != str(key))
    _, lines = install(f"immich_url: https://a.example\nimmich_key_file: {key}\n")
    assert f"But daemon cannot read {key}, which immich_key_file names: check its permissions." in lines


def test_what_could_never_work_is_refused(install, tmp_path):
    for text, owner, told in (
        ("", "daemon", "name the folders to look after; or, for a photo server alone"),
        ("immich_url: https://a.example", None, "a user with --as"),
        ("immich_url: nonsense", "daemon", "is no address of an Immich server"),
        ("immich_url: https://a.example\nimmich_ca_file: ca.pem", "daemon", "needs its whole path"),
    ):
        with pytest.raises(ConfigError, match=told):
            install(text, owner=owner)
    with pytest.raises(ConfigError, match=r"name the folders to look after$"):
        install("immich_url: https://a.example", owner=None, user=True)
    assert not (tmp_path / "units").exists()


def test_the_state_may_be_elsewhere_and_a_missing_library_is_told(install, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.setattr(grants, "find_spec", lambda _: None)
    place, lines = install(f"immich_url: https://a.example\nstate_dir: {tmp_path}/other\n")
    assert f'ReadWritePaths="-{tmp_path}/other"' in drop_in(place)
    assert f"But httpx is not installed, which asks Immich: {commands.adding('immich')}" in lines


def test_uninstall_takes_it_away(install, tmp_path):
    place, _ = install("immich_url: https://a.example", tmp_path)
    assert f"{TIMER}: installed, inactive, inactive" in list(installation.status(place))
    assert len(list(installation.uninstall(place))) == len(place.units) + 2 + 5
    assert list(place.folder.iterdir()) == []
    place, _ = install("immich_url: https://a.example")
    assert len(list(installation.uninstall(place))) == 3


@needs_systemd
def test_systemd_reads_what_install_writes(install, tmp_path):
    place, _ = install("immich_url: 'http://[fd00::9]:2283'\non_error: http://10.0.0.1/x\n")
    (tmp_path / "orientd").symlink_to("/bin/true")
    file = place.folder / f"{SERVICE}.d" / "install.conf"
    file.write_text(re.sub(r'^ExecStart="[^"]+"', f'ExecStart="{tmp_path}/orientd"', file.read_text(), flags=re.MULTILINE))
    for name in (SERVICE, TIMER):
        verify = analyse(place.folder, "verify", "--man=no", place.folder / name)
        assert [line for line in verify.stderr.splitlines() if "orientd" in line] == []


def test_the_command_of_the_unit_is_one(orientd, tmp_path, monkeypatch, capsys):
    """It finds the server in the configuration, and the key in the credential."""
    start = next(line for line in lines_of(SERVICE) if line.startswith("ExecStart=")).removeprefix("ExecStart=")
    state, secrets, settings = (tmp_path / name for name in ("state", "credentials", "etc"))
    for folder in (state, secrets, settings):
        folder.mkdir()
    (secrets / KEY.partition(":")[0]).write_text(fake_immich.KEY)
    for name, folder in {"STATE": state, "CREDENTIALS": secrets, "CONFIGURATION": settings}.items():
        monkeypatch.setenv(f"{name}_DIRECTORY", str(folder))
    fake = fake_immich.Fake()
    fake.add(landscape(90), "photo.jpg")
    server = fake_immich.Running(fake)
    (settings / "orientd.yaml").write_text(f"immich_url: {server.url}\n")
    try:
        assert orientd(*shlex.split(start.replace("${STATE_DIRECTORY}", str(state)))[1:]) == ExitCode.OK
    finally:
        server.stop()
    assert capsys.readouterr() == ("", "")
    (report,) = state.glob("orientd-*.csv")
    assert [row["decision"] for row in sky_library.rows(report).values()] == ["fix"]
    assert "data:image/jpeg" in report.with_suffix(".html").read_text()
