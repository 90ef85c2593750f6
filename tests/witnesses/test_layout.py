"""How a look is described: means over thirds of the picture alone, whatever its size and what is around it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orientd.witnesses.layout import MAPS, features

SIDE = 416


def canvas(paint, height, width, channels=1):
    """The maps of a canvas whose picture has at each pixel what `paint` says of its row and column; 1000 around it."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(float)
    shown = np.where((rows < height) & (columns < width), paint(rows, columns), 1000)
    blocks = {name: shown.reshape(SIDE // side, side, SIDE // side, side).mean((1, 3)) for name, side in MAPS.items()}
    return {name: np.broadcast_to(block, (1, channels, *block.shape)).astype(np.float32) for name, block in blocks.items()}


@pytest.mark.parametrize(("height", "width"), [(416, 416), (416, 288), (288, 416), (96, 416)])
def test_each_third_has_its_own_mean(height, width):
    maps = canvas(lambda rows, columns: np.floor(3 * rows / height), height, width)
    found = features(maps, height, width).reshape(len(MAPS), 3)
    assert found[0] == pytest.approx([0, 1, 2], abs=0.12)  # a cell that two thirds share counts for both
    assert (np.diff(found, axis=1) > 0.5).all()


@given(st.integers(1, 13), st.integers(1, 13), st.floats(-5, 5))
def test_what_is_around_the_picture_counts_for_nothing(rows, columns, value):
    height, width = 32 * rows, 32 * columns
    found = features(canvas(lambda r, c: value + 0 * r, height, width, 2), height, width)
    assert found.shape == (1, 3 * 2 * len(MAPS))
    assert found == pytest.approx(np.full_like(found, value), abs=1e-4)


@given(st.integers(1, SIDE), st.integers(1, SIDE))
def test_a_picture_of_any_size_has_a_description(height, width):
    assert np.isfinite(features(canvas(lambda r, c: r + c, height, width), height, width)).all()


def test_channels_stay_apart_in_the_order_of_the_maps():
    maps = {name: np.arange(2, dtype=np.float32).reshape(1, 2, 1, 1) + 10 * place for place, name in enumerate(MAPS)}
    maps = {name: np.broadcast_to(each, (1, 2, SIDE // MAPS[name], SIDE // MAPS[name])) for name, each in maps.items()}
    assert features(maps, 416, 416)[0] == pytest.approx(np.repeat([0, 1, 10, 11, 20, 21], 3), rel=1e-5)
