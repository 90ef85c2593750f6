import base64
import csv
import io
import json
import os
import resource
from datetime import datetime
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from support.report_rows import FOUND, write

from orientd.errors import Busy, ConfigError, ExitCode, ReportError
from orientd.reasons import Reason
from orientd.records import COLUMNS, Row, Status, Verdict
from orientd.report import left_over
from orientd.report.csv_file import HEADER, CsvReport, default_report
from orientd.report.json_lines import JsonLines
from orientd.report.summary import summary
from orientd.report.tally import Tally
from orientd.report.text import printable

names = st.binary(min_size=1).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"0")))


def read_back(path: str) -> list[list[str]]:
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.reader(file, strict=True))


def stop_after_one_row(report: CsvReport) -> None:
    with report:
        report.write(FOUND)
        raise KeyboardInterrupt


def fill(report: CsvReport) -> None:
    with report:
        for _ in range(1000):
            report.write(FOUND)


def test_the_header_is_the_one_that_was_promised(tmp_path):
    path = write(str(tmp_path / "r.csv"))
    assert Path(path).read_bytes() == (
        b"path,format,width,height,orientation,turn,confidence,p0,p90,p180,p270,views,decision,new_orientation,method,"
        b"outcome,reason,size,mtime_ns,sha256,reason_code,evidence,decided_by,skew\n"
    )


def test_a_row_has_four_decimals_and_empty_fields_for_what_is_not_known(tmp_path):
    path = write(str(tmp_path / "r.csv"), FOUND, Row("/b.gif", reason="a film", reason_code=Reason.SEVERAL_PICTURES))
    assert Path(path).read_text().splitlines()[1:] == [
        "/photos/a.jpg,jpeg,4000,3000,,90,0.9877,0.0000,0.9877,0.0100,0.0023,8,fix,6,tag,,,3456789,1700000000123456789,"
        + "ab" * 32
        + ",,,,",
        "/b.gif,,,,,,,,,,,,skip,,,,a film,,,,several_pictures,,,",
    ]


@pytest.mark.parametrize(
    "name", ["a,b", 'a"b', "a\nb", "a\rb", "a\r\nb", "a;b\tc", " a ", "\udce9t\udce9", "é\u2028", "'=1+1", ""]
)
def test_awkward_names_survive(tmp_path, name):
    path = write(str(tmp_path / "r.csv"), Row(name, reason=name, reason_code=Reason.UNUSUAL), FOUND)
    assert [(row[0], row[16]) for row in read_back(path)[1:]] == [(name, name), (FOUND.path, "")]


@given(st.lists(names, max_size=5))
def test_every_name_survives_and_stands_there_byte_for_byte(tmp_path_factory, paths):
    path = write(str(tmp_path_factory.mktemp("report") / "r.csv"), *map(Row, paths))
    assert [row[0] for row in read_back(path)[1:]] == paths
    raw = Path(path).read_bytes()
    assert all(os.fsencode(name).replace(b'"', b'""') in raw for name in paths)


def test_the_report_is_marked_as_partial_until_it_is_finished(tmp_path):
    with CsvReport(str(tmp_path / "r.csv")) as report:
        report.write(FOUND)
        assert report.path == f"{tmp_path}/r.csv.partial"
        assert os.listdir(tmp_path) == ["r.csv.partial"]
        assert report.finish() == report.path == f"{tmp_path}/r.csv"
    assert os.listdir(tmp_path) == ["r.csv"]


def test_an_interrupted_report_keeps_its_rows_and_its_mark_and_the_earlier_report(tmp_path):
    earlier = write(str(tmp_path / "r.csv"), Row("/earlier.jpg"))
    report = CsvReport(earlier)
    with pytest.raises(KeyboardInterrupt):
        stop_after_one_row(report)
    assert [row[0] for row in read_back(earlier)[1:]] == ["/earlier.jpg"]
    assert [row[0] for row in read_back(report.path)[1:]] == ["/photos/a.jpg"]
    assert write(earlier, FOUND) == earlier
    assert sorted(os.listdir(tmp_path)) == ["r.before.csv.partial", "r.csv"]
    assert [row[0] for row in read_back(f"{tmp_path}/r.before.csv.partial")[1:]] == ["/photos/a.jpg"]


