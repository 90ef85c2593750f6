import csv
import io
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import report_rows
from support.report_rows import write

from orientd.errors import ConfigError, ExitCode
from orientd.reasons import Reason
from orientd.records import COLUMNS, Row, Verdict
from orientd.report.csv_file import HEADER
from orientd.report.plan import read_plan

# Of four digits, as a report writes them.
FOUND = report_rows.FOUND._replace(confidence=0.9876, probabilities=(0.0012, 0.9876, 0.01, 0.0012))


def plan_of(folder: object, *rows: Row) -> str:
    return write(os.path.join(str(folder), "plan.csv"), *rows)


def edited(folder: object, text: str) -> str:
    path = os.path.join(str(folder), "edited.csv")
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(text)
    return path


def table(delimiter: str, *rows: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def problems(path: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_plan(path)
    assert caught.value.exit_code == ExitCode.USAGE
    return [line.removeprefix(f"{path}: ") for line in str(caught.value).splitlines()]


def line(**changes: object) -> str:
    values = dict(zip(COLUMNS, FOUND.cells(), strict=True)) | changes
    return ",".join("" if value is None else str(value) for value in values.values())


names = st.binary(min_size=1).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"0")))
some = st.integers(0, 10_000).map(lambda number: number / 10_000)
counts = st.none() | st.integers(0, 2**31)
rows = st.builds(
    FOUND._replace,
    path=names,
    width=counts,
    orientation=counts,
    confidence=st.none() | some,
    probabilities=st.none() | st.tuples(*[some] * 4),
    reason_code=st.sampled_from(Reason),
    turn=st.sampled_from([90, 180, 270]),
    reason=names,
    size=st.integers(0, 2**40),
    mtime_ns=st.integers(-(2**63), 2**63 - 1),
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
)


@given(st.lists(rows, max_size=4))
def test_a_report_comes_back_as_it_was_written(tmp_path_factory, written):
    assert read_plan(plan_of(tmp_path_factory.mktemp("plan"), *written)) == written


def test_only_the_rows_to_fix_are_a_plan(tmp_path):
    others = [Row("/b.jpg", decision=verdict) for verdict in Verdict if verdict != Verdict.FIX]
    assert read_plan(plan_of(tmp_path, *others, FOUND)) == [FOUND]
    assert read_plan(plan_of(tmp_path)) == []


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_a_spreadsheet_makes_of_a_plan(tmp_path, delimiter):
    name = 'a;b,c\t"d".jpg'
    text = table(
        delimiter,
        ["Note", "sha256", "size", "turn", "Decision", "path", "p90", "mtime_ns"],
        ["Grandma", "ab" * 32, "3456789", "90", " FIX ", name, "0,9876" if delimiter == ";" else "0.9876", "1.7E+18"],
        ["", "", "", "", "", "", "", ""],
        ["me", "", "", "", "keep", "/b.jpg", "1", ""],
    )
    (row,) = read_plan(edited(tmp_path, "\ufeff" + text))
    assert row == Row(name, turn=90, decision=Verdict.FIX, size=3456789, mtime_ns=None, sha256="ab" * 32)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_row_may_lack_empty_cells_at_its_end_and_lines_may_end_in_any_way(tmp_path, newline):
    text = newline.join([HEADER, "/b.jpg,,,,,,,,,,,,skip", line(), ""])
    assert read_plan(edited(tmp_path, text)) == [FOUND]


def test_every_bad_row_is_named_with_its_line(tmp_path):
    text = "\n".join(
        [
            HEADER,
            line(path='"a\nb"'),
            line(turn=45),
            line(turn=None),
            line(turn="ninety"),
            line(decision="fixx"),
            line(decision=""),
            line(path=""),
            line(size=None),
            line(sha256="AB" * 32),
            line(p90="high"),
            line() + ",more",
            line(path="a,b", skew=1.5),
            line(path="a,b"),
            "/b.jpg",
            line(),
        ]
    )
    assert problems(edited(tmp_path, text)) == [
        "line 4: to fix a photo, turn must be 90, 180 or 270, got 45",
        "line 5: to fix a photo, turn must be 90, 180 or 270, got nothing",
        "line 6: turn must be a number, got 'ninety'",
        "line 7: decision must be one of keep, fix, unsure, skip, error, got 'fixx'",
        "line 8: decision must be one of keep, fix, unsure, skip, error, got ''",
        "line 9: path is empty",
        "line 10: size is missing: scan again",
        "line 11: sha256 is missing or was changed: scan again",
        "line 12: p90 must be a number, got 'high'",
        "line 13: has 25 cells, the header has 24",
        "line 14: has 25 cells, the header has 24",
        "line 15: width must be a number, got 'jpeg'",
        "line 16: decision must be one of keep, fix, unsure, skip, error, got ''",
    ]


