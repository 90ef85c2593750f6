"""The command for documents, from its arguments to the copies: originals untouched, copies upright, an outcome for every file."""

import csv
import hashlib
import os
import subprocess
import sys
from contextlib import nullcontext
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.drawn_pages import jpeg, lying, page, scanned_pdf, text_pdf
from support.turnable_jpegs import needs_turbojpeg

from orientd import commands
from orientd.cli.main import cli
from orientd.decode.children import CHILDREN
from orientd.decode.skew import find_skew
from orientd.errors import ExitCode
from orientd.pages.pdf import Pdf
from orientd.pipeline.page_documents import ImageDocument

UPRIGHT, SLANTED = "1 0 0 1", "0.9848 0.1736 -0.1736 0.9848"


@pytest.fixture
def orientd(tmp_path, monkeypatch):
    """Runs a command in an empty folder; returns its exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def run(*words):
        return cli.main([str(word) for word in words], prog_name="orientd", standalone_mode=False) or ExitCode.OK

    yield run
    commands.called_as()


@pytest.fixture
def scans(tmp_path):
    """A folder with a page of each kind; and the fingerprint of everything in it."""
    folder = tmp_path / "scans"
    (folder / "sub").mkdir(parents=True)
    (folder / "skewed.jpg").write_bytes(jpeg(lying(page(), 5), quality=70, dpi=(100, 100)))
    (folder / "sideways.jpg").write_bytes(jpeg(lying(page().resize((816, 1056)), 90)))
    lying(page(seed=3), 184).save(folder / "sub" / "upside-down.png")
    page(seed=4).save(folder / "good.png")
    Image.new("L", (700, 900), 255).save(folder / "blank.png")
    frames = [page(seed=5).convert("1"), lying(page(seed=6), 270).convert("1")]
    frames[0].save(folder / "several.tif", save_all=True, append_images=frames[1:], compression="group4")
    (folder / "scan.pdf").write_bytes(scanned_pdf(lying(page(seed=7), -3), page(seed=8), lying(page(seed=9), 180)))
    (folder / "text.pdf").write_bytes(text_pdf((90, UPRIGHT), (0, UPRIGHT), (0, SLANTED)))
    (folder / "damaged.pdf").write_bytes(b"%PDF-1.4 and nothing")
    (folder / "locked.pdf").write_bytes(text_pdf((0, UPRIGHT), encrypted=True))
    (folder / "short.jpg").write_bytes(jpeg(page())[:5000])
    (folder / "notes.txt").write_text("no page")
    return folder


def fingerprint(folder):
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files}


def rows(report):
    with open(report, newline="") as file:
        return {(os.path.basename(row["path"]), int(row["page"])): row for row in csv.DictReader(file)}


def skew(data):
    image = Image.open(BytesIO(data)).convert("L")
    image.thumbnail((1024, 1024))
    return find_skew(np.asarray(image)).angle


def test_copies_are_upright_and_originals_untouched(orientd, scans, tmp_path):
    before = fingerprint(scans)
    assert orientd("pages", scans, "--out", "out", "--report", "r.csv") == ExitCode.INCOMPLETE
    assert fingerprint(scans) == before
    told = {place: (row["decision"], row["reason_code"]) for place, row in rows("r.csv").items()}
    assert told == {
        ("blank.png", 1): ("unsure", "no_text"),
        ("damaged.pdf", 1): ("error", "damaged"),
        ("good.png", 1): ("keep", ""),
        ("locked.pdf", 1): ("error", "encrypted"),
        ("scan.pdf", 1): ("copy", ""),
        ("scan.pdf", 2): ("keep", ""),
        ("scan.pdf", 3): ("copy", ""),
        ("several.tif", 1): ("keep", ""),
        ("several.tif", 2): ("copy", ""),
        ("short.jpg", 1): ("error", "damaged"),
        ("sideways.jpg", 1): ("copy", ""),
        ("skewed.jpg", 1): ("copy", ""),
        ("text.pdf", 1): ("copy", ""),
        ("text.pdf", 2): ("keep", ""),
        ("text.pdf", 3): ("keep", "quarter_turn_only"),
        ("upside-down.png", 1): ("copy", ""),
    }
    copied = {path.relative_to(tmp_path / "out").as_posix() for path in fingerprint(tmp_path / "out")}
    wanted = {"skewed.jpg", "sideways.jpg", "several.tif", "scan.pdf", "text.pdf", "sub/upside-down.png"}
    assert copied == {f"scans/{name}" for name in wanted}
    assert orientd("pages", "out", "--report", "again.csv") == ExitCode.OK
    assert {row["decision"] for row in rows("again.csv").values()} == {"keep"}


def test_the_report_tells_by_how_much(orientd, scans):
    orientd("pages", scans, "--report", "r.csv")
    row = rows("r.csv")["skewed.jpg", 1]
    assert (float(row["angle"]), row["turn"], row["copy"]) == (pytest.approx(5, abs=0.1), "0", "")
    assert float(row["angle_confidence"]) > 0.7
    assert float(row["confidence"]) > 0.9
    assert not Path("out").exists()


@needs_turbojpeg
def test_a_quarter_turn_of_a_jpeg_is_exact(orientd, scans):
    orientd("pages", scans / "sideways.jpg", "--out", "out")
    before, after = (Image.open(path) for path in (scans / "sideways.jpg", "out/sideways.jpg"))
    assert {key: sorted(table) for key, table in after.quantization.items()} == {
        key: sorted(table) for key, table in before.quantization.items()
    }
    difference = np.abs(np.rot90(np.asarray(before), -1).astype(int) - np.asarray(after))
    assert difference.max() <= 3  # a decoder's rounding; packed again it would be tens


def test_by_quarters_only(orientd, scans):
    orientd("pages", scans / "skewed.jpg", scans / "sub", "--out", "out", "--report", "r.csv", "--no-straighten")
    told = rows("r.csv")
    assert (told["skewed.jpg", 1]["decision"], told["skewed.jpg", 1]["reason_code"]) == ("keep", "quarter_turn_only")
    assert told["upside-down.png", 1]["decision"] == "copy"
    before, after = (np.asarray(Image.open(path)) for path in (scans / "sub" / "upside-down.png", "out/sub/upside-down.png"))
    assert np.array_equal(np.rot90(before, 2), after)


def test_a_slanted_text_becomes_a_picture_only_if_asked(orientd, scans):
    orientd("pages", scans / "text.pdf", "--out", "out", "--report", "r.csv", "--render")
    row = rows("r.csv")["text.pdf", 3]
    assert (row["decision"], row["reason_code"]) == ("copy", "text_lost")
    document = Pdf("out/text.pdf")
    assert [document.text(number).letters > 0 for number in range(3)] == [True, True, False]
    assert find_skew(document.levels(2)).angle == pytest.approx(0, abs=0.15)
    document.close()


@pytest.mark.parametrize(
    ("data", "options"),
    [(text_pdf((90, UPRIGHT), (0, UPRIGHT)), ()), (text_pdf((90, SLANTED), (0, UPRIGHT)), ("--render",))],
    ids=["turned", "rendered"],
)
def test_a_page_that_is_listed_twice_is_turned_once(orientd, tmp_path, data, options):
    (tmp_path / "a.pdf").write_bytes(data.replace(b"/Kids [4 0 R 6 0 R]", b"/Kids [4 0 R 4 0 R]"))
    assert orientd("pages", "a.pdf", "--out", "out", "--report", "r.csv", *options) == ExitCode.OK
    assert [row["decision"] for row in rows("r.csv").values()] == ["copy", "copy"]
    orientd("pages", "out", "--report", "again.csv")
    assert [row["decision"] for row in rows("again.csv").values()] == ["keep", "keep"]


def test_a_copy_is_not_replaced_unasked(orientd, scans):
    assert orientd("pages", scans / "skewed.jpg", "--out", "out", "--report", "1.csv") == ExitCode.OK
    Path("out/skewed.jpg").write_bytes(b"a person's")
    assert orientd("pages", scans / "skewed.jpg", "--out", "out", "--report", "2.csv") == ExitCode.INCOMPLETE
    assert (rows("2.csv")["skewed.jpg", 1]["decision"], rows("2.csv")["skewed.jpg", 1]["reason_code"]) == ("error", "copy_exists")
    assert Path("out/skewed.jpg").read_bytes() == b"a person's"
    assert orientd("pages", scans / "skewed.jpg", "--out", "out", "--report", "3.csv", "--overwrite") == ExitCode.OK
    assert skew(Path("out/skewed.jpg").read_bytes()) == pytest.approx(0, abs=0.1)


def test_a_report_is_not_replaced_unasked(orientd, scans):
    orientd("pages", scans / "good.png", "--report", "r.csv")
    with pytest.raises(Exception, match="there already"):
        orientd("pages", scans / "good.png", "--report", "r.csv")
    assert orientd("pages", scans / "good.png", "--report", "r.csv", "--overwrite") == ExitCode.OK


def test_two_runs_in_one_second_have_reports_of_their_own(orientd, scans, tmp_path, monkeypatch):
    class Stopped(datetime):
        @classmethod
        def now(cls):
            return cls(2026, 11, 29, 12)

    monkeypatch.setattr("orientd.cli.pages.datetime", Stopped)
    for _ in range(2):
        orientd("pages", scans / "good.png", "--report", tmp_path)
    assert sorted(path.name for path in tmp_path.glob("orientd-pages-*.csv")) == [
        "orientd-pages-20261129-120000-2.csv",
        "orientd-pages-20261129-120000.csv",
    ]


def test_an_original_is_no_report_to_be_replaced(orientd, scans):
    before = fingerprint(scans)
    with pytest.raises(Exception, match="not a report"):
        orientd("pages", scans / "good.png", "--report", scans / "scan.pdf", "--overwrite")
    assert fingerprint(scans) == before


def test_a_report_on_standard_output_is_refused(orientd, scans):
    with pytest.raises(Exception, match="standard output"):
        orientd("pages", scans / "good.png", "--report", "-")
    assert not Path("-").exists()


def test_interrupted_before_the_first_page_it_names_no_report(orientd, scans, monkeypatch, capsys):
    monkeypatch.setattr("orientd.cli.stopping.stoppable", lambda: nullcontext(lambda: True))
    orientd("pages", scans / "good.png", "--report", "r.csv")
    assert "No report" in capsys.readouterr().out
    assert not list(Path().glob("r.csv*"))


def test_copies_among_pages_are_refused_and_no_report_begun(orientd, scans):
    with pytest.raises(Exception, match="choose another --out"):
        orientd("pages", scans, "--out", scans / "upright", "--report", "r.csv")
    assert not list(Path().glob("r.csv*"))


def test_no_plan_can_be_made_of_its_report(orientd, scans):
    orientd("pages", scans, "--report", "r.csv")
    before = fingerprint(scans)
    with pytest.raises(Exception, match=r"r\.csv: is a report about pages"):
        orientd("apply", "r.csv", scans)
    assert fingerprint(scans) == before


def test_what_is_too_large_is_told(orientd, scans):
    assert orientd("pages", scans / "good.png", "--max-pixels", "1000", "--report", "r.csv") == ExitCode.INCOMPLETE
    assert rows("r.csv")["good.png", 1]["reason_code"] == "too_large"


def test_a_pdf_for_whose_copy_there_is_no_memory_is_named_and_the_run_goes_on(orientd, scans):
    words = ("pages", scans / "scan.pdf", scans / "skewed.jpg", "--max-memory", "32")
    assert orientd(*words, "--out", "out", "--report", "r.csv") == ExitCode.INCOMPLETE
    decisions = {place: (row["decision"], row["reason_code"]) for place, row in rows("r.csv").items()}
    assert decisions == {
        ("scan.pdf", 1): ("error", "out_of_memory"),
        ("scan.pdf", 2): ("keep", ""),
        ("scan.pdf", 3): ("error", "out_of_memory"),
        ("skewed.jpg", 1): ("copy", ""),
    }
    assert [path.name for path in Path("out").rglob("*") if path.is_file()] == ["skewed.jpg"]
    assert orientd(*words, "--report", "2.csv") == ExitCode.OK


def test_one_bad_page_does_not_stop_the_others(orientd, scans, monkeypatch):
    levels = Pdf.levels
    monkeypatch.setattr(Pdf, "levels", lambda self, number: levels(self, number if number != 1 else 99))
    orientd("pages", scans / "scan.pdf", "--out", "out", "--report", "r.csv", "--no-isolate")
    assert [row["decision"] for row in rows("r.csv").values()] == ["copy", "error", "copy"]


def test_many_pages_to_be_rendered_at_once_are_refused(orientd, tmp_path):
    (tmp_path / "long.pdf").write_bytes(text_pdf((0, SLANTED), pages_of=501))
    orientd("pages", "long.pdf", "--render", "--report", "r.csv")
    assert rows("r.csv")["long.pdf", 1]["reason_code"] == "too_large"


def test_what_is_excluded_is_left_out(orientd, scans):
    orientd("pages", scans, "--exclude", "*.pdf", "--exclude", "*.jpg", "--report", "r.csv")
    assert {name for name, _ in rows("r.csv")} == {"blank.png", "good.png", "several.tif", "upside-down.png"}


def test_a_copy_in_another_format_has_its_suffix(orientd, tmp_path):
    lying(page(), 4).save(tmp_path / "a.bmp")
    lying(page().convert("RGB"), 4).save(tmp_path / "b.avif", quality=80)
    lying(page().convert("RGB"), 90).save(tmp_path / "c.avif", quality=80)
    before = fingerprint(tmp_path)
    orientd("pages", "a.bmp", "b.avif", "c.avif", "--out", "out", "--report", "r.csv")
    assert before.items() <= fingerprint(tmp_path).items()
    copies = {path.name: Image.open(BytesIO(path.read_bytes())).format for path in Path("out").iterdir()}
    assert copies == {"a.bmp.png": "PNG", "b.avif.jpg": "JPEG", "c.avif": "AVIF"}
    assert orientd("pages", "out", "--report", "again.csv") == ExitCode.OK
    assert {row["decision"] for row in rows("again.csv").values()} == {"keep"}


def test_without_pdfium_the_other_files_are_looked_at(orientd, scans, monkeypatch):
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    assert orientd("pages", scans, "--report", "r.csv", "--no-isolate") == ExitCode.INCOMPLETE
    told = rows("r.csv")
    assert (told["text.pdf", 1]["reason_code"], told["good.png", 1]["decision"]) == ("unsupported", "keep")


def test_a_pdf_that_kills_what_reads_it_does_not_end_the_run(orientd, scans, monkeypatch):
    hostile = """
