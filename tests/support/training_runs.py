"""What the tests of training share: caches of drawn landscapes, a recipe that is soon carried out, and what a run leaves.

Each file of tests takes by name those of the fixtures that it needs.
"""

import json
import os
import shutil
import sys
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest
import torch
from orientd_training import cli
from orientd_training.config import Change, Phase, TrainConfig
from orientd_training.data import photoset
from orientd_training.data.near_duplicates import Split
from orientd_training.fit import loop
from orientd_training.fit.devices import team
from orientd_training.fit.feed import Feed
from orientd_training.fit.loop import Run
from support import landscapes, sky_library
from support.onnx_graphs import SIZE, sky_finder

EACH = 6
BACKBONE = "test_efficientnet"
small = partial(replace, TrainConfig("tiny", None, None, BACKBONE, (Phase(32, 48, 1), Phase(40, 32)), batch=8, validate_every=40))


def cache(folder, number=36, size=32, first=0):
    """Prepared landscapes, every fourth of them or so kept apart for validation."""
    landscapes.draw(folder / "photos", number, first)
    photoset.prepare([folder / "photos"], folder / "cache", size, split=Split(0.25), keep_duplicates=True)
    return folder / "cache"


def recipe(photos, **more):
    """Two phases, ten steps, two validations; on a CPU wherever it is tested."""
    settings = {"augment": replace(small().augment, jpeg=Change(0.3, 60.0)), "device": "cpu", "tensorboard": False}
    return small(train=photos, validation=photos, **settings | more)


def begun(config, rank=0):
    """A run in this process, and its feed, which is to be closed."""
    config = replace(config, devices=1)
    feed = Feed(config, [photoset.load(source.path, source.split or None) for source in config.sources], rank)
    return Run(config, feed, team(config)), feed


@contextmanager
def one_thread():
    """More threads sum in another order, so that figures would differ from one machine to the next."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def albums(folder, size=SIZE, number=3):
    """Landscapes in albums; every album but the first has one that is upside down although it counts as upright."""
    for i in range(number * EACH):
        upside_down = 180 if i >= EACH and i % EACH == 0 else 0
        sky_library.draw(folder / "photos" / f"album-{i // EACH}" / f"{i:02}.jpg", upside_down, by_tag=False, seed=i)
    photoset.prepare([folder / "photos"], folder / f"cache{size}", size, keep_duplicates=True)
    return folder / f"cache{size}"


def wrong_model(folder):
    """A model that takes every photo for one that needs half a turn."""
    return sky_finder(folder / "wrong.onnx", bias=(0, 0, 9, 0), spec=sky_library.SURE)


def command(monkeypatch, *arguments):
    """Run `orientd-train` in this process; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["orientd-train", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as ended:
        return ended.code
    return 0


def log(run):
    """What was logged, without how fast it was."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in ("rate", "wait")} for line in lines]


def differences(one, other, where=""):
    """The paths at which two checkpoints differ."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return [found for key in one for found in differences(one[key], other[key], f"{where}.{key}")]
    if isinstance(one, list | tuple):
        return [found for i, pair in enumerate(zip(one, other, strict=True)) for found in differences(*pair, f"{where}.{i}")]
    same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    return [] if same else [where]


def signalled(monkeypatch, after, number):
    """Send this process a signal in the middle of a step."""
    step, done = Run.step, []

    def stepping(run):
        done.append(run)
        if len(done) == after:
            os.kill(os.getpid(), number)
        return step(run)

    monkeypatch.setattr(Run, "step", stepping)


@pytest.fixture(scope="module", autouse=True)
def on_one_thread():
    with one_thread():
        yield


@pytest.fixture(scope="module")
def its_cache(tmp_path_factory):
    return cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def its_recipe(cache):
    return recipe(cache)


@pytest.fixture(scope="module")
def whole(cache, tmp_path_factory):
    """A run that was carried out, which no test may change."""
    run = tmp_path_factory.mktemp("whole") / "run"
    loop.fit(recipe(cache), run)
    return run


@pytest.fixture
def unbroken(whole, tmp_path):
    """The same run, to be changed."""
    return shutil.copytree(whole, tmp_path / "unbroken")


@pytest.fixture(scope="module")
def its_albums(tmp_path_factory):
    return albums(tmp_path_factory.mktemp("measured"))


@pytest.fixture(scope="module")
def its_wrong_model(tmp_path_factory):
    return wrong_model(tmp_path_factory.mktemp("wrong"))
