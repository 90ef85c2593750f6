"""What a scan leaves to look at, what `orientd report` makes of a plan later, and the plan of what a person must decide."""

import csv
import io
import json
import os
import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import sky_library

from orientd.config import load
from orientd.library import photo as reading
from orientd.report.plan import read_plan, read_rows
from orientd.report.verdicts import Choice
from orientd.write import keeping

HOSTILE = b'\xff<script>alert("1")<\nb>\'.jpg'


def pictures(page):
    """Those of a page, by the name that stands beside each."""
    text = Path(page).read_text("utf-8")
    found = re.findall(r'aria-label="([^"]*), (?:now|before)".*?base64,([^"]*)"', text)
    return {name: Image.open(BytesIO(b64decode(jpeg))) for name, jpeg in found}


def shown_turned(image):
    pixels = np.asarray(image.convert("L")).astype(int)
    height, width = pixels.shape
    halves = (pixels[: height // 2], pixels[:, : width // 2], pixels[height // 2 :], pixels[:, width // 2 :])
    return 90 * int(np.argmax([half.mean() for half in halves]))


@pytest.fixture
def library(photos):
    for seed, (name, turn) in enumerate({"a": 90, "b": 180, "upright": 0}.items()):
        sky_library.draw(photos / f"{name}.jpg", turn, seed=seed)
    sky_library.draw(photos / "large.jpg", 270, seed=9)
    with Image.open(photos / "large.jpg") as image:
        image.resize((1600, 1200)).save(photos / "large.jpg", exif=image.getexif())
    (photos / "broken.jpg").write_bytes((photos / "a.jpg").read_bytes()[:300])
    return photos


def test_a_scan_leaves_a_page_with_the_photos_as_they_are_shown(orientd, library, tmp_path, capsys):
    page = tmp_path / "r.html"
    assert orientd("scan", library, "--report", tmp_path / "r.csv", "--html", page) == 3
    assert f"To look at it: {page}" in capsys.readouterr().err
    found = pictures(page)
    assert {name: shown_turned(image) for name, image in found.items()} == {"a.jpg": 90, "b.jpg": 180, "large.jpg": 270}
    assert max(found["large.jpg"].size) == 320
    text = page.read_text("utf-8")
    assert "broken.jpg" in text
    assert f"orientd apply {tmp_path / 'r.csv'}" in text
    assert page.stat().st_size < 100_000


def test_after_a_scan_that_fixes_the_page_shows_them_put_right(orientd, library, tmp_path):
    assert orientd("scan", library, "--fix", "--report", tmp_path / "r.csv", "--html", tmp_path / "r.html") == 3
    assert {name: shown_turned(image) for name, image in pictures(tmp_path / "r.html").items()} == {
        "a.jpg": 0,
        "b.jpg": 0,
        "large.jpg": 0,
    }


@pytest.mark.parametrize(
    ("report", "html"),
    [
        ("same.csv", "same.csv"),
        ("same.csv", "same.CSV"),
        ("same.csv", "link/same.csv"),
        ("./same.csv", "same.csv.partial"),
        ("same.csv.partial", "same.csv"),
        ("same.csv", "same.csv.json"),
    ],
)
def test_a_page_never_takes_the_place_of_the_plan(orientd, library, tmp_path, monkeypatch, capsys, report, html):
    monkeypatch.chdir(tmp_path)
    os.symlink(tmp_path, "link")
    before = sorted(os.listdir(tmp_path))
    assert orientd("scan", library, "--fix", "--report", report, "--html", html) == 2
    assert f"{html} would replace {report}: choose another --html" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == before, "nothing was begun"
    assert sky_library.shown_turned(library / "b.jpg") == 180


def test_a_page_never_takes_the_place_of_an_unfinished_plan(orientd, library, tmp_path, capsys):
    plan = tmp_path / "plan.csv.partial"
    assert orientd("scan", library, "--report", tmp_path / "plan.csv") == 3
    (tmp_path / "plan.csv").rename(plan)
    text = plan.read_bytes()
    assert orientd("report", plan, library, "--html", tmp_path / "plan.csv") == 2
    assert "would replace" in capsys.readouterr().err
    assert plan.read_bytes() == text


def test_json_stays_json_and_quiet_quiet(orientd, library, tmp_path, capsys):
    assert orientd("scan", library, "--report", tmp_path / "r.csv", "--html", tmp_path / "r.html", "--json") == 3
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["message_type"] for line in lines][-1] == "summary"
    assert orientd("scan", library, "--report", tmp_path / "r.csv", "--html", tmp_path / "r.html", "-q") == 3
    assert "To look at it" not in capsys.readouterr().err


def test_hostile_names_are_text(orientd, photos, tmp_path):
    photo = sky_library.draw(photos / "a.jpg", 90)
    os.rename(photo, os.path.join(os.fsencode(photos), HOSTILE))
    assert orientd("scan", photos, "--report", tmp_path / "r.csv", "--html", tmp_path / "r.html") == 0
    text = (tmp_path / "r.html").read_text("utf-8")
    assert "<script" not in text
    assert "\\xff&lt;script&gt;alert(&quot;1&quot;)&lt;\\nb&gt;&#x27;.jpg" in text
    assert len(re.findall("base64,", text)) == 1


def test_the_page_must_be_possible_before_anything_is_looked_at(orientd, library, tmp_path, capsys):
    (tmp_path / "mine.html").write_text("mine")
    assert orientd("scan", library, "--report", tmp_path / "r.csv", "--html", tmp_path / "mine.html") == 2
    assert "is not a picture report of orientd" in capsys.readouterr().err
    assert not (tmp_path / "r.csv").exists()
    assert not (tmp_path / "r.csv.partial").exists()


def test_a_report_is_told_again_with_what_a_person_decided(orientd, library, tmp_path, capsys):
    plan = tmp_path / "r.csv"
    assert orientd("scan", library, "--report", plan) == 3
    first = capsys.readouterr().out
    assert orientd("report", plan) == 0
    assert capsys.readouterr().out == first
    row = next(row for row in read_rows(str(plan)) if row.path.endswith("a.jpg"))
    keeping.save(load(None, os.environ, {}), str(plan), [(row, Choice.KEEP, None)], "2026-11-29T12:00:00Z", pytest.fail)
    assert orientd("report", plan, "--html", tmp_path / "r.html") == 0
    assert "2  sideways or upside down" in capsys.readouterr().out
    assert set(pictures(tmp_path / "r.html")) == {"b.jpg", "large.jpg"}


def test_only_photos_below_the_folders_given_or_scanned_are_shown(orientd, library, tmp_path):
    plan, other = tmp_path / "r.csv", sky_library.draw(tmp_path / "other" / "secret.jpg", 90)
    assert orientd("scan", library, "--report", plan) == 3
    plan.write_text(plan.read_text().replace(str(library / "a.jpg"), str(other)))
    (library / "sub").mkdir()
    for folders, shown in {(): {"b.jpg", "large.jpg"}, (library,): {"b.jpg", "large.jpg"}, (library / "sub",): set()}.items():
        assert orientd("report", plan, *folders, "--html", tmp_path / "r.html") == 0
        assert set(pictures(tmp_path / "r.html")) == shown
        assert "not shown: it is outside the folders named" in (tmp_path / "r.html").read_text()


def test_a_photo_that_changed_or_is_gone_is_told_and_not_shown(orientd, library, tmp_path):
    assert orientd("scan", library, "--report", tmp_path / "r.csv") == 3
    sky_library.draw(library / "a.jpg", 90, seed=77)
    (library / "b.jpg").unlink()
    (library / "large.jpg").unlink()
    (library / "large.jpg").symlink_to(library / "upright.jpg")
    assert orientd("report", tmp_path / "r.csv", "--html", tmp_path / "r.html") == 0
    assert pictures(tmp_path / "r.html") == {}
    assert (tmp_path / "r.html").read_text().count('class="none"') == 3


def test_a_fault_met_by_one_photo_costs_the_others_nothing(orientd, library, tmp_path, monkeypatch):
    really = reading.read

    def read(candidate, *more):
        if candidate.path.endswith("a.jpg"):
            raise IndexError("a parser's bug")
        return really(candidate, *more)

    assert orientd("scan", library, "--report", tmp_path / "r.csv") == 3
    monkeypatch.setattr(reading, "read", read)
    assert orientd("report", tmp_path / "r.csv", "--html", tmp_path / "r.html") == 0
    assert set(pictures(tmp_path / "r.html")) == {"b.jpg", "large.jpg"}
    assert "not shown: unexpected IndexError" in (tmp_path / "r.html").read_text()


def test_a_photo_of_any_format_is_shown_as_viewers_show_it(orientd, photos, tmp_path):
    for seed, (name, kind) in enumerate({"a.png": "PNG", "a.webp": "WEBP", "a.tif": "TIFF"}.items()):
        sky_library.draw(photos / name, 90, seed=seed, kind=kind)
    sky_library.draw(photos / "a.bmp", 90, by_tag=False, kind="BMP")
    more = ("--sidecar", "write", "--report", tmp_path / "r.csv", "--html", tmp_path / "r.html")
    assert orientd("scan", photos, *more) == 0
    assert {name: shown_turned(image) for name, image in pictures(tmp_path / "r.html").items()} == dict.fromkeys(
        ("a.png", "a.webp", "a.tif", "a.bmp"), 90
    )


def test_only_what_a_person_must_decide(orientd, library, tmp_path, capsys):
    plan = tmp_path / "r.csv"
    assert orientd("scan", library, "--report", plan, "--only", "fix, UNSURE,error") == 3
    assert "1  upright" in capsys.readouterr().out, "all are counted"
    assert {(Path(row.path).name, row.decision.value) for row in read_rows(str(plan))} == {
        ("a.jpg", "fix"),
        ("b.jpg", "fix"),
        ("large.jpg", "fix"),
        ("broken.jpg", "error"),
    }
    assert orientd("apply", plan, "--report", tmp_path / "done.csv") == 0
    assert {sky_library.shown_turned(library / name) for name in ("a.jpg", "b.jpg", "large.jpg")} == {0}


def test_a_decision_that_there_is_not_is_told(orientd, library, capsys):
    assert orientd("scan", library, "--only", "wrong") == 2
    assert "keep, fix, unsure, skip, error" in capsys.readouterr().err


def test_excel_knows_the_encoding_and_the_plan_is_read_back(orientd, photos, tmp_path):
    plan, photo = tmp_path / "r.csv", sky_library.draw(photos / "é.jpg", 90)
    for _ in range(2):  # the second takes the place of the first
        assert orientd("scan", photos, "--report", plan, "--excel") == 0
    data = plan.read_bytes()
    assert data.startswith(b"\xef\xbb\xbfpath,")
    assert next(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))["path"] == str(photo)
    assert [row.path for row in read_plan(str(plan))] == [str(photo)]
    assert orientd("apply", plan, "--report", tmp_path / "done.csv") == 0
    assert sky_library.shown_turned(photo) == 0
    assert not list(tmp_path.glob("*.before*"))
