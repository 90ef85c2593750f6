"""Close-ups of letters: every second one is shown upside down, and what is said of it is turned back."""

import numpy as np
import pytest
from support.drawn_pages import page

from orientd.decode.printed import SQUARE
from orientd.decode.straight import squared
from orientd.errors import ModelError
from orientd.witnesses import letters, opened
from orientd.witnesses.letters import Letters


class Corner:
    """Takes for upright what is dark in its upper left corner, and rather likes it so anyway."""

    def __init__(self):
        self.shown = []

    def __call__(self, pixels):
        self.shown.append(pixels[0])
        dark = pixels[0, 0, 0, 0] < 100
        return {"logits": np.array([[1.0 + 5.0 * dark, 9.0, 5.0 * (not dark), 9.0]], np.float32)}


def marked(quarters):
    """A close-up that `quarters` quarter turns clockwise make upright."""
    upright = np.full((8, 8, 3), 255, np.uint8)
    upright[0, 0] = 0
    return np.rot90(upright, quarters)


@pytest.mark.parametrize(("quarters", "odds"), [(0, 5.0), (2, -5.0)])
def test_what_is_said_of_a_turned_close_up_is_turned_back(quarters, odds):
    assert Letters(Corner()).read([marked(quarters)] * 4) == pytest.approx(odds)


def test_every_second_close_up_is_shown_upside_down():
    graph = Corner()
    Letters(graph).read([marked(0)] * 3)
    assert [bool(one[0, 0, 0] == 0) for one in graph.shown] == [True, False, True]


def test_they_are_cut_as_large_as_the_network_sees():
    assert letters.SIDE == SQUARE


@pytest.mark.parametrize("upside_down", [False, True])
def test_the_network_reads_a_drawn_page(upside_down):
    image = np.asarray(page())[80 : 80 + 2 * SQUARE, 80 : 80 + SQUARE]
    parts = [np.rot90(part, 2 * upside_down) for part in (image[:SQUARE], image[SQUARE:])]
    odds = opened.open_letters().read([squared(part, letters.SIDE) for part in parts])
    assert -odds > 2 if upside_down else odds > 2


def test_a_damaged_network_is_not_opened(tmp_path):
    (tmp_path / "letters.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="letters"):
        opened.open_letters(tmp_path)
