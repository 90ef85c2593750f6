"""What is to be done with a page: turned by angle + turn it is upright, and what is not certain is left alone."""

from functools import partial
from math import log

import numpy as np
import pytest
from support.drawn_pages import levels, lying, page

from orientd.decode.printed import ink_box
from orientd.pages import judge as judging
from orientd.pages.judge import Finding, decided, judge
from orientd.pages.upright import Ask, which_way
from orientd.pipeline.page_run import make_ask
from orientd.reasons import Reason
from orientd.report.page_report import PageVerdict
from orientd.witnesses.opened import open_pages


@pytest.fixture(scope="module")
def ask():
    return make_ask()


def saying(*answers, letters=0.0):
    """An `Ask` that gives these probabilities of a turn of 0, one after the other; and the list of what it was shown."""
    shown, left = [], list(answers)

    def ask(picture):
        shown.append(picture)
        sure = left.pop(0) if len(left) > 1 else left[0]
        return (log(sure), *[log((1 - sure) / 3)] * 3), 5.0

    return Ask(ask, lambda closeups: letters), shown


def unlike_a_page(page, levels):
    return page(levels)[0], -5.0


def ways_of(straight, ask):
    ink = straight[ink_box(straight)]
    return which_way(ink, ask.page(ink)[0], ask)


@pytest.mark.parametrize("needs", [0, 90, 180, 270, 4, 183.5, 94.2, -85.5, 45.3])
def test_angle_and_turn_make_it_upright(ask, needs):
    found = judge(levels(lying(page(), needs)), ask)
    assert abs((found.angle + found.turn - needs + 180) % 360 - 180) < 0.15
    assert found.verdict is (PageVerdict.COPY if needs else PageVerdict.KEEP)
    assert (found.confidence > 0.9, found.code) == (True, None)


def test_a_blank_page_is_left(ask):
    found = judge(np.full((900, 700), 250, np.uint8), ask)
    assert (found.verdict, found.code, found.angle, found.turn) == (PageVerdict.UNSURE, Reason.NO_TEXT, None, None)


def test_noise_is_left(ask):
    found = judge(np.random.default_rng(0).integers(0, 255, (900, 700), np.uint8), ask)
    assert (found.verdict, found.code, found.angle) == (PageVerdict.UNSURE, Reason.NO_TEXT, None)


def test_what_has_no_certain_way_up_is_left():
    found = decided(3.0, 0.99, (0.4, 0.1, 0.4, 0.1))
    assert (found.verdict, found.code) == (PageVerdict.UNSURE, Reason.LOW_CONFIDENCE)


@pytest.mark.parametrize(
    ("angle", "turn", "quarters", "rest"),
    [
        (-90, 180, 90, 0),
        (-89.5, 90, 0, 0.5),
        (3, 180, 180, 3),
        (-3, 0, 0, -3),
        (-3, 180, 180, -3),
        (80, 270, 0, -10),
        (0, 0, 0, 0),
    ],
)
def test_a_turn_is_a_quarter_turn_and_a_rest(angle, turn, quarters, rest):
    found = Finding(PageVerdict.COPY, angle=angle, turn=turn)
    assert (found.quarters, found.rest) == (quarters, pytest.approx(rest))


@pytest.mark.parametrize(("angle", "verdict"), [(0.05, "keep"), (-0.05, "keep"), (0.2, "copy")])
def test_a_skew_that_nobody_sees_is_none(angle, verdict):
    assert decided(angle, 0.99, (0.99, 0.0, 0.01, 0.0)).verdict == verdict
    assert decided(angle, 0.99, (0.0, 0.0, 1.0, 0.0)).verdict == "copy"


