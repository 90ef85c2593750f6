"""Pages that are opened in child processes: what they say is what is said here, and who dies of one is replaced."""

import os
import sys

import numpy as np
import pytest
from support.drawn_pages import lying, page, scanned_pdf, text_pdf

from orientd.decode.children import Children, Limits
from orientd.decode.page_changes import Changes
from orientd.errors import DecodeError, ReadError, Refused, Stopped
from orientd.files.read import file_stat
from orientd.pages.isolated import IsolatedPages
from orientd.pages.opened import PDF, open_pages
from orientd.pages.pdf import Pdf
from orientd.reasons import Reason

PIXELS = 10**8
UPRIGHT = "1 0 0 1"

# A child to which these pages, by their number, are hostile.
HOSTILE = """
import ctypes, os, signal, sys
from orientd.pages import opened
from orientd.pipeline import child

looked, written = opened.PdfPages.look, opened.PdfPages.write
DEEDS = {deeds}

def look(self, page):
    deed = DEEDS.get(page)
    if deed == "crash":
        ctypes.string_at(0)
    if deed == "spin":
        signal.setitimer(signal.ITIMER_PROF, 0.2)
        while True:
            pass
    return looked(self, page)

def write(self, *given):
    if DEEDS.get("write") == "hang":
        ctypes.CDLL(None).sleep(1000)
    if DEEDS.get("write") == "crash":
        written(self, *given)
        ctypes.string_at(0)
    return written(self, *given)

opened.PdfPages.look, opened.PdfPages.write = look, write
child.serve(int(sys.argv[-1]))
"""


@pytest.fixture
def asked():
    """Opens the pages of a file in a child, to which some of them are hostile."""
    started = []

    def open_(path, kind=PDF, **deeds):
        named = {int(page) if page.isdigit() else page: deed for page, deed in deeds.items()}
        command = (sys.executable, "-P", "-c", HOSTILE.format(deeds=named)) if deeds else Children().command
        started.append(Children(command))
        return IsolatedPages(kind, str(path), file_stat(os.stat(path)), PIXELS, started[-1], Limits(600.0))

    yield open_
    for children in started:
        children.end()


@pytest.fixture
def mixed(tmp_path):
    """A PDF of six scans."""
    path = tmp_path / "a.pdf"
    path.write_bytes(scanned_pdf(*(lying(page(lines=4, seed=seed), 10 * seed) for seed in range(6))))
    return path


def test_a_child_sees_what_is_seen_here(asked, mixed, tmp_path):
    (tmp_path / "b.pdf").write_bytes(text_pdf((90, UPRIGHT), (0, UPRIGHT)))
    for path in (mixed, tmp_path / "b.pdf"):
        there, here = asked(path), open_pages(PDF, str(path), file_stat(path.stat()), PIXELS)
        assert len(there) == len(here)
        for number in range(len(here)):
            one, other = there.look(number), here.look(number)
            assert one.text == other.text
            assert one.text.suffices == (one.levels is None)
            assert one.levels is None or np.array_equal(one.levels, other.levels)
        here.close()


@pytest.mark.parametrize("isolated", [True, False])
def test_a_tiff_is_seen_and_written_there_too(asked, tmp_path, isolated):
    first, second = page(lines=4).convert("L"), lying(page(lines=5), 90)
    path = tmp_path / "a.tif"
    first.save(path, save_all=True, append_images=[second])
    stat = file_stat(path.stat())
    pages = asked(path, "tiff") if isolated else open_pages("tiff", str(path), stat, PIXELS)
    assert len(pages) == 2
    assert pages.look(1).levels.shape[1] == 1024
    with (tmp_path / "copy").open("xb+") as file:
        pages.write(Changes({1: (90, 0.0)}), file, lambda: False)
    again = open_pages("tiff", str(tmp_path / "copy"), file_stat((tmp_path / "copy").stat()), PIXELS)
    difference = np.rot90(pages.look(1).levels, -1).astype(int) - again.look(1).levels
    assert np.abs(difference).max() <= 2  # each is made smaller for itself


def test_a_page_that_kills_its_child_is_to_blame_and_no_other(asked, mixed):
    pages = asked(mixed, **{"1": "crash"})
    assert pages.look(0).levels is not None
    with pytest.raises(DecodeError, match="crash") as told:
        pages.look(1)
    assert told.value.code is Reason.CRASHES
    assert pages.look(2).levels is not None


