"""PDFs: how their text stands; pages turned by /Rotate keep their text, straightened scans their bytes; and faults."""

import re
import sys
from io import BytesIO

import numpy as np
import pypdfium2
import pytest
from support.drawn_pages import boxed_pdf, lying, page, scanned_pdf, shared_contents_pdf, text_pdf

from orientd import commands
from orientd.decode.page_changes import Changes
from orientd.decode.skew import find_skew
from orientd.errors import DecodeError, Refused
from orientd.pages.pdf import Pdf
from orientd.reasons import Reason

UPRIGHT, SLANTED = "1 0 0 1", "0.9848 0.1736 -0.1736 0.9848"  # 10° counterclockwise


@pytest.fixture
def opened(tmp_path):
    documents = []

    def open_(data):
        path = tmp_path / f"{len(documents)}.pdf"
        path.write_bytes(data)
        documents.append(Pdf(str(path)))
        return documents[-1]

    yield open_
    for document in documents:
        document.close()


def saved(document: Pdf) -> bytes:
    document.save(out := BytesIO())
    return out.getvalue()


@pytest.mark.parametrize(
    ("rotate", "matrix", "total"),
    [
        (0, UPRIGHT, 0),
        (90, UPRIGHT, -90),
        (180, UPRIGHT, -180),
        (270, UPRIGHT, 90),
        (0, "0 1 -1 0", 90),
        (90, "0 1 -1 0", 0),
        (0, SLANTED, 10),
    ],
)
def test_text_tells_how_it_is_to_be_turned(opened, rotate, matrix, total):
    text = opened(text_pdf((rotate, matrix))).text(0)
    assert (text.suffices, text.share, text.total) == (True, 1.0, pytest.approx(total, abs=0.1))


def test_a_page_turned_by_its_text_is_upright_and_keeps_it(opened):
    document = opened(text_pdf((90, UPRIGHT)))
    words = document.text(0).letters
    document.turn(0, (270, 0.0))
    again = opened(saved(document))
    assert (again.text(0).total, again.text(0).letters) == (0, words)


def test_a_scan_has_no_text(opened):
    text = opened(scanned_pdf(page())).text(0)
    assert (text.letters, text.suffices) == (0, False)


@pytest.mark.parametrize("needs", [4.4, -17])
def test_a_scan_is_straightened_and_its_picture_keeps_its_bytes(opened, needs):
    data = scanned_pdf(lying(page(), needs))
    document = opened(data)
    assert find_skew(document.levels(0)).angle == pytest.approx(needs, abs=0.1)
    document.turn(0, (0, needs))
    again = opened(saved(document))
    assert find_skew(again.levels(0)).angle == pytest.approx(0, abs=0.15)
    assert _pictures(saved(document)) == _pictures(data)


def test_nothing_is_cut_off(opened):
    document = opened(scanned_pdf(page()))
    ink = (document.levels(0) < 128).mean() * np.prod(_size(saved(document)))
    document.turn(0, (0, 30.0))
    again = opened(saved(document))
    assert (again.levels(0) < 128).mean() * np.prod(_size(saved(document))) == pytest.approx(ink, rel=0.1)


def test_a_page_becomes_a_picture(opened):
    document = opened(text_pdf((0, UPRIGHT), (0, UPRIGHT)))
    document.replace(0, *_jpeg_of(document.rendered(0)))
    again = opened(saved(document))
    assert (len(again), again.text(0).letters, again.text(1).letters > 30) == (2, 0, True)
    difference = np.abs(again.levels(0).astype(int) - document.levels(1)).mean()
    assert difference < 3


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"%PDF-1.4 and nothing", Reason.DAMAGED),
        (b"", Reason.DAMAGED),
        (text_pdf((0, UPRIGHT), encrypted=True), Reason.ENCRYPTED),
    ],
    ids=["damaged", "empty", "encrypted"],
)
def test_what_cannot_be_opened_is_told(tmp_path, data, code):
    (tmp_path / "a.pdf").write_bytes(data)
    with pytest.raises(DecodeError) as told:
        Pdf(str(tmp_path / "a.pdf"))
    assert told.value.code is code
    assert "(PDFium" not in str(told.value)


def test_without_pdfium_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    with pytest.raises(DecodeError, match=re.escape(commands.adding("pages"))):
        Pdf("a.pdf")


def _pictures(data: bytes) -> list[bytes]:
    document = pypdfium2.PdfDocument(data)
    found = [bytes(thing.get_data()) for sheet in document for thing in sheet.get_objects() if hasattr(thing, "get_data")]
    document.close()
    assert found
    return found


def _size(data: bytes) -> tuple[float, float]:
    document = pypdfium2.PdfDocument(data)
    size = document.get_page_size(0)
    document.close()
    return size


def _jpeg_of(pixels):
    from orientd.decode import page_files

    return page_files.jpeg(pixels, (0, 0.0))


@pytest.mark.parametrize("turned", [(0,), (0, 1)])
def test_pages_that_share_an_array_of_contents_are_not_straightened(opened, turned):
    document = opened(shared_contents_pdf(lying(page(), 5)))
    with pytest.raises(Refused, match="share their content"):
        document.change(Changes(dict.fromkeys(turned, (0, 5.0))), lambda: False)
    document.change(Changes(dict.fromkeys(turned, (90, 0.0))), lambda: False)


def test_pages_that_share_nothing_are_straightened_together(opened):
    document = opened(scanned_pdf(lying(page(), 5), lying(page(seed=1), 5), page(seed=2)))
    document.change(Changes({0: (0, 5.0), 1: (90, 5.0)}), lambda: False)
    again = opened(saved(document))
    assert [(find_skew(again.levels(number)).angle + 45) % 90 - 45 for number in range(3)] == pytest.approx([0, 0, 0], abs=0.4)


BOXES = {
    "its own": ("", "/MediaBox [0 0 1000 1200]"),
    "inherited": ("/MediaBox [0 0 1000 1200]", ""),
    "larger than the page": ("", "/MediaBox [0 0 1000 1200] /CropBox [-500 0 1000 2400]"),
}


@pytest.mark.parametrize("boxes", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize(
    ("turn", "crop", "size", "square"),
    [
        ((0, 2.0), (0.0, 0.0, 1.0, 1.0), (1041, 1234), 100 * 100),
        ((0, 0.0), (0.1, 0.1, 0.75, 0.9), (650, 960), 50 * 80),
        ((90, 0.0), (0.1, 0.1, 0.9, 0.75), (960, 650), 80 * 50),
    ],
)
def test_the_page_that_is_turned_and_cropped_is_the_one_that_is_shown(opened, boxes, turn, crop, size, square):
    document = opened(boxed_pdf(*boxes))
    document.change(Changes({0: turn}, crops={} if turn[1] else {0: crop}), lambda: False)
    copy = pypdfium2.PdfDocument(saved(document))
    shown = copy[0].render(grayscale=True).to_numpy()
    assert copy.get_page_size(0) == pytest.approx(size, abs=1)
    assert (shown < 128).sum() == pytest.approx(square, rel=0.02)
    copy.close()
