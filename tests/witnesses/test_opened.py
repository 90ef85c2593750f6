"""Witnesses are opened if their models are there and sound; one that is not is told once, and the others speak."""

import hashlib
import re
import shutil

import pytest
from support import onnx_graphs, seen_by_witnesses

from orientd.infer import registry
from orientd.infer.engine import Engine
from orientd.witnesses.opened import FOLDER, LETTERS, MODELS, askable, open_witnesses


@pytest.fixture(scope="module")
def engine():
    return registry.find("", registry.BUNDLED).open()


def test_all_that_come_with_orientd_are_there(engine):
    told = []
    found = open_witnesses(engine, told.append)
    assert (tuple(found), told) == (seen_by_witnesses.WITNESSES, [])
    assert all(witness.name == name for name, witness in found.items())


FILES = {file: sha256 for _, files in MODELS.values() for file, sha256 in files.items()} | {"letters": LETTERS}


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_those_on_record(name):
    assert hashlib.sha256((FOLDER / f"{name}.onnx").read_bytes()).hexdigest() == FILES[name]


def test_a_witness_of_two_files_cannot_be_asked_without_one_of_them(tmp_path):
    folder = tmp_path / "witnesses"
    shutil.copytree(FOLDER, folder)
    assert askable(MODELS, 288, folder) == tuple(MODELS)
    (folder / "print.onnx").unlink()
    assert askable(MODELS, 288, folder) == tuple(name for name in MODELS if name != "pages")


@pytest.mark.parametrize(("file", "name"), [("layout", "things"), ("things", "things"), ("surroundings", "surroundings")])
@pytest.mark.parametrize("content", [None, b"", b"damaged"])
def test_without_one_of_its_files_a_witness_is_not_asked_and_all_others_are(engine, tmp_path, file, name, content):
    for each in FOLDER.glob("*.onnx"):
        (tmp_path / each.name).symlink_to(each)
    (tmp_path / f"{file}.onnx").unlink()
    if content is not None:
        (tmp_path / f"{file}.onnx").write_bytes(content)
    told = []
    assert askable(MODELS, 288, tmp_path) == tuple(other for other in MODELS if other != name)
    found = open_witnesses(engine, told.append, tmp_path)
    assert [other for other, witness in found.items() if witness is None] == [name]
    assert len(told) == 1
    assert f"without its witness {name!r}" in told[0]
    assert f"{file}.onnx" in told[0]


def test_one_that_is_missing_or_damaged_is_told_and_the_others_speak(engine, tmp_path):
    folder = tmp_path / "witnesses"
    shutil.copytree(FOLDER, folder)
    (folder / "faces.onnx").unlink()
    damaged = bytearray((folder / "pages.onnx").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (folder / "pages.onnx").write_bytes(damaged)
    told = []
    found = open_witnesses(engine, told.append, folder)
    assert [name for name, witness in found.items() if witness is None] == ["pages", "faces"]
    assert len(told) == 2
    assert "without its witness 'pages'" in told[0]
    assert "not the one it should be" in told[0]
    assert "without its witness 'faces'" in told[1]
    assert "cannot be read" in told[1]


def test_a_panel_from_before_may_name_a_closer_look_at_the_scene():
    assert askable(("scene-288", "things"), 288) == ("scene-288", "things")
    assert askable(("scene-288", "scene-256", "owls", "things"), 0) == ("things",)


def test_a_model_of_one_size_has_no_second_scene(tmp_path):
    file = onnx_graphs.sky_finder(tmp_path / "other.onnx")
    assert tuple(open_witnesses(Engine(file), lambda _: None)) == tuple(MODELS)


def test_every_model_has_its_card_and_licence():
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name, sha256 in FILES.items():
        row = next(line for line in card.splitlines() if line.startswith(f"| `{name}.onnx` |"))
        assert sha256 in row
        assert f"{(FOLDER / f'{name}.onnx').stat().st_size:,} bytes" in row
        (licence,) = re.findall(r"\]\(([\w.-]+)\)", row)
        assert "Permission is hereby granted" in (text := (FOLDER / licence).read_text()) or "Apache License" in text
