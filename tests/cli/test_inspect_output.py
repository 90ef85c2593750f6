"""What `orientd inspect` says of a witness that cannot tell two turns apart."""

from types import SimpleNamespace

import pytest

from orientd.cli import inspect_output
from orientd.judge.panel import Opinion, Voice
from orientd.judge.policy import DEFAULT, decide
from orientd.pipeline import inspection
from orientd.records import Evidence, Prediction


def said_of_people(asked: bool, *doubts: float) -> inspection.Testimony:
    a, b, c, d = doubts
    return inspection.Testimony(
        "people", asked, (0.0, 0.0, -9.0, -9.0), (0.0, 0.0, -1.0, -1.0), 1.0, (a, b, c, d), "1 person, heads up"
    )


def lines(*given: inspection.Testimony) -> list[str]:
    return [line.plain for line in inspect_output._doubts(given)]


def test_two_turns_that_it_cannot_tell_apart_are_named():
    assert lines(said_of_people(True, 0.0, 0.0, 0.0, 0.284)) == [
        "people cannot tell 270° from 0°: what all say for one of them over the other counts 28% less"
    ]


def test_what_counts_for_nothing_is_not_said():
    assert lines(said_of_people(True, 0.0, 0.04, 0.0, 0.0), said_of_people(False, 0.3, 0.0, 0.0, 0.0)) == []


def test_each_witness_has_the_doubts_of_its_own_voice():
    seen = Prediction((0.25,) * 4, ((0.25,) * 4,))
    ask = [("people", lambda: Evidence("people", (0.0, 0.0, -99.0, -99.0))), ("things", lambda: None)]
    voices = (Voice("scene", 1.0, 9.0), Voice("people", 1.0, 1.0, 0.3), Voice("things", 1.0, 1.0, 0.9))
    judge = SimpleNamespace(voices=voices, ask=lambda photo: ask)
    found = inspection._testimonies(judge, None, seen, Opinion(seen, (), decide(seen, DEFAULT)))
    assert {one.witness: one.doubts for one in found} == {
        "scene": (0, 0, 0, 0),
        "people": pytest.approx((0.3, 0, 0, 0)),
        "things": (0, 0, 0, 0),
    }