@pytest.mark.parametrize("name", ["confidence", "p0", "width", "size", "turn", "mtime_ns"])
@pytest.mark.parametrize("number", ["nan", "-NaN", "inf", "Infinity", "9" * 400])
def test_what_is_not_finite_is_no_number(tmp_path, name, number):
    assert problems(edited(tmp_path, f"{HEADER}\n{line(**{name: number})}\n")) == [
        f"line 2: {name} must be a number, got {number!r}"
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *[("confidence", each) for each in ("7", "-0.0001", "1.0001", "1e300")],
        *[(name, each) for name in ("width", "height", "views") for each in ("-5", str(2**63))],
        *[(name, each) for name in ("orientation", "new_orientation") for each in (str(2**63), str(-(2**64)))],
    ],
)
def test_a_number_that_its_column_cannot_hold_is_none(tmp_path, name, text):
    assert read_plan(edited(tmp_path, f"{HEADER}\n{line(**{name: text})}\n")) == [FOUND._replace(**{name: None})]


def test_one_probability_too_many_and_there_is_none(tmp_path):
    (row,) = read_plan(edited(tmp_path, f"{HEADER}\n{line(p180='1.5')}\n"))
    assert row == FOUND._replace(probabilities=None)


@pytest.mark.parametrize(("written", "read"), [("foo", ""), (" HEIF ", "heif"), ("x\udcff", ""), ("", "")])
def test_a_format_that_there_is_not_is_none(tmp_path, written, read):
    assert read_plan(edited(tmp_path, f"{HEADER}\n{line(format=written)}\n")) == [FOUND._replace(format=read)]


def test_a_great_many_bad_rows_are_counted(tmp_path):
    found = problems(edited(tmp_path, "\n".join([HEADER, *[line(turn=1)] * 50])))
    assert (len(found), found[-1]) == (21, "and 30 more")
    assert len(problems(edited(tmp_path, "\n".join([HEADER, *[line(turn=1)] * 20])))) == 20


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not a plan of orientd: there is no column path, turn, decision, size, mtime_ns, sha256"),
        ("path,turn,decision,size\n", "is not a plan of orientd: there is no column mtime_ns, sha256"),
        (HEADER + '\n"/a.jpg"x,jpeg\n', "line 2: is not valid CSV: ',' expected after '\"'"),
        (HEADER + '\n"/a.jpg', "line 2: is not valid CSV: unexpected end of data"),
    ],
)
def test_a_file_that_is_no_plan(tmp_path, text, problem):
    assert problems(edited(tmp_path, text)) == [problem]


def test_a_plan_cut_off_anywhere_never_gives_a_row_that_was_not_there(tmp_path):
    whole = HEADER + "\n" + line() + "\n"
    complete = whole.index(FOUND.sha256) + len(FOUND.sha256)  # what follows tells why, and not what is to be done
    for end in range(len(HEADER), complete):
        try:
            assert read_plan(edited(tmp_path, whole[:end])) == []
        except ConfigError:
            continue
    for end in range(complete, len(whole) + 1):
        assert read_plan(edited(tmp_path, whole[:end])) == [FOUND]


def test_a_code_of_another_version_is_passed_over(tmp_path):
    rows = "".join(line(path=f"/{code}.jpg", reason="why", reason_code=code) + "\n" for code in ("by_sidecar", "of_2031", ""))
    assert [row.reason_code for row in read_plan(edited(tmp_path, HEADER + "\n" + rows))] == [Reason.BY_SIDECAR, None, None]


def test_a_plan_that_is_not_there():
    with pytest.raises(ConfigError, match=r"^/nowhere/a\.csv cannot be read: No such file or directory$"):
        read_plan("/nowhere/a.csv")


def test_a_plan_may_come_through_a_pipe(tmp_path):
    code = "from orientd.report.plan import read_plan; print([row.path for row in read_plan('/dev/stdin')])"
    with open(plan_of(tmp_path, FOUND)) as plan:
        ran = subprocess.run([sys.executable, "-c", code], input=plan.read(), text=True, capture_output=True, check=True)
    assert ran.stdout == "['/photos/a.jpg']\n"


@pytest.mark.parametrize(("written", "read"), [("person", "person"), (" Person ", "person"), ("", ""), ("Grandma", "")])
def test_who_decided_is_a_person_or_not_told(tmp_path, written, read):
    assert [row.decided_by for row in read_plan(edited(tmp_path, f"{HEADER}\n{line(decided_by=written)}\n"))] == [read]
