"""What tells a page from a photo: the fit, and the answer that it becomes in the graph of the pages witness."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from support import seen_by_witnesses as pictures

from orientd.infer.session import Graph
from orientd.witnesses.opened import FOLDER
from orientd.witnesses.pages import LIKENESS, Pages

pytest.importorskip("torch")

from orientd_training.evaluate.statistics import telling_apart
from orientd_training.export import page_likeness

PUBLISHED = Path(__file__).parents[3] / "shared" / "weights" / "pp-lcnet_x1_0_doc_ori.onnx"


def groups(seed, photos, pages):
    """Features of which the first tells, the second is noise, and the third is always the same."""
    random = np.random.default_rng(seed)
    made = random.normal(0, 1, (photos + pages, 3)) * (1, 50, 0) + (0, 7, 4)
    made[photos:, 0] += 6
    return made[:photos], made[photos:]


@pytest.mark.parametrize(("many", "few"), [(2000, 40), (40, 2000)])
def test_what_is_fitted_tells_others_apart_however_many_there_were_of_each(many, few):
    weights = telling_apart(*groups(1, many, few), 0.03)
    photos, pages = (its @ weights[:-1] + weights[-1] for its in groups(2, 1000, 1000))
    assert (photos <= 0).mean() > 0.97
    assert (pages > 0).mean() > 0.97


def test_the_threshold_moves_the_answer_by_as_much():
    usual, stricter = (telling_apart(*groups(1, 200, 200), 0.03, threshold) for threshold in (0, 2))
    assert usual - stricter == pytest.approx([0, 0, 0, 2])


def test_the_bundled_graph_answers_by_the_weights_that_are_kept():
    if not PUBLISHED.is_file():
        pytest.skip("the published model is not here")
    weights, seen = (
        page_likeness.kept(),
        page_likeness.features(onnx.load(PUBLISHED), [pictures.page(), pictures.noise(1, 300, 400, 20)]),
    )
    graph = Graph(FOLDER / "pages.onnx")
    for picture, features in zip((pictures.page(), pictures.noise(1, 300, 400, 20)), seen, strict=True):
        answers = [graph(shown)[LIKENESS].item() for shown in Pages.shown(picture)]
        assert np.mean(answers) == pytest.approx(features @ weights[:-1] + weights[-1], abs=0.05)  # its own weights are halved
        assert len(set(answers)) > 1


def test_weights_are_kept_as_they_were_printed():
    assert len(page_likeness.kept()) == 1281
    assert json.loads(page_likeness.WEIGHTS.read_text()) == page_likeness.kept().tolist()
