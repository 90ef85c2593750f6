"""The policy, tested on its own: no model, no files."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orientd.judge.policy import Policy, decide, needs_second_look, with_prior
from orientd.orientation import TURNS
from orientd.records import Prediction, Verdict

POLICY = Policy(prior_upright=0.99, min_confidence=0.95, min_agreement=7, second_look_below=0.9)

probabilities = st.lists(st.floats(1e-6, 1), min_size=4, max_size=4).map(lambda p: tuple(x / sum(p) for x in p))
predictions = st.builds(Prediction, probabilities, st.lists(probabilities, min_size=8, max_size=8).map(tuple))


def sure_of(turn: int, share: float = 0.9999, agreeing: int = 8) -> Prediction:
    def row(best: int) -> tuple[float, float, float, float]:
        return tuple(share if t == best else (1 - share) / 3 for t in TURNS)

    return Prediction(row(turn), tuple(row(turn if view < agreeing else (turn + 90) % 360) for view in range(8)))


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_sure_turn_is_fixed(turn):
    decision = decide(sure_of(turn), POLICY)
    assert (decision.verdict, decision.turn) == (Verdict.FIX, turn)
    assert decision.confidence == pytest.approx(with_prior(sure_of(turn).probabilities, 0.99)[turn // 90])


def test_an_upright_photo_is_kept():
    assert decide(sure_of(0), POLICY).verdict is Verdict.KEEP


def test_views_that_disagree_are_unsure():
    decision = decide(sure_of(90, agreeing=6), POLICY)
    assert decision.verdict is Verdict.UNSURE
    assert "views disagree: 6 of 8" in decision.reason


def test_the_bounds_themselves_suffice_and_nothing_below_them():
    enough = sure_of(90, agreeing=POLICY.min_agreement)
    confidence = decide(enough, POLICY).confidence
    assert decide(enough, replace(POLICY, min_confidence=confidence)).verdict is Verdict.FIX
    assert decide(enough, replace(POLICY, min_confidence=math.nextafter(confidence, 1))).verdict is Verdict.UNSURE
    assert not needs_second_look(sure_of(0, share=POLICY.second_look_below), POLICY)
    assert needs_second_look(sure_of(0, share=math.nextafter(POLICY.second_look_below, 0)), POLICY)


def test_where_nothing_is_possible_the_prior_stands():
    assert with_prior((1, 0, 0, 0), 0.0) == [0, 1 / 3, 1 / 3, 1 / 3]


def test_the_prior_holds_back_a_weak_turn():
    assert decide(sure_of(180, share=0.97), POLICY).verdict is Verdict.UNSURE
    assert decide(sure_of(180, share=0.97), replace(POLICY, prior_upright=0.25)).verdict is Verdict.FIX


@given(predictions)
def test_a_turn_is_never_made_below_the_bounds(prediction):
    decision = decide(prediction, POLICY)
    best = max(range(4), key=prediction.probabilities.__getitem__)
    assert decision.turn == TURNS[best]
    if decision.verdict is Verdict.FIX:
        assert best != 0
        assert decision.confidence >= POLICY.min_confidence
        agreeing = sum(max(range(4), key=view.__getitem__) == best for view in prediction.by_view)
        assert agreeing >= POLICY.min_agreement
    else:
        assert decision.verdict is (Verdict.KEEP if best == 0 else Verdict.UNSURE)


@given(predictions, st.sampled_from(TURNS[1:]))
def test_a_photo_just_turned_is_not_turned_again(prediction, turn):
    """What eight views say of a photo, seen after its turn was mended: a second run must come to rest."""
    shift = turn // 90

    def seen_after(row):
        return row[shift:] + row[:shift]

    decision = decide(prediction, POLICY)
    after = Prediction(seen_after(prediction.probabilities), tuple(map(seen_after, prediction.by_view)))
    if decision.verdict is Verdict.FIX and decision.turn == turn:
        assert decide(after, POLICY).verdict is Verdict.KEEP


@given(probabilities, st.floats(0.25, 0.9999))
def test_the_prior_keeps_probabilities_probabilities(row, prior):
    posterior = with_prior(row, prior)
    assert sum(posterior) == pytest.approx(1)
    assert posterior[0] >= row[0] - 1e-12
    assert with_prior(row, 0.25) == pytest.approx(row)


def test_only_a_clearly_upright_first_look_is_enough():
    assert not needs_second_look(sure_of(0, share=0.95), POLICY)
    assert needs_second_look(sure_of(0, share=0.85), POLICY)
    assert needs_second_look(sure_of(90), POLICY)


def test_every_number_of_the_policy_is_in_its_id():
    changed = [
        replace(POLICY, prior_upright=0.9),
        replace(POLICY, min_confidence=0.9),
        replace(POLICY, min_agreement=8),
        replace(POLICY, second_look_below=0.8),
    ]
    assert len({policy.id for policy in [POLICY, *changed]}) == 5
