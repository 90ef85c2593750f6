"""The report of `orientd pages`: it replaces reports of its own only, follows no link, loses no unfinished one."""

import errno
import os
from contextlib import closing
from pathlib import Path

import pytest

from orientd.errors import Busy, ConfigError, ReportError
from orientd.report.page_report import HEADER, PageReport, PageRow, PageVerdict

ROW = PageRow("a.png", 1, None, None, None, None, PageVerdict.KEEP)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def finished(path="r.csv", *, overwrite=False):
    report = PageReport(path, overwrite=overwrite)
    report.write(ROW)
    return report.finish()


def test_a_report_is_replaced_if_asked():
    finished()
    with pytest.raises(ConfigError, match="there already"):
        PageReport("r.csv", overwrite=False)
    finished(overwrite=True)
    assert os.listdir() == ["r.csv"]


@pytest.mark.parametrize(("angle", "cell"), [(-0.004, "0.00"), (-0.006, "-0.01"), (None, "")])
def test_no_angle_is_less_than_nothing(angle, cell):
    report = PageReport("r.csv", overwrite=False)
    report.write(ROW._replace(angle=angle))
    report.finish()
    assert Path("r.csv").read_text().splitlines()[1] == f"a.png,1,{cell},,,,keep,,,"


@pytest.mark.parametrize("name", ["scan.pdf", "scan.pdf.partial"])
@pytest.mark.parametrize("content", [b"%PDF-1.4 an original", HEADER.encode()[:-1], HEADER.encode() + b",more\n"])
def test_what_is_no_report_is_never_replaced(name, content):
    Path(name).write_bytes(content)
    with pytest.raises(ConfigError, match="not a report about pages"):
        PageReport("scan.pdf", overwrite=True)
    assert {found: Path(found).read_bytes() for found in os.listdir()} == {name: content}


def test_what_took_the_name_meanwhile_is_not_replaced():
    report = PageReport("r.csv", overwrite=True)
    report.write(ROW)
    Path("r.csv").write_bytes(b"a copy of a page")
    with pytest.raises(ConfigError, match="not a report"):
        report.finish()
    report.close()
    assert Path("r.csv").read_bytes() == b"a copy of a page"
    assert Path("r.csv.partial").read_text().startswith(HEADER)


@pytest.mark.parametrize("name", ["r.csv", "r.csv.partial"])
def test_no_link_is_followed(name):
    Path("original").write_text(HEADER + "\n")
    Path(name).symlink_to("original")
    with pytest.raises(ConfigError, match="not a report"):
        PageReport("r.csv", overwrite=True)
    assert Path("original").read_text() == HEADER + "\n"


def test_a_named_pipe_is_not_waited_for():
    os.mkfifo("r.csv.partial")
    with pytest.raises(ConfigError, match="not a report"):
        PageReport("r.csv", overwrite=True)


def test_an_unfinished_report_is_kept_under_another_name():
    for _ in range(2):
        report = PageReport("r.csv", overwrite=False)
        report.write(ROW)
        report.close()
    before = Path("r.csv.partial").read_bytes()
    finished()
    assert sorted(os.listdir()) == ["r.before.csv.partial", "r.before1.csv.partial", "r.csv"]
    assert Path("r.before.csv.partial").read_bytes() == Path("r.before1.csv.partial").read_bytes() == before


def test_two_at_once_are_told_apart():
    first = PageReport("r.csv", overwrite=False)
    with pytest.raises(Busy):
        PageReport("r.csv", overwrite=False)
    first.write(ROW)
    assert first.finish() == "r.csv"


def test_nothing_stays_of_a_report_without_rows():
    PageReport("r.csv", overwrite=False).close()
    assert os.listdir() == []


def test_no_room_when_it_is_begun(monkeypatch):
    monkeypatch.setattr("orientd.report.page_report.os.open", _refuse)
    with pytest.raises(ReportError, match="choose another --report"):
        PageReport("r.csv", overwrite=False)


def test_no_room_when_it_is_finished(monkeypatch):
    report = PageReport("r.csv", overwrite=False)
    report.write(ROW)
    monkeypatch.setattr("orientd.report.page_report.os.fsync", _refuse)
    with pytest.raises(ReportError, match=r"r\.csv\.partial cannot be written"):
        report.finish()
    report.close()


@pytest.mark.parametrize("rows", [1, 1000])
def test_no_room_for_its_rows(rows):
    report = PageReport("r.csv", overwrite=False)
    os.dup2(full := os.open("/dev/full", os.O_WRONLY), report._file.fileno())
    os.close(full)

    def fill():
        with closing(report):
            for _ in range(rows):
                report.write(ROW)

    with pytest.raises(ReportError):
        fill()


def test_a_name_that_leads_nowhere_is_a_mistake():
    with pytest.raises(ConfigError, match="choose another --report"):
        PageReport("nowhere/r.csv", overwrite=False)


def _refuse(*_):
    raise OSError(errno.ENOSPC, "No space left on device")
