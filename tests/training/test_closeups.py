"""Close-ups teach letters alone: they are cut from leaves as from pages, and made of real words or of all letters of a script."""

import os
import struct
from pathlib import Path
from random import Random

import numpy as np
import pytest
from orientd_training.data.pages import catalogs, closeups, words
from orientd_training.data.pages import fonts as faces
from orientd_training.data.pages.closeups import Script
from orientd_training.data.pages.fonts import Face
from PIL import Image

from orientd.errors import ConfigError, StateError

ENGLISH = words.LANGUAGES[0]
HEBREW = next(language for language in words.LANGUAGES if language.name == "Hebrew")
FONTS = {ENGLISH: ((Face(),),)}
PLAIN = Script(ENGLISH, FONTS[ENGLISH], ())
HEADER = "Content-Type: text/plain; charset=UTF-8\n"


def test_the_same_seed_draws_the_same_close_ups_and_another_seed_others():
    first, again, other = (closeups.closeups(Random(seed), PLAIN) for seed in ("1", "1", "2"))
    assert {(image.size, image.mode) for image in first} == {((closeups.SIDE, closeups.SIDE), "L")}
    first, again, other = ([image.tobytes() for image in images] for images in (first, again, other))
    assert first == again != other


def test_what_is_written_is_not_empty(tmp_path):
    assert closeups.write(tmp_path, 8, 1, FONTS) == {"English": 8}
    spreads = [np.asarray(Image.open(file)).std() for file in tmp_path.rglob("*.png")]
    assert (len(spreads), min(spreads) > 7) == (8, True)


def test_close_ups_stand_upright_with_their_lines_level():
    images = [np.asarray(image) for seed in range(8) for image in closeups.closeups(Random(seed), PLAIN)]
    steep = [np.diff(image.mean(axis=1)).std() > np.diff(image.mean(axis=0)).std() for image in images]
    assert np.mean(steep) > 0.8


@pytest.mark.parametrize("align", ["both", 0, 1, 0.5, None])
def test_lines_are_set_in_every_way(align, monkeypatch):
    random = Random(3)
    monkeypatch.setattr(random, "choice", lambda many: align if align in many else many[0])
    leaf = Image.new("L", (400, 200), 255)
    closeups._lines(random, leaf, PLAIN, Face(), 20, 3, 0)
    assert (np.asarray(leaf) < 100).mean() > 0.01


def test_words_follow_each_other_as_in_their_texts(monkeypatch):
    script = PLAIN._replace(words=tuple("abcdefgh"))
    monkeypatch.setattr(Random, "random", lambda self: 0.5)
    first, place = closeups._line(Random(1), script, Face(), 90, 20, 6)
    assert "".join(first) == "gh" + "abcdefgh"[: len(first) - 2]
    assert place > 6 + len(first) - 1


def test_parts_of_pages_are_cut_where_there_is_print(tmp_path):
    page = np.full((400, 400), 255, np.uint8)
    page[200:, ::8] = 0
    (tmp_path / "pages").mkdir()
    Image.fromarray(page).save(tmp_path / "pages" / "striped.jpg")
    Image.new("L", (400, 400), 255).save(tmp_path / "pages" / "blank.jpg")
    assert closeups.write(tmp_path / "out", 1, 3, FONTS, tmp_path / "pages") == {"English": 1, "real": 2}
    assert min(np.asarray(Image.open(part)).std() for part in (tmp_path / "out" / "real").iterdir()) > 50


def test_a_font_that_is_to_test_is_not_drawn_with():
    some, other = Face("/fonts/Some-Regular.ttf"), Face("/fonts/Some-Bold.ttf")
    assert closeups.without({ENGLISH: ((some, other),), HEBREW: ((some,),)}, {"Some-Regular"}) == {ENGLISH: ((other,),)}


def test_the_made_up_words_have_the_letters_that_the_words_lack():
    fonts = _found(HEBREW)
    letters, _ = closeups._syllables(HEBREW, fonts[HEBREW][0][0])
    assert set("ךןףץק") <= set(letters)
    assert not set("ךןףץק") <= set(HEBREW.letters)


