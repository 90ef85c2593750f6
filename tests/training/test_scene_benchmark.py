"""The table of what another scene network brings: its shares are those that the panel's own arithmetic gives."""

import numpy as np
import pytest
from orientd_training.evaluate.panel_fit import heard
from orientd_training.evaluate.panel_table import ladder
from orientd_training.evaluate.panel_trial import Heard, folds, said_by_others
from orientd_training.evaluate.predictions import Looks, shown
from orientd_training.evaluate.score import right

from benchmarks.scene.figures import alone, rows, together
from orientd.judge.policy import DEFAULT, Policy

USUAL = Policy(0.97, 0.7, 1, 0.6)


def scene(seed, number=200, owners=10):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (number, 1, 4)) + random.normal(0, 1, (number, 8, 4))
    logits[:, :, 0] += 4
    return Looks(logits, tuple(map(str, range(number))), tuple(f"owner {i % owners}" for i in range(number)))


def test_shares_are_those_of_the_panel_s_arithmetic():
    looks, other = scene(1), scene(2)
    its = Heard(looks, {"other": other.logits.mean(1)})
    part = folds(looks.groups)
    ways = [alone("alone", its), together("together", its, part, USUAL)]
    eight = shown(looks).second[:, 0]
    found = {row.name: row.figures for row in rows(ways, {way.name: eight for way in ways}, looks.groups, "alone")}
    seen, said = shown(looks), said_by_others(its, part)
    for name, spoken, answers, policy in (
        ("alone", seen, eight, DEFAULT),
        ("together", heard(seen, said), said, ways[1].policy),
    ):
        expected = [
            right(seen, 0).mean(),
            (eight.argmax(1) == 0).mean(),
            (answers.argmax(1) == 0).mean(),
            *ladder(spoken, policy),
        ]
        assert [figure.share for figure in found[name]] == pytest.approx(expected)
        assert all(low <= figure.share <= high for figure in found[name][:3] for low, high in [figure.interval])
    assert {figure.difference for figure in found["alone"]} == {(0, 0)}
    assert found["together"][2].difference[0] > 0  # two networks that err apart know more than one


def test_the_first_look_may_be_another_network_s():
    looks, other = scene(1), scene(2)
    its, first = Heard(looks, {}), Heard(other, {})
    way = together("both", its, folds(looks.groups), USUAL, first)
    assert np.array_equal(way.seen.first, shown(other).first)
    assert np.array_equal(way.seen.views, shown(looks).views)
    upright = (way.seen.first[:, 0, 0] < way.policy.second_look_below).mean()
    assert upright == pytest.approx(0.07, abs=0.01)
