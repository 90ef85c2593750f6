"""Reports and plans of other versions of orientd, whose columns are not those of this one."""

import csv
import io

import pytest
from support import left_by_41ea68f, sky_library

from orientd.errors import ConfigError, StateError
from orientd.records import Row, Verdict
from orientd.report.columns import Columns, is_header
from orientd.report.csv_file import HEADER, CsvReport
from orientd.report.plan import read_plan
from orientd.watch.proposals import Proposals

FIRST = (
    "path,format,width,height,orientation,turn,confidence,p0,p90,p180,p270,views,decision,new_orientation,method,outcome,reason"
)
FIRST += ",size,mtime_ns,sha256"
LATEST = FIRST + ",reason_code,evidence,decided_by,skew"


@pytest.fixture
def before(photos):
    return left_by_41ea68f.draw(photos)


@pytest.fixture(params=["as it was", "wider", "reordered", "reordered, with semicolons"])
def table(request, photos):
    """A table of 41ea68f, or one as another version or a spreadsheet would have it."""

    def table(name):
        text = left_by_41ea68f.table(name, photos)
        assert text.startswith(FIRST + "\n"), "that version wrote the fixture"
        return changed(text, request.param)

    return table


def changed(text, how):
    header, *lines = list(csv.reader(io.StringIO(text, newline="")))
    if how == "as it was":
        return text
    header, lines = [*header, "reason_code", "Grandma"], [[*line, "none", 'is "in"\r\nit; too'] for line in lines]
    if how != "wider":
        header, lines = header[::-1], [line[::-1] for line in lines]
    out = io.StringIO()
    delimiter = ";" if "semicolons" in how else ","
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerows([header, *lines])
    return ("\ufeff" if "semicolons" in how else "") + out.getvalue()


def write(path, text):
    path.write_text(text, "utf-8", newline="")
    return path


def records(path):
    text = path.read_text("utf-8-sig")
    return {row["path"]: row for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;", key=text.count))}


@pytest.mark.parametrize("name", ["scan.csv", "plan.csv"])
def test_a_plan_is_carried_out(orientd, photos, before, tmp_path, table, name):
    plan = write(tmp_path / "plan.csv", table(name))
    assert orientd("apply", plan, photos, "--report", tmp_path / "r.csv") == 0
    assert {path.name for path in before if path.read_bytes() != before[path]} == {"beach.jpg", "hill, é.jpg"}
    assert {sky_library.shown_turned(path) for path in before} == {0}
    assert orientd("undo", "--yes") == 0
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("suffix", ["", ".partial"])
@pytest.mark.parametrize("header", [FIRST, HEADER, FIRST + ",reason_code", LATEST, "\ufeff" + LATEST])
def test_a_report_of_any_version_is_written_anew(tmp_path, header, suffix):
    write(tmp_path / f"nightly.csv{suffix}", header + "\n/a.jpg\n")
    with CsvReport(str(tmp_path / "nightly.csv")) as report:
        report.finish()
    assert (tmp_path / "nightly.csv").read_text() == HEADER + "\n"
    kept = {"nightly.before.csv.partial": header + "\n/a.jpg\n"} if suffix else {}
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"nightly.csv": HEADER + "\n", **kept}


def test_a_scan_writes_its_report_over_that_of_41ea68f(orientd, photos, before, tmp_path):
    report = write(tmp_path / "nightly.csv", left_by_41ea68f.table("applied.csv", photos))
    assert orientd("scan", photos, "--report", report) == 0
    assert set(records(report)) == {str(path) for path in before}


@pytest.mark.parametrize(
    "header",
    [
        FIRST.removesuffix(",sha256"),
        FIRST.replace("path,format", "format,path"),
        FIRST.replace(",", ";"),
        FIRST + ",skew",
        FIRST + ",mine",
        LATEST + ",mine",
        LATEST + ",",
    ],
)
def test_what_a_person_has_made_of_a_report_is_not_written_over(tmp_path, header):
    report = write(tmp_path / "nightly.csv", header + "\n")
    assert not is_header(header.encode())
    with pytest.raises(ConfigError, match="is not a report of orientd"):
        CsvReport(str(report))
    assert report.read_text() == header + "\n"


def test_the_watcher_goes_on_with_a_plan_and_keeps_what_it_does_not_know(before, photos, tmp_path, table):
    plan = write(tmp_path / "plan.csv", table("plan.csv"))
    whole, known = plan.read_bytes(), records(plan)
    beach, hill = read_plan(str(plan))
    new = hill._replace(path=f"{photos}/a, new.jpg", reason="why; not")
    proposals = Proposals(str(plan))
    proposals.refresh()
    assert not proposals.add(beach)
    assert proposals.add(new)
    proposals.flush()
    assert plan.read_bytes().startswith(whole)
    assert read_plan(str(plan)) == [beach, hill, new]
    proposals.drop(hill)
    proposals.refresh()
    proposals.flush()
    assert read_plan(str(plan)) == [beach, new]
    kept = records(plan)
    assert kept[beach.path] == known[beach.path]
    assert {kept[new.path].get(name) for name in ("reason_code", "Grandma")} <= {"", None}


def test_the_rows_that_stay_keep_every_byte_when_one_is_taken_out(tmp_path):
    first, *lines = ["Path,TURN,decision,size,mtime_ns,sha256", "", *[f'"/{x}.jpg",090,fix,3,5,"{x * 64}"' for x in "abc"]]
    plan = write(tmp_path / "plan.csv", "\r\n".join([first, *lines]))
    proposals = Proposals(str(plan))
    proposals.refresh()
    proposals.drop(Row("/b.jpg", sha256="b" * 64))
    proposals.flush()
    assert plan.read_bytes() == "\r\n".join([first, *lines[:2], lines[3]]).encode()


def test_a_plan_that_became_another_file_meanwhile_is_left_alone(tmp_path):
    plan, row = tmp_path / "plan.csv", Row("/a.jpg", turn=90, decision=Verdict.FIX, size=3, sha256="a" * 64)
    proposals = Proposals(str(plan))
    proposals.refresh()
    proposals.add(row)
    write(plan, "my diary\n")
    with pytest.raises(StateError, match="move it away"):
        proposals.flush()
    assert plan.read_text() == "my diary\n"
    plan.unlink()
    proposals.flush()
    assert [each.path for each in read_plan(str(plan))] == ["/a.jpg"]


@pytest.mark.parametrize("line", ["", "\n", "x" * 200_000, "\0"])
def test_a_line_that_is_no_header_has_none_of_the_columns(line):
    assert Columns.of(line).missing == ["path", "turn", "decision", "size", "mtime_ns", "sha256"]


def test_a_scan_writes_what_41ea68f_wrote_and_four_columns_more(orientd, photos, before, tmp_path):
    assert orientd("scan", photos, "--report", tmp_path / "r.csv") == 0
    first, *lines = (tmp_path / "r.csv").read_text("utf-8").splitlines(keepends=True)
    assert first == LATEST + "\n"
    assert "".join(line.rsplit(",", 4)[0] + "\n" for line in [first, *lines]) == left_by_41ea68f.table("scan.csv", photos)