def test_a_script_with_signs_gets_syllables():
    bengali = next(language for language in words.LANGUAGES if language.name == "Bengali")
    fonts = _found(bengali)
    letters, syllables = closeups._syllables(bengali, fonts[bengali][0][0])
    assert ("ক" in letters, "কি" in syllables) == (True, True)


def test_japanese_is_drawn_in_columns(monkeypatch):
    japanese = next(language for language in words.LANGUAGES if language.name == "Japanese")
    leaf = Image.new("L", (300, 300), 255)
    closeups._columns(Random(1), leaf, Script(japanese, ((Face(),),), ()), Face(), 20, 0)
    assert (np.asarray(leaf) < 200).any()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot be written"):
        closeups.write(tmp_path / "file", 1, 1, FONTS)


def test_the_command_says_what_it_drew(tmp_path, capsys, monkeypatch):
    from orientd_training.cli import main

    monkeypatch.setattr(faces, "find", lambda folders: FONTS)
    monkeypatch.setattr("sys.argv", ["orientd-train", "draw-closeups", "--out", os.fspath(tmp_path), "--count", "3"])
    main()
    assert capsys.readouterr().out.splitlines() == ["English: 3"]
    assert len(list(Path(tmp_path).rglob("*.png"))) == 3


class TestCatalogs:
    def test_words_are_those_of_the_language_alone(self, tmp_path):
        _catalog(tmp_path, "he", HEADER, "שלום “עולם” %s GIMP קובץ_חדש 12", "ספר")
        assert catalogs.words([tmp_path], HEBREW) == ("שלום", "עולם", "קובץחדש", "ספר")

    def test_latin_words_are_words_of_a_latin_language(self, tmp_path):
        _catalog(tmp_path, "en", HEADER, "Open <b>the</b> file, please", order=">")
        assert catalogs.words([tmp_path], ENGLISH) == ("Open", "file,", "please")

    def test_names_of_places_and_other_encodings_are_left_out(self, tmp_path):
        _catalog(tmp_path, "he", HEADER, "ירושלים", name="iso_3166-2")
        _catalog(tmp_path, "he", "Content-Type: text/plain; charset=ISO-8859-8\n", "ספר")
        assert catalogs.words([tmp_path], HEBREW) == ()

    def test_a_damaged_catalog_is_named(self, tmp_path):
        file = _catalog(tmp_path, "he", HEADER, "ספר")
        file.write_bytes(file.read_bytes()[:30])
        with pytest.raises(ConfigError, match=r"some\.mo is no message catalog"):
            catalogs.words([tmp_path], HEBREW)

    def test_a_missing_folder_is_named(self, tmp_path):
        with pytest.raises(ConfigError, match="nowhere: no such folder of translations"):
            catalogs.words([tmp_path / "nowhere"], HEBREW)

    def test_a_language_without_translations_has_none(self, tmp_path):
        assert catalogs.words([tmp_path], HEBREW) == ()


def _catalog(folder, code, *texts, name="some", order="<"):
    """A compiled catalog whose translated texts are these; the first is its header."""
    file = folder / code / "LC_MESSAGES" / f"{name}.mo"
    file.parent.mkdir(parents=True, exist_ok=True)
    number, data, spans = len(texts), b"", []
    for text in [*map(str, range(number)), *texts]:
        spans.append((len(text.encode()), 28 + 16 * number + len(data)))
        data += text.encode() + b"\0"
    head = struct.pack(f"{order}7I", 0x950412DE, 0, number, 28, 28 + 8 * number, 0, 0)
    file.write_bytes(head + b"".join(struct.pack(f"{order}2I", *span) for span in spans) + data)
    return file


def _found(language):
    """The fonts for a language of those that are named after it or write nearly all."""
    files = [file for place in faces.SYSTEM for file in place.rglob(f"*{language.name}-Regular.ttf")]
    if not files or not faces.raqm():
        pytest.skip(f"no font for {language.name} on this machine")
    face = Face(os.fspath(files[0]))
    return {language: ((face,),)}