def test_a_child_that_ends_says_nothing(mixed, capfd):
    children = Children()
    pages = IsolatedPages(PDF, str(mixed), file_stat(mixed.stat()), PIXELS, children)
    assert pages.look(0).levels is not None
    children.end()
    assert capfd.readouterr() == ("", "")


def test_a_page_that_takes_too_long_is_ended(asked, mixed):
    pages = asked(mixed, **{"0": "spin"})
    with pytest.raises(TimeoutError):
        pages.look(0)
    assert pages.look(1).levels is not None


def test_a_file_that_kills_many_is_given_up(asked, mixed):
    pages = asked(mixed, **{"0": "crash", "1": "spin", "2": "crash"})
    for number in range(3):
        with pytest.raises((DecodeError, TimeoutError)):
            pages.look(number)
    with pytest.raises(DecodeError, match="not tried") as told:
        pages.look(3)
    assert told.value.code is Reason.CRASHES


def test_what_kills_the_child_that_writes_is_told(asked, mixed, tmp_path):
    pages = asked(mixed, write="crash")
    with (tmp_path / "copy").open("xb+") as file, pytest.raises(DecodeError) as told:
        pages.write(Changes({0: (90, 0.0)}), file, lambda: False)
    assert told.value.code is Reason.CRASHES


def test_writing_can_be_stopped(asked, mixed, tmp_path):
    pages = asked(mixed, write="hang")
    with (tmp_path / "copy").open("xb+") as file, pytest.raises(Stopped):
        pages.write(Changes({0: (90, 0.0)}), file, lambda: True)


def test_a_copy_is_made_by_its_child(asked, mixed, tmp_path):
    before = mixed.read_bytes()
    with (tmp_path / "copy.pdf").open("xb+") as file:
        asked(mixed).write(Changes({1: (0, 10.0), 2: (90, 0.0)}), file, lambda: False)
    assert mixed.read_bytes() == before
    assert len(asked(tmp_path / "copy.pdf")) == 6


def test_a_file_that_changed_is_told(asked, mixed):
    pages = asked(mixed)
    pages.look(0)
    mixed.write_bytes(mixed.read_bytes() + b"\n")
    with pytest.raises(DecodeError, match="changed") as told:
        pages.look(1)
    assert told.value.code is Reason.CHANGED


def test_what_pdfium_keeps_of_a_file_is_let_go(mixed, monkeypatch):
    monkeypatch.setattr("orientd.pages.opened._KEPT", mixed.stat().st_size // 3)
    opened = []

    def counted(path):
        opened.append(path)
        return Pdf(path)

    monkeypatch.setattr("orientd.pages.opened.Pdf", counted)
    pages = open_pages(PDF, str(mixed), file_stat(mixed.stat()), PIXELS)
    seen = [pages.look(number).levels for number in range(6)]
    assert (len(seen), len(opened)) == (6, 3)
    pages.close()


def test_a_picture_larger_than_the_limit_is_not_unpacked(asked, mixed):
    pages = open_pages(PDF, str(mixed), file_stat(mixed.stat()), 1000)
    with pytest.raises(DecodeError) as told:
        pages.look(0)
    assert told.value.code is Reason.TOO_LARGE
    pages.close()


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"%PDF-1.4 and nothing", Reason.DAMAGED), (text_pdf((0, UPRIGHT), encrypted=True), Reason.ENCRYPTED)],
    ids=["damaged", "encrypted"],
)
def test_what_cannot_be_opened_is_told(asked, tmp_path, data, code):
    (tmp_path / "a.pdf").write_bytes(data)
    with pytest.raises(DecodeError) as told:
        asked(tmp_path / "a.pdf")
    assert told.value.code is code


def test_an_animation_is_refused_by_its_child(asked, tmp_path):
    page(lines=2).save(tmp_path / "a.gif", save_all=True, append_images=[page(lines=3)])
    with pytest.raises(Refused) as told:
        asked(tmp_path / "a.gif", "gif")
    assert told.value.code is Reason.SEVERAL_PICTURES


def test_one_that_vanished_is_told(tmp_path):
    with pytest.raises(ReadError):
        open_pages(PDF, str(tmp_path / "a.pdf"), file_stat(os.stat(tmp_path)), PIXELS)
