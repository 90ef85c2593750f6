"""What the tests of training share: a cache of drawn landscapes and a recipe small enough to be carried out."""

from dataclasses import replace
from functools import partial

import landscapes
from orientd_training import photoset
from orientd_training.config import Change, Phase, TrainConfig
from orientd_training.feed import Feed
from orientd_training.fit import Run
from orientd_training.groups import Split
from orientd_training.machine import team

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