def test_reports_left_unfinished_are_found_but_for_those_that_are_being_written(tmp_path):
    for name, content in (("mine.csv", "a diary\n"), ("old.csv", HEADER + "\n/a.jpg\n"), ("bare.csv", HEADER + "\n")):
        (tmp_path / f"{name}.partial").write_text(content)
    with CsvReport(str(tmp_path / "other.csv")) as other, CsvReport(str(tmp_path / "own.csv")) as own:
        other.write(FOUND)
        other._file.flush()
        assert left_over.nearby(own.path) == [f"{tmp_path}/old.csv.partial"]
    assert left_over.nearby(own.path) == [f"{tmp_path}/old.csv.partial", f"{tmp_path}/other.csv.partial"]


def test_every_report_left_unfinished_gets_a_name_of_its_own(tmp_path):
    for number in range(3):
        with CsvReport(str(tmp_path / "r.csv")) as report:
            report.write(Row(f"/{number}.jpg"))
    assert {path.name: path.read_text().splitlines()[1][:6] for path in tmp_path.iterdir()} == {
        "r.before.csv.partial": "/0.jpg",
        "r.before1.csv.partial": "/1.jpg",
        "r.csv.partial": "/2.jpg",
    }


@pytest.mark.parametrize(
    ("suffix", "content"), [("", b""), *product(["", ".partial"], [b"my diary\n", HEADER.encode() + b",mine\n"])]
)
def test_a_file_that_is_no_report_is_never_overwritten(tmp_path, suffix, content):
    file = tmp_path / f"r.csv{suffix}"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="is not a report of orientd"):
        CsvReport(str(tmp_path / "r.csv"))
    assert file.read_bytes() == content
    assert os.listdir(tmp_path) == [file.name]


def test_an_empty_partial_report_is_not_in_the_way(tmp_path):
    (tmp_path / "r.csv.partial").write_bytes(b"")
    path = str(tmp_path / "r.csv")
    assert write(path, FOUND) == path


def test_two_runs_never_share_a_report(tmp_path):
    path = str(tmp_path / "r.csv")
    with CsvReport(path) as first:
        with pytest.raises(Busy, match="another orientd is writing"):
            CsvReport(path)
        first.write(FOUND)
        first.finish()
    assert [row[0] for row in read_back(path)[1:]] == ["/photos/a.jpg"]


