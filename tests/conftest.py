"""What holds for every test: it leaves no thread or process behind, and nothing of it reaches the real home folder."""

import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# A shared or busy machine must not fail a test for being slow, nor chance one of two runs of the same code.
settings.register_profile("orientd", deadline=None, derandomize="ORIENTD_FUZZ" not in os.environ)
settings.load_profile("orientd")

_GRACE_SECONDS = 60.0
_ALONE = "TEST_ALONE"  # not a setting of orientd: those are taken away


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if wanting and not _has_gpu():
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason="no CUDA GPU, or ONNX Runtime without its CUDA provider"))
    if not shutil.which("chromium"):
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason="no chromium, so the page of orientd review was not tried in a browser"))


def _has_gpu() -> bool:
    """A build of ONNX Runtime for CUDA lists the provider on machines without a card, too."""
    if not list(Path("/dev").glob("nvidia[0-9]*")):
        return False
    try:
        import onnxruntime
    except ImportError:
        return False
    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A test that measures its process gets one in which no other test has been."""
    if not pyfuncitem.get_closest_marker("alone") or os.environ.get(_ALONE) == pyfuncitem.nodeid:
        return None
    folder = pyfuncitem.funcargs["tmp_path"] / "alone"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--basetemp", str(folder), pyfuncitem.nodeid]
    done = subprocess.run(
        command,
        cwd=pyfuncitem.config.rootpath,
        env=os.environ | {_ALONE: pyfuncitem.nodeid},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    return True


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model to which the brightest half is the sky, as a file."""
    from support import sky_library  # not at the top: tests of this file run it in a folder of its own

    path: Path = sky_library.model(tmp_path_factory.mktemp("model"))
    return path


@pytest.fixture
def orientd(monkeypatch: pytest.MonkeyPatch, model: Path) -> Callable[..., int]:
    """The command, run in this process with that model; returns its exit code."""
    from support import sky_library

    monkeypatch.setenv("ORIENTD_MODEL", str(model))
    return partial(sky_library.run, monkeypatch=monkeypatch)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return tmp_path / "photos"


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests is read, no state of theirs is touched."""
    for name in [name for name in os.environ if name.startswith("ORIENTD_") or name == "STATE_DIRECTORY"]:
        monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))


@pytest.fixture(autouse=True)
def _every_reason_has_its_code(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of all that a test writes into reports."""
    from orientd.report.csv_file import CsvReport  # as above

    write = CsvReport.write
    lacking: list[object] = []

    def noticing(report: CsvReport, row: Any) -> None:
        if row.reason and not row.reason_code:
            lacking.append(row)
        write(report, row)

    monkeypatch.setattr(CsvReport, "write", noticing)
    yield
    assert lacking == []


@pytest.fixture(autouse=True)
def _nothing_left_here(pytestconfig: pytest.Config) -> Iterator[None]:
    before = set(pytestconfig.rootpath.iterdir())
    yield
    left = [path.name for path in set(pytestconfig.rootpath.iterdir()) - before if path.name.startswith("orientd-")]
    assert not left, f"the test left in the folder of the tests: {', '.join(left)}"


@pytest.fixture(autouse=True)
def _nothing_left_running() -> Iterator[None]:
    before = _running()
    yield
    left = _running() - before
    for one in left:
        one.join(_GRACE_SECONDS)
    alive = [one.name for one in left if one.is_alive()]
    assert not alive, f"the test left running: {', '.join(alive)}"


def _running() -> set[threading.Thread | multiprocessing.process.BaseProcess]:
    return {*threading.enumerate(), *multiprocessing.active_children()}