class TestWhichWay:
    def test_a_certain_page_is_asked_whole(self):
        ask, shown = saying(0.93)
        found = judge(levels(page()), ask)
        assert (len(shown), found.confidence > 0.99, found.turn) == (1, True, 0)

    def test_an_uncertain_one_in_quarters_then_in_squares(self):
        ask, shown = saying(0.3)
        judge(levels(page()), ask)
        assert (len(shown), {part.shape for part in shown[5:]}) == (11, {(112, 112)})

    def test_quarters_may_suffice(self):
        ask, shown = saying(0.8, 0.99)
        ways = ways_of(np.asarray(page()), ask)
        assert (len(shown), sum(ways)) == (5, pytest.approx(1))

    def test_letters_that_rather_stand_upside_down_make_a_certain_page_less_so(self):
        ways = [ways_of(np.asarray(page()), saying(0.7, letters=letters)[0]) for letters in (0.0, -2.4)]
        assert ways[1][0] < ways[0][0] < 0.95
        assert ways[1][2] > 2 * ways[0][2]

    def test_letters_that_stand_upside_down_are_not_outweighed(self):
        ask, _ = saying(0.999, letters=-2.6)
        assert ways_of(np.asarray(page()), ask) == (0.25, 0.25, 0.25, 0.25)

    @pytest.mark.parametrize("place", range(4))
    def test_letters_that_stand_upright_deny_no_turn(self, place):
        scores = tuple(-0.05 if turn == place else -3.4 for turn in range(4))
        upright = np.asarray(page())
        ask = Ask(lambda picture: (scores, 5.0), lambda closeups: 7.0 if place < 2 else -7.0)
        ways = ways_of(np.rot90(upright, place), ask)
        assert (ways.index(max(ways)), max(ways) > 0.98) == (place, True)

    def test_letters_that_clearly_stand_upside_down_outweigh_the_whole(self):
        ask, _ = saying(0.93, letters=-8.0)
        ways = ways_of(np.asarray(page()), ask)
        assert (ways.index(max(ways)), ways[2] > 0.98) == (2, True)

    def test_letters_in_doubt_change_nothing(self):
        said = [ways_of(np.asarray(page()), saying(0.9, letters=letters)[0]) for letters in (-1.9, 0.0, 1.9)]
        assert said[0] == said[1] == said[2]

    def test_lines_in_which_letters_are_read_are_lines(self):
        ways = [ways_of(np.asarray(page()), saying(0.7, letters=letters)[0]) for letters in (1.9, 7.0)]
        columns = [(right + left) / (upright + down) for upright, right, down, left in ways]
        assert columns[0] > 2 * columns[1]

    def test_letters_that_stand_upright_make_a_page_certain(self):
        numbers = []
        for letters in (0.0, 7.0):
            ask, shown = saying(0.82, letters=letters)
            numbers.append((ways_of(np.asarray(page()), ask)[0] > 0.995, len(shown)))
        assert numbers == [(False, 11), (True, 1)]

    def test_letters_are_not_asked_which_way_lines_run(self):
        image, sure, unsure = np.asarray(page()), log(0.96), log(0.02)
        ask = Ask(lambda picture: ((unsure, sure, unsure / 2, unsure), 5.0), lambda closeups: 7.0)
        ways = ways_of(image, ask)
        assert (ways.index(max(ways)), max(ways) > 0.9) == (1, True)

    def test_close_ups_are_shown_with_their_lines_level(self):
        plumb, seen = np.rot90(np.asarray(page())), []
        ask = Ask(lambda picture: ((-9.0, -0.1, -9.0, -2.0), 5.0), lambda closeups: seen.extend(closeups) or 7.0)
        ways = ways_of(plumb, ask)
        assert (len(seen), {closeup.shape for closeup in seen}, ways[1] > 0.99) == (4, {(112, 112)}, True)
        for closeup in seen:
            ink = (closeup < 100).astype(float)
            assert ink.mean() > 0.02
            assert ink.mean(axis=1).std() > ink.mean(axis=0).std()

    def test_a_page_without_print_has_no_close_ups(self):
        ask = Ask(lambda picture: ((-0.1, -4.0, -4.0, -4.0), 5.0), lambda closeups: pytest.fail("there are none"))
        assert ways_of(np.full((300, 300), 250, np.uint8), ask)[0] > 0.9

    def test_where_no_angle_is_certain_no_parts_are_asked(self):
        ask, shown = saying(0.3)
        ask = ask._replace(page=partial(unlike_a_page, ask.page))
        found = judge(np.random.default_rng(0).integers(0, 255, (900, 700), np.uint8), ask)
        assert (len(shown), found.code) == (1, Reason.NO_TEXT)

    def test_the_first_square_is_where_most_is_printed(self):
        sheet = np.full((600, 500), 255, np.uint8)
        sheet[300:380, 200:290:6] = 0
        ask, shown = saying(0.3)
        ways_of(sheet, ask)
        assert (shown[5] == 0).sum() == (sheet == 0).sum()

    def test_it_is_shown_what_is_printed(self):
        image = np.asarray(page(lines=12))
        rows, columns = ink_box(image)
        assert (rows.start, columns.start) == (pytest.approx(80, abs=15), pytest.approx(80, abs=15))
        assert rows.stop < 600
        assert (image[rows, columns] < 100).sum() == (image < 100).sum()

    def test_a_line_is_not_squeezed_to_a_square(self):
        rows, columns = ink_box(np.asarray(page(lines=1)))
        assert (rows.stop - rows.start) > 0.3 * (columns.stop - columns.start)


def test_the_bounds_are_in_use(monkeypatch):
    monkeypatch.setattr(judging, "LEAST_CONFIDENCE", 0.999)
    assert decided(3.0, 0.99, (0.99, 0.01, 0.0, 0.0)).verdict is PageVerdict.UNSURE


def test_what_the_witness_hears_is_what_it_says_of_a_page():
    witness, shown = open_pages(), np.repeat(np.asarray(page())[..., None], 3, axis=2)
    scores, likeness = witness.hear(shown)
    assert (witness.look(shown).scores, likeness > 0) == (scores, True)
    noise = np.random.default_rng(0).integers(0, 255, (640, 480, 3), np.uint8)
    assert (witness.look(noise) is None) is (witness.hear(noise)[1] <= 0)
