"""`orientd models export`: what stands in the folder runs without orientd, and gives the same answers."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import probe_pictures, sky_library
from support.onnx_graphs import upstream

EXACT = 1e-6


@pytest.fixture(scope="module")
def pictures():
    """Ten pictures of all kinds."""
    return dict(list(probe_pictures.pictures())[::6])


def referred(folder, *photos):
    """What the program in the folder says of photos, without orientd on its path."""
    command = [sys.executable, "-I", "-W", "error", str(folder / "reference.py"), *map(str, photos)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.fixture
def inspected(orientd, capsys):
    def ask(path, *more):
        capsys.readouterr()
        assert orientd("inspect", path, "--json", *more) == 0
        return json.loads(capsys.readouterr().out)

    return ask


def test_the_bundled_model_with_card_and_licence_gives_the_same_answers(orientd, inspected, pictures, photos, tmp_path, capsys):
    folder = tmp_path / "model"
    assert orientd("models", "export", folder, "orientd") == 0
    names = ["LICENSE", "README.md", "model.json", "orientd.onnx", "reference.py"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert sorted(Path(line).name for line in capsys.readouterr().out.splitlines()) == names
    known = json.loads((folder / "model.json").read_text())
    assert known["sha256"] == hashlib.sha256((folder / "orientd.onnx").read_bytes()).hexdigest()
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert known["sha256"] in (folder / "README.md").read_text() or "Model card" in (folder / "README.md").read_text()
    photos.mkdir()
    paths = []
    for name, pixels in pictures.items():
        paths.append(photos / f"{name}.png")
        Image.fromarray(pixels).save(paths[-1])
    for path, said in zip(paths, referred(folder, *paths), strict=True):
        meant = inspected(path, "--model", "orientd")
        for look in ("first_look", "second_look"):
            assert said[look] == pytest.approx(meant[look], abs=EXACT), (path, look)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_model_given_by_its_path_and_photos_with_a_stored_orientation(orientd, inspected, model, photos, tmp_path, turn):
    folder = tmp_path / "model"
    assert orientd("models", "export", folder) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "reference.py", "sky.onnx"]
    path = sky_library.draw(photos / "a.jpg", turn)
    (said,) = referred(folder, path)
    meant = inspected(path)
    assert np.argmax(said["first_look"]) == np.argmax(said["second_look"]) == turn // 90 == np.argmax(meant["second_look"])


def test_the_reference_is_short():
    from orientd.infer.registry import BUNDLED

    code = [line for line in (BUNDLED / "reference.py.txt").read_text().splitlines() if line.strip()]
    assert len(code) <= 30


def test_nothing_is_replaced_and_another_projects_model_is_not_ours_to_export(orientd, model, tmp_path, capsys):
    assert orientd("models", "export", tmp_path / "here") == 0
    assert orientd("models", "export", tmp_path / "here") == 0
    (tmp_path / "here" / "model.json").write_text("{}")
    assert orientd("models", "export", tmp_path / "here") == 2
    assert "exists, with another content" in capsys.readouterr().err
    assert orientd("models", "export", model) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert orientd("models", "export", tmp_path / "no", "nowhere") == 1
    assert orientd("models", "add", upstream(tmp_path / "up.onnx"), "--preset", "upstream-efficientnetv2-s") == 0
    assert orientd("models", "export", tmp_path / "no", "up") == 2
    assert "get it from its authors" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
