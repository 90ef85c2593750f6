"""A turn added to the edits of a photo, held against a picture that goes through them as Immich's source says."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.server_photos import pixels

from orientd.errors import Refused
from orientd.orientation import TURNS
from orientd.pipeline.immich.edits import EditedPhoto, checked, turned
from orientd.reasons import Reason

PICTURE = np.arange(7 * 5).reshape(5, 7)
CROP = {"action": "crop", "parameters": {"x": 1, "y": 1, "width": 4, "height": 3}}
MIRRORS = [{"action": "mirror", "parameters": {"axis": axis}} for axis in ("horizontal", "vertical")]
AFFINE = st.permutations([*MIRRORS, "rotate"])


@st.composite
def lists(draw):
    angle = draw(st.sampled_from(TURNS))
    affine = [{"action": "rotate", "parameters": {"angle": angle}} if one == "rotate" else one for one in draw(AFFINE)]
    kept = affine[: draw(st.integers(0, 3))]
    return ([CROP] if draw(st.booleans()) else []) + kept


def shown(edits):
    picture = PICTURE
    for edit in edits:
        given_ = edit["parameters"]
        if edit["action"] == "crop":
            picture = picture[given_["y"] : given_["y"] + given_["height"], given_["x"] : given_["x"] + given_["width"]]
        elif edit["action"] == "rotate":
            picture = np.rot90(picture, -given_["angle"] // 90)
        else:
            picture = picture[:, ::-1] if given_["axis"] == "horizontal" else picture[::-1]
    return picture


@given(lists(), st.sampled_from(TURNS))
def test_a_turn_is_added_to_what_is_shown(edits, turn):
    new = turned(edits, turn)
    assert np.array_equal(shown(new), np.rot90(shown(edits), -turn // 90))


@given(lists(), st.sampled_from(TURNS))
def test_what_the_server_takes_stays_what_it_takes(edits, turn):
    new = list(turned(edits, turn))
    assert checked(new) == tuple(new)
    assert [edit for edit in new if edit["action"] != "rotate"] == [edit for edit in edits if edit["action"] != "rotate"]
    assert 0 not in [edit["parameters"]["angle"] for edit in new if edit["action"] == "rotate"] or not turn


def test_a_turn_that_takes_another_back_leaves_none():
    assert turned(turned((), 90), 270) == ()


@given(lists())
def test_the_text_of_a_photo_leads_back_to_it(edits):
    photo = EditedPhoto("c2hh", checked(edits))
    assert EditedPhoto.parse(photo.text) == photo
    assert photo.sha256 != EditedPhoto("c2hb", checked(edits)).sha256
    shuffled = [dict(reversed(edit.items())) for edit in edits]
    assert EditedPhoto("c2hh", checked(shuffled)).text == photo.text


@pytest.mark.parametrize(
    "edits",
    [
        [{"action": "trim", "parameters": {}}],
        [{"action": "rotate", "parameters": {"angle": 45}}],
        [{"action": "rotate", "parameters": {"angle": 90, "about": "x"}}],
        [{"action": "rotate", "parameters": {"angle": 90}}, {"action": "rotate", "parameters": {"angle": 90}}],
        [{"action": "rotate", "parameters": {"angle": 90}}, CROP],
        [{"action": "crop", "parameters": {"x": 1.5, "y": 1, "width": 4, "height": 3}}],
        [{"action": ["rotate"], "parameters": {"angle": 90}}],
        [{"action": "mirror"}],
        ["rotate"],
        {"rotate": 90},
        None,
    ],
)
def test_an_edit_that_is_not_known_is_refused(edits):
    with pytest.raises(Refused) as caught:
        checked(edits)
    assert caught.value.code is Reason.UNUSUAL


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff", b"1", b'{"checksum": "x"}', b"[" * 100_000, b'{"edits": []}'])
def test_a_text_that_is_none_is_refused(text):
    with pytest.raises(Refused):
        EditedPhoto.parse(text)


def marked():
    """A picture that no turn and no mirror leaves as it is."""
    picture = np.zeros((320, 480, 3), np.uint8)
    picture[:160] += 120
    picture[:, :160] += 80
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=95)
    return out.getvalue()


@pytest.mark.parametrize("crop", [[], [{"action": "crop", "parameters": {"x": 40, "y": 60, "width": 400, "height": 200}}]])
def test_the_order_is_that_of_the_server(server, crop):
    photo = server.upload(marked())
    rotation = {"action": "rotate", "parameters": {"angle": 90}}
    for affine in (MIRRORS[:1], [rotation], [rotation, MIRRORS[0]], [MIRRORS[1], rotation], [MIRRORS[0], rotation, MIRRORS[1]]):
        server.edit(photo, crop + affine)
        before = pixels(server.preview(photo)).astype(int)
        server.edit(photo, list(turned(crop + affine, 270)))
        after = pixels(server.preview(photo)).astype(int)
        apart = {turn: np.abs(after - np.rot90(before, -turn // 90)).mean() for turn in TURNS}
        assert min(apart, key=apart.get) == 270
        assert apart[270] < 6 < min(apart[turn] for turn in (0, 90, 180)) / 2
