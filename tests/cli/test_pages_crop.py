"""`orientd pages --crop`: copies hold the page alone, whatever the file; where it is not certain where that ends, all of it."""

import csv
import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from PIL import Image
from support.drawn_pages import PAPER, jpeg, page, scanned_pdf

from orientd.cli.main import cli
from orientd.errors import ExitCode

LYING = [6, -81.5, 184, 90]
SHEET = (636, 828)


@pytest.fixture
def orientd(tmp_path, monkeypatch):
    """Runs `orientd pages` in an empty folder and gives its rows; the exit code is to be 0."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        (tmp_path / "r.csv").unlink(missing_ok=True)
        code = cli.main(["pages", *map(str, words), "--report", "r.csv"], prog_name="orientd", standalone_mode=False)
        assert code == ExitCode.OK
        with open("r.csv", newline="") as file:
            return {os.path.basename(row["path"]): row for row in csv.DictReader(file)}

    return run


def on_a_table(needs: float, table: int = 30) -> Image.Image:
    """A page lying on a table, so that it needs a turn of `needs` degrees."""
    image = Image.new("L", (1150, 1150), table)
    image.paste(page().resize(SHEET), (257, 161))
    return image.rotate(needs, Image.Resampling.BICUBIC, fillcolor=table)


def is_the_page(shown: Image.Image) -> bool:
    """True if it is upright, and is the page with no more than a narrow border around it."""
    (wide, tall), border = shown.size, min(shown.size) // 64
    rim = np.asarray(shown.convert("L").crop((border, border, wide - border, tall - border)))
    small = [np.asarray(one.convert("L").resize((53, 69), Image.Resampling.BOX)) for one in (Image.fromarray(rim), page())]
    likeness = np.corrcoef(*(one.ravel() for one in small))[0, 1]
    return abs(wide / tall - SHEET[0] / SHEET[1]) < 0.02 and (rim > PAPER - 30).mean() > 0.75 and likeness > 0.6


@pytest.mark.parametrize("needs", LYING)
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_a_copy_is_the_page_alone(orientd, needs, suffix):
    on_a_table(needs).save(f"a.{suffix}")
    assert orientd(f"a.{suffix}", "--out", "out", "--crop")[f"a.{suffix}"]["reason_code"] == ""
    with Image.open(f"out/a.{suffix}") as copy:
        assert is_the_page(copy)
        assert copy.width < 1.06 * SHEET[0]


@pytest.mark.parametrize("needs", LYING)
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_a_scan_in_a_pdf_is_shown_cropped_and_keeps_its_picture(orientd, needs, rotate):
    data = scanned_pdf(on_a_table(needs).rotate(rotate))
    document = pypdfium2.PdfDocument(data)
    document[0].set_rotation(rotate)
    document.save("a.pdf")
    orientd("a.pdf", "--out", "out", "--crop")
    copy = pypdfium2.PdfDocument("out/a.pdf")
    assert is_the_page(copy[0].render(scale=1.4, grayscale=True).to_pil())
    pictures = [
        [bytes(thing.get_data()) for thing in one[0].get_objects() if hasattr(thing, "get_data")] for one in (document, copy)
    ]
    assert pictures[0] == pictures[1]


def test_each_page_of_a_tiff_is_cropped_for_itself(orientd):
    frames = [on_a_table(5), page(), on_a_table(180)]
    frames[0].save("a.tif", save_all=True, append_images=frames[1:])
    orientd("a.tif", "--out", "out", "--crop")
    with Image.open("out/a.tif") as copy:
        for number in (0, 2):
            copy.seek(number)
            assert is_the_page(copy)
        copy.seek(1)
        assert np.array_equal(np.asarray(copy), np.asarray(frames[1]))


def test_where_a_page_ends_uncertainly_its_copy_is_whole(orientd):
    for name, options in (("whole", ()), ("asked", ("--crop",))):
        on_a_table(6, table=150).save("a.png")
        row = orientd("a.png", "--out", name, *options)["a.png"]
        assert (row["decision"], row["reason_code"]) == ("copy", "edges_uncertain" if options else "")
    assert Path("whole/a.png").read_bytes() == Path("asked/a.png").read_bytes()


def test_without_a_table_a_quarter_turn_still_loses_nothing(orientd):
    Path("a.jpg").write_bytes(jpeg(page().resize((816, 1056)).rotate(90, expand=True)))
    for name, options in (("whole", ()), ("asked", ("--crop",))):
        orientd("a.jpg", "--out", name, *options)
    assert Path("whole/a.jpg").read_bytes() == Path("asked/a.jpg").read_bytes()


def test_a_jpeg_that_is_cropped_keeps_its_tables_and_resolution(orientd):
    Path("a.jpg").write_bytes(jpeg(on_a_table(90), quality=61, dpi=(200, 200)))
    orientd("a.jpg", "--out", "out", "--crop")
    before, after = (Image.open(BytesIO(Path(name).read_bytes())) for name in ("a.jpg", "out/a.jpg"))
    assert (after.quantization, after.info["dpi"]) == (before.quantization, (200, 200))


@pytest.mark.parametrize("words", [("--crop",), ("--crop", "--out", "out", "--no-straighten")])
def test_without_straightened_copies_nothing_can_be_cropped(tmp_path, words):
    with pytest.raises(Exception, match="--crop is for copies"):
        cli.main(["pages", str(tmp_path), *words], prog_name="orientd", standalone_mode=False)
