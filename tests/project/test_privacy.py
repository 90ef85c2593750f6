"""orientd sends nothing anywhere, and neither does what it is built on."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("onnxruntime")

LOOK = (
    "import sys, numpy as np, orientd.infer.engine as infer; engine = infer.Engine(sys.argv[1]);"
    "engine.look(np.zeros((1, engine.spec.input_size, engine.spec.input_size, 3), np.uint8))"
)
LOOK_ALONE = "import sys, onnxruntime; onnxruntime.InferenceSession(sys.argv[1])"


def files_left(program, model, home):
    """What ONNX Runtime keeps for its reports (a device's identity and a queue) where nothing tells it not to."""
    home.mkdir()
    kept = {key: value for key, value in os.environ.items() if key not in ("ORT_DISABLE_TELEMETRY", "CI", "XDG_CACHE_HOME")}
    subprocess.run([sys.executable, "-c", program, str(model)], env={**kept, "HOME": str(home)}, check=True)
    return [path.name for path in home.rglob("*") if path.is_file()]


def test_looking_at_photos_leaves_no_identity_behind(model, tmp_path):
    if not files_left(LOOK_ALONE, model, tmp_path / "alone"):
        pytest.skip("this ONNX Runtime keeps no records, so nothing can be seen")
    assert files_left(LOOK, model, tmp_path / "home") == []


def test_it_is_off_before_anything_of_orientd_can_load_it():
    program = "import orientd, os, sys; print(os.environ['ORT_DISABLE_TELEMETRY'], 'onnxruntime' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["1", "False"]
