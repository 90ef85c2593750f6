"""Where a page ends: no letter is ever cut off, little of a dark table is left, and what is not certain is left whole."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from support.drawn_pages import TEXT

from orientd.decode.edges import page_box
from orientd.decode.page_changes import WHOLE

SIDE = 560
SHEET = (330, 420)
NOISE = np.random.default_rng(1).normal(0, 1, (SIDE, SIDE)).astype(np.float32)


class Photographed(NamedTuple):
    """Gray levels of a page on a table; where its letters are and where the page is, 255 each; the turn that it needs."""

    levels: np.ndarray
    letters: np.ndarray
    sheet: np.ndarray
    turn: tuple[int, float]


def sheet(ink: int = 40, paper: int = 225) -> tuple[Image.Image, Image.Image]:
    """A page written to the very edges, and its letters, black on white."""
    image, letters = Image.new("L", SHEET, paper), Image.new("L", SHEET, 255)
    font = ImageFont.load_default(12)
    for picture, level in ((image, ink), (letters, 0)):
        draw = ImageDraw.Draw(picture)
        for line in range(23):
            draw.text((4, 4 + line * 18), TEXT[line % 9 :][:54], fill=level, font=font)
    return image, letters


def photographed(page: Image.Image, letters: Image.Image, needs: float, at=(115, 70), table=40, grain=4) -> Photographed:
    """A page on a table, so that it needs a turn of `needs` degrees clockwise."""
    canvas = (table + grain * NOISE).clip(0, 255)
    image = Image.fromarray(canvas.astype(np.uint8))
    lies = {}
    for name, picture in (
        ("page", page),
        ("letters", letters.point(lambda level: 255 - level)),
        ("sheet", Image.new("L", SHEET, 255)),
    ):
        flat = Image.new("L", (SIDE, SIDE))
        flat.paste(picture, at)
        lies[name] = flat.rotate(needs, Image.Resampling.BILINEAR)
    image.paste(lies["page"], mask=lies["sheet"])
    quarters = round(needs / 90) % 4 * 90
    return Photographed(*map(np.asarray, (image, lies["letters"], lies["sheet"])), (quarters, needs - round(needs / 90) * 90.0))


def turned(levels: np.ndarray, turn: tuple[int, float]) -> Image.Image:
    return Image.fromarray(np.rot90(levels, -turn[0] // 90)).rotate(-turn[1], Image.Resampling.BILINEAR, expand=True)


def shares(scene: Photographed, box) -> tuple[float, float]:
    """Of the darkest pixels of letters the share that is cut off, and of what is left the share that is not the page."""
    letters, page = (turned(levels, scene.turn) for levels in (scene.letters, scene.sheet))
    sides = tuple(round(share * side) for share, side in zip(box, letters.size * 2, strict=True))
    all_ink, ink = (int((np.asarray(one) > 128).sum()) for one in (letters, letters.crop(sides)))
    left = np.asarray(page.crop(sides)) > 128
    return 1 - ink / all_ink, 1 - float(left.mean())


@settings(max_examples=20, deadline=None)
@given(
    needs=st.floats(-180, 180),
    x=st.integers(90, 140),
    y=st.integers(60, 80),
    table=st.integers(0, 90),
    grain=st.integers(0, 5),
    ink=st.integers(0, 110),
)
def test_a_page_on_a_dark_table_is_cropped_and_loses_no_letter(needs, x, y, table, grain, ink):
    scene = photographed(*sheet(ink), needs, (x, y), table, grain)
    lost, table_left = shares(scene, page_box(scene.levels, scene.turn))
    assert lost == 0
    assert table_left < 0.09  # seven pixels on each side


@settings(max_examples=20, deadline=None)
@given(
    needs=st.floats(-45, 45),
    shade=st.floats(0.25, 1),
    side=st.sampled_from(["left", "right", "upper", "lower"]),
    reach=st.integers(30, 240),
    table=st.integers(0, 200),
    ink=st.integers(0, 60),
)
def test_a_page_in_a_shadow_loses_no_letter(needs, shade, side, reach, table, ink):
    page, letters = sheet(ink)
    levels = np.asarray(page).astype(float)
    part = {
        "left": np.s_[:, :reach],
        "right": np.s_[:, -reach:],
        "upper": np.s_[:reach],
        "lower": np.s_[-reach:],
    }[side]
    levels[part] *= shade
    scene = photographed(Image.fromarray(levels.astype(np.uint8)), letters, needs, table=table)
    box = page_box(scene.levels, scene.turn)
    assert box is None or shares(scene, box)[0] == 0


def test_a_dark_banner_with_light_letters_is_no_table():
    page, letters = sheet()
    for picture in (page, letters):
        draw = ImageDraw.Draw(picture)
        draw.rectangle((0, 0, SHEET[0], 70), fill=20 if picture is page else 255)
        draw.text((20, 10), "READ ME FIRST", fill=200 if picture is page else 0, font=ImageFont.load_default(24))
    scene = photographed(page, letters, 4)
    assert shares(scene, page_box(scene.levels, scene.turn))[0] == 0


def test_a_scan_with_a_black_border_is_cropped():
    page, letters = sheet()
    scene = photographed(page, letters, 0, at=(0, 0), table=3, grain=1)
    left, upper, right, lower = page_box(scene.levels, scene.turn)
    assert (left, upper) == (0, 0)
    assert (right, lower) == pytest.approx((SHEET[0] / SIDE, SHEET[1] / SIDE), abs=0.02)


def test_a_page_that_fills_its_picture_stays_whole():
    assert page_box(np.asarray(sheet()[0]), (0, 0.0)) == WHOLE
    assert page_box(np.asarray(sheet()[0]), (0, 7.0)) == WHOLE
    assert page_box(np.full((300, 200), 240, np.uint8), (90, 0.0)) == WHOLE


@pytest.mark.parametrize("table", [150, 120], ids=["light", "gray"])
def test_a_table_that_is_not_dark_is_not_certain(table):
    scene = photographed(*sheet(), 5, table=table, grain=6)
    assert page_box(scene.levels, scene.turn) is None


def test_a_table_with_a_pattern_is_not_certain():
    scene = photographed(*sheet(), 5)
    checked = (np.indices((SIDE, SIDE)).sum(axis=0) // 40 % 2 * 110 + 10).astype(np.uint8)
    levels = np.where(scene.sheet > 0, scene.levels, checked)
    box = page_box(levels, scene.turn)
    assert box is None or box == WHOLE


def test_a_dark_picture_with_little_paper_is_not_certain():
    levels = np.full((900, 700), 20, np.uint8)
    levels[100:140, 100:600] = 230
    assert page_box(levels, (0, 0.0)) is None


def test_black_alone_has_no_page():
    assert page_box(np.zeros((300, 200), np.uint8), (0, 0.0)) in (None, WHOLE)


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (4, 900)])
def test_a_picture_of_a_few_pixels_has_an_answer(size):
    assert page_box(np.full(size, 200, np.uint8), (90, 3.0)) in (None, WHOLE)
