"""Models by name: added whole or not at all, opened only as the file that was added."""

import errno
import json
from hashlib import sha256
from pathlib import Path

import pytest
from support import sky_library
from support.onnx_graphs import sky_finder, upstream

from orientd.errors import ConfigError, ModelError, StateError
from orientd.infer import registry
from orientd.infer.spec import PRESETS

PRESET = "upstream-efficientnetv2-s"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data" / "models"


@pytest.fixture
def file(tmp_path):
    return sky_library.model(tmp_path)


def digest(path):
    return sha256(Path(path).read_bytes()).hexdigest()


def test_every_model_that_comes_with_orientd_has_the_hash_on_record(folder):
    """After a new model: printf '{"sha256": "%s"}\\n' $(sha256sum NAME.onnx | cut -c-64) > NAME.json"""
    files = sorted(registry.BUNDLED.glob("*.onnx"))
    bundled = registry.models(folder)
    assert [model.path for model in bundled] == files
    assert [model.sha256 for model in bundled] == [digest(path) for path in files]
    assert registry.find("", folder) in bundled


def test_a_model_is_copied_as_it_is_and_found_by_its_name(folder, file):
    added = registry.add(str(file), folder, "", "", digest(file).upper())
    assert added == registry.find("sky", folder) == registry.models(folder)[-1]
    assert added.path.read_bytes() == file.read_bytes()
    assert (added.name, added.origin, added.sha256) == ("sky", "added", digest(file))
    assert added.open().spec == added.spec() == sky_library.SURE
    assert sorted(path.name for path in folder.iterdir()) == ["sky.json", "sky.onnx"]


def test_a_preset_speaks_for_a_file_that_says_nothing(folder, tmp_path):
    path = upstream(tmp_path / "orientation_model_v2_0.9882.onnx")
    added = registry.add(str(path), folder, "", PRESET)
    assert added.name == "orientation_model_v2_0.9882"
    assert registry.find(added.name, folder).open().spec == PRESETS[PRESET]
    assert digest(added.path) == digest(path)


def test_a_model_that_was_removed_is_gone(folder, file):
    registry.add(str(file), folder, "mine")
    registry.remove("mine", folder)
    assert list(folder.iterdir()) == []
    with pytest.raises(ConfigError, match="no model of the name 'mine' was added"):
        registry.remove("mine", folder)
    with pytest.raises(ConfigError, match="no model of the name 'orientd'"):
        registry.remove("orientd", folder)


def test_names_that_lead_elsewhere_remove_nothing(folder, file):
    registry.add(str(file), folder, "mine")
    (folder / "below").mkdir()
    with pytest.raises(ConfigError):
        registry.remove("below/../mine", folder)
    assert registry.find("mine", folder).open()


@pytest.mark.parametrize(
    ("arguments", "error", "complaint"),
    [
        ({"source": "https://example.org/model.onnx"}, ConfigError, "never opens the network"),
        ({"name": "../evil"}, ConfigError, "cannot be called"),
        ({"name": ".hidden"}, ConfigError, "cannot be called"),
        ({"name": "a" * 65}, ConfigError, "cannot be called"),
        ({"name": "orientd"}, ConfigError, "comes with orientd"),
        ({"name": "there"}, ConfigError, "already"),
        ({"sha256": "0" * 64}, ModelError, "is not the file it should be"),
        ({"source": "/nowhere/model.onnx", "name": "new"}, ModelError, "cannot be read"),
        ({"source": "/", "name": "new"}, ModelError, "cannot be read"),
        ({"source": __file__, "name": "new"}, ModelError, "cannot be loaded"),
        ({"name": "new", "preset": PRESET}, ModelError, "not the agreed form"),
    ],
)
def test_what_cannot_be_added_leaves_nothing(folder, file, arguments, error, complaint):
    registry.add(str(file), folder, "there")
    before = sorted(folder.iterdir())
    with pytest.raises(error, match=complaint):
        registry.add(**({"source": str(file), "folder": folder, "name": "sky"} | arguments))
    assert sorted(folder.iterdir()) == before


