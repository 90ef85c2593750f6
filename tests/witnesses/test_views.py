"""The forms in which networks see a picture, exact sums, and boxes without doubles."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.seen_by_witnesses import noise

from orientd import orientation
from orientd.witnesses import views

TURNS = orientation.TURNS
FORMS = range(1, 9)


def small(pixels):
    """Not the same for turned pictures, as no library's resizing is."""
    return views.resized(pixels, max(1, pixels.shape[1] // 2), max(1, pixels.shape[0] // 2))


@given(st.integers(0, 99), st.integers(1, 40), st.integers(1, 40), st.integers(1, 8), st.sampled_from(TURNS))
@settings(deadline=None)
def test_a_turned_picture_is_seen_in_the_same_forms_at_other_turns(seed, height, width, cell, turn):
    picture = noise(seed, height, width, cell)
    other = orientation.apply(picture, orientation.from_turn(turn))
    for mirrors in (True, False):
        looks = {look.turn: look for look in views.turned(picture, small, mirrors=mirrors)}
        for look in views.turned(other, small, mirrors=mirrors):
            same = looks[(look.turn + turn) % 360]
            assert np.array_equal(look.pixels, same.pixels)
            assert look.mirrored == same.mirrored


@given(st.integers(0, 99), st.integers(1, 40), st.integers(1, 40), st.sampled_from(FORMS))
@settings(deadline=None)
def test_looks_show_what_they_say(seed, height, width, form):
    picture = orientation.apply(noise(seed, height, width, 1), form)
    for look in views.turned(picture, lambda pixels: pixels):
        shown = orientation.apply(picture, orientation.from_turn(look.turn))
        assert np.array_equal(look.pixels, shown[:, ::-1] if look.mirrored else shown)
    for look in views.turned(picture, lambda pixels: pixels, mirrors=False):
        assert np.array_equal(look.pixels, orientation.apply(picture, orientation.from_turn(look.turn)))
        assert not look.mirrored


def test_all_forms_of_a_picture_are_looked_at_by_the_same_four_arrays():
    picture = noise(1, 30, 50, 3)
    seen = {look.pixels.tobytes() for look in views.turned(picture, small)}
    assert len(seen) == 4
    for form in FORMS:
        assert {look.pixels.tobytes() for look in views.turned(orientation.apply(picture, form), small)} == seen


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("more", TURNS)
def test_what_mends_a_look_mends_the_picture(turn, more, mirrored):
    picture = noise(2, 9, 9, 1)
    shown = orientation.apply(picture, orientation.from_turn(turn))
    look = views.Look(turn, shown[:, ::-1] if mirrored else shown, mirrored)
    mended = orientation.apply(look.pixels, orientation.from_turn(more))
    expected = orientation.apply(picture, orientation.from_turn(look.turned_by(more)))
    assert np.array_equal(mended, expected[:, ::-1] if mirrored else expected)


@given(st.lists(st.tuples(st.sampled_from(TURNS), st.floats(0, 1))), st.randoms())
def test_sums_do_not_depend_on_the_order(found, random):
    before = views.by_turn(found)
    random.shuffle(found)
    assert views.by_turn(found) == before
    assert before == tuple(math.fsum(amount for turn, amount in found if turn == each) for each in TURNS)


def test_boxes_that_overlap_a_surer_one_are_dropped():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [0, 0, 10, 10], [6, 0, 16, 10]], np.float32)
    scores = np.array([0.8, 0.9, 0.3, 0.85, 0.5], np.float32)
    assert views.distinct(boxes, scores, 0.45).tolist() == [1, 4, 2]
    assert views.distinct(boxes, scores, 0.2).tolist() == [1, 2]
    assert views.distinct(boxes[:0], scores[:0], 0.45).tolist() == []


@pytest.mark.parametrize(
    ("size", "side", "expected"), [((640, 480), 416, (416, 312)), ((2, 400), 100, (1, 100)), ((5, 5), 10, (10, 10))]
)
def test_a_scaled_picture_keeps_its_aspect(size, side, expected):
    width, height = size
    assert views.scaled(noise(0, height, width, 1), side).shape == (expected[1], expected[0], 3)


def test_a_picture_is_made_smaller_but_not_larger():
    assert views.within(noise(0, 30, 40, 1), 50).shape == (30, 40, 3)
    assert views.within(noise(0, 30, 40, 1), 20).shape == (15, 20, 3)


def test_a_padded_picture_lies_in_the_corner_or_in_the_middle():
    picture = noise(0, 3, 4, 1)
    corner, middle = views.padded(picture, 7, 8, 114), views.padded(picture, 7, 8, 0, centered=True)
    assert np.array_equal(corner[:3, :4], picture)
    assert np.array_equal(middle[2:5, 2:6], picture)
    assert (int(corner.sum() - picture.sum()), int(middle.sum() - picture.sum())) == (114 * 3 * (56 - 12), 0)


def test_planes_are_blue_green_red():
    assert views.planes(np.array([[[1, 2, 3]]], np.uint8)).tolist() == [[[[3.0]], [[2.0]], [[1.0]]]]
    assert views.cells(3, 2).tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]]
