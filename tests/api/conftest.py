import hashlib
import json
import shutil

import pytest

from orientd.infer import registry


@pytest.fixture
def sure(model, tmp_path_factory, monkeypatch):
    """The model that comes with orientd is one to which the brightest half is the sky."""
    folder = tmp_path_factory.mktemp("bundled")
    shutil.copy(model, folder / "orientd.onnx")
    (folder / "orientd.json").write_text(json.dumps({"sha256": hashlib.sha256(model.read_bytes()).hexdigest()}))
    monkeypatch.setattr(registry, "BUNDLED", folder)