def test_a_file_that_says_nothing_is_not_added_without_a_preset(folder, tmp_path):
    with pytest.raises(ModelError, match="--preset"):
        registry.add(str(upstream(tmp_path / "theirs.onnx")), folder, "")
    assert list(folder.iterdir()) == []


def test_a_model_that_answers_the_same_to_everything_is_not_added(folder, tmp_path):
    blind = sky_finder(tmp_path / "blind.onnx", bias=(1e9, 0, 0, 0))
    with pytest.raises(ModelError, match="does not answer to what it is shown"):
        registry.add(str(blind), folder, "")
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(file, tmp_path):
    (tmp_path / "models").write_text("a file")
    with pytest.raises(StateError, match=f"{tmp_path / 'models'} cannot be written"):
        registry.add(str(file), tmp_path / "models", "")


@pytest.mark.parametrize("at", range(4))
def test_a_disk_that_fills_up_leaves_no_model(folder, file, monkeypatch, at):
    """Fails each of the two writes and renames in turn."""
    calls = []

    def failing(real):
        def call(*arguments):
            calls.append(arguments)
            if len(calls) == at + 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*arguments)

        return call

    monkeypatch.setattr(registry.os, "replace", failing(registry.os.replace))
    monkeypatch.setattr(registry.os, "fsync", failing(registry.os.fsync))
    with pytest.raises(StateError, match="No space left"):
        registry.add(str(file), folder, "mine")
    assert registry.models(folder) == registry.models(folder / "elsewhere")
    assert not list(folder.glob("*.partial"))
    monkeypatch.undo()
    assert registry.add(str(file), folder, "mine").open()


def test_a_model_that_changed_is_not_opened(folder, file):
    added = registry.add(str(file), folder, "mine")
    added.path.write_bytes(sky_finder(file.parent / "other.onnx", bias=(1, 0, 0, 0)).read_bytes())
    for use in (added.open, added.verify):
        with pytest.raises(ModelError, match=r"is not the file it was: its SHA-256 is .* first run orientd models remove mine"):
            use()
    added.path.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        added.open()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"sha256": "abc"}', '{"sha256": 3}'])
def test_a_damaged_record_is_told_and_harms_no_other_model(folder, file, text):
    registry.add(str(file), folder, "mine")
    (folder / "mine.json").write_text(text)
    for use in (lambda: registry.find("mine", folder), lambda: registry.models(folder)):
        with pytest.raises(ModelError, match="delete it and add the model again"):
            use()
    assert registry.find("", folder).name == "orientd"
    registry.remove("mine", folder)
    assert len(registry.models(folder)) == len(registry.models(folder / "elsewhere"))


def test_a_preset_of_a_later_version_is_told(folder, tmp_path):
    added = registry.add(str(upstream(tmp_path / "theirs.onnx")), folder, "", PRESET)
    (folder / "theirs.json").write_text(json.dumps({"sha256": added.sha256, "preset": "of-tomorrow"}))
    with pytest.raises(ModelError, match="upgrade orientd"):
        registry.find("theirs", folder).open()
    assert "upgrade" in registry.facts(registry.find("theirs", folder), added)["problem"]


def test_a_file_is_used_by_its_path(folder, file, tmp_path, monkeypatch):
    assert registry.find(str(file), folder) == registry.Model(str(file), file, "file")
    monkeypatch.chdir(tmp_path)
    assert registry.find("sky.onnx", folder).open().spec == sky_library.SURE
    with pytest.raises(ModelError, match="cannot be read"):
        registry.find("missing.onnx", folder).open()
    with pytest.raises(ModelError, match="there is no model 'missing', neither of that name nor as a file"):
        registry.find("missing", folder)


def test_a_name_comes_before_a_file_of_that_name(folder, file, tmp_path, monkeypatch):
    (tmp_path / "mine").write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert registry.find("mine", folder).origin == "file"
    registry.add(str(file), folder, "mine")
    assert registry.find("mine", folder).origin == "added"
    assert registry.find("./mine", folder).origin == "file"
