"""Every setting that may change a judgement is in the key of the cache, or known to be harmless."""

from dataclasses import fields, replace

import pytest

from orientd.cli.options import JUDGING, WALKING, WRITING
from orientd.config import Config
from orientd.judge.policy import DEFAULT
from orientd.pipeline.cache_key import CacheKey

HARMLESS = {
    "provider": "every provider gives the same answers within the tolerance of the policy",
    "gpus": "which cards are used, not what they answer",
    "gpu_memory": "only memory",
    "max_memory": "when a photo is decoded, not how",
    "isolate": "where a photo is decoded, not how",
    "model": "its content counts, and is in the key as the id of the model",
    "workers": "only speed",
    "batch": "only speed: every photo is judged as if it were alone",
    "exclude": "which photos are judged",
    "exclude_file": "which photos are judged",
    "one_file_system": "which photos are judged",
    "mtime": "how a photo is written",
    "method": "asked of every row that is reused",
    "first_look": "in the key by what comes of it: whether thumbnails are looked at",
}
OTHERS = {
    "min_confidence": 0.123,
    "prior_upright": 0.321,
    "min_agreement": 0.777,
    "second_look_below": 0.444,
    "max_pixels": 12345,
    "max_bytes": 54321,
    "sidecar": "write",
    "sidecar_naming": "adobe",
    "hard_links": True,
    "formats": ("png",),
}


def key(
    config: Config = Config(),  # noqa: B008
    model_id: str = "model",
    witnesses: tuple[str, ...] = ("faces",),
    *,
    by_thumbnail: bool = False,
) -> str:
    return CacheKey.of(config, model_id, config.policy(), witnesses, by_thumbnail=by_thumbnail).id


def test_every_setting_of_judging_is_in_the_key_or_named_as_harmless():
    asked = {*JUDGING, *WALKING, *WRITING, "method", "first_look"}
    assert asked == HARMLESS.keys() | OTHERS.keys()
    assert not HARMLESS.keys() & OTHERS.keys()


@pytest.mark.parametrize(("name", "value"), OTHERS.items())
def test_another_value_is_another_key(name, value):
    assert getattr(Config(), name) != value
    assert key(replace(Config(), **{name: value})) != key()


def test_another_model_and_looks_at_thumbnails_are_other_keys():
    assert len({key(), key(model_id="another"), key(by_thumbnail=True)}) == 3


def test_other_witnesses_are_another_key():
    assert len({key(), key(witnesses=()), key(witnesses=("faces", "things"))}) == 3


def test_the_order_of_formats_makes_no_difference():
    assert key(replace(Config(), formats=("png", "jpeg"))) == key(replace(Config(), formats=("jpeg", "png")))


def test_every_field_is_in_the_id():
    made = CacheKey.of(Config(), "model", DEFAULT, (), by_thumbnail=False)
    for field in fields(CacheKey):
        assert replace(made, **{field.name: "other"}).id != made.id
