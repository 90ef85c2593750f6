"""What `orientd review` says before it serves anything."""

import os

import pytest
from support import sky_library

from orientd import commands
from orientd.cli import review
from orientd.report import page_report
from orientd.report.csv_file import HEADER


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_without_its_packages_it_names_the_command_that_brings_them(orientd, monkeypatch, capsys):
    monkeypatch.setattr(review, "find_spec", lambda name: None)
    assert orientd("review") == 1
    assert f"review needs starlette and uvicorn: {commands.adding('web')}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "there is no report orientd-….csv here: name a PLAN.csv, or the FOLDER"),
        (("gone.csv",), 2, "gone.csv is not there"),
        (("notes.txt",), 2, "notes.txt is not a plan of orientd"),
        (("plan.csv", "gone"), 75, "gone: No such file or directory"),
        (("plan.csv", "--listen", "nowhere"), 2, "--listen nowhere cannot be used: it must be HOST:PORT"),
    ],
)
def test_what_cannot_be_shown_is_named(orientd, tmp_path, capsys, arguments, code, words):
    (tmp_path / "notes.txt").write_text("no plan\n")
    (tmp_path / "plan.csv").write_text("path,turn,decision,size,mtime_ns,sha256\n")
    assert orientd("review", *arguments) == code
    assert words in capsys.readouterr().err


def test_without_a_name_the_newest_report_here_is_meant(tmp_path):
    for age, name in enumerate(("orientd-20260101-000000.csv", "orientd-20250101-000000.csv", "other.csv")):
        (tmp_path / name).write_text(HEADER + "\n")
        os.utime(tmp_path / name, (1_700_000_000 - 100 * age,) * 2)
    assert review._newest() == "orientd-20260101-000000.csv"


def test_but_none_that_is_no_plan_of_photos(orientd, photos, tmp_path, capsys):
    """Such as a report of `orientd pages`, one part of a plan, or what a person calls so."""
    part = tmp_path / "orientd-my-part.csv"
    for shard in ("--shard", "1/1"), ("--shard", "1/1", "--report", part):
        assert orientd("scan", sky_library.draw(photos / "a.jpg", 90).parent, *shard) == 0
    (tmp_path / "orientd-pages-20260101-000000.csv").write_text(page_report.HEADER + "\n")
    (tmp_path / "orientd-notes.csv").write_text("mine\n")
    (tmp_path / "orientd-empty.csv").touch()
    (tmp_path / "orientd-folder.csv").mkdir()
    assert len(list(tmp_path.glob("orientd-*.csv"))) == 6
    capsys.readouterr()
    assert orientd("review") == 2
    assert "there is no report orientd-….csv here" in capsys.readouterr().err
    (tmp_path / "orientd-20200101-000000.csv").write_text(HEADER + "\n")
    os.utime(tmp_path / "orientd-20200101-000000.csv", (0, 0))
    assert review._newest() == "orientd-20200101-000000.csv"


def test_a_folder_is_scanned_and_a_plan_is_shown(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "plan.csv").touch()
    assert review._sorted_out(("photos", "more")) == ("", ("photos", "more"))
    assert review._sorted_out(("plan.csv", "photos")) == ("plan.csv", ("photos",))
