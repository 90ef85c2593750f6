"""The comparison of two checkouts notices every kind of difference."""

import pytest

from benchmarks.behavior import differences

ROW = {"path": "a.jpg", "decision": "fix", "turn": "90"}
FILE = {"a.jpg": ("00ff", 0o100644, 5)}
STEP = ("scan", 0, [ROW], FILE)


def test_the_same_is_no_difference():
    assert list(differences(STEP, STEP)) == []


@pytest.mark.parametrize(
    "other",
    [
        ("scan", 3, [ROW], FILE),
        ("scan", 0, [], FILE),
        ("scan", 0, [ROW | {"turn": "180"}], FILE),
        ("scan", 0, [ROW | {"more": ""}], FILE),
        ("scan", 0, [ROW], {"a.jpg": ("00fe", 0o100644, 5)}),
        ("scan", 0, [ROW], {"a.jpg": ("00ff", 0o100600, 5)}),
        ("scan", 0, [ROW], {"a.jpg": ("00ff", 0o100644, 6)}),
        ("scan", 0, [ROW], {}),
        ("scan", 0, [ROW], FILE | {"b.jpg": ("", 0, 0)}),
    ],
)
def test_each_difference_is_told_once(other):
    assert len(list(differences(STEP, other))) == 1
    assert len(list(differences(other, STEP))) == 1
