"""Cross-fitting of a panel: whole owners, none judged by what was fitted on it, and what another witness brings."""

from dataclasses import replace

import numpy as np
import pytest
from orientd_training.evaluate import panel_trial
from orientd_training.evaluate.calibrate import Search
from orientd_training.evaluate.panel_fit import fused
from orientd_training.evaluate.panel_trial import Heard, crossed, folds, panel, said_by_others, spoken, voices
from orientd_training.evaluate.predictions import Looks

from orientd.errors import ConfigError
from orientd.judge.policy import Policy

pytestmark = pytest.mark.usefixtures("bearable")
START = Policy(prior_upright=0.99, min_confidence=0.5, min_agreement=1, second_look_below=0.9)
SEARCH = Search(agreements=(1, 6), confidences=(0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999))
OWNERS = tuple(f"owner-{i % 12}" for i in range(360))


@pytest.fixture
def bearable(monkeypatch):
    """Drawn at random, these photos ask for more second looks than real ones, and err more."""
    monkeypatch.setattr(panel_trial, "SECOND_LOOKS", 0.3)
    monkeypatch.setattr(panel_trial, "MOST_WORSE", 0.1)


def heard(seed=0, helpful=True):
    """360 photos of 12 owners; the scene is right about most, the things about others."""
    random = np.random.default_rng(seed)
    right = np.array([1.0, 0, 0, 0])
    seen = random.normal(size=(360, 1, 4)) * 1.5 + 4 * right
    looks = Looks(seen + random.normal(size=(360, 8, 4)), tuple(f"{i}.jpg" for i in range(360)), OWNERS)
    return Heard(looks, {"things": random.normal(size=(360, 4)) * 0.5 + helpful * right})


def test_owners_stay_whole_and_parts_are_about_equal():
    owners = ["big"] * 50 + [f"small-{i % 20}" for i in range(200)]
    part = folds(owners, 5)
    assert all(len(set(part[np.array(owners) == owner])) == 1 for owner in set(owners))
    assert sorted(np.bincount(part)) == [50] * 5
    assert (folds(owners, 5, seed=1) != part).any()


def test_too_few_owners_are_an_error():
    with pytest.raises(ConfigError, match="3 owners, too few for 5"):
        folds(["a", "b", "c"], 5)


def test_nothing_of_what_is_judged_is_in_what_was_fitted():
    its, part = heard(), folds(OWNERS)
    before = crossed(its, part, START, 5.0, SEARCH)
    scores = {"things": np.where((part == 2)[:, None], its.scores["things"][:, ::-1] * 9, its.scores["things"])}
    logits = np.where((part == 2)[:, None, None], its.looks.logits[..., ::-1], its.looks.logits)
    changed = Heard(Looks(logits, its.looks.names, its.looks.groups), scores)
    after = crossed(changed, part, START, 5.0, SEARCH)
    assert after.panels[2] == before.panels[2]
    assert all(after.panels[i] != before.panels[i] for i in (0, 1, 3, 4))
    assert not np.allclose(after.probabilities[part == 2], before.probabilities[part == 2])


def test_what_others_say_is_said_by_voices_that_were_fitted_without_the_photo():
    its, part = heard(), folds(OWNERS)
    said = said_by_others(its, part)
    for number in range(5):
        without = voices(its.pick(part != number))
        assert without != voices(its)
        assert np.array_equal(said[part == number], fused(its.pick(part == number).all_scores(), without))


def test_each_part_is_judged_by_its_own_panel():
    its, part = heard(), folds(OWNERS)
    found = crossed(its, part, START, 5.0, SEARCH)
    for number, made in enumerate(found.panels):
        mine = its.pick(part == number)
        again = panel_trial.judged(spoken(mine, made.voices), made.policy)
        assert np.array_equal(found.judged.fixed[part == number], again.fixed)
        assert np.array_equal(found.judged.confidence[part == number], again.confidence)


def test_a_witness_that_helps_is_heard_and_one_that_guesses_is_not():
    for helpful in (True, False):
        its = heard(helpful=helpful)
        by = {voice.witness: voice for voice in panel(its, folds(OWNERS), START, 5.0, SEARCH).voices}
        assert (by["things"].weight > 1) is helpful
        alone, together = (said_by_others(those, folds(OWNERS)).argmax(1) == 0 for those in (its.of([]), its))
        gain = together.mean() - alone.mean()
        assert bool(gain > 0.03) is helpful
        assert gain > -0.02


def test_no_policy_that_keeps_to_what_is_allowed_is_an_error():
    with pytest.raises(ConfigError, match="no policy keeps to 0"):
        panel(heard(), folds(OWNERS), START, 0.0, Search(agreements=(1,), confidences=(0.0,)))


def test_second_looks_and_turns_to_a_wrong_side_are_bounded(monkeypatch):
    its, part = heard(), folds(OWNERS)
    free = panel(its, part, START, 5.0, SEARCH).policy
    first = panel_trial.shown(its.looks).first[:, 0, 0]
    assert (first < free.second_look_below).mean() == pytest.approx(0.3, abs=0.02)
    monkeypatch.setattr(panel_trial, "MOST_WORSE", 0.001)
    assert panel(its, part, START, 5.0, SEARCH).policy.min_confidence > free.min_confidence
    monkeypatch.setattr(panel_trial, "MOST_WORSE", -1.0)
    with pytest.raises(ConfigError, match="every policy turns more than"):
        panel(its, part, START, 5.0, SEARCH)


def test_no_upright_photo_escapes_by_a_hair(monkeypatch):
    its, part, start = heard(), folds(OWNERS), replace(START, prior_upright=0.5)
    search = Search(agreements=(1,), confidences=tuple(np.arange(0.3, 0.99, 0.01)))
    monkeypatch.setattr(panel_trial, "MOST_WORSE", 1.0)
    chosen = panel(its, part, start, 5.0, search).policy.min_confidence
    monkeypatch.setattr(panel_trial, "MARGIN", 1.0)
    bolder = panel(its, part, start, 5.0, search).policy.min_confidence
    odds = [p / (1 - p) for p in (chosen, bolder)]
    assert 1.1 < odds[0] / odds[1] < 1.3


def test_what_voices_fitted_on_others_turn_by_mistake_counts(monkeypatch):
    its, part = heard(), folds(OWNERS)
    monkeypatch.setattr(panel_trial, "MOST_WORSE", 1.0)
    monkeypatch.setattr(panel_trial, "said_by_others", lambda *_: np.tile((0.0, 1.0, 0.0, 0.0), (360, 1)))
    with pytest.raises(ConfigError, match="no policy keeps to 5"):
        panel(its, part, START, 5.0, SEARCH)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_fitted_on_all_turns_no_more_by_mistake_than_is_allowed_either(seed, monkeypatch):
    its, part = heard(seed), folds(OWNERS)
    made, others = panel(its, part, START, 5.0, SEARCH), said_by_others(its, part)
    assert panel_trial.judged(spoken(its, made.voices), made.policy).score().false_per_1000 <= 5
    monkeypatch.setattr(panel_trial, "said_by_others", lambda *_: others)
    monkeypatch.setattr(panel_trial, "voices", lambda _: tuple(replace(voice, weight=99, cap=99) for voice in made.voices))
    with pytest.raises(ConfigError, match="no policy keeps to 5"):
        panel(its, part, START, 5.0, SEARCH)
