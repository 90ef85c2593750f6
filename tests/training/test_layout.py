"""Learning how upright photos are laid out: what is kept of each photo, and the small graph that comes of it."""

import numpy as np
import onnx
import pytest
from PIL import Image
from support.blobs import library

from orientd.errors import ConfigError
from orientd.infer.session import Graph
from orientd.witnesses.layout import MAPS
from orientd.witnesses.things import SIDE

pytest.importorskip("torch")

from orientd_training.data import layouts
from orientd_training.fit.layout import learned, right

FEATURES = 6


def made(seed, photos, telling=3.0):
    """Layouts of which the second feature tells the upright look; the others are noise of several sizes."""
    random = np.random.default_rng(seed)
    found = random.normal(0, 1, (photos, 4, FEATURES)) * (1, 1, 50, 0.01, 1, 0) + (0, 4, 7, 0, 0, 3)
    found[:, 0, 1] += telling
    return found.astype(np.float16)


def test_what_tells_the_upright_look_is_learned(tmp_path):
    model = learned(made(1, 400), rounds=30)
    assert right(made(2, 300), model) > 0.9
    assert right(made(3, 300, telling=0), model) < 0.4
    onnx.save(model, tmp_path / "layout.onnx")
    graph, shown = Graph(tmp_path / "layout.onnx"), made(2, 300).astype(np.float32)
    scores = np.array([[graph(look[None])["score"].item() for look in looks] for looks in shown])
    assert (scores.argmax(1) == 0).mean() == right(made(2, 300), model)


class Detector:
    """Sees the mean color of each cell. `asked` counts the looks."""

    asked = 0

    def __call__(self, planes):
        self.asked += 1
        blocks = {name: planes.reshape(1, 3, SIDE // side, side, SIDE // side, side).mean((3, 5)) for name, side in MAPS.items()}
        return {name: block.astype(np.float32) / 255 for name, block in blocks.items()}


def test_each_photo_is_described_at_four_turns_and_asked_about_once(tmp_path, monkeypatch):
    monkeypatch.setattr(layouts, "_AT_ONCE", 3)
    folder, detector = library(tmp_path / "in", albums=1), Detector()
    photos = len(list(folder.rglob("*.jpg")))
    (folder / "broken.jpg").write_bytes(b"no photo")
    found = layouts.collected([folder], detector, tmp_path / "kept")
    assert found.shape == (photos, 4, 3 * 3 * len(MAPS))
    assert detector.asked == 4 * photos
    top, bottom = found[:, 0, 0::3], found[:, 2, 2::3]
    assert top == pytest.approx(bottom, abs=0.05)  # upside down the upper third is the lower one
    assert not np.allclose(found[:, 0], found[:, 2], atol=0.05)
    last = tmp_path / "kept" / "00001.npy"
    again = len(np.load(last))
    last.unlink()
    assert np.array_equal(layouts.collected([folder], detector, tmp_path / "kept"), found)
    assert detector.asked == 4 * (photos + again)
    assert 0 < again < photos


def test_the_first_turn_is_the_upright_one(tmp_path):
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[:150] = 200
    (tmp_path / "in").mkdir()
    Image.fromarray(picture).save(tmp_path / "in" / "sky.png")
    (found,) = layouts.collected([tmp_path / "in"], Detector(), tmp_path / "kept")
    upper, lower = found[:, 0].astype(float), found[:, 2].astype(float)
    assert np.sign((upper - lower).round(1)).tolist() == [1, 0, -1, 0]


def test_no_photo_at_all_is_an_error(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.jpg").write_bytes(b"no photo")
    with pytest.raises(ConfigError, match="no photo could be decoded"):
        layouts.collected([tmp_path / "in"], Detector(), tmp_path / "kept")