def test_a_disk_that_was_full_before_leaves_no_report(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(ReportError, match="cannot be written: File too large"):
            CsvReport(str(tmp_path / "r.csv"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("path", ["", "missing/r.csv"])
def test_a_place_that_cannot_be_written(tmp_path, path):
    with pytest.raises(ConfigError, match="choose another --report"):
        CsvReport(os.path.join(tmp_path, path))
    assert os.listdir(tmp_path) == []


def test_a_full_disk_stops_the_run_with_a_message(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    report = CsvReport(str(tmp_path / "r.csv"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(ReportError, match=r"r\.csv\.partial cannot be written: File too large"):
            fill(report)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == ["r.csv.partial"]


def test_the_default_name_is_never_taken(tmp_path):
    now = datetime(2025, 1, 2, 3, 4, 5)
    first = default_report(now, str(tmp_path))
    assert first == f"{tmp_path}/orientd-20250102-030405.csv"
    open(first, "w").close()
    second = default_report(now, str(tmp_path))
    open(second + ".partial", "w").close()
    assert [second, default_report(now, str(tmp_path))] == [f"{first[:-4]}-2.csv", f"{first[:-4]}-3.csv"]
    assert default_report(now) == "orientd-20250102-030405.csv"


def test_json_lines(tmp_path):
    stream = io.StringIO()
    lines, tally = JsonLines(stream), Tally()
    tally.add(FOUND)
    lines.photo(FOUND)
    lines.status(1, 1, None, None)
    lines.error("the disk is gone")
    lines.summary(tally, "r.csv", ExitCode.FOUND)
    photo, status, error, last = (json.loads(line) for line in stream.getvalue().splitlines())
    assert list(photo) == ["message_type", *COLUMNS]
    assert (photo["message_type"], photo["orientation"], photo["p0"], photo["p90"]) == ("photo", None, 0.0, 0.9877)
    assert photo["mtime_ns"] == str(FOUND.mtime_ns)
    assert status == {"message_type": "status", "done": 1, "found": 1, "total": None, "seconds_left": None}
    assert error == {"message_type": "error", "message": "the disk is gone"}
    assert last == {
        "message_type": "summary",
        "photos": 1,
        "keep": 0,
        "fix": 1,
        "unsure": 0,
        "skip": 0,
        "error": 0,
        "fixed": 0,
        "unchanged": 0,
        "failed": 0,
        "left_out": {"excluded": 0, "hidden": 0, "drive": 0, "bundle": 0},
        "report": "r.csv",
        "exit_code": 11,
    }


@given(names)
def test_a_name_survives_json_and_stays_on_its_ascii_line(name):
    stream = io.StringIO()
    JsonLines(stream).photo(Row(name))
    (line,) = stream.getvalue().splitlines()
    assert line.isascii()
    told = json.loads(line)
    held = base64.b64decode(told["path_b64"]) if "path_b64" in told else told["path"].encode()
    assert held == os.fsencode(name)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/photos/Zoë 1.jpg", "/photos/Zoë 1.jpg"),
        ("a\x1b[2Jb\n\r\x07\x9b", r"a\x1b[2Jb\n\r\x07\x9b"),
        ("caf\udce9", r"caf\xe9"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("\ud800\U000e0001", r"\ud800\U000e0001"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown


@given(st.text(st.characters(codec=None)))
def test_whatever_is_printable_can_be_shown(text):
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)
    printable(text).encode("utf-8")


def tally_of(*rows: tuple[str, str, str]) -> Tally:
    """Of rows by decision, outcome and code of the reason."""
    tally = Tally()
    for number, (decision, outcome, code) in enumerate(rows):
        reason = f"told in words of photo {number}" if code else ""
        tally.add(
            Row("/a.jpg", decision=Verdict(decision), outcome=Status(outcome), reason=reason, reason_code=Reason.known(code))
        )
    return tally


def test_the_tally_counts_by_decision_outcome_and_kind_of_reason():
    tally = tally_of(
        ("keep", "", ""),
        ("skip", "", Reason.RAW_FILE),
        ("skip", "", Reason.RAW_FILE),
        ("skip", "", Reason.HARD_LINKS),
        ("fix", "fixed", ""),
        ("fix", "failed", Reason.NO_ROOM),
    )
    assert (tally.count(), tally.count(Verdict.SKIP), tally.count(Verdict.FIX, Status.FIXED)) == (6, 3, 1)
    assert (tally.count(outcome=Status.FAILED), tally.count(Verdict.FIX, Status.PENDING)) == (1, 0)
    assert tally.reasons(Verdict.SKIP) == [("raw file", 2), ("hard links", 1)]
    assert tally.reasons(Verdict.KEEP) == []


def test_the_tally_stays_small_whatever_the_reasons():
    tally = tally_of(*(("skip", "", f"of_version_{number}") for number in range(500)), ("skip", "", Reason.RAW_FILE))
    assert tally.reasons(Verdict.SKIP) == [("other", 500), ("raw file", 1)]


def test_the_tally_counts_what_an_earlier_version_gave_no_code_for():
    tally = Tally()
    tally.add(Row("/a.jpg", decision=Verdict.UNSURE, reason="views disagree: 3 of 8"))
    tally.add(Row("/b.jpg", decision=Verdict.UNSURE))
    assert tally.reasons(Verdict.UNSURE) == [("other", 1)]


@pytest.mark.parametrize(
    ("rows", "options", "code"),
    [
        ([], {}, ExitCode.OK),
        ([("keep", "", ""), ("unsure", "", ""), ("skip", "", "")], {"when_found": True}, ExitCode.OK),
        ([("fix", "", "")], {}, ExitCode.OK),
        ([("fix", "", "")], {"when_found": True}, ExitCode.FOUND),
        ([("fix", "fixed", "")], {"when_found": True}, ExitCode.FOUND),
        ([("fix", "", ""), ("error", "", Reason.DAMAGED)], {"when_found": True}, ExitCode.INCOMPLETE),
        ([("fix", "failed", Reason.NO_ROOM)], {}, ExitCode.INCOMPLETE),
        ([("fix", "unchanged", Reason.CHANGED)], {}, ExitCode.OK),
        ([("error", "", "")], {"interrupted": True}, ExitCode.INTERRUPTED),
    ],
)
def test_the_exit_code(rows, options, code):
    assert tally_of(*rows).exit_code(**options) is code


def words(tally: Tally, width: int = 100, **options: object) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(summary(tally, **({"report": "r.csv", "wrote": False} | options)), soft_wrap=True)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_summary_of_a_scan_says_what_to_run_next():
    rows = [("keep", "", "")] * 1200 + [("fix", "", "")] * 2 + [("unsure", "", Reason.VIEWS_DISAGREE)]
    assert words(tally_of(*rows, ("skip", "", Reason.RAW_FILE), ("error", "", Reason.DAMAGED))) == [
        "1,200  upright",
        "    2  sideways or upside down",
        "    1  not sure                 views disagree (1)",
        "    1  left alone               raw file (1)",
        "    1  not readable             damaged (1)",
        "2 photos are sideways or upside down. Nothing was changed.",
        "Report: r.csv",
        "Look at it, delete the rows you do not want, then run:",
        "  orientd apply r.csv",
        "1 photo is left as before because orientd is not sure (decision 'unsure' in the report).",
        "To turn one of them, write 'fix' as its decision and 90, 180 or 270 (degrees clockwise) as its turn, then apply.",
    ]


def test_the_summary_after_writing_says_how_to_take_it_back():
    tally = tally_of(("fix", "fixed", ""), ("fix", "unchanged", Reason.CHANGED), ("fix", "failed", Reason.NO_ROOM))
    assert words(tally, wrote=True, run=7, interrupted=True)[-8:] == [
        "Stopped before the end: the numbers are those of the photos looked at until then.",
        "To go on from there, run the same command again.",
        "3 photos were sideways or upside down: 1 fixed.",
        "1 photo was left alone: the column 'reason' of the report says why.",
        "1 photo was not changed, as something failed: see the column 'reason'.",
        "Report: r.csv",
        "To take it all back, run:",
        "  orientd undo 7",
    ]


def test_the_summary_when_there_is_nothing_to_do():
    assert words(tally_of(), report="") == ["No photos were found there."]
    assert words(tally_of(("keep", "", "")), report="") == ["1  upright", "No photo is sideways or upside down."]


def test_the_summary_never_says_that_all_is_well_when_it_is_not():
    beyond_reach = tally_of()
    beyond_reach.add(
        Row(
            "/a.png",
            decision=Verdict.SKIP,
            turn=90,
            new_orientation=6,
            reason="sideways or upside down, but not to be written: PNG",
        )
    )
    assert words(beyond_reach, report="")[1:] == [
        "No photo that can be written is sideways or upside down.",
        "1 photo is sideways or upside down and cannot be written: see the column 'reason'.",
    ]
    assert beyond_reach.exit_code(when_found=True) is ExitCode.FOUND
    assert (
        words(tally_of(("unsure", "", Reason.VIEWS_DISAGREE)), report="")[1] == "No photo is sideways or upside down for certain."
    )
    unread = tally_of(("error", "", Reason.DAMAGED), ("skip", "", Reason.RAW_FILE))
    assert words(unread, report="")[2:] == ["No photo could be judged: the column 'reason' of the report says why."]


def test_a_command_to_copy_is_quoted_and_never_broken():
    name = "/a long folder" * 10 + "/[red]r.csv"
    assert f"  orientd apply '{name}'" in words(tally_of(("fix", "", "")), width=40, report=name)
