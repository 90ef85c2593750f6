"""orientd-train without what the extra `train` brings says which extra that is."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from orientd_training.cli import EXTRA

from orientd import commands

ROOT = Path(__file__).parents[2]
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
sys.argv = ["orientd-train", *{arguments!r}]
from orientd_training.cli import main
main()
"""


def run(missing, *arguments):
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/training"}
    command = [sys.executable, "-c", WITHOUT.format(missing=missing, arguments=list(map(str, arguments)))]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [
        ("torch", ["fit", "--config", ROOT / "configs/train/smoke.yaml", "--out", "{tmp}/run"]),
        ("torch", ["mix", "{tmp}/a", "{tmp}/b", "--out", "{tmp}/c"]),
        ("onnx", ["export", "{tmp}/run", "--photos", "{tmp}", "--out", "{tmp}/m.onnx"]),
        ("scipy", ["prepare", "{tmp}", "--out", "{tmp}/cache"]),
        ("jinja2", ["describe", "{tmp}/m.onnx", "--measure", "{tmp}/measure.json", "--out", "{tmp}/card.md"]),
    ],
)
def test_it_names_the_extra_and_what_brings_it(tmp_path, missing, arguments):
    if missing == "onnx":
        pytest.importorskip("scipy")  # it is looked for before
    done = run({missing}, *(str(word).format(tmp=tmp_path) for word in arguments))
    brought = commands.adding("train")
    assert done.stderr == f'orientd-train: {missing} is not installed; the extra "train" brings it: {brought}\n'
    assert done.returncode == 1


def test_what_no_extra_brings_is_a_fault_of_ours(tmp_path):
    done = run({"yaml"}, "fit", "--config", ROOT / "configs/train/smoke.yaml", "--out", tmp_path / "run")
    assert "Traceback" in done.stderr


def test_these_are_the_packages_of_the_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    brought = {re.split(r"[^\w-]", each)[0] for each in project["optional-dependencies"]["train"]}
    assert brought - {"numpy"} == EXTRA
