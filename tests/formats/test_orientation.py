import itertools

import numpy as np
import pytest
from PIL import Image, ImageOps

from orientd import orientation as group

ALL = range(1, 9)
PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def test_then_is_associative():
    for a, b, c in itertools.product(ALL, repeat=3):
        assert group.then(group.then(a, b), c) == group.then(a, group.then(b, c))


def test_upright_changes_nothing():
    for value in ALL:
        assert group.then(value, group.UPRIGHT) == value == group.then(group.UPRIGHT, value)


def test_inverse_takes_back_from_either_side():
    for value in ALL:
        assert group.then(value, group.inverse(value)) == group.UPRIGHT == group.then(group.inverse(value), value)


def test_the_eight_are_closed_and_do_not_commute():
    assert {group.then(a, b) for a, b in itertools.product(ALL, repeat=2)} == set(ALL)
    assert group.then(2, 6) != group.then(6, 2)


@pytest.mark.parametrize("value", ALL)
def test_apply_shows_what_pillow_shows(value):
    image = Image.fromarray(PIXELS)
    image.getexif()[0x0112] = value
    shown = group.apply(PIXELS, value)
    assert np.array_equal(shown, np.asarray(ImageOps.exif_transpose(image)))
    assert (shown.shape[:2] == (3, 2)) == group.swaps_sides(value)


def test_the_eight_show_eight_different_pictures():
    assert len({group.apply(PIXELS, value).tobytes() + bytes(group.apply(PIXELS, value).shape) for value in ALL}) == 8


def test_then_is_showing_one_after_the_other():
    for a, b in itertools.product(ALL, repeat=2):
        assert np.array_equal(group.apply(group.apply(PIXELS, a), b), group.apply(PIXELS, group.then(a, b)))


@pytest.mark.parametrize("turn", group.TURNS)
def test_turned_is_showing_turned(turn):
    for value in ALL:
        clockwise = np.rot90(group.apply(PIXELS, value), -turn // 90)
        assert np.array_equal(group.apply(PIXELS, group.turned(value, turn)), clockwise)


@pytest.mark.parametrize("stored", [None, 0, 9, -1, 65535])
def test_what_is_no_orientation_counts_as_upright(stored):
    assert group.normalise(stored) == 1
    assert group.turned(stored, 90) == 6
