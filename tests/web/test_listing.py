"""What is shown, in which order, and how it is counted."""

import pytest
from support import report_rows
from support.report_rows import FOUND

from orientd.reasons import Reason
from orientd.records import Verdict
from orientd.report.verdicts import Choice
from orientd.web.cards import card, said
from orientd.web.listing import Query, accepted_at_once, listing
from orientd.web.rows import Done, Rows

DAY = 86_400 * 10**9


def row(name, decision, confidence=0.9, best=0.9, **more):
    chances = (1 - best, best, 0.0, 0.0)
    return FOUND._replace(
        path=f"/photos/{name}",
        decision=decision,
        confidence=confidence,
        probabilities=chances,
        sha256=name.encode().hex().ljust(64, "0"),
        **more,
    )


PLAN = (
    row("b/keep.jpg", Verdict.KEEP, turn=0, mtime_ns=3 * DAY),
    row("b/sure.jpg", Verdict.FIX, 0.99, mtime_ns=2 * DAY, evidence="scene 90 +2.0; faces 90 +3.1"),
    row("a/doubt.jpg", Verdict.UNSURE, 0.4, 0.3, mtime_ns=DAY, reason_code="low_confidence", evidence="scene 90 +0.3"),
    row("a/perhaps.jpg", Verdict.FIX, 0.6, mtime_ns=DAY),
    row("b/likely.jpg", Verdict.UNSURE, 0.5, 0.8, mtime_ns=DAY, reason_code="views_disagree"),
    row("a/broken.jpg", Verdict.ERROR, mtime_ns=5 * DAY),
)


@pytest.fixture
def rows(tmp_path):
    return Rows(report_rows.write(str(tmp_path / "plan.csv"), *PLAN), print)


def names(rows, **query):
    return [
        (section.title, [rows.base(number).path.removeprefix("/photos/") for number in section.numbers])
        for section in listing(rows, Query(**query)).sections
    ]


def test_proposals_come_by_rising_confidence_then_the_unsure_by_how_likely_they_are_wrong(rows):
    assert names(rows) == [("Proposals", ["a/perhaps.jpg", "b/sure.jpg"]), ("Unsure", ["b/likely.jpg", "a/doubt.jpg"])]


def test_by_folder_they_come_day_by_day(rows):
    assert names(rows, order="folder") == [
        ("/photos/a · 2 January 1970", ["a/doubt.jpg", "a/perhaps.jpg"]),
        ("/photos/b · 2 January 1970", ["b/likely.jpg"]),
        ("/photos/b · 3 January 1970", ["b/sure.jpg"]),
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"show": "unsure", "reason": "views_disagree"}, ["b/likely.jpg"]),
        ({"show": "decide", "folder": "/photos/a"}, ["a/perhaps.jpg", "a/doubt.jpg"]),
        ({"show": "decide", "witness": "faces"}, ["b/sure.jpg"]),
        ({"show": "decide", "witness": "scene"}, ["b/sure.jpg", "a/doubt.jpg"]),
        ({"show": "error"}, ["a/broken.jpg"]),
        ({"show": "decided"}, []),
        ({"show": "skip"}, []),
        ({"show": "all"}, ["a/perhaps.jpg", "b/sure.jpg", "b/likely.jpg", "a/doubt.jpg", "a/broken.jpg", "b/keep.jpg"]),
    ],
)
def test_filters(rows, query, found):
    assert [name for _, some in names(rows, **query) for name in some] == found


def test_what_can_be_chosen_is_counted_before_the_choice(rows):
    found = listing(rows, Query(folder="/photos/a"))
    assert found.folders == [("/photos/a", 2), ("/photos/b", 2)]
    assert found.reasons == [("low_confidence", 1), ("views_disagree", 1)]
    assert found.witnesses == [("faces", 1), ("scene", 2)]


def test_what_is_decided_can_be_looked_at_by_itself(rows):
    rows.judge([1], Choice.KEEP, None, "p")
    rows.judge([4], Choice.SKIP, None, "p")
    assert names(rows, show="decided") == [("Proposals", ["b/sure.jpg"])]
    assert names(rows, show="open") == [("Proposals", ["a/perhaps.jpg"]), ("Unsure", ["b/likely.jpg", "a/doubt.jpg"])]


def test_many_are_accepted_only_where_a_turn_is_proposed_and_nobody_decided(rows):
    shown = listing(rows, Query(show="all")).numbers
    assert accepted_at_once(rows, shown, 0.0) == [3, 1]
    assert accepted_at_once(rows, shown, 0.7) == [1]
    assert accepted_at_once(rows, shown, 0.995) == []
    rows.judge([1], Choice.KEEP, None, "p")
    assert accepted_at_once(rows, shown, 0.0) == [3]


def test_a_card_shows_the_photo_as_it_would_be(rows):
    shown = lambda number: card(rows, number)["shown"]  # noqa: E731
    assert [shown(number) for number in range(6)] == [0, 90, 90, 90, 90, 0]
    rows.judge([1], Choice.KEEP, None, "p")
    rows.judge([2], Choice.ACCEPT, None, "p")
    rows.judge([3], Choice.TURN, 180, "p")
    rows.judge([4], Choice.SKIP, None, "p")
    assert [shown(number) for number in range(6)] == [0, 0, 90, 180, 90, 0]
    rows.note({2: Done("done", 1), 3: Done("undone", 1)})
    assert [shown(2), shown(3)] == [0, 180]


def test_the_evidence_is_told_in_words():
    assert said("scene 90 +3.2; faces 0 +1.0; scene-288 180 +0.2; owls 270 -0.5") == [
        "Scene: turn right, strongly",
        "Faces: upright, fairly",
        "Scene, closer: upside down, weakly",
        "Owls: turn left, weakly",
    ]
    assert said("") == said("nonsense; a 45 +1; <b> 90 +1") == []


def test_names_that_cannot_be_shown_are_escaped(tmp_path):
    odd = FOUND._replace(path="/photos/\udcff\u202egpj.\n<b>.jpg", reason="<i>\x1b[2J", reason_code=Reason.UNUSUAL)
    rows = Rows(report_rows.write(str(tmp_path / "plan.csv"), odd), print)
    shown = card(rows, 0)
    assert (shown["name"], shown["reason"]) == ("\\xff\\u202egpj.\\n<b>.jpg", "<i>\\x1b[2J")
    assert all(isinstance(value, str | int | float | bool | list | None) for value in shown.values())
