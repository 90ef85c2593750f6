"""What each witness brings: sets of witnesses, and the figures that are told of each."""

import numpy as np
import pytest
from orientd_training.evaluate import panel_table
from orientd_training.evaluate.panel_fit import heard
from orientd_training.evaluate.panel_table import ladder, left_unsure, lines, sets
from orientd_training.evaluate.panel_trial import Heard, folds, said_by_others
from orientd_training.evaluate.predictions import Looks, shown
from orientd_training.evaluate.score import judged

from orientd.judge.policy import Policy

POLICY = Policy(prior_upright=0.97, min_confidence=0.7, min_agreement=1, second_look_below=0.9)


@pytest.fixture(scope="module")
def everything():
    random, right = np.random.default_rng(3), np.array([1.0, 0, 0, 0])
    seen = random.normal(size=(240, 1, 4)) * 1.5 + 3 * right
    owners = tuple(f"owner-{i % 8}" for i in range(240))
    looks = Looks(seen + random.normal(size=(240, 8, 4)), tuple(f"{i}.jpg" for i in range(240)), owners)
    scores = {"things": random.normal(size=(240, 4)) * 0.5 + right, "dice": random.normal(size=(240, 4))}
    return Heard(looks, scores)


@pytest.fixture(scope="module")
def table(everything):
    return {line.witnesses: line for line in lines(everything, folds(everything.looks.groups), POLICY)}


def test_alone_with_each_all_and_without_each():
    assert sets(("a", "b", "c")) == [(), ("a",), ("b",), ("c",), ("a", "b", "c"), ("b", "c"), ("a", "c"), ("a", "b")]
    assert sets(("a",)) == [(), ("a",)]


def test_a_witness_that_helps_shows_in_every_column(table):
    nobody, dice, things, everybody = table[()], table["dice",], table["things",], table["things", "dice"]
    assert things.right > nobody.right + 0.05
    assert things.score.mended > nobody.score.mended + 0.02
    assert nobody.lacking > nobody.more
    assert (everybody.lacking, everybody.more) == (0, 0)
    assert dice.right == pytest.approx(nobody.right, abs=0.03)


def test_the_figures_are_those_of_the_policy(table, everything):
    part = folds(everything.looks.groups)
    its = judged(heard(shown(everything.looks), said_by_others(everything, part)), POLICY)
    assert table["things", "dice"].score == its.score()
    without = table["dice",]
    mended = without.score.mended * 3 * len(everything)
    assert mended + without.lacking - without.more == pytest.approx(its.score().mended * 3 * len(everything))


def test_more_false_turns_mend_no_less(table):
    for line in table.values():
        assert list(line.mended) == sorted(line.mended)


def test_a_ladder_keeps_to_its_counts(everything):
    seen = heard(shown(everything.looks), said_by_others(everything, folds(everything.looks.groups)))
    its = judged(seen, Policy(POLICY.prior_upright, 0.0, POLICY.min_agreement, POLICY.second_look_below))
    upright = np.sort(its.confidence[:, 0][its.fixed[:, 0]])[::-1]
    for count, mended in zip((0, 1), ladder(seen, POLICY, (0, 1)), strict=True):
        right = its.fixed[:, 1:] & (its.found[:, 1:] == (1, 2, 3)) & (its.confidence[:, 1:] > upright[count])
        assert mended == pytest.approx(right.mean())


def test_what_the_scene_alone_leaves_is_turned_and_not_mended(everything):
    seen = shown(everything.looks)
    unsure, its = left_unsure(seen), judged(seen, panel_table.DEFAULT)
    assert unsure[:, 1:].any()
    assert not unsure[:, 0].any()
    assert not (unsure & its.fixed).any()
