"""Drawn pictures with text, above all with the font that Pillow brings along, so that they are drawn on a bare machine, too."""

import os
from pathlib import Path
from random import Random

import numpy as np
import pytest
from orientd_training.data import pages
from orientd_training.data.pages import documents, photo, words
from orientd_training.data.pages import fonts as faces
from orientd_training.data.pages.fonts import Face
from orientd_training.data.pages.pen import Kit, Pen
from orientd_training.data.photoset import load, prepare
from PIL import Image, ImageFont

from orientd.errors import ConfigError, StateError

ENGLISH = words.LANGUAGES[0]
KIT = Kit({ENGLISH: ((Face(),),)})
KINDS = ("pages", "signs", "screens")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Some of the fonts of the machine, so that the search is quick."""
    files = sorted(file for place in faces.SYSTEM for ending in ("ttf", "otf", "ttc") for file in place.rglob(f"*.{ending}"))
    some = files[:: max(1, len(files) // 12)]
    some += [file for file in files if file.stem in ("DejaVuSans", "FreeSans", "LiberationSans-Bold")]
    chosen = tmp_path_factory.mktemp("fonts")
    for number, file in enumerate(some):
        (chosen / f"{number}-{file.name}").symlink_to(file)
    return chosen


@pytest.fixture(scope="module")
def fonts(folder):
    try:
        return faces.find([folder])
    except ConfigError:
        pytest.skip("no fonts on this machine")


@pytest.fixture
def pen():
    return Pen(Random(0), KIT, Image.new("RGB", (400, 300), "white"), (0, 0, 0), 20)


def inked(image):
    """Bounds (left, top, right, bottom) of what is not white."""
    return Image.eval(image.convert("L"), lambda value: 255 - value).getbbox()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_draws_the_same_picture_and_another_seed_another(kind):
    first, again, other = (pages.draw(kind, Random(seed), KIT) for seed in ("1", "1", "2"))
    assert first.tobytes() == again.tobytes()
    assert first.size != other.size or first.tobytes() != other.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_and_aspects(kind):
    drawn = [pages.draw(kind, Random(f"{kind} {i}"), KIT) for i in range(25)]
    assert {image.mode for image in drawn} == {"RGB"}
    assert all(200 <= min(image.size) <= 400 for image in drawn), [image.size for image in drawn]
    assert all(min(image.size) * 3.5 > max(image.size) for image in drawn)
    assert {image.width > image.height for image in drawn} == {True, False}
    assert all(np.asarray(image.convert("L")).std() > 4 for image in drawn), "an empty picture"


def test_with_photos_their_crops_are_in_the_pictures():
    red = np.zeros((3, 48, 48, 3), np.uint8)
    red[..., 0] = 250
    share = [np.mean(np.asarray(pages.draw("signs", Random(i), Kit(KIT.fonts, red)))[..., 1:] < 30) for i in range(12)]
    plain = [np.mean(np.asarray(pages.draw("signs", Random(i), KIT))[..., 1:] < 30) for i in range(12)]
    assert max(share) > 0.3
    assert np.mean(share) > np.mean(plain)


def test_writing_is_the_same_by_any_number_of_processes_and_prepare_reads_it(tmp_path):
    counts = pages.write(tmp_path / "one", 26, 5, KIT.fonts)
    assert counts == {"pages": 11, "signs": 11, "screens": 4}
    assert pages.write(tmp_path / "two", 26, 5, KIT.fonts, jobs=2) == counts
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.jpg"))
    assert len(files) == 26
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)
    prepare([tmp_path / "one"], tmp_path / "cache", 32)
    prepared = load(tmp_path / "cache")
    assert (len(prepared), set(prepared.groups)) == (26, set(KINDS))
    pages.write(tmp_path / "upon", 4, 5, KIT.fonts, tmp_path / "cache")
    assert (tmp_path / "upon/signs/00001.jpg").read_bytes() != (tmp_path / "one/signs/00001.jpg").read_bytes()


def _sheet(sheet, seed):
    """The drawing of a page on plain paper (grey, 0–1), before it is photographed."""
    paper = Image.new("RGB", (600, round(600 / sheet.aspects[0])), "white")
    sheet.draw(Pen(Random(seed), KIT, paper, (0, 0, 0), round(600 * sheet.sizes[0])), 40)
    return np.asarray(paper.convert("L")) / 255


def _stripes(grey):
    """How much finer the rows of a picture change than its columns: more than 0 if lines of text lie level."""
    rows, columns = (np.diff(grey.mean(axis)).std() for axis in (1, 0))
    return rows - columns


@pytest.mark.parametrize("sheet", documents.SHEETS, ids=lambda sheet: sheet.draw.__name__.strip("_"))
def test_a_page_upright_is_told_from_its_quarter_turn(sheet):
    drawn = [_sheet(sheet, seed) for seed in range(6)]
    assert np.mean([_stripes(grey) for grey in drawn]) > 0
    assert np.mean([_stripes(np.rot90(grey)) for grey in drawn]) < 0


def test_a_letter_upright_is_told_from_its_half_turn():
    letters = [_sheet(documents.SHEETS[0], seed) for seed in range(12)]
    half = len(letters[0]) // 2
    assert np.mean([grey[:half].mean() - grey[half:].mean() for grey in letters]) < -0.01


def test_paragraphs_begin_at_one_edge_and_fill_from_the_top(pen):
    end = pen.body((20, 380), 10, 150, 16, justify=False)
    left, top, right, bottom = inked(pen.image)
    assert left >= 20
    assert top >= 10
    assert right <= 381
    assert end <= 150
    assert bottom < end + 8
    ends = [row.nonzero()[0] for row in np.asarray(pen.image.convert("L"))[10:150] < 128]
    starts, stops = ({int(row[index]) // 4 for row in ends if len(row)} for index in (0, -1))
    assert len(stops) > len(starts)


def test_justified_lines_reach_both_edges(pen):
    pen.body((20, 380), 10, 60, 16, justify=True)
    assert inked(pen.image)[2] >= 370


def test_text_is_made_to_fit(pen):
    size = pen.fitting("a rather long line of text", 100, 60)
    assert pen.width("a rather long line of text", size) <= 100 < pen.width("a rather long line of text", 60)
    assert pen.fitting("a", 1000, 60) == 60
    assert pen.fitting("a rather long line of text", 5, 60) == 8


@pytest.mark.parametrize(("align", "low", "high"), [(0, 0, 20), (0.5, 120, 240), (1, 280, 400)])
def test_alignment(pen, align, low, high):
    pen.line((0, 400), 10, "word", 40, align)
    left, _, right, _ = inked(pen.image)
    assert (low <= left, right <= high + 100) == (True, True)
    assert right - left < 120


def test_the_test_for_glyphs_sees_what_is_missing():
    opened = ImageFont.load_default(24)
    covers = faces.glyphs(opened)
    assert covers(ENGLISH.letters)
    assert covers("")
    for missing in ("\U0010fffd", "ཀ", "가", "ab\u0e01c"):
        assert not covers(missing), missing
    assert not covers(" "), "what shows nothing is no letter"


def test_every_language_is_written_only_with_fonts_that_have_its_letters(fonts):
    cmap = pytest.importorskip("fontTools.ttLib", reason="needs fontTools as the referee")
    for language, families in fonts.items():
        path = families[-1][-1].path
        with cmap.TTFont(path, fontNumber=0 if path.endswith("ttc") else -1, lazy=True) as font:
            assert {ord(letter) for letter in language.letters} <= set(font.getBestCmap()), (language.name, path)


def test_without_raqm_no_language_is_written_that_needs_it(folder, fonts, monkeypatch):
    monkeypatch.setattr(faces, "raqm", lambda: False)
    assert not [language.name for language in faces.find([folder]) if language.shaped]
    assert ENGLISH in fonts


def test_shares_of_the_fonts_have_no_family_in_common(folder, fonts, monkeypatch):
    monkeypatch.setattr(faces, "with_figures", lambda fonts: [Face()])  # a share may be left without any
    first, rest = (faces.find([folder], share) for share in ((0, 0.5), (0.5, 1)))
    assert first != rest
    for language in fonts:
        parts = [set(share.get(language, ())) for share in (first, rest)]
        assert not parts[0] & parts[1]
        assert parts[0] | parts[1] == set(fonts[language])


def test_right_to_left_starts_at_the_right(fonts):
    turned = [language for language in fonts if language.rtl]
    if not turned:
        pytest.skip("no font for a language that is written from right to left")
    kit = Kit({language: families for language, families in fonts.items() if language in (turned[0], ENGLISH)})
    pen = next(
        pen for seed in range(50) if (pen := Pen(Random(seed), kit, Image.new("RGB", (600, 90), "white"), (0, 0, 0), 30)).rtl
    )
    pen.line((0, 600), 10, turned[0].words[0], 30)
    assert inked(pen.image)[0] > 300


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be written"):
        pages.write(tmp_path / "file" / "out", 1, 5, KIT.fonts)


def test_unknown_folders_and_folders_without_fonts(tmp_path):
    with pytest.raises(ConfigError, match="nowhere: no such folder"):
        faces.find([tmp_path / "nowhere"])
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    with pytest.raises(ConfigError, match="no font for Latin letters"):
        faces.find([tmp_path])


def test_words_are_what_their_language_says():
    assert len({language.name for language in words.LANGUAGES}) == len(words.LANGUAGES)
    random = Random(1)
    for language in words.LANGUAGES:
        assert len(language.words) >= 12
        letters = set(language.letters) | {" "}
        for _ in range(20):
            assert set("".join(words.sentence(random, language, figures=False))) <= letters
            assert set(words.shout(random, language, 3)) <= letters
            assert len(words.phrase(random, language, 2)) >= 3
    plain = {
        letter for make in (words.price, words.date, words.contact, words.plate) for _ in range(60) for letter in make(random)
    }
    assert plain <= set(faces.FIGURES) | {letter for letter in map(chr, range(32, 127)) if letter.isalpha() or letter == " "}


def test_a_perspective_puts_the_corners_where_they_belong():
    target = np.array([(10, 20), (90, 15), (95, 80), (5, 70)], float)
    a, b, c, d, e, f, g, h = photo._perspective(target, (200, 100))
    for (x, y), corner in zip(target, [(0, 0), (200, 0), (200, 100), (0, 100)], strict=True):
        below = g * x + h * y + 1
        assert np.allclose([(a * x + b * y + c) / below, (d * x + e * y + f) / below], corner)


def test_ink_reads_well_on_its_ground():
    random = Random(0)
    for _ in range(200):
        ground = photo.colour(random)
        apart = abs(photo.brightness(photo.contrasting(random, ground)) - photo.brightness(ground))
        assert apart >= 70


@pytest.mark.parametrize("name", ["draw-pages", "pages"])
def test_the_command_says_what_it_drew_by_its_name_and_by_its_old_one(name, tmp_path, capsys, monkeypatch):
    from orientd_training.cli import main

    monkeypatch.setattr(faces, "find", lambda folders, share: {ENGLISH: ((Face(),),)})
    monkeypatch.setattr("sys.argv", ["orientd-train", name, "--out", os.fspath(tmp_path), "--count", "3"])
    main()
    assert capsys.readouterr().out.splitlines() == ["1 families of fonts, 1 languages", "pages: 2", "signs: 1"]
    assert len(list(Path(tmp_path).rglob("*.jpg"))) == 3
