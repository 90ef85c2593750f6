"""What --cluster says where it cannot be had, and that Ray reports nothing to anybody; no cluster is there."""

import os
import subprocess
import sys

import pytest
from support import sky_library


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
        environment.pop("RAY_USAGE_STATS_ENABLED", None)
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return scanned


def test_without_ray_it_says_what_brings_it(scan, tmp_path):
    ran = scan("raise ImportError('no ray')", "--cluster", "auto")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert 'Ray is not installed, which --cluster needs: run pip install "orientd[ray]"' in ran.stderr
    assert not (tmp_path / "r.csv").exists()


def test_rays_reports_are_off_before_it_is_imported(scan):
    ran = scan("import os, sys; sys.exit('reports: ' + os.environ.get('RAY_USAGE_STATS_ENABLED', 'on'))", "--cluster", "auto")
    assert "reports: 0" in ran.stderr


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


def test_without_the_option_nothing_of_it_is_imported(scan):
    assert scan("raise SystemExit('imported')").returncode == 0
