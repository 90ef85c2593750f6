import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orientd.config import HELP, OPTIONS, Config, load
from orientd.errors import ConfigError, ExitCode
from orientd.judge.policy import DEFAULT, Policy

EXAMPLE = Path(__file__).parents[2] / "configs" / "orientd.yaml"
HOME: Mapping[str, str] = {"HOME": "/home/ada"}
DEFAULTS = dataclasses.replace(Config(), state_dir="/home/ada/.local/state/orientd")


def problems(file: str | None, environment: Mapping[str, str], flags: Mapping[str, object]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(file, HOME | dict(environment), flags)
    assert caught.value.exit_code == ExitCode.USAGE
    return str(caught.value).splitlines()


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> str:
        file = tmp_path / "orientd.yaml"
        file.write_text(text, encoding="utf-8")
        return str(file)

    return write


def test_without_any_source_there_are_the_defaults():
    assert load(None, HOME, {}) == DEFAULTS


def test_each_source_beats_the_one_before(written):
    file = written("batch: 2\nworkers: 2\nprovider: cuda\n")
    environment = HOME | {"ORIENTD_WORKERS": "3", "ORIENTD_PROVIDER": "cpu"}
    config = load(file, environment, {"provider": "cuda", "batch": None, "exclude": ()})
    assert (config.batch, config.workers, config.provider) == (2, 3, "cuda")


def test_the_usual_file_is_read_if_it_is_there(tmp_path):
    environment = HOME | {"XDG_CONFIG_HOME": str(tmp_path)}
    assert load(None, environment, {}).batch == Config().batch
    (tmp_path / "orientd").mkdir()
    (tmp_path / "orientd" / "orientd.yaml").write_text("batch: 5\n")
    assert load(None, environment, {}).batch == 5
    (tmp_path / "orientd" / "orientd.yaml").write_text("batsh: 5\n")
    assert problems(None, environment, {}) == [
        f"{tmp_path}/orientd/orientd.yaml: batsh: there is no such option; did you mean 'batch'?"
    ]


def test_every_mistake_of_every_source_is_told_at_once(written):
    file = written(
        "min_confidence: 3\nworkerz: 2\nbatch: [1]\nworkers: 1\nworkers: 2\nmtime: keeep\n"
        "hard_links: maybe\nexclude: {a: b}\nmax_pixels:\nprior_upright: .nan\nmodel: [a]\nformats: [jpeg, jpg]\n"
    )
    environment = {"ORIENTD_BATCH": "x", "ORIENTD_WORKRS": "2"}
    assert problems(file, environment, {"min_agreement": 9, "one_file_system": 1, "hard_links": "no idea"}) == [
        f"{file}: workers: is given 2 times",
        f"{file}: min_confidence: must be between 0.5 and 1, got 3",
        f"{file}: workerz: there is no such option; did you mean 'workers'?",
        f"{file}: batch: must be a whole number, got ['1']",
        f"{file}: mtime: must be one of shift, keep, now, got 'keeep'; did you mean 'keep'?",
        f"{file}: hard_links: must be true or false, got 'maybe'",
        f"{file}: exclude: must be a list of texts, got {{'a': 'b'}}",
        f"{file}: max_pixels: must be a whole number, got ''",
        f"{file}: prior_upright: must be a number, got '.nan'",
        f"{file}: model: must be text, got ['a']",
        f"{file}: formats: must be one of jpeg, mpo, png, webp, tiff, heif, avif, got 'jpg'; did you mean 'jpeg'?",
        "ORIENTD_BATCH: must be a whole number, got 'x'",
        "ORIENTD_WORKRS: there is no such option; did you mean 'workers'?",
        "--min-agreement: must be between 1 and 8, got 9",
        "--one-file-system: must be true or false, got 1",
        "--hard-links: must be true or false, got 'no idea'",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"- batch\n", "must hold lines such as 'workers: 2'"),
        (b"batch: [1\n", "is not valid YAML: "),
        (b"? [a]\n: b\n", "is not valid YAML: "),
        (b"batch: \xff\n", "is not UTF-8 text: save it as UTF-8"),
    ],
)
def test_a_file_that_is_not_a_configuration(tmp_path, content, reason):
    file = tmp_path / "broken.yaml"
    file.write_bytes(content)
    (problem,) = problems(str(file), {}, {})
    assert problem.startswith(f"{file}: {reason}")


def test_a_file_that_is_named_must_be_there():
    assert problems("/nowhere/orientd.yaml", {}, {}) == ["/nowhere/orientd.yaml: cannot be read: No such file or directory"]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\ufeffworkers: 0\n"])
