"""What a training is fed with: which photos, how often, and that none of them is one it is measured by."""

from dataclasses import replace

import pytest
import torch
from orientd_training.config import Source
from orientd_training.data import photoset
from orientd_training.fit import loop
from orientd_training.fit.feed import Feed
from support import training_runs

from orientd.errors import ConfigError

_one_thread, cache, recipe = training_runs.on_one_thread, training_runs.its_cache, training_runs.its_recipe


def test_photos_that_cannot_train_are_refused(recipe, cache, tmp_path):
    one = tmp_path / "one"
    training_runs.landscapes.draw(one / "photos", 1)
    photoset.prepare([one / "photos"], one / "cache", 32)
    with pytest.raises(ConfigError, match=r"train: .*one/cache holds 1 photos, at least 2"):
        loop.fit(replace(recipe, train=one / "cache"), tmp_path / "run")
    with pytest.raises(ConfigError, match="holds no prepared photos"):
        loop.fit(replace(recipe, train=tmp_path), tmp_path / "run")
    large = training_runs.cache(tmp_path / "large", size=40)
    mixed = (Source(cache, split="train"), Source(large, split="train"))
    with pytest.raises(ConfigError, match=r"one size, not .* at 32, .* at 40"):
        loop.fit(replace(recipe, train=mixed, leaks="allow"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_photo_to_validate_on_must_not_train(recipe, cache, tmp_path):
    again = training_runs.cache(tmp_path)  # the same photos: what one keeps apart the other trains on
    leaking = replace(recipe, train=(Source(cache),), validation=Source(again, split="validation"))
    with pytest.raises(ConfigError, match="photos are trained on, too, such as place-"):
        loop.fit(leaking, tmp_path / "run")
    loop.fit(replace(leaking, leaks="allow"), tmp_path / "run")


def test_caches_are_drawn_from_by_their_weights(recipe, cache, tmp_path):
    other = training_runs.cache(tmp_path, number=60, first=100)
    config = replace(recipe, train=(Source(cache, 3.0), Source(other, 1.0)), batch=1000)
    sets = [photoset.load(cache), photoset.load(other)]
    feed = Feed(config, sets)
    pixels, classes = feed.take(0)
    feed.close()
    first = {pixels.tobytes() for pixels in sets[0].pixels}
    assert 700 < sum(picture.numpy().tobytes() in first for picture in pixels) < 800
    assert all(200 < count < 300 for count in classes.bincount(minlength=4))


def test_small_groups_are_drawn_more_often_than_their_share(recipe, cache, monkeypatch):
    groups = ("few",) * 4 + ("many",) * 32
    photos = replace(photoset.load(cache), groups=groups)
    for power, share in ((0.0, 4 / 36), (-1.0, 1 / 2)):
        feed = Feed(replace(recipe, source_power=power, batch=2000, train=(Source(cache),)), [photos])
        pixels, _ = feed.take(3)
        feed.close()
        few = {pixels.tobytes() for pixels in photos.pixels[:4]}
        assert sum(p.numpy().tobytes() in few for p in pixels) / 2000 == pytest.approx(share, abs=0.04)


def test_batches_depend_on_the_step_and_the_process_alone(recipe, cache):
    sets = [photoset.load(cache, "train")]
    feed, other = Feed(recipe, sets), Feed(recipe, sets, rank=1)
    third = [feed.take(i) for i in range(4)][3]
    assert all(torch.equal(*pair) for pair in zip(third, feed.take(3), strict=True))
    assert not torch.equal(third[0], other.take(3)[0])
    feed.close()
    other.close()
