"""The panel's weighing: equivariant to the bit, monotone, capped, silent where nothing is said; and no question too many."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orientd.errors import ModelError
from orientd.judge import panel
from orientd.judge.panel import PanelSpec, Voice, deliberate, fuse, is_settled
from orientd.judge.policy import Policy, decide
from orientd.records import Evidence, Prediction, Scores, Verdict

POLICY = Policy(prior_upright=0.99, min_confidence=0.9, min_agreement=7, second_look_below=0.5)
NAMES = ("scene", "pages", "things", "faces")

scores = st.tuples(*[st.floats(-30, 30)] * 4)
near = st.tuples(*[st.floats(-2, 2).map(math.sin)] * 4)
"""Scores of which each counts, and with all their bits."""
evidence = st.lists(st.sampled_from(NAMES), unique=True).flatmap(
    lambda names: st.tuples(*(st.builds(Evidence, st.just(name), scores) for name in names))
)
voices = st.tuples(*(st.builds(Voice, st.just(name), st.floats(0, 3), st.floats(0, 20), st.floats(0, 0.99)) for name in NAMES))
without_doubts = st.tuples(*(st.builds(Voice, st.just(name), st.floats(0, 3), st.floats(0, 20)) for name in NAMES))


def turned(values: Scores, by: int) -> Scores:
    a, b, c, d = (values[(turn - by) % 4] for turn in range(4))
    return a, b, c, d


@given(evidence, voices, st.integers(0, 3))
def test_a_turned_photo_gets_the_turned_answer_to_the_bit(said: tuple[Evidence, ...], of: tuple[Voice, ...], by: int) -> None:
    again = [Evidence(one.witness, turned(one.scores, by)) for one in said]
    assert fuse(again, of) == turned(fuse(said, of), by)


@given(evidence, voices)
def test_the_order_of_the_witnesses_does_not_matter(said: tuple[Evidence, ...], of: tuple[Voice, ...]) -> None:
    assert fuse(said[::-1], of[::-1]) == fuse(said, of)


@given(evidence, without_doubts, st.integers(0, 3), st.floats(0, 10), st.data())
def test_who_speaks_more_for_a_turn_never_makes_it_less_probable(
    said: tuple[Evidence, ...], of: tuple[Voice, ...], turn: int, more: float, data: st.DataObject
) -> None:
    if not said:
        return
    which = data.draw(st.integers(0, len(said) - 1))
    raised = list(said[which].scores)
    raised[turn] += more
    a, b, c, d = raised
    louder = [*said[:which], Evidence(said[which].witness, (a, b, c, d)), *said[which + 1 :]]
    assert fuse(louder, of)[turn] >= fuse(said, of)[turn] - 1e-12


@given(evidence, voices)
def test_a_silent_witness_changes_nothing(said: tuple[Evidence, ...], of: tuple[Voice, ...]) -> None:
    silent = Evidence("faces", (1.0, 1.0, 1.0, 1.0))
    others = [one for one in said if one.witness != "faces"]
    assert fuse([*others, silent], of) == fuse(others, of)
    assert fuse([*others, Evidence("nobody", (9.0, 0.0, 0.0, 0.0))], of) == fuse(others, of)


def test_no_one_says_more_than_the_cap() -> None:
    loud = Evidence("faces", (0.0, 1000.0, 0.0, 0.0))
    p = fuse([loud], [Voice("faces", 1.0, 2.0)])
    assert math.log(p[1] / p[0]) == pytest.approx(2.0)


def test_nothing_said_is_even() -> None:
    assert fuse([], [Voice("scene", 1.0, 9.0)]) == (0.25,) * 4


def prediction(*probabilities: float, agreeing: int = 8) -> Prediction:
    a, b, c, d = probabilities
    best = max(range(4), key=probabilities.__getitem__)
    other = tuple(float(turn == (best + 1) % 4) for turn in range(4))
    views = ((a, b, c, d),) * agreeing + ((other[0], other[1], other[2], other[3]),) * (8 - agreeing)
    return Prediction((a, b, c, d), views)


@given(evidence, voices, st.integers(1, 8), st.data())
def test_what_is_settled_stays_whatever_is_said(
    said: tuple[Evidence, ...], of: tuple[Voice, ...], agreeing: int, data: st.DataObject
) -> None:
    seen = prediction(*fuse(said, of), agreeing=agreeing)
    waiting = [voice for voice in of if voice.witness not in {one.witness for one in said}]
    if not is_settled(seen, said, of, POLICY, waiting):
        return
    later = [*said, *(Evidence(voice.witness, data.draw(scores)) for voice in waiting)]
    first, last = (decide(Prediction(fuse(each, of), seen.by_view), POLICY) for each in (said, later))
    assert last.verdict is first.verdict
    assert last.turn == first.turn or first.verdict is Verdict.KEEP


def settled(scene: Prediction, *waiting: Voice) -> bool:
    return is_settled(scene, [panel.scene(scene)], [Voice("scene", 1.0, 99.0), *waiting], POLICY, waiting)


def test_what_is_open_is_not_settled() -> None:
    sure, torn = prediction(0.001, 0.997, 0.001, 0.001), prediction(0.2, 0.6, 0.1, 0.1)
    assert decide(sure, POLICY).verdict is Verdict.UNSURE  # the prior: 0.9 is asked
    assert settled(sure, Voice("faces", 1.0, 0.1))
    assert not settled(sure, Voice("faces", 1.0, 3.0))
    assert not settled(torn, Voice("faces", 1.0, 3.0))


EVEN = Policy(prior_upright=0.25, min_confidence=0.9, min_agreement=7, second_look_below=0.5)


@pytest.mark.parametrize(
    ("seen", "voice", "now"),
    [
        (prediction(0.05, 0.85, 0.05, 0.05), Voice("faces", 1.0, 0.6), Verdict.UNSURE),  # it may gain on all others at once
        (prediction(0.03, 0.91, 0.03, 0.03), Voice("faces", 1.0, 0.2), Verdict.FIX),  # it may lose to all others at once
        (prediction(0.05, 0.5, 0.4, 0.05), Voice("faces", 1.0, 0.6), Verdict.UNSURE),  # of another turn
        (prediction(0.05, 0.85, 0.05, 0.05), Voice("people", 1.0, 0.6, 0.9), Verdict.UNSURE),  # the doubt may not come
    ],
)
def test_every_way_in_which_a_decision_may_change_is_thought_of(seen: Prediction, voice: Voice, now: Verdict) -> None:
    assert decide(seen, EVEN).verdict is now
    voices = [Voice("scene", 1.0, 99.0), voice]
    assert not is_settled(seen, [panel.scene(seen)], voices, EVEN, [voice])
    assert is_settled(seen, [panel.scene(seen)], voices, EVEN, [])


def test_a_doubt_that_may_still_come_is_waited_for() -> None:
    sure = prediction(0.00004, 0.99988, 0.00004, 0.00004)
    assert decide(sure, POLICY).verdict is Verdict.FIX
    assert settled(sure, Voice("people", 1.0, 0.01))
    assert not settled(sure, Voice("people", 1.0, 0.01, 0.5))


def test_between_two_turns_that_are_favored_alike_the_gap_becomes_smaller_and_nothing_else_does() -> None:
    logits, torn = (-4.0, 0.0, -9.0, -9.0), Evidence("people", (0.0, 0.0, -99.0, -99.0))
    shares = panel.doubts([torn], [Voice("people", 1.0, 1.0, 0.3)])
    assert shares == pytest.approx((0.3, 0, 0, 0))
    assert panel.doubted(logits, shares) == pytest.approx((-2.8, 0, -9, -9))
    opposite = Evidence("people", (0.0, -99.0, 0.0, -99.0))
    assert panel.doubts([opposite], [Voice("people", 1.0, 1.0, 0.3)]) == pytest.approx((0, 0, 0, 0))
    assert panel.doubts([torn], [Voice("people", 1.0, 1.0)]) == (0, 0, 0, 0)
    assert panel.doubts([torn], [Voice("people", 0.0, 1.0, 0.3)]) == (0, 0, 0, 0), "it is silent"


@given(near, st.integers(0, 3))
def test_of_a_turned_photo_the_same_is_doubted_to_the_bit(said: Scores, by: int) -> None:
    voice = Voice("people", 1.0, 1.0, 0.3)
    assert voice.doubts(turned(said, by)) == turned(voice.doubts(said), by)
    assert all(0 <= share <= 0.3 for share in voice.doubts(said))


def test_the_larger_of_two_doubts_counts() -> None:
    torn, sure = Evidence("people", (0.0, 0.0, -99.0, -99.0)), Evidence("faces", (0.0, -99.0, -99.0, -99.0))
    voices = [Voice("people", 1.0, 1.0, 0.3), Voice("faces", 1.0, 1.0, 0.9)]
    assert panel.doubts([torn, sure], voices) == pytest.approx((0.3, 0, 0, 0))


@given(scores, st.tuples(*[st.floats(0, 1)] * 4))
def test_a_doubt_never_makes_another_turn_the_favorite(logits: Scores, shares: Scores) -> None:
    found = panel.doubted(logits, shares)
    assert found[logits.index(max(logits))] == max(found)
    assert all(after >= before for after, before in zip(found, logits, strict=True))


def asked(name: str, values: Scores | None, log: list[str]) -> tuple[str, Callable[[], Evidence | None]]:
    def ask() -> Evidence | None:
        log.append(name)
        return Evidence(name, values) if values else None

    return name, ask


VOICES = (Voice("scene", 1.0, 9.0), Voice("pages", 1.0, 3.0), Voice("things", 1.0, 3.0), Voice("faces", 0.0, 3.0))


def test_the_panel_asks_until_it_is_sure() -> None:
    log: list[str] = []
    questions = [asked("pages", (0, 9, 0, 0), log), asked("things", (0, 9, 0, 0), log)]
    found = deliberate(prediction(0.01, 0.97, 0.01, 0.01), questions, VOICES, POLICY)
    assert log == ["pages", "things"]
    assert [one.witness for one in found.evidence] == ["scene", "pages", "things"]
    assert (found.decision.verdict, found.decision.turn) == (Verdict.FIX, 90)


def test_the_panel_asks_nobody_when_nothing_can_change() -> None:
    log: list[str] = []
    questions = [asked("pages", (0, 9, 0, 0), log), asked("things", (0, 9, 0, 0), log)]
    found = deliberate(prediction(0.9997, 0.0001, 0.0001, 0.0001), questions, VOICES, POLICY)
    assert log == []
    assert found.decision.verdict is Verdict.KEEP


def test_who_is_absent_or_counts_for_nothing_is_not_waited_for() -> None:
    log: list[str] = []
    questions = [asked("pages", None, log), asked("faces", (0, 9, 0, 0), log), asked("strangers", (9, 0, 0, 0), log)]
    found = deliberate(prediction(0.2, 0.6, 0.1, 0.1), questions, VOICES, POLICY)
    assert log == ["pages"]
    assert [one.witness for one in found.evidence] == ["scene"]


def test_views_that_disagree_are_unsure_whatever_others_say() -> None:
    questions = [asked("things", (0, 9, 0, 0), [])]
    found = deliberate(prediction(0.01, 0.97, 0.01, 0.01, agreeing=5), questions, VOICES, POLICY)
    assert (found.decision.verdict, found.decision.turn) == (Verdict.UNSURE, 90)


def test_a_panel_is_read_as_it_was_written() -> None:
    spec = PanelSpec((*VOICES, Voice("people", 0.5, 1.0, 0.3)), POLICY)
    assert PanelSpec.from_json(spec.to_json()) == spec


def test_a_panel_from_before_there_were_doubts_has_none() -> None:
    values = PanelSpec(VOICES, POLICY).to_json()
    for voice in values["voices"]:
        del voice["doubt"]
    assert PanelSpec.from_json(values) == PanelSpec(VOICES, POLICY)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"voices": [], "policy": {}},
        {"voices": [{"witness": "scene", "weight": -1, "cap": 1}], "policy": PanelSpec((), POLICY).to_json()["policy"]},
        {"voices": [{"witness": "scene", "weight": 1, "cap": math.inf}], "policy": PanelSpec((), POLICY).to_json()["policy"]},
        {
            "voices": [{"witness": "scene", "weight": 1, "cap": 1, "doubt": 1}],
            "policy": PanelSpec((), POLICY).to_json()["policy"],
        },
        {"voices": 3, "policy": 4},
    ],
)
def test_what_is_no_panel_is_said(values: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        PanelSpec.from_json(values)


def test_the_scene_speaks_by_logarithms() -> None:
    said = panel.scene(prediction(0.7, 0.1, 0.1, 0.1))
    assert said.scores == tuple(math.log(p) for p in (0.7, 0.1, 0.1, 0.1))
    assert fuse([said], [Voice("scene", 1.0, 99.0)]) == pytest.approx((0.7, 0.1, 0.1, 0.1))


def test_what_was_said_is_told_in_short() -> None:
    said = [Evidence("scene", (0.0, 3.04, 1.0, 0.0)), Evidence("faces", (0.0, 0.0, 9.0, 0.0)), Evidence("nobody", (1.0, 0, 0, 0))]
    assert panel.brief(said, (Voice("scene", 1.0, 9.0), Voice("faces", 1.0, 1.5))) == "scene 90 +2.0; faces 180 +1.5"
    assert panel.brief(said, ()) == ""
