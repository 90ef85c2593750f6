"""Rows made one by one are those that reading the whole plan gives."""

import pytest
from support import report_rows
from support.report_rows import FOUND

from orientd.errors import ConfigError
from orientd.records import Verdict
from orientd.report.plan import read_rows
from orientd.report.plan_cells import PlanCells

PLANS = {
    "as it was written": None,
    "of a spreadsheet": (
        "\ufeffdecision;path;turn;size;mtime_ns;sha256;p90\r\nFix;/a;90;7;1,7E+18;{0};0,7\r\n;;;;;;\r\nkeep;/b;0;7\r\n"
    ),
    "without rows": "path,turn,decision,size,mtime_ns,sha256\n",
}


@pytest.fixture(params=PLANS.values(), ids=PLANS)
def plan(request, tmp_path):
    path = tmp_path / "plan.csv"
    if request.param is None:
        odd = FOUND._replace(path='/photos/a, "b"\n\udcff.jpg', decision=Verdict.KEEP)
        return report_rows.write(str(path), FOUND, odd, FOUND._replace(probabilities=None, mtime_ns=None))
    path.write_text(request.param.format("a" * 64), encoding="utf-8", newline="")
    return str(path)


def test_rows_one_by_one_are_those_of_the_whole_plan(plan):
    cells, rows = PlanCells(plan), read_rows(plan)
    assert [cells.row(number) for number in range(len(cells.lines))] == rows
    assert cells.column("path") == [row.path for row in rows]
    assert cells.column("sha256") == [row.sha256 for row in rows]
    assert cells.column("evidence") == [""] * len(rows), "also where the plan has no such column"


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.csv cannot be read: No such file"):
        PlanCells(str(tmp_path / "gone.csv"))
    (tmp_path / "plan.csv").write_text('path,turn,decision,size,mtime_ns,sha256\n"')
    with pytest.raises(ConfigError, match="is not valid CSV"):
        PlanCells(str(tmp_path / "plan.csv"))
    (tmp_path / "plan.csv").write_text("path,turn\n")
    with pytest.raises(ConfigError, match="there is no column decision, size, mtime_ns, sha256"):
        PlanCells(str(tmp_path / "plan.csv"))
