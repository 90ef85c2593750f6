"""The model that comes with orientd: it loads, says what it is, and judges real photos as its card claims."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from orientd import formats, orientation
from orientd.config import Config
from orientd.decode.cpu import CpuDecoder
from orientd.infer.engine import VIEWS, Engine
from orientd.pipeline.stages import chosen_model
from orientd.records import FileStat, Photo

PHOTOS = Path(__file__).parents[3] / "shared" / "photos" / "val-0.zip"


@pytest.fixture(scope="module")
def engine():
    return Engine(chosen_model(Config()).path)


def test_it_is_calibrated_and_fits_in_a_package(engine):
    assert (engine.spec.input_size, engine.spec.resize) == (192, "squash")
    assert 1 not in (engine.spec.temperature, engine.spec.temperature_views)
    assert chosen_model(Config()).path.stat().st_size < 16 * 2**20


@pytest.mark.parametrize("seed", range(6))
def test_turning_a_picture_turns_the_answer_of_a_second_look_to_the_bit(engine, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (192, 192, 3), np.uint8)
    upright = engine.look_again(pixels).probabilities
    for quarters, turn in enumerate(orientation.TURNS):
        shown = orientation.apply(pixels, orientation.inverse(orientation.from_turn(turn)))
        turned = engine.look_again(np.ascontiguousarray(shown)).probabilities
        assert tuple(np.roll(upright, quarters).tolist()) == turned


@pytest.mark.parametrize("corner", [(slice(8), slice(8)), (slice(-8, None), slice(8)), (slice(-8, None), slice(-8, None))])
def test_it_takes_two_sides_and_sees_all_of_the_picture_at_both(engine, corner):
    assert engine.spec.sides == (192, 288)
    for side in engine.spec.sides:
        pixels = np.random.default_rng(1).integers(0, 256, (1, side // 6, side // 6, 3), np.uint8).repeat(6, 1).repeat(6, 2)
        other = pixels.copy()
        other[0][corner] = 255 - other[0][corner]
        assert not np.array_equal(engine.logits(pixels), engine.logits(other))
        views = np.stack([orientation.apply(pixels[0], view) for view in VIEWS])
        assert engine.by_view(views).shape == (8, 4)
        assert engine.by_view(views)[0].tolist() == engine.logits(pixels)[0].tolist()


@pytest.mark.skipif(not PHOTOS.is_file(), reason="the validation photos are not here")
def test_it_knows_which_way_is_up(engine):
    """144 photos over all albums: far fewer right than the card claims would mean a wrong class order or a broken export."""
    decoder, right = CpuDecoder(192), 0
    with zipfile.ZipFile(PHOTOS) as archive:
        names = sorted(archive.namelist())[::43][:144]
        for i, name in enumerate(names):
            data = archive.read(name)
            pixels = decoder.decode(Photo(name, FileStat(0, 0, 0, 0), formats.sniff(data), data, None, "")).pixels
            shown = orientation.apply(pixels, orientation.inverse(orientation.from_turn(orientation.TURNS[i % 4])))
            right += int(np.argmax(engine.look_again(np.ascontiguousarray(shown)).probabilities)) == i % 4
    assert right >= 0.85 * len(names)
