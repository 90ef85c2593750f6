"""The report to look at as text: every name is escaped, nothing is loaded, and no other file is replaced."""

import os
import re
from base64 import b64decode, b64encode
from datetime import datetime
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.report_rows import FOUND

from orientd.errors import ConfigError, OrientdError
from orientd.reasons import Reason
from orientd.records import Status, Verdict
from orientd.report.chosen import Chosen
from orientd.report.html_file import HtmlFile
from orientd.report.html_page import FIRST_LINE, Card, Section, page

NOW = datetime(2026, 11, 29, 12, 30)
EMPTY = {"meta", "image", "use"}


class Page(HTMLParser):
    """The elements of a page, each with its attributes; and that all are closed in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def made(*rows, jpeg=b"jpeg", pictures=True, title="a title"):
    cards = [Card(row, jpeg, 320, 240, "" if jpeg else "no picture") for row in rows]
    return "".join(page(title, ["a fact"], [("do", "orientd")], [Section("wrong", "wrong", ["first"], cards, pictures)]))


hostile = st.text(
    st.sampled_from("<>&\"'=/;`-! \n\r\t\0\x1b\u202e\u2028\udcff\udc80é") | st.characters(codec="utf-8")
) | st.sampled_from(["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "]]>", "--><b>", "</style>", "&amp;", "&#0;"])


@given(hostile, hostile, hostile, st.booleans(), st.booleans())
def test_whatever_a_name_or_a_reason_holds_is_shown_as_text(name, reason, title, pictures, shown):
    row = FOUND._replace(path=f"/{name}/x{name}", reason=reason, evidence=reason)
    page = Page(made(row, jpeg=b"jpeg" if shown else b"", pictures=pictures, title=title))
    plain = Page(made(FOUND._replace(path="/a/xa", reason="b", evidence="b"), jpeg=b"jpeg" if shown else b"", pictures=pictures))
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in plain.elements}
    assert {name for _, attributes in page.elements for name in attributes} == {
        name for _, attributes in plain.elements for name in attributes
    }
    made(row).encode("utf-8")


def test_it_loads_nothing_and_runs_nothing():
    text = made(FOUND)
    page = Page(text)
    rules = next(each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy").split("; ")
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    allowed = b64encode(sha256(style.encode()).digest()).decode()
    assert rules == [
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{allowed}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert not {tag for tag, _ in page.elements} & {"script", "link", "iframe", "object", "embed", "form", "base", "img"}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on") or name == "style"]
    assert "http" not in text.replace("http-equiv", "")
    assert "url(" not in style
    assert {attributes["href"].partition(":")[0] for attributes in page.all("image")} == {"data"}


def test_a_picture_stands_in_the_page_once_and_is_shown_twice():
    page = Page(made(FOUND._replace(turn=90), FOUND._replace(path="/b.jpg", turn=180)))
    assert [b64decode(each["href"].partition(",")[2]) for each in page.all("image")] == [b"jpeg", b"jpeg"]
    assert [each["href"] for each in page.all("use")] == ["#p1", "#p2"]
    angles = [each["transform"].split()[0] for each in page.all("g")]
    assert angles == ["rotate(0", "rotate(90", "rotate(0", "rotate(180"]
    labels = [each["aria-label"] for each in page.all("svg")]
    assert labels == ["a.jpg, now", "a.jpg, turned right", "b.jpg, now", "b.jpg, turned upside down"]
    assert {each["role"] for each in page.all("svg")} == {"img"}


def test_of_a_photo_that_was_put_right_the_picture_is_the_new_one():
    page = Page(made(FOUND._replace(turn=90, outcome=Status.FIXED)))
    assert [each["transform"].split()[0] for each in page.all("g")] == ["rotate(270", "rotate(0"]
    assert [each["aria-label"] for each in page.all("svg")] == ["a.jpg, before", "a.jpg, now"]


def test_an_unsure_one_is_shown_with_its_best_turn():
    row = FOUND._replace(decision=Verdict.UNSURE, turn=None, probabilities=(0.5, 0.1, 0.1, 0.3))
    page = Page(made(row))
    assert page.all("svg")[1]["aria-label"] == "a.jpg, turned left"
    assert "probability of this turn: 30.0%, of none: 50.0%" in page.texts


def test_a_picture_keeps_its_proportions_within_its_frame():
    image = Page(made(FOUND)).all("image")[0]
    assert (image["x"], image["y"], image["width"], image["height"]) == ("0", "125", "1000", "750")


def rows(number, **changes):
    return [FOUND._replace(path=f"/{at:03}.jpg", **{name: value(at) for name, value in changes.items()}) for at in range(number)]


@pytest.mark.parametrize("most", [1, 3, 10, 100])
def test_a_bounded_number_of_each_kind_is_chosen(most):
    chosen = Chosen(most)
    wrong = rows(50, confidence=lambda at: (at * 7 % 50) / 50)
    unsure = rows(50, decision=lambda _: Verdict.UNSURE, probabilities=lambda at: (0.0, 0.0, 0.0, (at * 7 % 50) / 50))
    broken = rows(50, decision=lambda _: Verdict.ERROR)
    for row in (
        *wrong,
        *unsure,
        *broken,
        FOUND._replace(decision=Verdict.KEEP),
        FOUND._replace(decision=Verdict.SKIP, new_orientation=None),
    ):
        chosen.add(row)
    assert [kind.number for kind in (chosen.wrong, chosen.unsure, chosen.failed)] == [50, 50, 50]
    assert chosen.wrong.rows == sorted(wrong, key=lambda row: row.confidence)[:most]
    assert chosen.unsure.rows == sorted(unsure, key=lambda row: -row.probabilities[3])[:most]
    assert chosen.failed.rows == broken[:most]


def test_what_failed_and_what_cannot_be_written_is_told_with_its_reason():
    chosen = Chosen()
    failed = [
        FOUND._replace(outcome=Status.FAILED, reason="it changed"),
        FOUND._replace(decision=Verdict.SKIP, new_orientation=6, reason="sideways or upside down, but not to be written"),
        FOUND._replace(decision=Verdict.ERROR, reason="", reason_code=Reason.DAMAGED),
    ]
    for row in failed:
        chosen.add(row)
    assert (chosen.wrong.number, chosen.failed.rows) == (0, failed)
    assert [
        text for text in Page(made(*failed, pictures=False)).texts if "chang" in text or "written" in text or "dam" in text
    ] == [
        "it changed",
        "sideways or upside down, but not to be written",
        "damaged",
    ]


def written(path, *found, most=200, plan="/plan.csv", draw=lambda rows: map(Card, rows), stop=lambda: False):
    file = HtmlFile(str(path), NOW, most)
    for row in found:
        file.add(row)
    return file.path if file.write(plan, draw, stop) else ""


def texts(path):
    with open(path, encoding="utf-8") as file:
        return " ".join(Page(file.read()).texts)


def test_the_page_tells_the_numbers_and_what_to_do(tmp_path):
    told = texts(written(tmp_path / "r.html", *rows(3), FOUND._replace(decision=Verdict.KEEP), most=2))
    assert "3 photos are sideways or upside down" in told
    assert "/plan.csv, 2026-11-29 12:30" in told
    assert "4 photos were looked at: 1 upright." in told
    assert "Shown here: 2 of 3; to see them all: orientd review /plan.csv" in told
    assert "orientd apply /plan.csv" in told
    assert "Nothing was changed." in told


def test_after_a_run_that_fixed_nothing_is_left_to_apply(tmp_path):
    told = texts(written(tmp_path / "r.html", *rows(2, outcome=lambda _: Status.FIXED)))
    assert "2 photos were sideways or upside down" in told
    assert "2 photos were fixed." in told
    assert "orientd apply" not in told


def test_without_a_plan_no_command_is_told(tmp_path):
    told = texts(written(tmp_path / "r.html", *rows(3), most=1, plan=""))
    assert "Shown here: 1 of 3" in told
    assert "orientd review" not in told


def test_nothing_wrong_is_a_page_too(tmp_path):
    assert "No photo is sideways or upside down for certain" in texts(written(tmp_path / "r.html"))


def test_in_a_folder_it_gets_a_name_of_its_own(tmp_path):
    assert written(tmp_path) == str(tmp_path / "orientd-20261129-123000.html")


def test_only_a_page_of_orientd_is_replaced(tmp_path):
    path = tmp_path / "r.html"
    path.write_text("<!DOCTYPE html><p>mine</p>")
    with pytest.raises(ConfigError, match="is not a picture report of orientd"):
        written(path)
    assert path.read_text() == "<!DOCTYPE html><p>mine</p>"
    path.write_text(FIRST_LINE + "old")
    written(path)
    assert "looked at" in path.read_text()
    with pytest.raises(ConfigError, match="no such folder"):
        written(tmp_path / "nowhere" / "r.html")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="exists"):
        written(tmp_path / "pipe")


def test_one_that_is_stopped_or_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "r.html"
    path.write_text(FIRST_LINE + "old")
    assert written(path, *rows(2), stop=lambda: True) == ""
    assert os.listdir(tmp_path) == ["r.html"]

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OrientdError, match="No space left"):
        written(path, *rows(2))
    assert path.read_text() == FIRST_LINE + "old"
    assert os.listdir(tmp_path) == ["r.html"]
