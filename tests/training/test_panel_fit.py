"""The fit of a panel on made evidence whose right weights are known."""

import numpy as np
import pytest
from orientd_training.evaluate import panel_fit
from orientd_training.evaluate.predictions import Shown, softmax

from orientd.judge.panel import Voice, fuse
from orientd.records import Evidence

WIDE = 1e6


def answers(seed, photos, **sharpness):
    """Scores of witnesses that are independent and calibrated once multiplied by `sharpness`, the right turn first.

    A witness's logits l are drawn so that softmax(l) is the true posterior: white noise plus its variance on the right turn.
    """
    random = np.random.default_rng(seed)
    right = np.array([1.0, 0, 0, 0])
    return {name: (random.normal(size=(photos, 4)) * np.sqrt(2.0) + 2.0 * right) / weight for name, weight in sharpness.items()}


def voices(scores, cut=WIDE, shares=None):
    return {voice.witness: voice for voice in panel_fit.fit(scores, shares, (cut,))}


def test_known_weights_are_found():
    found = voices(answers(1, 20_000, scene=1.0, things=0.5, faces=3.0))
    assert {name: voice.weight for name, voice in found.items()} == pytest.approx(
        {"scene": 1.0, "things": 0.5, "faces": 3.0}, rel=0.05
    )


def test_units_do_not_matter():
    scores = answers(2, 300, scene=1.0, faces=1.0)
    scaled = {"scene": scores["scene"], "faces": scores["faces"] * 1000}
    one, other = voices(scores), voices(scaled)
    assert other["faces"].weight * 1000 == pytest.approx(one["faces"].weight, rel=1e-4)
    assert other["scene"].weight == pytest.approx(one["scene"].weight, rel=1e-4)


def test_more_noise_means_less_weight():
    scores = answers(3, 5000, scene=1.0, faces=1.0)
    noise = np.random.default_rng(4).normal(size=(5000, 4))
    weights = [voices(scores | {"faces": scores["faces"] + level * noise})["faces"].weight for level in (0.0, 1.0, 3.0, 10.0)]
    assert weights == sorted(weights, reverse=True)
    assert weights[-1] < 0.1 < 0.9 < weights[0]


def test_a_witness_that_is_wrong_is_silenced_and_never_turned_around():
    scores = answers(5, 3000, scene=1.0, liar=1.0)
    scores["liar"] = -scores["liar"]
    found = voices(scores)
    assert found["liar"].weight == found["liar"].cap == 0
    assert found["scene"].weight == pytest.approx(1, rel=0.1)


def test_one_who_has_nothing_to_say_anywhere_changes_nothing():
    scores = answers(6, 1000, scene=1.0)
    found = voices(scores | {"faces": np.zeros((1000, 4))})
    assert found["scene"].weight == pytest.approx(voices(scores)["scene"].weight)


def test_a_few_photos_without_error_leave_the_weights_finite():
    (found,) = panel_fit.fit({"scene": np.array([[9.0, 0, 0, 0]] * 5)}, cuts=(WIDE,))
    assert 0 < found.weight < 10


def test_a_witness_that_is_sometimes_wildly_wrong_is_held_to_a_cap():
    scores = answers(7, 5000, scene=1.0, people=1.0)
    lying = np.arange(5000) % 20 == 0
    scores["people"][lying, 1] += 50
    found = {voice.witness: voice for voice in panel_fit.fit(scores, cuts=(2.0, 4.0, 8.0, WIDE))}
    assert found["people"].cap < 8
    free = panel_fit.fit(scores, cuts=(WIDE,))
    counts = np.ones(5000)
    held = panel_fit.fused(scores, tuple(found.values()))
    assert panel_fit.loss(held, counts) < panel_fit.loss(panel_fit.fused(scores, free), counts) - 0.01


def test_people_doubt_and_nobody_else():
    found = panel_fit.fit(answers(11, 300, scene=1.0, people=1.0, faces=1.0))
    assert {voice.witness: voice.doubt for voice in panel_fit.rounded(found)} == {"scene": 0, "people": 0.3, "faces": 0}


def test_photos_count_by_their_shares():
    scores = answers(8, 2000, scene=1.0, faces=2.0)
    twice = {name: np.concatenate([its, its[:500]]) for name, its in scores.items()}
    shares = np.ones(2000)
    shares[:500] = 2
    assert voices(scores, shares=shares)["faces"].weight == pytest.approx(voices(twice)["faces"].weight, rel=0.01)
    nothing = voices({name: np.concatenate([its, -its]) for name, its in scores.items()}, shares=np.repeat([1.0, 0.0], 2000))
    assert nothing["faces"].weight == pytest.approx(voices(scores)["faces"].weight, rel=0.01)


def test_what_is_fused_is_what_the_panel_fuses():
    scores = answers(9, 40, scene=1.0, things=0.5, faces=3.0)
    spoken = [Voice("scene", 1.1, 9.0), Voice("things", 0.4, 1.5), Voice("faces", 2.0, 3.0, 0.7)]
    spoken += [Voice("silent", 0.0, 0.0, 0.99), Voice("absent", 1.0, 1.0)]
    scores["silent"] = np.repeat(np.log([[3.0, 3.0, 3.0, 1.0]]), 40, axis=0)
    table = panel_fit.fused(scores, spoken)
    for row in range(40):
        evidence = [Evidence(name, tuple(its[row].tolist())) for name, its in scores.items()]
        assert table[row] == pytest.approx(fuse(evidence, spoken))
    assert panel_fit.fused(scores, ()) == pytest.approx(0.25)


def test_of_a_photo_shown_otherwise_the_panel_says_the_same_turned():
    fused = softmax(answers(10, 7, scene=1.0)["scene"])
    seen = Shown(np.zeros((7, 4, 4)), np.zeros((7, 4, 4)), np.zeros((7, 4, 8, 4)))
    second = panel_fit.heard(seen, fused).second
    for quarters in range(4):
        assert np.array_equal(second[:, quarters, quarters], fused[:, 0])
        assert np.array_equal(second[:, quarters, (quarters + 1) % 4], fused[:, 1])


def test_a_photo_counts_as_often_as_it_is_looked_at_again():
    first = np.zeros((2, 4, 4))
    first[0, :, 0] = (0.9, 0.2, 0.1, 0.6)
    first[1, :, 0] = 0.99
    seen = Shown(first, first, np.zeros((2, 4, 8, 4)))
    assert panel_fit.asked(seen, 0.5).tolist() == [2, 0]
    assert panel_fit.asked(seen, 0.95).tolist() == [4, 0]
