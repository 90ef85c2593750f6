"""Rows as the cells of columns, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orientd.reasons import Reason
from orientd.records import COLUMNS, Method, Row, Status, Verdict

chance = st.floats(0, 1)
rows = st.builds(
    Row,
    st.text(min_size=1),
    orientation=st.none() | st.integers(1, 8),
    confidence=st.none() | chance,
    probabilities=st.none() | st.tuples(chance, chance, chance, chance),
    decision=st.sampled_from(Verdict),
    method=st.none() | st.sampled_from(Method),
    outcome=st.sampled_from(Status),
    reason=st.text(),
    size=st.none() | st.integers(0),
    reason_code=st.none() | st.sampled_from(Reason),
    skew=st.none() | st.floats(-45, 45),
)


def named(row):
    return dict(zip(COLUMNS, row.cells(), strict=True))


@given(rows)
def test_a_row_comes_back_from_its_cells(row):
    cells = row.cells()
    assert all(isinstance(cell, kind) for cell, kind in zip(cells, COLUMNS.values(), strict=True))
    assert Row.of(cells) == row


def test_what_is_not_known_is_an_empty_text_or_no_number():
    assert {name for name, cell in named(Row("/a.jpg")).items() if cell == ""} == {
        "format",
        "method",
        "outcome",
        "reason",
        "sha256",
        "reason_code",
        "evidence",
        "decided_by",
    }


def test_a_column_holds_what_its_name_says():
    row = Row("/a.jpg", "jpeg", 4, 3, 6, 90, 0.9, (0.1, 0.2, 0.3, 0.4), 8, Verdict.FIX, 1, Method.TAG, Status.FIXED)
    row = row._replace(
        reason="why", size=5, mtime_ns=7, sha256="ab", reason_code=Reason.HARD_LINKS, evidence="faces 90 +1.0", skew=-1.5
    )
    chances = {"p0": 0.1, "p90": 0.2, "p180": 0.3, "p270": 0.4}
    assert named(row) == {name: value for name, value in row._asdict().items() if name != "probabilities"} | chances


def test_probabilities_that_are_not_all_there_are_none():
    cells = named(Row("/a.jpg", probabilities=(0.1, 0.2, 0.3, 0.4)))
    assert Row.of((cells | {"p180": None}).values()).probabilities is None


@pytest.mark.parametrize("column", ["decision", "method", "outcome"])
def test_a_word_that_there_is_not_is_no_row(column):
    with pytest.raises(ValueError, match="perhaps"):
        Row.of((named(Row("/a.jpg")) | {column: "perhaps"}).values())
