"""Where faces and things were seen: the same places of the picture, however it is turned or mirrored."""

from itertools import pairwise

import numpy as np
import pytest
from support import seen_by_witnesses as pictures

from orientd import orientation
from orientd.infer import registry
from orientd.infer.engine import VIEWS
from orientd.witnesses.opened import open_witnesses
from orientd.witnesses.views import Look


@pytest.fixture(scope="module")
def witnesses():
    return open_witnesses(registry.find("", registry.BUNDLED).open(), lambda said: None)


def marked(frames, shape):
    """A picture in which what is framed is 1."""
    height, width = shape
    picture = np.zeros(shape, int)
    for frame in frames:
        rows = slice(round(frame.top * height), round(frame.bottom * height))
        picture[rows, round(frame.left * width) : round(frame.right * width)] = 1
    return picture


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ["faces", "things"])
def test_what_is_framed_turns_with_the_picture(witnesses, name, view):
    picture = pictures.people()
    frames = witnesses[name].look(picture).frames
    assert 3 <= len(frames) < 20
    shown = orientation.apply(picture, view)
    there = marked(witnesses[name].look(shown).frames, shown.shape[:2])
    assert np.abs(there - orientation.apply(marked(frames, picture.shape[:2]), view)).mean() < 0.01, "but for rounding"


def test_faces_are_where_they_are(witnesses):
    """Three people side by side, their heads in the upper half."""
    faces = sorted(witnesses["faces"].look(pictures.people()).frames, key=lambda face: face.left)
    assert [face.what for face in faces] == ["face"] * 3
    assert all(0 <= face.left < face.right <= 1 and 0 <= face.top < face.bottom <= 1 for face in faces)
    assert all(one.right < other.left + 0.1 for one, other in pairwise(faces))
    assert max(face.top for face in faces) < 0.5


@pytest.mark.parametrize("turn", orientation.TURNS)
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_box_leads_back_to_its_place(turn, mirrored):
    picture = np.zeros((40, 60), np.uint8)
    picture[4:8, 10:30] = 1
    shown = orientation.apply(picture, orientation.from_turn(turn))
    shown = shown[:, ::-1] if mirrored else shown
    rows, columns = (np.flatnonzero(shown.any(axis)) for axis in (1, 0))
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)
    found = Look(turn, shown, mirrored).frame("mark", box, 0.5)
    assert found[1:5] == pytest.approx((10 / 60, 4 / 40, 30 / 60, 8 / 40))
    assert (found.what, found.sure) == ("mark", 0.5)
