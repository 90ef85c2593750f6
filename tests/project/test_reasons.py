"""Every reason has its code, every code its place in the manual and in the program."""

import ast
import re
from pathlib import Path

import pytest

from orientd.reasons import Reason

ROOT = Path(__file__).parents[2]
SOURCES = {path: path.read_text("utf-8") for path in sorted((ROOT / "orientd").rglob("*.py"))}
WITH_A_CODE = {
    "Outcome": ("reason", 2, "code", 7),
    "Decision": ("reason", 3, "code", 4),
    "replace": ("reason", None, "code", None),
    "Row": ("reason", None, "reason_code", None),
    "_replace": ("reason", None, "reason_code", None),
}
"""By what is called: the name of the reason and its place, the name of the code and its place."""


def documented():
    """(code, meaning) of every row of the table in the manual."""
    text = (ROOT / "docs" / "reasons.md").read_text("utf-8")
    return [row for row in re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE) if row[1] != "meaning"]


def meanings(source):
    """(code, docstring) of the codes in their source."""
    (listed,) = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == "Reason")
    pairs = zip(listed.body, listed.body[1:], strict=False)
    return [(code.value.value, text.value.value) for code, text in pairs if isinstance(code, ast.Assign)]


def without_a_code(source):
    """The lines of calls that give a reason and not its code."""
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        if name in WITH_A_CODE:
            reason, place, code, place_of_code = WITH_A_CODE[name]
            given = {word.arg: word.value for word in call.keywords}
            value = call.args[place] if place is not None and len(call.args) > place else given.get(reason)
            is_told = value is not None and not (isinstance(value, ast.Constant) and not value.value)
            has_code = code in given or (place_of_code is not None and len(call.args) > place_of_code)
            if is_told and not has_code:
                yield call.lineno


def test_the_manual_has_every_code_with_its_meaning():
    assert documented() == meanings((ROOT / "orientd" / "reasons.py").read_text("utf-8"))
    assert [code for code, _ in documented()] == list(Reason)


def test_the_readme_leads_there():
    assert "docs/reasons.md" in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("code", Reason)
def test_every_code_is_in_use(code):
    users = [path for path, text in SOURCES.items() if path.name != "reasons.py" and f"Reason.{code.name}" in text]
    assert users, f"nothing gives {code}"


def test_whoever_gives_a_reason_gives_its_code():
    found = [f"{path.relative_to(ROOT)}:{line}" for path, text in SOURCES.items() for line in without_a_code(text)]
    assert found == []


@pytest.mark.parametrize(
    ("call", "misses"),
    [
        ("Outcome(path, status, 'why')", True),
        ("records.Outcome(path, status, reason=why)", True),
        ("Outcome(path, status, 'why', stat, code=code)", False),
        ("Outcome(path, status, '', stat)", False),
        ("Outcome(path, status)", False),
        ("Decision(verdict, turn, sure, why)", True),
        ("Decision(verdict, turn, sure, why, code)", False),
        ("row._replace(reason='why')", True),
        ("row._replace(reason='why', reason_code=code)", False),
        ("Row(path, reason=why)", True),
        ("replace(outcome, reason=why)", True),
    ],
)
def test_a_reason_without_a_code_is_found(call, misses):
    assert bool(list(without_a_code(call))) is misses


def test_another_word_is_no_code():
    known = [Reason.known(name) for name in ("hard_links", "HARD_LINKS", "", None, 5)]
    assert known == [Reason.HARD_LINKS, None, None, None, None]
