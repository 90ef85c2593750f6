"""What is said of a model's figures: intervals, tests, comparisons and the search for a policy. The judges are judged first."""

from dataclasses import astuple, replace
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orientd_training.evaluate import calibrate, curves, mistakes
from orientd_training.evaluate import predictions as looks
from orientd_training.evaluate import score as evaluate
from orientd_training.evaluate.calibrate import Search
from orientd_training.evaluate.compare import compare
from orientd_training.evaluate.predictions import Looks, predictions, shown
from orientd_training.evaluate.statistics import bootstrap, poisson, sign_test, wilson

from orientd.errors import ConfigError
from orientd.judge.policy import Policy

POLICY = Policy(0.97, 0.72, 7, 0.9)


def drawn(seed=0, strength=4.0, number=120, groups=5, noise=2.0):
    """Looks of a model that is right as often as `strength` is large against `noise`."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, noise, (number, 1, 4)) + random.normal(0, noise / 2, (number, 8, 4))
    logits[:, :, 0] += strength
    return Looks(logits, tuple(f"{i}" for i in range(number)), tuple(f"album {i % groups}" for i in range(number)))


def misled(its, quarters=1, share=1.0):
    """The same looks of a model that takes every photo of the first `share` for one that needs `quarters` more."""
    logits = its.logits.copy()
    chosen = slice(0, int(share * len(its)))
    logits[chosen] = np.roll(logits[chosen], quarters, axis=-1)
    return replace(its, logits=logits)


def test_a_model_that_is_always_wrong_shows_as_wrong():
    good, bad = drawn(strength=9), misled(drawn(strength=9))
    found = compare(bad, good, POLICY)
    assert found.accuracy_eight_views.a == 0
    assert found.accuracy_eight_views.b == 1
    assert found.accuracy_eight_views.p < 1e-9
    assert found.false_per_1000.a > 800
    assert found.false_per_1000.higher > 90
    assert found.mended.difference < -0.8
    assert all(pair.p < 1e-9 for pair in found.by_turn)


def test_a_model_differs_in_nothing_from_itself():
    its = drawn()
    found = compare(its, its, POLICY)
    for pair in (found.accuracy_one_view, found.accuracy_eight_views, found.false_per_1000, found.mended, *found.by_turn):
        assert (pair.difference, pair.interval, pair.higher, pair.lower, pair.p) == (0, (0, 0), 0, 0, 1)


def test_comparing_the_other_way_round_says_the_same():
    one, two = drawn(1), drawn(2)
    there, back = compare(one, two, POLICY), compare(two, one, POLICY)
    for name in ("accuracy_one_view", "accuracy_eight_views", "false_per_1000", "mended", "worse"):
        a, b = getattr(there, name), getattr(back, name)
        assert (a.a, a.b, a.higher, a.lower, a.p) == (b.b, b.a, b.lower, b.higher, b.p)
        assert a.interval == pytest.approx([-bound for bound in b.interval[::-1]])


def test_a_few_photos_more_may_be_chance_and_many_may_not():
    its = drawn(strength=9)
    assert compare(its, misled(its, share=3 / 120), POLICY).accuracy_eight_views.p == 0.25
    assert compare(its, misled(its, share=12 / 120), POLICY).accuracy_eight_views.p == 2 / 2**12


def test_photos_are_matched_by_name_not_by_place():
    its = drawn()
    backwards = its.pick(list(range(len(its)))[::-1])
    assert compare(its, backwards, POLICY).accuracy_one_view.higher == 0
    with pytest.raises(ConfigError, match="different photos"):
        compare(its, its.pick([0, 1, 2]), POLICY)


def test_each_model_is_judged_at_its_own_temperature():
    its = drawn()
    flat = replace(its, temperature=50.0, temperature_views=50.0)
    found = compare(its, flat, POLICY)
    assert found.accuracy_eight_views.difference == 0
    assert found.mended.a > found.mended.b == 0


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_sign_test_is_the_binomial_one(better, worse):
    n, less = better + worse, min(better, worse)
    assert sign_test(better, worse) == pytest.approx(min(1, 2 * sum(comb(n, k) for k in range(less + 1)) / 2**n))
    assert sign_test(better, worse) == sign_test(worse, better)
    assert sign_test(better, better) == 1


def test_the_sign_test_of_many_photos():
    assert 0 <= sign_test(20_000, 1) < 1e-300
    assert sign_test(10_100, 9_900) == pytest.approx(0.1593, abs=1e-3)


def test_intervals_of_textbooks():
    """Garwood's table for 0, 3 and 10 events; Wilson's interval for 90 of 100."""
    assert poisson(0) == pytest.approx((0, 3.689), abs=1e-3)
    assert poisson(3) == pytest.approx((0.6187, 8.7673), abs=1e-3)
    assert poisson(10) == pytest.approx((4.7954, 18.3904), abs=1e-3)
    assert wilson(0.9, 100) == pytest.approx((0.8256, 0.9448), abs=1e-4)
    assert wilson(1.0, 10)[1] == pytest.approx(1)
    assert wilson(0.0, 0) == (0, 1)


def ratio(sums):
    return sums[:, 0] / sums[:, 1]


def test_the_bootstrap_is_the_same_by_the_same_seed():
    tallies = np.random.default_rng(3).random((60, 2))
    groups = [f"{i % 7}" for i in range(60)]
    assert bootstrap(tallies, groups, ratio, seed=4) == bootstrap(tallies, groups, ratio, seed=4)
    assert bootstrap(tallies, groups, ratio, seed=4) != bootstrap(tallies, groups, ratio, seed=5)


def test_the_bootstrap_draws_groups_not_photos():
    """Photos that are all alike within a group tell as little as one: the interval must not shrink with their number."""
    share = np.repeat(np.random.default_rng(0).random(12), 100)
    few, many = (np.stack([values, np.ones(len(values))], axis=1) for values in (share[::100], share))
    alone, together = [f"{i:04}" for i in range(1200)], [f"{i // 100:02}" for i in range(1200)]
    low, high = bootstrap(many, alone, ratio)
    assert high - low < 0.05
    low, high = bootstrap(many, together, ratio)
    assert high - low > 0.2
    assert (low, high) == pytest.approx(bootstrap(few, [f"{i:02}" for i in range(12)], ratio))
    assert bootstrap(many, ["one"] * 1200, ratio) is None


def test_a_calibrated_source_has_no_calibration_error():
    random = np.random.default_rng(1)
    confidence = random.uniform(0.3, 1, 200_000)
    right = (random.random(200_000) < confidence).astype(float)
    assert calibrate.expected_calibration_error(confidence, right) < 0.005
    assert calibrate.expected_calibration_error(confidence**2, right) > 0.1
    assert sum(count for *_, count in calibrate.reliability(confidence, right)) == 200_000


policies = st.builds(
    Policy,
    prior_upright=st.floats(0.25, 0.9999),
    min_confidence=st.sampled_from([0.0, *calibrate.CONFIDENCES.tolist()]) | st.floats(0, 1),
    min_agreement=st.integers(1, 8),
    second_look_below=st.floats(0, 1),
)


@settings(max_examples=150)
@given(
    policies,
    st.integers(0, 2**32 - 1),
    st.floats(0, 8),
    st.floats(0.1, 6),
    st.floats(0.2, 5),
    st.booleans(),
)
def test_judging_by_arrays_is_deciding_one_by_one(policy, seed, strength, noise, temperature, ties):
    its = replace(drawn(seed, strength, 12, 3, noise), temperature=temperature, temperature_views=temperature)
    if ties:  # answers that are equal to the bit: the first of them counts
        its = replace(its, logits=np.round(its.logits))
    seen = predictions(its, its.temperature, its.temperature_views)
    found = evaluate.judged(shown(its), policy)
    assert found.score() == evaluate.score(seen, its.groups, policy)
    for i, photo in enumerate(seen):
        for quarters, both in enumerate(photo):
            decision = evaluate.judge(both, policy)
            assert decision.turn == 90 * found.found[i, quarters]
            assert decision.confidence == pytest.approx(found.confidence[i, quarters], abs=1e-12)
            assert (decision.verdict == "fix") == found.fixed[i, quarters]


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.floats(0, 6))
def test_the_search_scores_as_decide_does(seed, strength):
    its = drawn(seed, strength, 20)
    search = Search(confidences=(0.5, 0.7, 0.9), agreements=(1, 6, 8), priors=(0.25, 0.97), second_looks=(0.0, 0.5, 0.95))
    tried = list(calibrate.policies(shown(its), POLICY, search))
    assert len({astuple(policy) for policy, _ in tried}) == len(tried) == 54
    seen = predictions(its, 1.0, 1.0)
    for policy, found in tried:
        assert found == evaluate.score(seen, its.groups, policy)


def test_the_frontier_is_what_no_policy_beats():
    tried = list(calibrate.policies(shown(drawn(5, 3.0, 400)), POLICY, Search(priors=calibrate.PRIORS)))
    best = calibrate.frontier(tried)
    assert len(best) > 3
    assert [score.false for _, score in best] == sorted({score.false for _, score in best})
    for _, score in tried:
        assert any(other.false <= score.false and other.mended >= score.mended for _, other in best)
    for bearable in (0, 10, 50):
        assert calibrate.best(tried, bearable)[1].mended == max(s.mended for _, s in best if s.false_per_1000 <= bearable)


def test_unbearable_models_have_no_policy():
    with pytest.raises(ConfigError, match="no policy keeps to 0"):
        calibrate.best([(POLICY, evaluate.Score(photos=10, false=3, mended=0.5, worse=0, second=0.1))], 0)


def test_the_curve_of_false_turns_meets_every_policy():
    """Whatever confidence is asked for, its false turns and share mended lie on the curve or below it."""
    seen = shown(drawn(6, 3.0, 300))
    curve = dict(curves.false_mended(seen, POLICY))
    for confidence in np.linspace(0, 0.999, 60):
        found = evaluate.judged(seen, replace(POLICY, min_confidence=float(confidence))).score()
        assert found.mended <= curve[1000 * found.false / 300] + 1e-12
    everything = evaluate.judged(seen, replace(POLICY, min_confidence=0.0)).score()
    assert max(curve) == pytest.approx(everything.false_per_1000)
    assert max(curve.values()) == pytest.approx(everything.mended)


def test_risk_falls_with_coverage_and_ends_at_the_error_rate():
    its = drawn(7, 3.0, 500)
    points = curves.risk_coverage(shown(its), 1)
    assert points[-1] == (1.0, pytest.approx(1 - evaluate.right(shown(its), 1).mean()))
    assert points[len(points) // 3][1] < points[-1][1]


def test_errors_are_all_wrong_answers_the_worst_first():
    its = misled(drawn(8, 6.0, 80), share=0.1)
    every = mistakes.cases(its, POLICY)
    wrong = mistakes.errors(every)
    found = evaluate.judged(shown(its), POLICY)
    assert len(every) == 320
    assert len(wrong) == int((found.found != evaluate.QUARTERS).sum()) > 0
    assert sum(case.what == "false turn" for case in wrong) == found.false.sum() > 0
    assert wrong[0].what == "false turn"
    assert sum(case.what == "mended" for case in every) == found.mended.sum()
    assert sum(case.what == "turned to another wrong side" for case in every) == found.worse.sum()
    worst = mistakes.worst(every, 3)
    assert worst.false == wrong[:3]
    assert all(len({case.photo for case in some}) == len(some) <= 3 for some in worst)
    assert all(case.verdict == "unsure" for case in worst.unsure)


def test_looks_of_some_groups_keep_their_temperatures():
    its = replace(drawn(), temperature=0.5)
    some = its.of({"album 1"})
    assert (set(some.groups), some.temperature, len(some)) == ({"album 1"}, 0.5, 24)
    assert np.array_equal(looks.shown(some).first, looks.shown(its).first[1::5])
