"""What is said of a measured model, in figures, pages and its card: on models that are right or wrong by construction."""

import csv
import json
import re
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from orientd_training.data import photoset
from orientd_training.evaluate import mistakes
from orientd_training.report import contact_sheets, evaluation, model_card, plots
from PIL import Image
from support import sky_library, training_runs
from support.onnx_graphs import SIZE
from support.training_runs import command

from orientd import orientation
from orientd.errors import ConfigError

cache, wrong_model = training_runs.its_albums, training_runs.its_wrong_model


@pytest.fixture(scope="module")
def measured(cache, model, wrong_model, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    (figures,) = evaluation.evaluate([model], [photoset.load(cache)], out, [wrong_model])
    return out, figures


def test_what_was_built_in_is_measured(measured):
    """16 of 18 photos are as they claim, two are upside down: they are false turns and wrong at every turn."""
    figures = measured[1]
    assert figures["photos"] == 18
    assert figures["accuracy_eight_views"]["mean"] == figures["accuracy_one_view"]["mean"] == pytest.approx(16 / 18)
    assert figures["confusion"]["eight_views"] == [[16, 0, 2, 0], [0, 16, 0, 2], [2, 0, 16, 0], [0, 2, 0, 16]]
    assert figures["macro_f1"]["eight_views"] == pytest.approx(16 / 18)
    shipped = figures["shipped"]
    assert (shipped["false"], shipped["worse"]) == (2, 4)
    assert shipped["mended"] == pytest.approx(16 / 18)
    assert sorted(its["name"] for its in figures["false"]) == ["album-1/06.jpg", "album-2/12.jpg"]
    assert figures["groups"]["album-0"]["accuracy_eight_views"]["mean"] == 1
    assert figures["groups"]["album-1"]["false"] == 1
    low, high = shipped["false_interval"]
    assert shipped["false_per_1000"] == pytest.approx(2000 / 18)
    assert low < 2000 / 18 < high <= 1000
    rare = figures["base_rate"][1]
    harm, mend = 299 / 300 * 2 / 18 + 4 / 54 / 300, 48 / 54 / 300
    assert rare["turns_wrong"] == pytest.approx(harm / (harm + mend))


def test_a_wrong_model_shows_as_worse(measured):
    against = measured[1]["against"]["wrong"]
    assert against["accuracy_eight_views"]["difference"] > 0.5
    assert against["accuracy_eight_views"]["p"] < 0.01
    assert against["mended"]["a"] == pytest.approx(16 / 18)
    assert against["mended"]["b"] == 0  # its views contradict each other, so it turns nothing
    assert against["mended"]["p"] < 0.001


def test_errors_are_listed_by_name(measured):
    with (measured[0] / "errors.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert [row["what"] for row in rows[:3]] == ["false turn", "false turn", "turned to another wrong side"]
    assert {(row["name"], row["group"], row["shown"], row["found"]) for row in rows[:2]} == {
        ("album-1/06.jpg", "album-1", "0", "180"),
        ("album-2/12.jpg", "album-2", "0", "180"),
    }
    assert all(0.9 < float(row["confidence"]) <= 1 for row in rows[:2])


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.sources, self.texts, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        its = dict(attributes)
        self.sources += [its[key] for key in ("src", "href", "xlink:href") if key in its]
        if tag not in ("meta", "br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.sources += [value for key, value in attributes if key in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_report_is_one_page_that_needs_nothing_else(measured):
    text = (measured[0] / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    pictures = [source for source in page.sources if source.startswith("data:image/jpeg;base64,")]
    assert [source for source in page.sources if source not in pictures and not source.startswith("#")] == []
    assert "url(http" not in text
    assert "@import" not in text
    assert len(pictures) >= 4
    with Image.open(BytesIO(b64decode(pictures[0].split(",")[1]))) as picture:
        assert picture.size == (contact_sheets.SIDE, contact_sheets.SIDE)
    words = " ".join(page.texts)
    for part in ("111.11", "88.9 %", "Against wrong", "album-1/06.jpg", "false turn", "prefers-color-scheme"):
        assert part in words, part
    assert len(set(re.findall(r'\bid="([^"]+)"', text))) == len(re.findall(r'\bid="', text))


def test_plots_take_their_colours_from_the_page_and_stay_the_same(measured):
    figures = measured[1]
    for draw in (plots.reliability, plots.risk_coverage, plots.false_mended, plots.groups):
        drawn = draw(figures)
        assert drawn == draw(figures)
        assert ElementTree.fromstring(drawn).tag.endswith("svg")
        assert "var(--" in drawn
        assert "#00000" not in drawn
        assert 'width="' not in drawn[: drawn.index(">")]


def test_a_name_can_do_no_harm(tmp_path, model):
    """Names with markup, mathematics of matplotlib, commas and bytes that are not UTF-8."""
    odd = "a<b>$x_1$,|\udcff"
    for i in range(training_runs.EACH):
        sky_library.draw(tmp_path / "photos" / odd / f"{i}.jpg", 180 if i == 0 else 0, by_tag=False, seed=i)
        sky_library.draw(tmp_path / "photos" / "plain" / f"{i}.jpg", seed=9 + i)
    photoset.prepare([tmp_path / "photos"], tmp_path / "cache", SIZE, keep_duplicates=True)
    (figures,) = evaluation.evaluate([model], [photoset.load(tmp_path / "cache")], tmp_path / "out")
    assert odd in figures["groups"]
    with (tmp_path / "out" / "errors.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        assert next(csv.DictReader(file))["name"] == f"{odd}/0.jpg"
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<b>$x" not in text
    assert "a&lt;b&gt;$x_1$,|\\udcff/0.jpg" in text
    described = model_card.describe(model, tmp_path / "out" / evaluation.MEASURE)
    assert "| a<b>$x_1$,\\|\\udcff | 6 |" in described
    assert "At the default policy (`prior_upright` 0.99" in described
    assert "where neither the model nor the configuration states another:" in described


def test_tiles_show_what_the_model_was_shown():
    """The sky of a photo that needs a quarter turn clockwise is at its left."""
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    pixels[: SIZE // 2] = 255
    for turn in orientation.TURNS:
        shown = np.asarray(contact_sheets.tile(pixels, turn, SIZE))
        assert np.array_equal(orientation.apply(shown, orientation.from_turn(turn)), pixels)
    left = np.asarray(contact_sheets.tile(pixels, 90, SIZE)).mean(axis=(0, 2))
    assert (left[0], left[-1]) == (255, 0)


def test_a_contact_sheet_has_a_place_for_every_photo():
    case = mistakes.Case(0, "an album with a long name/" + "x" * 60, "a", 0, 90, 0.9, "fix", 0.5, 8, "false turn")
    pictures = [Image.new("RGB", (64, 64), (255, 0, 0))] * 11
    drawn = np.asarray(contact_sheets.sheet(pictures, [case] * 11))
    reds = int((drawn == (255, 0, 0)).all(-1).sum())
    assert reds == 11 * 64 * 64
    assert drawn.shape[1] == 8 * (64 + 8) + 8


def test_one_source_alone_leaves_out_what_needs_two(tmp_path, model, monkeypatch, capsys):
    cache = training_runs.albums(tmp_path, number=1)
    assert command(monkeypatch, "evaluate", model, "--photos", cache, "--out", tmp_path / "out") == 0
    assert "left out: there is only one source" in capsys.readouterr().out
    figures = json.loads((tmp_path / "out" / evaluation.MEASURE).read_text())
    assert figures["cross_fitted"] is None
    assert figures["accuracy_one_view"]["group_interval"] is None
    assert "there is only one group" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "half of the sources" not in model_card.describe(model, tmp_path / "out" / evaluation.MEASURE)


def test_a_library_without_errors_has_a_report_too(tmp_path, model):
    cache = training_runs.albums(tmp_path, number=1)
    (figures,) = evaluation.evaluate([model], [photoset.load(cache)], tmp_path / "out")
    assert figures["shipped"]["false"] == 0
    assert figures["false_mended"]["7"][0][0] == 0
    assert not (tmp_path / "out" / "wrong.jpg").exists()
    assert "None." in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_the_card_says_what_the_measurement_says(measured, model, wrong_model, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()
    caches = tmp_path / "cache"
    caches.mkdir()
    (caches / "manifest.csv").write_text("name,group,split\na/1,a,train\na/2,a,train\nb/1,b,train\nc/1,c,validation\n")
    config = {"name": "sky", "train": str(caches), "validation": str(caches), "lr": 0.5}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "facts.json").write_text(json.dumps({"commit": "abc123", "photos": {"train": "digest"}}))
    log = [{"photos": 100, "validation": 0.9}, {"photos": 200, "validation": 0.95}, {"photos": 300, "validation": 0.94}]
    (folder / "log.jsonl").write_text("\n".join(map(json.dumps, log)))
    (tmp_path / "notes.md").write_text("## What it gets wrong\n\nPhotos that stand on their heads.\n")
    (tmp_path / "data.md").write_text("Drawn landscapes (CC0).\n")
    out, measure = tmp_path / "README.md", measured[0] / evaluation.MEASURE
    written = ["--run", folder, "--notes", tmp_path / "notes.md", "--data", tmp_path / "data.md", "--out", out]
    assert command(monkeypatch, "describe", model, "--measure", measure, *written) == 0
    text = out.read_text(encoding="utf-8")
    for part in (
        "111.11 (",
        "2 of 18",
        "88.9 %",
        measured[1]["model"]["sha256"],
        "lr: 0.5",
        'train: "cache"',
        "abc123",
        "`photos.train` | `digest`",
        "300 pictures were learned from",
        "95.00 % right with one view, after 200",
        "Trained on 3 upright photos of 2 sources",
        "| a | 2 |",
        "Drawn landscapes (CC0).",
        "stand on their heads",
        "Apache-2.0",
        "Against wrong",
    ):
        assert part in text, part
    assert str(tmp_path) not in text
    assert "Nobody has looked" not in text
    assert "Nobody has looked" in model_card.describe(model, measure)
    assert "is not known" in model_card.describe(model, measure)


def test_a_card_of_another_model_is_refused(measured, model, wrong_model, tmp_path):
    measure = measured[0] / evaluation.MEASURE
    with pytest.raises(ConfigError, match="measured on another model"):
        model_card.describe(wrong_model, measure)
    (tmp_path / "config.json").write_text('{"name": "other"}')
    with pytest.raises(ConfigError, match="measured on another model"):
        model_card.describe(model, measure, tmp_path)
    for text in ("", "{}", "[]", '{"model": 3}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(ConfigError, match="is no measurement"):
            model_card.describe(model, tmp_path / "bad.json")
    with pytest.raises(ConfigError, match="holds no readable run"):
        model_card.describe(model, measure, tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="cannot be read"):
        model_card.describe(tmp_path / "missing.onnx", measure)
