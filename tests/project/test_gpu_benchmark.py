"""The benchmark of the GPU road runs to its end without a GPU, on a tiny set. Skipped where DALI is missing."""

import json
import subprocess

import pytest

from benchmarks.measuring import ROOT, script

pytest.importorskip("nvidia.dali", reason='needs DALI: pip install "orientd[gpu]"')

STEPS = ["machine", "right", "turned", "isolated", "silent", "released", "whole", "stages"]
STEPS += ["decoding", "looking", "half", "by_tensorrt"]


@pytest.mark.slow
def test_every_step_works_without_a_gpu(tmp_path):
    command = script("gpu.run", "--device", "cpu", "--out", tmp_path)
    assert subprocess.run(command, capture_output=True, timeout=600, cwd=ROOT).returncode == 0
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert list(found) == STEPS
    assert [step for step, said in found.items() if "FAILED" in said or "skipped" in said] == ["by_tensorrt"]
    assert found["turned"]["orientations not to the bit, round 0"] == "[]"
    assert found["isolated"]["pictures of another photo, or not to the bit"] == 0
    assert found["right"]["decisions that differ"] == 0
    assert found["right"]["photos that only one path turns, or otherwise"] == 0
    assert found["right"]["decisions"].keys() >= {"keep", "fix"}, "drawings that mean nothing to the model would prove nothing"
    assert found["right"]["probabilities apart at most"] < 0.05
    assert found["half"]["fp16: probabilities apart at most"] < 0.01
    assert (tmp_path / "gpu.md").read_text().count("\n") > len(STEPS)
