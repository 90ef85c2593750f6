"""What orientd says brings an extra: a command that works in the installation that lacks it, and only in that one."""

import os
import shlex
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest

from orientd import commands

NEEDS = [
    "click>=8.1",
    'httpx>=0.27; extra == "immich"',
    "starlette>=1.0; extra == 'web'",
    "uvicorn<2,>=0.30 ; extra == 'web'",
    "onnxruntime-gpu[cuda,cudnn]>=1.28; extra == 'gpu'",
    "playwright>=1.40; (sys_platform == 'linux') and extra == 'test'",
]
WEB = ["starlette>=1.0", "uvicorn<2,>=0.30"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An environment of its own, at a path with a space, with pip in it."""
    prefix = tmp_path / "my photos" / "venvs" / "orientd-two"
    prefix.mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(prefix))
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(sys, "executable", f"{prefix}/bin/python")
    monkeypatch.setattr(metadata, "requires", lambda _: NEEDS)
    monkeypatch.setattr(commands, "find_spec", lambda _: object())
    return prefix


def without_pip(monkeypatch):
    monkeypatch.setattr(commands, "find_spec", lambda _: None)


def words(extra="web"):
    """The command, as a shell takes it."""
    first, *rest = shlex.split(commands.adding(extra))
    assert first == "run"
    return rest


def test_in_an_environment_with_pip_its_own_python_runs_it(place):
    assert words() == [f"{place}/bin/python", "-m", "pip", "install", *WEB]
    assert words("immich")[-1] == "httpx>=0.27"


def test_pipx_injects_into_the_environment_by_its_name(place):
    (place / "pipx_metadata.json").touch()
    assert words() == ["pipx", "inject", "orientd-two", *WEB]


def test_pipx_for_all_users_is_said_to_be_that(place, monkeypatch):
    (place / "pipx_metadata.json").touch()
    monkeypatch.setattr(commands, "_GLOBAL_PIPX", f"{place.parent}/")
    assert words() == ["pipx", "inject", "--global", "orientd-two", *WEB]


def test_uv_has_no_pip_in_its_environments(place, monkeypatch):
    (place / "pyvenv.cfg").write_text("home = /usr/bin\nimplementation = CPython\nuv = 0.13.9\n")
    without_pip(monkeypatch)
    assert words() == ["uv", "pip", "install", "--python", str(place), *WEB]


@pytest.mark.parametrize("config", ["home = /usr/bin\n", None])
def test_an_image_is_built_again(place, monkeypatch, config):
    if config:
        (place / "pyvenv.cfg").write_text(config)
    without_pip(monkeypatch)
    assert commands.adding("ray") == 'build the image again with "ray" among its EXTRAS: see containers/Containerfile'


@pytest.mark.parametrize("is_managed", [True, False])
def test_a_python_of_the_system_may_want_to_be_overruled(place, tmp_path, monkeypatch, is_managed):
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: {"stdlib": str(tmp_path)}[name])
    if is_managed:
        (tmp_path / "EXTERNALLY-MANAGED").touch()
    overruled = ["--break-system-packages"] if is_managed else []
    assert words() == ["/usr/bin/python3", "-m", "pip", "install", *overruled, *WEB]


def test_who_may_not_write_there_is_told_to_ask_for_it(place, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, how: path != str(place))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert words()[:2] == ["sudo", f"{place}/bin/python"]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert words()[0] == f"{place}/bin/python"


def test_what_runs_from_its_source_is_installed_from_there(place, monkeypatch):
    def unknown(_):
        raise metadata.PackageNotFoundError

    source = str(Path(commands.__file__).parents[1])
    for known in (unknown, lambda _: None, lambda _: ["click>=8.1"]):
        monkeypatch.setattr(metadata, "requires", known)
        assert words()[-1] == f"{source}[web]"


def test_cards_need_another_onnx_runtime_in_the_place_of_the_first(place, monkeypatch):
    there = {"onnxruntime": "1.32.0"}
    monkeypatch.setattr(metadata, "version", lambda name: there[name])
    assert commands.adding("gpu").startswith('install orientd with the extra "gpu" in place of "cpu"')

    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    assert words("gpu")[-1] == "onnxruntime-gpu[cuda,cudnn]>=1.28"


def test_no_command_names_orientd_itself(place, monkeypatch):
    """PyPI has a project of that name which is not this one."""
    for name in ("", "pipx_metadata.json"):
        if name:
            (place / name).touch()
        assert not [word for word in words() if word.startswith("orientd[")]
