"""What augmentation does to pictures: the turns exactly, the rest within its bounds and as often as the recipe says."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from orientd_training.config import Augment, Change, TrainConfig
from orientd_training.data import photoset
from orientd_training.fit import augment, jpeg_artefacts
from orientd_training.fit.feed import Feed
from orientd_training.fit.loop import _pictures
from PIL import Image
from support import landscapes, training_runs

from orientd import orientation
from orientd.decode.cpu import CpuDecoder
from orientd.files.read import read_whole
from orientd.library.photo import read
from orientd.library.walk import walk

_one_thread = training_runs.on_one_thread


NEVER = Change(0, 0)
STILL = Augment(0, 0, *[NEVER] * 9)


def drawn(number=4, size=64):
    pixels = [np.asarray(landscapes.landscape(seed).resize((size, size))) for seed in range(number)]
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float()


def test_a_class_is_the_turn_that_makes_it_upright():
    upright = torch.arange(3 * 8 * 8).reshape(1, 3, 8, 8).float().repeat(4, 1, 1, 1)
    shown = augment.turn_away(upright, torch.arange(4))
    for k, turn in enumerate(orientation.TURNS):
        turned = orientation.apply(shown[k].permute(1, 2, 0).numpy(), orientation.from_turn(turn))
        assert np.array_equal(turned, upright[0].permute(1, 2, 0).numpy())


def test_the_affine_turn_is_the_exact_turn():
    pictures, classes = torch.rand(8, 3, 32, 32) * 255, torch.arange(8) % 4
    matrices = augment.geometry(classes, STILL, torch.Generator())
    assert torch.allclose(augment.resample(pictures, matrices, 32), augment.turn_away(pictures, classes), atol=0.01)


def test_a_mirrored_picture_is_mirrored_before_it_is_turned():
    """Else a mirrored picture that needs a quarter turn would be labelled as needing the other one."""
    pictures, classes = drawn(), torch.arange(4)
    matrices = augment.geometry(classes, replace(STILL, mirror=1.0), torch.Generator())
    expected = augment.turn_away(pictures.flip(-1), classes)
    assert torch.allclose(augment.resample(pictures, matrices, 64), expected, atol=0.05)


@pytest.mark.parametrize("name", ["crop", "aspect", "tilt"])
def test_each_change_of_geometry_has_its_own_probability_and_strength(name):
    n, strength = 400, {"crop": 0.3, "aspect": 0.2, "tilt": 6.0}[name]
    random = torch.Generator().manual_seed(1)
    some = augment.geometry(torch.zeros(n), replace(STILL, **{name: Change(0.25, strength)}), random)
    moved = (some - torch.eye(3)).abs().amax((1, 2)) > 1e-6
    assert 0.15 < moved.float().mean() < 0.35
    areas = some[:, :2, :2].det()
    assert areas.max() <= 1 + 1e-5
    if name == "crop":
        assert 0.7 - 1e-5 < areas.min() < 0.75
        assert (some[:, :2, :2].diagonal(dim1=1, dim2=2) + some[:, :2, 2].abs()).max() <= 1 + 1e-5
    if name == "tilt":
        angles = torch.atan2(some[:, 1, 0], some[:, 0, 0]).rad2deg().abs()
        assert 5 < angles.max() <= 6


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "blur", "jpeg", "noise"])
def test_each_change_of_values_has_its_own_probability(name):
    pictures, random = drawn(1, 32).repeat(300, 1, 1, 1), torch.Generator().manual_seed(2)
    strength = {"blur": 2.0, "jpeg": 80.0, "noise": 20.0}.get(name, 0.5)
    torch.manual_seed(0)
    changed = augment.photometry(pictures, replace(STILL, **{name: Change(0.3, strength)}), random)
    share = ((changed - pictures).abs().amax((1, 2, 3)) > 0.5).float().mean()
    assert 0.2 < share < 0.4
    assert 0 <= changed.min() < changed.max() <= 255


def test_nothing_asked_for_changes_nothing():
    pictures = drawn()
    assert torch.allclose(augment.photometry(pictures, STILL, torch.Generator()), pictures, atol=1e-3)


def test_grey_is_grey():
    grey = augment.photometry(drawn(), replace(STILL, grey=1.0), torch.Generator())
    assert (grey.amax(1) - grey.amin(1)).max() < 0.01
    assert grey.std() > 10


def test_blur_keeps_the_light_and_takes_the_detail():
    pictures = drawn(8)
    blurred = augment._blur(pictures, torch.full((8,), 2.0))
    assert torch.allclose(blurred.mean((1, 2, 3)), pictures.mean((1, 2, 3)), rtol=0.02)
    assert blurred.diff(dim=-1).abs().mean() < 0.4 * pictures.diff(dim=-1).abs().mean()


def pillow(pictures, quality):
    saved = []
    for picture in pictures.permute(0, 2, 3, 1).byte().numpy():
        file = BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling="4:2:0")
        saved.append(np.asarray(Image.open(file)))
    return torch.from_numpy(np.stack(saved)).permute(0, 3, 1, 2).float()


@pytest.mark.parametrize("quality", [20, 50, 75, 92])
@pytest.mark.parametrize("size", [64, 50])
def test_jpeg_artefacts_are_those_of_libjpeg(quality, size):
    pictures = drawn(4, size)
    ours = jpeg_artefacts.roundtrip(pictures, torch.full((4,), float(quality)))
    theirs = pillow(pictures, quality)
    assert (ours - theirs).abs().mean() < 1
    assert (ours - theirs).abs().mean() < 0.2 * (pictures - theirs).abs().mean()
    assert (ours - pillow(pictures, quality - 12)).abs().mean() > 2 * (ours - theirs).abs().mean()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 100))
def test_jpeg_takes_pictures_of_any_size(height, width, quality):
    flat = torch.full((1, 3, height, width), 77.0)
    back = jpeg_artefacts.roundtrip(flat, torch.tensor([float(quality)]))
    assert back.shape == flat.shape
    assert (back - flat).abs().max() <= 16


def test_augmented_pictures_stay_pictures():
    always = Augment(0.5, 0.5, *[Change(1.0, s) for s in (0.5, 0.5, 20, 0.9, 0.9, 0.9, 3, 90, 60)])
    random = torch.Generator().manual_seed(3)
    matrices = augment.geometry(torch.arange(16) % 4, always, random)
    pictures = augment.photometry(augment.resample(drawn(16), matrices, 48), always, random)
    assert pictures.shape == (16, 3, 48, 48)
    assert 0 <= pictures.min() < pictures.max() <= 255
    assert pictures.std() > 10


def test_training_and_serving_see_the_same_pixels(tmp_path):
    """The same files, stored in all eight orientations by tag: what a batch holds is what a scan would show the model."""
    for value in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = value
        (tmp_path / "in").mkdir(exist_ok=True)
        landscapes.landscape(value).crop((0, 0, 96, 72)).save(tmp_path / "in" / f"{value}.jpg", exif=exif, quality=95)
    photoset.prepare([tmp_path / "in"], tmp_path / "cache", 32, keep_duplicates=True)
    served = [CpuDecoder(32).decode(read(each, lambda it: read_whole(it.path))).pixels for each in walk([str(tmp_path / "in")])]
    photos = photoset.load(tmp_path / "cache")
    assert len(served) == len(photos) == 8
    assert np.array_equal(photos.pixels, np.stack(served))
    config = TrainConfig("x", tmp_path / "cache", tmp_path, "x", (), batch=64)
    feed = Feed(config, [photos])
    pixels, classes = feed.take(0)
    feed.close()
    matrices = augment.geometry(classes, STILL, torch.Generator())
    seen = augment.photometry(augment.resample(_pictures(pixels, torch.device("cpu")), matrices, 32), STILL, torch.Generator())
    shown = {
        (k, orientation.apply(p, orientation.inverse(orientation.from_turn(90 * k))).tobytes()) for p in served for k in range(4)
    }
    batch = seen.round().byte().permute(0, 2, 3, 1).numpy()
    assert {(int(k), picture.tobytes()) for k, picture in zip(classes, batch, strict=True)} <= shown
    assert len({p.tobytes() for p in batch}) > 8
