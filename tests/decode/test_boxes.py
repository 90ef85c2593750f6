"""Sums over boxes are those of the boxes, whatever their sides."""

import numpy as np
import pytest

from orientd.decode.boxes import box_sums


@pytest.mark.parametrize("type_", [np.uint16, np.float32])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 4), (2, 3), (7, 25), (30, 40)])
def test_every_box_is_summed(height, width, type_):
    values = np.random.default_rng(1).integers(0, 50, (30, 40)).astype(type_)
    sums = box_sums(values, height, width)
    boxes = np.lib.stride_tricks.sliding_window_view(values, (height, width))
    assert sums.dtype == type_
    assert np.array_equal(sums, boxes.sum(axis=(2, 3)))