import ctypes, sys
from orientd.pages import pdf
from orientd.pipeline import child
levels = pdf.Pdf.levels
pdf.Pdf.levels = lambda self, number: ctypes.string_at(0) if number == 1 else levels(self, number)
child.serve(int(sys.argv[-1]))
"""
    monkeypatch.setattr(CHILDREN, "command", (sys.executable, "-P", "-c", hostile))
    before = fingerprint(scans)
    assert orientd("pages", scans, "--out", "out", "--report", "r.csv") == ExitCode.INCOMPLETE
    assert fingerprint(scans) == before
    told = rows("r.csv")
    assert [(told["scan.pdf", page]["decision"], told["scan.pdf", page]["reason_code"]) for page in (1, 2, 3)] == [
        ("copy", ""),
        ("error", "crashes"),
        ("copy", ""),
    ]
    assert (told["text.pdf", 1]["decision"], told["upside-down.png", 1]["decision"]) == ("copy", "copy")


@pytest.mark.parametrize("isolate", ["--isolate", "--no-isolate"])
def test_a_run_that_is_stopped_leaves_no_part_of_a_copy(orientd, scans, monkeypatch, isolate):
    looks = []
    monkeypatch.setattr("orientd.cli.stopping.stoppable", lambda: nullcontext(lambda: len(looks) == 2))
    finding = ImageDocument.finding

    def seen(self, page, ask):
        looks.append(page)
        return finding(self, page, ask)

    monkeypatch.setattr(ImageDocument, "finding", seen)
    monkeypatch.setattr("orientd.decode.children._LOOK", 0)
    before = fingerprint(scans)
    orientd("pages", scans / "several.tif", "--out", "out", "--report", "r.csv", isolate)
    assert len(looks) == 2
    assert fingerprint(scans) == before
    assert not [path for path in Path("out").rglob("*") if path.is_file()]


@pytest.mark.parametrize("isolate", ["--isolate", "--no-isolate"])
def test_a_disk_that_is_full_is_named_and_nothing_half_stays(orientd, scans, tmp_path, isolate):
    (small := tmp_path / "small").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", small], capture_output=True).returncode:
        pytest.skip("no right to mount")
    try:
        lying(page(seed=6), 3).save(scans / "skewed.tif")
        words = (scans / "skewed.tif", scans / "scan.pdf", "--out", small / "out", "--report", "r.csv", isolate)
        assert orientd("pages", *words) == ExitCode.INCOMPLETE
        told = [(row["reason_code"], row["reason"]) for row in rows("r.csv").values() if row["decision"] == "error"]
        assert {code for code, _ in told} == {"no_room"}
        assert all("no space is left" in reason for _, reason in told)
        assert not [path for path in small.rglob("*") if path.is_file()]
    finally:
        subprocess.run(["umount", small], check=True)
