"""What docs/many-machines.md shows does what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support import sky_library

FOLDER = Path(__file__).parents[2] / "docs" / "many-machines"


@pytest.fixture
def machine(tmp_path, model, photos):
    """Runs a command of a shell as a task, with `orientd` on the path; returns its exit code."""
    sky_library.library(photos, 6)
    (photos / "broken.jpg").write_bytes(b"no photo")
    program = tmp_path / "bin" / "orientd"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m orientd "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "ORIENTD_MODEL": str(model), "TMPDIR": str(tmp_path)}

    def run(*command, **more):
        return subprocess.run(command, env=environment | more, capture_output=True, text=True, check=False)

    return run


def few(text):
    """The same for two parts."""
    assert "16" in text
    return re.sub(r"\b16\b", "2", text)


def test_the_array_of_slurm(machine, tmp_path, photos, orientd):
    script, plans = tmp_path / "slurm.sh", tmp_path / "plans"
    script.write_text(few((FOLDER / "slurm.sh").read_text()))
    assert "#SBATCH --array=1-2\n" in script.read_text()
    for task in ("1", "2"):
        ran = machine("bash", str(script), str(photos), str(plans), SLURM_ARRAY_TASK_ID=task, SLURM_CPUS_PER_TASK="1")
        assert (ran.returncode, ran.stderr) == (0, "")
    assert orientd("plan", "merge", *sorted(plans.glob("*.csv")), "--out", tmp_path / "plan.csv") == 3
    assert len(sky_library.rows(tmp_path / "plan.csv")) == 7
    assert not list(tmp_path.glob("orientd.*"))
    assert machine("bash", str(script), str(photos / "gone"), str(plans), SLURM_ARRAY_TASK_ID="1").returncode == 75


def test_the_indexed_job_of_kubernetes(machine, tmp_path, photos, orientd):
    job = yaml.safe_load(few((FOLDER / "kubernetes.yaml").read_text()))["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    assert (job["completionMode"], job["completions"]) == ("Indexed", 2)
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    places = {mount["mountPath"]: tmp_path / mount["name"] for mount in container["volumeMounts"]}
    script = container["args"][0]
    for place, here in places.items():
        here.mkdir(exist_ok=True)
        script = script.replace(f" {place} ", f" {here} ")
    assert str(photos) in script
    for index in ("0", "1"):
        ran = machine(*container["command"], script.replace("--workers 4", "--workers 1"), JOB_COMPLETION_INDEX=index)
        assert (ran.returncode, ran.stderr) == (0, "")
    assert orientd("plan", "merge", *sorted((tmp_path / "plans").glob("*.csv")), "--out", tmp_path / "plan.csv") == 3
    assert len(sky_library.rows(tmp_path / "plan.csv")) == 7
