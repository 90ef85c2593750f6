"""What `config show` prints is a configuration: `config check` accepts it, and it means the same."""

import io
import os
import sys
from typing import Literal, get_args, get_origin

import pytest
import yaml
from hypothesis import Phase, find, given
from hypothesis import settings as settings_of_search
from hypothesis import strategies as st

from orientd.cli import config_output
from orientd.config import OPTIONS, check_modes, load, origins
from orientd.config.shown import source_of
from orientd.errors import ConfigError

HOME = {"HOME": "/home/ada"}
ODD = ["off", "1", "~", "~/a", "a b", "#", "a: b", "é", "line\nbreak", " \u2028", "\x85", "\ufeff"]
TEXTS = st.text() | st.binary(max_size=12).map(os.fsdecode) | st.sampled_from(ODD)


def values(name):
    """Everything that an option may be, as `load` takes it from the command line."""
    option = OPTIONS[name]
    kind, low, high, form = option.type, *(option.metadata[key] for key in ("low", "high", "form"))
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if kind is bool:
        return st.booleans()
    if get_origin(kind) is tuple:
        (item, _) = get_args(kind)
        items = st.sampled_from(get_args(item)) if get_origin(item) is Literal else TEXTS
        return st.lists(items, min_size=1, max_size=4)
    if kind is str:
        return st.from_regex(form[0], fullmatch=True) | st.just("") if form[0] else TEXTS
    assert low is not None, f"of what is {name} to be drawn?"
    return st.integers(low, high) if int in (kind, *get_args(kind)) else st.floats(low, high)


def is_accepted(chosen):
    try:
        check_modes(load(None, HOME, chosen))
    except ConfigError:
        return False
    return True


@st.composite
def settings_given(draw):
    """Some of the options, as flags; those that orientd refuses, or refuses together, are left out."""
    chosen = {}
    for name in sorted(draw(st.sets(st.sampled_from(sorted(OPTIONS))))):
        more = chosen | {name: draw(values(name))}
        chosen = more if is_accepted(more) else chosen
    return chosen


def printed(config, sources, encoding):
    with pytest.MonkeyPatch.context() as monkeypatch:
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace", newline="")
        monkeypatch.setattr(sys, "stdout", stream)
        config_output.show(config, sources)
        stream.flush()
        return stream.buffer.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@given(given_=settings_given())
def test_what_is_shown_is_read_back_as_the_same(tmp_path_factory, encoding, given_):
    file = tmp_path_factory.getbasetemp() / f"{encoding}.yaml"
    config = load(None, HOME, given_)
    shown = printed(config, origins(None, HOME, given_), encoding)
    assert shown.count(b"\n") == 1 + len(OPTIONS)
    file.write_bytes(shown)
    again = load(str(file), HOME, {})
    check_modes(again)
    assert again == config


def test_every_kind_of_value_is_shown_in_a_way_of_yaml(tmp_path):
    """As any program reads it, not only orientd."""
    config = load(None, HOME, {"exclude": ["*.tmp", "a, b", "line\nbreak"], "fix": True, "settle": 7, "plan": "", "gpus": "0"})
    told = yaml.safe_load(printed(config, {}, "utf-8"))
    assert told["exclude"] == ["*.tmp", "a, b", "line\nbreak"]
    assert (told["fix"], told["settle"], told["plan"], told["gpus"], told["sidecar"]) == (True, 7.0, "", "0", "off")


def test_an_empty_list_stays_empty(tmp_path):
    (tmp_path / "a.yaml").write_text("formats: []\n")
    config = load(str(tmp_path / "a.yaml"), HOME, {})
    (tmp_path / "b.yaml").write_bytes(printed(config, {}, "utf-8"))
    assert load(str(tmp_path / "b.yaml"), HOME, {}).formats == ()


@pytest.mark.parametrize("by", ["file", "environment", "nothing"])
def test_check_accepts_what_show_prints(orientd, tmp_path, capsys, monkeypatch, by):
    file = tmp_path / "mine, é.yaml"
    file.write_text("exclude: ['a: b', '#c']\nquiet_hours: 22:00-07:00\nformats: [jpeg]\nplan: ~/plan.csv\n")
    if by == "environment":
        monkeypatch.setenv("ORIENTD_EXCLUDE", "*.tmp:drafts")
        monkeypatch.setenv("ORIENTD_MIN_CONFIDENCE", "0.75")
    which = ("--config", file) if by == "file" else ()
    assert orientd("config", "show", *which, "--state-dir", tmp_path / "state") == 0
    (tmp_path / "shown.yaml").write_text(capsys.readouterr().out)
    meant = load(str(file) if which else None, os.environ, {"state_dir": str(tmp_path / "state")})
    for name in ("ORIENTD_EXCLUDE", "ORIENTD_MIN_CONFIDENCE", "ORIENTD_MODEL"):
        monkeypatch.delenv(name, raising=False)
    assert orientd("config", "check", tmp_path / "shown.yaml") == 0
    assert load(str(tmp_path / "shown.yaml"), os.environ, {}) == meant


def test_it_says_where_everything_comes_from(orientd, tmp_path, capsys, monkeypatch):
    file = tmp_path / "odd\nname.yaml"
    file.write_text("settle: 7\nbatch: 2\nstate_dir: /from/file\n")
    monkeypatch.setenv("ORIENTD_BATCH", "3")
    assert orientd("config", "show", "--config", file, "--state-dir", "/by/option") == 0
    shown = capsys.readouterr().out.splitlines()
    assert f"settle: 7.0  # {tmp_path}/odd\\nname.yaml: settle" in shown
    assert "batch: 3  # ORIENTD_BATCH" in shown
    assert "state_dir: /by/option  # --state-dir" in shown
    assert "latency: 2.0" in shown
    assert shown[0].startswith("#")
    assert len(shown) == 1 + len(OPTIONS)
    (tmp_path / "shown.yaml").write_text("\n".join(shown))
    assert orientd("config", "check", tmp_path / "shown.yaml") == 0


def test_the_kind_of_a_source_is_told():
    environment = {"ORIENTD_BATCH": "3"}
    told = [
        source_of("batch", origin, environment)
        for origin in (None, "--batch", "ORIENTD_BATCH", "/a.yaml: batch", "--batch: batch")
    ]
    assert told == ["default", "option", "environment", "file", "file"]


def test_every_option_is_drawn_with_values_that_it_takes():
    """Else the property above would say nothing of it."""
    default, unshrunk = load(None, HOME, {}), settings_of_search(phases=[Phase.generate])
    for name in OPTIONS:
        find(
            values(name),
            lambda value, name=name: is_accepted({name: value}) and load(None, HOME, {name: value}) != default,
            settings=unshrunk,
        )