def test_a_file_may_be_empty_or_begin_with_a_byte_order_mark(written, text):
    assert load(written(text), HOME, {}) == DEFAULTS


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("min_confidence", "1e0", 1.0),
        ("min_confidence", "1", 1.0),
        ("min_confidence", "model", None),
        ("min_agreement", "7", 7),
        ("max_bytes", "1_000", 1000),
        ("hard_links", "Yes", True),
        ("hard_links", "off", False),
        ("exclude", "*.tmp:drafts", ("*.tmp", "drafts")),
        ("formats", "jpeg, png", ("jpeg", "png")),
        ("formats", "jpeg:png", ("jpeg", "png")),
        ("model", "2024-01-01", "2024-01-01"),
        ("workers", "", 0),
    ],
)
def test_text_of_the_environment_becomes_the_type_of_the_option(name, text, value):
    found = getattr(load(None, HOME | {f"ORIENTD_{name.upper()}": text}, {}), name)
    assert (type(found), found) == (type(value), value)


def test_yaml_and_environment_read_a_value_alike(written):
    file = written("min_confidence: 1e0\nmax_bytes: 1_000\nhard_links: Yes\nmodel: 2024-01-01\nexclude: ['*.tmp', drafts]\n")
    environment = {
        "ORIENTD_MIN_CONFIDENCE": "1e0",
        "ORIENTD_MAX_BYTES": "1_000",
        "ORIENTD_HARD_LINKS": "Yes",
        "ORIENTD_MODEL": "2024-01-01",
        "ORIENTD_EXCLUDE": "*.tmp:drafts",
    }
    assert load(file, HOME, {}) == load(None, HOME | environment, {}) != DEFAULTS


@given(st.integers(-(10**12), 10**12) | st.floats(), st.sampled_from(sorted(OPTIONS)))
def test_a_number_is_within_its_range_or_refused(number, name):
    low, high = OPTIONS[name].metadata["low"], OPTIONS[name].metadata["high"]
    kind, *_ = get_args(OPTIONS[name].type) or (OPTIONS[name].type,)  # float of "float | None"
    fits = low is not None and low <= number <= high and (kind is float or isinstance(number, int))
    if fits:
        value = getattr(load(None, HOME, {name: number}), name)
        assert (value, type(value)) == (number, kind)
    else:
        with pytest.raises(ConfigError, match=f"^--{name.replace('_', '-')}: must be"):
            load(None, HOME, {name: number})


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"XDG_STATE_HOME": "/state"}, "/state/orientd"),
        ({"XDG_STATE_HOME": "relative"}, "/home/ada/.local/state/orientd"),
        ({"XDG_STATE_HOME": "/state", "STATE_DIRECTORY": "/var/lib/orientd:/var/lib/other"}, "/var/lib/orientd"),
        ({"STATE_DIRECTORY": "/var/lib/orientd", "ORIENTD_STATE_DIR": "/mine"}, "/mine"),
    ],
)
def test_the_state_directory(environment, folder):
    assert load(None, HOME | environment, {}).state_dir == folder


def test_a_tilde_means_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    config = load(None, HOME, {"model": "~/a.onnx", "state_dir": "~/state"})
    assert (config.model, config.state_dir) == ("/home/ada/a.onnx", "/home/ada/state")


def test_the_defaults_keep_their_own_rules():
    given = {option.name: getattr(Config(), option.name) for option in dataclasses.fields(Config)}
    assert load(None, HOME, given) == DEFAULTS


def test_what_is_not_set_is_as_it_was_fitted_with_the_model():
    fitted = Policy(0.9, 0.8, 5, 0.7)
    assert Config().policy(fitted) == fitted
    assert load(None, HOME, {"min_confidence": 0.6}).policy(fitted) == Policy(0.9, 0.6, 5, 0.7)
    assert Config().policy() == DEFAULT


def test_a_number_may_not_be_text():
    assert problems(None, {}, {"min_confidence": "modell"}) == ["--min-confidence: must be a number, got 'modell'"]


def test_the_example_file_holds_every_option_with_its_default_and_its_help():
    text = EXAMPLE.read_text()
    assert load(str(EXAMPLE), HOME, {}) == DEFAULTS
    documented = {
        name: " ".join(line.removeprefix("# ") for line in comment.splitlines())
        for comment, name in re.findall(r"((?:^# .+\n)+)^(\w+):", text, flags=re.MULTILINE)
    }
    assert documented == HELP
    assert list(documented) == list(OPTIONS)
    assert max(map(len, text.splitlines())) <= 130
