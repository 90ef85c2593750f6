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
)


@given(rows)
def test_a_row_comes_back_from_its_cells(row):
    cells = row.cells()
    assert list(cells) == list(COLUMNS)
    assert [name for name, kind in COLUMNS.items() if not isinstance(cells[name], kind)] == []
    assert Row.of(cells) == row


def test_what_is_not_known_is_an_empty_text_or_no_number():
    assert {name for name, cell in Row("/a.jpg").cells().items() if cell == ""} == {
        "format",
        "method",
        "outcome",
        "reason",
        "sha256",
        "reason_code",
    }


def test_a_row_of_a_part_of_its_cells():
    assert Row.of({"path": "/a.jpg", "p90": 1.0, "decision": "fix", "turn": 90}) == Row("/a.jpg", turn=90, decision=Verdict.FIX)


@pytest.mark.parametrize("column", ["decision", "method", "outcome"])
def test_a_word_that_there_is_not_is_no_row(column):
    with pytest.raises(ValueError, match="perhaps"):
        Row.of({"path": "/a.jpg", column: "perhaps"})
