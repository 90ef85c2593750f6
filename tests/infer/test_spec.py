"""What a model says about itself survives its JSON, old and new, and what cannot be is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orientd.errors import ModelError
from orientd.infer.spec import PRESETS, ModelSpec
from orientd.orientation import TURNS

levels = st.tuples(*3 * (st.floats(0.01, 1),))


@st.composite
def specs(draw):
    size = draw(st.integers(64, 1024))
    outside = draw(st.booleans())
    return ModelSpec(
        draw(st.text()),
        size,
        temperature=draw(st.floats(0.01, 100)),
        temperature_views=draw(st.floats(0.01, 100)),
        crop=draw(st.sampled_from([0, size, size - 2, size - 32])),
        mean=draw(levels) if outside else None,
        std=draw(levels) if outside else None,
        classes=tuple(draw(st.permutations(TURNS))),
    )


@given(specs())
def test_a_spec_comes_back_from_its_json(spec):
    assert ModelSpec.from_json(spec.to_json()) == spec
    assert hash(ModelSpec.from_json(spec.to_json())) == hash(spec)


def test_what_earlier_versions_wrote_is_read():
    text = '{"input_size": 192, "name": "mobilenetv2", "resize": "squash", "temperature": 0.7248, "temperature_views": 0.6554}'
    assert ModelSpec.from_json(text) == ModelSpec("mobilenetv2", 192, temperature=0.7248, temperature_views=0.6554)


def test_earlier_versions_can_read_what_they_can_serve():
    said = json.loads(ModelSpec("mobilenetv2", 192, temperature=0.7).to_json())
    assert said == {"name": "mobilenetv2", "input_size": 192, "temperature": 0.7}


def test_a_spec_knows_whether_it_was_calibrated():
    assert not ModelSpec("a", 192).calibrated
    assert ModelSpec("a", 192, temperature=0.7).calibrated
    assert ModelSpec("a", 192, temperature_views=0.7).calibrated
    assert not any(preset.calibrated for preset in PRESETS.values())


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"resize": "letterbox"}, "resize rule"),
        ({"input_size": 16}, "input size"),
        ({"temperature": 0}, "temperature"),
        ({"crop": 193}, "crop"),
        ({"crop": 161}, "crop"),  # an odd rim is wider on one side, and the eight views would not be of the same middle
        ({"crop": -2}, "crop"),
        ({"mean": [0.5, 0.5, 0.5]}, "normalisation"),
        ({"mean": [0.5, 0.5], "std": [1, 1]}, "normalisation"),
        ({"mean": [0, 0, 0], "std": [1, 0, 1]}, "normalisation"),
        ({"mean": [0, 0, float("nan")], "std": [1, 1, 1]}, "normalisation"),
        ({"classes": [0, 90, 180, 180]}, "four turns"),
        ({"classes": [0, 1, 2, 3]}, "four turns"),
        ({"mean": ["a", "b", "c"], "std": [1, 1, 1]}, "cannot be read"),
        ({"input_size": "192"}, "cannot be read"),
        ({"colours": 3}, "unknown fields .colours.: upgrade"),
    ],
)
def test_what_cannot_be_is_refused(values, complaint):
    with pytest.raises(ModelError, match=complaint):
        ModelSpec.from_json(json.dumps({"name": "a", "input_size": 192} | values))


@pytest.mark.parametrize("text", ["", "[]", "null", "3", "{}", '{"name": "a"}', '"text"'])
def test_what_is_no_spec_is_refused(text):
    with pytest.raises(ModelError):
        ModelSpec.from_json(text)
