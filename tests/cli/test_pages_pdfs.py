"""PDFs of all kinds, by the command: what is said, that originals stay as they are, and that copies are whole and upright."""

import re
from pathlib import Path

import pypdfium2
import pytest
from pypdfium2 import raw
from support.coded_pdfs import CODECS, PERMISSIONS, coded_pdf, pdf
from support.drawn_pages import lying, page, text_pdf

from orientd.errors import ExitCode
from orientd.pages import pdf as pdfs
from tests.cli.test_pages import UPRIGHT, fingerprint, orientd, rows  # noqa: F401

SIGNED = b"<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /adbe.pkcs7.detached /ByteRange [0 100 200 300] /Contents <00> >>"


def turned(data, *, folder="scans"):
    """Add a file to a folder, and give its name."""
    Path(folder).mkdir(exist_ok=True)
    place = Path(folder) / f"{len(list(Path(folder).iterdir()))}.pdf"
    place.write_bytes(data)
    return place.name


def signed(data):
    """The file with a signature in an object of its own, as an incremental update adds it."""
    return data.replace(b"\nxref\n", b"\n99 0 obj\n" + SIGNED + b"\nendobj\nxref\n")


def pictures(data):
    """The very bytes of the pictures."""
    document = pypdfium2.PdfDocument(data)
    things = [thing for sheet in document for thing in sheet.get_objects()]
    found = [bytes(thing.get_data(decode_simple=False)) for thing in things]
    document.close()
    return found


def run(orientd, *more):  # noqa: F811
    """The rows by name and page, once the originals are seen to be what they were, and all copies to be upright."""
    before = fingerprint("scans")
    code = orientd("pages", "scans", "--out", "out", "--report", "r.csv", *more)
    assert fingerprint("scans") == before
    found = rows("r.csv")
    errors = [row for row in found.values() if row["decision"] == "error"]
    assert code == (ExitCode.INCOMPLETE if errors else ExitCode.OK)
    copies = {row["copy"] for row in found.values() if row["copy"]}
    assert copies == {str(path.resolve()) for path in Path("out").rglob("*") if path.is_file()}
    for copy in copies:
        original = Path("scans", Path(copy).name)
        assert len(pypdfium2.PdfDocument(copy)) == len(pypdfium2.PdfDocument(original))
    if copies:
        assert orientd("pages", "out", "--report", "again.csv") == ExitCode.OK
        assert {row["decision"] for row in rows("again.csv").values()} == {"keep"}
    return found


@pytest.mark.parametrize("codec", CODECS)
def test_scans_keep_their_bytes_in_whatever_codec(orientd, codec):  # noqa: F811
    data = [coded_pdf(lying(page(seed=2), needs), codec) for needs in (4, 90, 0)]
    names = [turned(each) for each in data]
    found = run(orientd)
    assert [found[name, 1]["decision"] for name in names] == ["copy", "copy", "keep"]
    for name, each in zip(names[:2], data, strict=False):
        (kept,) = pictures(Path("out/scans", name).read_bytes())
        assert (kept,) == tuple(pictures(each))
        assert len(kept) > 1000


def test_a_file_locked_by_its_owner_stays_locked_in_the_same_way(orientd):  # noqa: F811
    data = coded_pdf(lying(page(seed=2), 90), "fax", locked=True)
    name = turned(data)
    assert run(orientd)[name, 1]["decision"] == "copy"
    with pypdfium2.PdfDocument(Path("out/scans", name)) as copy:
        assert raw.FPDF_GetSecurityHandlerRevision(copy.raw) == 2
        assert raw.FPDF_GetDocPermissions(copy.raw) == PERMISSIONS % 2**32
    assert pictures(Path("out/scans", name).read_bytes()) == pictures(data)


def test_what_cannot_be_opened_is_named_as_what_it_is_whatever_came_before(orientd):  # noqa: F811
    foreign = b"/Root 1 0 R /ID [<00> <00>] /Encrypt << /Filter /Adobe.PubSec /V 4 >>"
    empty = pdf(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 0 /Kids [] >>")
    for data in (
        empty,
        text_pdf((90, UPRIGHT), encrypted=True),
        empty,
        text_pdf((90, UPRIGHT)).replace(b"/Root 1 0 R", foreign),
        empty,
    ):
        turned(data)
    told = [(row["reason_code"], row["reason"]) for row in run(orientd).values()]
    locked = ("encrypted", "it is encrypted: save it without its password, and look at that")
    none = ("damaged", "it has no pages: compare it with a backup")
    assert told == [none, locked, none, locked, none]


@pytest.mark.parametrize("isolate", ["--isolate", "--no-isolate"])
def test_a_signed_one_is_left_as_it_is(orientd, isolate):  # noqa: F811
    names = [turned(signed(text_pdf((90, UPRIGHT), (0, UPRIGHT)))), turned(signed(coded_pdf(lying(page(), 4), "fax")))]
    found = run(orientd, isolate)
    assert not Path("out").exists()
    told = [found[key] for key in ((names[0], 1), (names[0], 2), (names[1], 1))]
    assert [(row["decision"], row["reason_code"]) for row in told] == [("unsure", "signed"), ("keep", ""), ("unsure", "signed")]
    assert (told[0]["turn"], float(told[2]["angle"])) == ("270", pytest.approx(4, abs=0.1))
    assert "print it to a new PDF" in told[0]["reason"]


def test_a_field_for_a_signature_is_none(orientd):  # noqa: F811
    field = text_pdf((90, UPRIGHT)).replace(b"\nxref\n", b"\n99 0 obj\n<< /FT /Sig /T (here) >>\nendobj\nxref\n")
    name = turned(field)
    assert run(orientd)[name, 1]["decision"] == "copy"


def test_a_signature_is_found_wherever_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(pdfs, "_BLOCK", 16)
    for before in range(40):
        place = tmp_path / f"{before}.pdf"
        place.write_bytes(text_pdf((0, UPRIGHT)) + b"\n%" + b"x" * before + b"/ByteRange")
        opened = pdfs.Pdf(str(place))
        assert opened.is_signed()
        opened.close()


def test_the_unit_of_a_page_stays(orientd):  # noqa: F811
    name = turned(coded_pdf(lying(page(seed=2), 94), "fax", "/UserUnit 2.5"))
    assert run(orientd)[name, 1]["decision"] == "copy"
    assert re.search(rb"/UserUnit 2\.5", Path("out/scans", name).read_bytes())


@pytest.mark.parametrize(("rotate", "turn"), [(450, 270), (-90, 90), (45, 0)])
def test_odd_rotations_are_those_that_viewers_show(orientd, rotate, turn):  # noqa: F811
    name = turned(text_pdf((rotate, UPRIGHT)))
    assert int(run(orientd)[name, 1]["turn"]) == turn


def test_a_lost_table_of_objects_costs_no_page(orientd):  # noqa: F811
    data = text_pdf((90, UPRIGHT), (0, UPRIGHT), (180, UPRIGHT))
    name = turned(re.sub(rb"startxref\n\d+", b"startxref\n99999", data))
    found = run(orientd)
    assert [found[name, number]["decision"] for number in (1, 2, 3)] == ["copy", "keep", "copy"]
