"""What --cluster says where it cannot be had, and that Ray reports nothing to anybody; no cluster is there."""

import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest
from support import sky_library

from orientd import commands
from orientd.config import Config
from orientd.errors import OrientdError
from orientd.pipeline.cluster.actors import RayPort


@pytest.fixture
def scan(photos, model, tmp_path):
    """A scan in a process of its own, with a Ray in whose place that source is."""
    sky_library.library(photos, 4)

    def scanned(ray, *arguments):
        (tmp_path / "instead" / "ray").mkdir(parents=True)
        (tmp_path / "instead" / "ray" / "__init__.py").write_text(ray)
        path = os.pathsep.join([str(tmp_path / "instead"), *filter(None, [os.environ.get("PYTHONPATH")])])
        command = [sys.executable, "-m", "orientd", "scan", str(photos), "--report", str(tmp_path / "r.csv"), *arguments]
        environment = os.environ | {"PYTHONPATH": path, "ORIENTD_MODEL": str(model)}
        for name in ("RAY_USAGE_STATS_ENABLED", "RAY_ENABLE_AUTO_CONNECT"):
            environment.pop(name, None)
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return scanned


def test_without_ray_it_says_what_brings_it(scan, tmp_path):
    ran = scan("raise ImportError('no ray')", "--cluster", "auto")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"Ray is not installed, which --cluster needs: {commands.adding('ray')}" in ran.stderr
    assert not (tmp_path / "r.csv").exists()


def test_rays_reports_and_clusters_of_its_own_are_off_before_it_is_imported(scan):
    names = "'RAY_USAGE_STATS_ENABLED', 'RAY_ENABLE_AUTO_CONNECT'"
    ran = scan(f"import os, sys; sys.exit(' '.join(os.environ.get(name, 'on') for name in ({names})))", "--cluster", "auto")
    assert ran.stderr.splitlines()[-1] == "0 0"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--cluster", "auto", "--shard", "1/2"), "two ways to spread a scan"),
        (("--cluster", "local"), "write auto, on a machine of the cluster"),
        (("--cluster", "auto", "--provider", "tensorrt"), "--provider cpu or cuda, and not with tensorrt"),
    ],
)
def test_what_does_not_go_together_is_refused(orientd, photos, capsys, arguments, said):
    photos.mkdir()
    assert orientd("scan", photos, *arguments) == 2
    assert said in capsys.readouterr().err


class FakeRay(ModuleType):
    """Cannot be connected to, as a real one of another version."""

    exceptions = SimpleNamespace(RayError=KeyError, RaySystemError=LookupError)
    is_initialized = shutdown = bool

    def init(self, **_):
        raise RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 9.1\nThis process with:\n    Ray: 9.0\n")


def test_of_another_version_of_ray_it_says_which(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", FakeRay("ray"))
    with pytest.raises(OrientdError, match=r"has another version of Ray or Python .*Ray: 9\.1 This process with: Ray: 9\.0"):
        RayPort("auto", Config())


class HangingRay(FakeRay):
    """Its server begins a process for us at the last of so many attempts. Half a connection is in the way of the next."""

    def __init__(self, attempts):
        super().__init__("ray")
        self.left, self.connected = attempts, False

    def init(self, **_):
        if self.connected:
            raise RuntimeError("Maybe you called ray.init twice by accident?")
        self.connected, self.left = True, self.left - 1
        if self.left:
            raise ConnectionError(
                "Initialization failure from server: RuntimeError: Starting Ray client server failed. See x.err"
            )

    def shutdown(self):
        self.connected = False

    def remote(self, **_):
        return lambda of: of


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_a_server_that_hangs_is_asked_once_more(monkeypatch, attempts):
    ray = HangingRay(attempts)
    monkeypatch.setitem(sys.modules, "ray", ray)
    RayPort("ray://head:10001", Config())
    assert (ray.left, ray.connected) == (0, True)


def test_a_server_that_hangs_for_good_is_named(monkeypatch):
    ray = HangingRay(9)
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(OrientdError, match=r"no Ray cluster answers at ray://head:10001: .*Starting Ray client server failed"):
        RayPort("ray://head:10001", Config())
    assert (ray.left, ray.connected) == (6, False)


def test_no_cluster_is_started_though_the_environment_asks_for_it(monkeypatch):
    """It would listen on this machine and leave a token in the home folder."""
    monkeypatch.setitem(sys.modules, "ray", FakeRay("ray"))
    monkeypatch.setenv("RAY_ADDRESS", "local")
    with pytest.raises(OrientdError, match="RAY_ADDRESS is local"):
        RayPort("auto", Config())


class GoneRay(FakeRay):
    """The connection breaks. Whatever is called then connects anew or starts a cluster, as Ray does unless told otherwise."""

    def init(self, **_):
        pass

    def remote(self, **_):
        return lambda of: of

    def wait(self, *_, **__):
        raise ConnectionError("Client is shutting down.")

    def nodes(self):
        raise LookupError("Ray has not been started yet.")

    def kill(self, worker):
        raise AssertionError("it would be started")


def test_where_the_connection_breaks_that_is_what_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", GoneRay("ray"))
    port = RayPort("auto", Config())
    with pytest.raises(OrientdError, match=r"broke \(Client is shutting down.\): run the same command again"):
        port.answered(["a question"], 0)
    with pytest.raises(OrientdError, match="connection to the Ray cluster broke"):
        port.nodes()
    port.end("a worker")
    port.close()


def test_without_the_option_nothing_of_it_is_imported(scan):
    assert scan("raise SystemExit('imported')").returncode == 0
