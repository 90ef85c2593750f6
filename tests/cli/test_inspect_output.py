"""What `orientd inspect` says of a witness that cannot tell two turns apart."""

from orientd.cli import inspect_output
from orientd.pipeline import inspection


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
