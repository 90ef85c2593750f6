"""The skew of a page: to a tenth of a degree in every direction, through shadows and noise, and none where there is none."""

import numpy as np
import pytest
from PIL import Image
from support.drawn_pages import levels, lying, page

from orientd.decode.skew import LEAST_CONFIDENCE, LEAST_SIDE, find_skew, gray

LIKE_A_PAGE, LIKE_NO_PAGE = 5.0, -5.0


def off(found: float, needed: float) -> float:
    """Degrees between two directions of lines."""
    return abs((found - needed + 90) % 180 - 90)


@pytest.fixture(scope="module")
def text():
    return page()


@pytest.mark.parametrize("needs", [-89, -67.3, -45.2, -44.8, -12.5, -0.3, 0, 0.1, 7, 30.4, 45, 60.6, 88.5])
def test_to_a_tenth_of_a_degree(text, needs):
    skew = find_skew(levels(lying(text, needs)))
    assert off(skew.angle, needs) < 0.1
    assert skew.confidence(LIKE_A_PAGE) > LEAST_CONFIDENCE


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_page_that_is_turned_has_the_angle_turned(text, turn):
    shown = levels(lying(text, 3.3))
    angle = find_skew(np.rot90(shown, turn // 90).copy()).angle  # counterclockwise
    assert off(angle, 3.3 + turn) < 0.1


def test_a_shadow_and_noise_do_not_mislead(text):
    shown = levels(lying(text, -8.6)).astype(float)
    shadow = np.linspace(0.35, 1, shown.shape[1]) * np.linspace(1, 0.7, shown.shape[0])[:, None]
    noise = np.random.default_rng(1).normal(0, 12, shown.shape)
    skew = find_skew((shown * shadow + noise).clip(0, 255).astype(np.uint8))
    assert off(skew.angle, -8.6) < 0.1


def test_a_straight_black_frame_does_not_mislead(text):
    shown = levels(lying(text, 5.2)).copy()
    for edge in (np.s_[:60], np.s_[-60:], np.s_[:, :60], np.s_[:, -60:]):
        shown[edge] = 0
    assert off(find_skew(shown).angle, 5.2) < 0.1


def test_white_on_black_is_text_as_well(text):
    assert off(find_skew(255 - levels(lying(text, 21))).angle, 21) < 0.1


@pytest.mark.parametrize(
    "shown",
    [np.full((700, 500), 255, np.uint8), np.zeros((700, 500), np.uint8), np.zeros((LEAST_SIDE - 1, 900), np.uint8)],
    ids=["white", "black", "small"],
)
def test_what_is_blank_or_small_has_none(shown):
    assert find_skew(shown) is None


def test_noise_gives_no_certain_angle():
    noise = np.random.default_rng(0).integers(0, 255, (900, 700), np.uint8)
    assert find_skew(noise).confidence(LIKE_NO_PAGE) < LEAST_CONFIDENCE / 2


def test_what_looks_like_no_page_is_doubted(text):
    skew = find_skew(levels(text))
    assert skew.confidence(LIKE_NO_PAGE) < skew.confidence(LIKE_A_PAGE)


def test_gray_levels_are_those_that_pillow_makes():
    steps = np.arange(0, 256, 3)
    colors = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, len(steps), 3).astype(np.uint8)
    assert (gray(colors) == np.asarray(Image.fromarray(colors).convert("L"))).all()
