"""Graphs of other projects: they are fed what their authors feed them, and their answers mean what their authors mean."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageOps
from support.onnx_graphs import SPEC, convolutional, upstream

from orientd import formats, orientation
from orientd.decode.cpu import CpuDecoder
from orientd.errors import ModelError
from orientd.infer import engine as infer
from orientd.infer.engine import Engine
from orientd.infer.spec import PRESETS, ModelSpec
from orientd.records import FileStat, Photo

UPSTREAM = PRESETS["upstream-efficientnetv2-s"]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return Engine(upstream(tmp_path_factory.mktemp("models") / "upstream.onnx"), preset=UPSTREAM)


def picture(width=700, height=500):
    """Sky over ground, every channel, row and column different."""
    random = np.random.default_rng(5)
    y, x = np.mgrid[0:height, 0:width]
    planes = [
        40 + 10 * c + x * (c + 1) // 12 + np.where(y < height // 2, 90, 0) + random.integers(0, 20, (height, width))
        for c in range(3)
    ]
    return Image.fromarray(np.stack(planes, axis=2).clip(0, 255).astype(np.uint8))


def stored(image, value=1):
    """`image` as a lossless file that says it is shown by EXIF orientation `value`."""
    exif = Image.Exif()
    exif[0x0112] = value
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    return file.getvalue()


def decoded(data):
    kind = formats.sniff(data)
    photo = Photo("a.png", FileStat(0, 0, 0, 0), kind, data, formats.stored_orientation(kind, data), "")
    return CpuDecoder(UPSTREAM.input_size).decode(photo).pixels


def by_their_rule(image):
    """Resize((416, 416)) → CenterCrop(384) → ToTensor → Normalize, in the words of Pillow and plain arithmetic."""
    middle = image.resize((416, 416), Image.Resampling.BILINEAR).crop((16, 16, 400, 400))
    return ((np.asarray(middle) / 255 - MEAN) / STD).transpose(2, 0, 1)


def fed(data):
    return infer._fed(decoded(data)[None], UPSTREAM)


def test_a_photo_is_prepared_as_by_torchvision():
    torch = pytest.importorskip("torch", reason="needs the extra 'train'")
    transforms = pytest.importorskip("torchvision.transforms", reason="needs the extra 'train'")
    steps = [transforms.Resize((416, 416)), transforms.CenterCrop(384), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    expected = transforms.Compose(steps)(picture())
    assert expected.dtype == torch.float32
    planes = fed(stored(picture()))
    assert (planes.dtype, planes.shape, planes.flags.c_contiguous) == (np.float32, (1, 3, 384, 384), True)
    assert np.abs(planes[0] - expected.numpy()).max() < 1e-6


@pytest.mark.parametrize("value", range(1, 9))
def test_a_photo_is_prepared_as_their_readme_says_however_it_is_stored(value):
    data = stored(picture(), value)
    expected = by_their_rule(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    one_level = 1 / 255 / min(STD)  # they turn first and squeeze then, which rounds in another order
    assert np.abs(fed(data)[0] - expected).max() < (1e-6 if value == 1 else 1.01 * one_level)


@pytest.mark.parametrize(
    "wrong",
    [{"crop": 0}, {"crop": 382}, {"mean": (0.485, 0.456, 0.416)}, {"std": STD[::-1]}],
)
def test_the_comparison_sees_a_wrong_rule(wrong):
    planes = infer._fed(decoded(stored(picture()))[None], replace(UPSTREAM, **wrong))[0]
    expected = by_their_rule(picture())
    assert planes.shape != expected.shape or np.abs(planes - expected).max() > 1e-3


def test_probabilities_are_those_of_their_graph(engine):
    planes = by_their_rule(picture())
    grey = (planes * np.array([1, 2, 4]).reshape(3, 1, 1)).sum(0)
    logits = np.array([half.mean() for half in (grey[:192], grey[:, :192], grey[192:], grey[:, 192:])])
    expected = np.exp(logits) / np.exp(logits).sum()
    assert engine.look(decoded(stored(picture()))[None])[0].probabilities == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("by_tag", [True, False])
@pytest.mark.parametrize("turn", orientation.TURNS)
def test_a_class_is_the_clockwise_turn_that_makes_it_upright(engine, turn, by_tag):
    """Pillow's rotate is counter-clockwise, and so is theirs: their class 1 is ROTATE_90, "needs to be rotated 90° clockwise"."""
    shown = orientation.inverse(orientation.from_turn(turn))
    data = stored(picture(), shown) if by_tag else stored(picture().rotate(turn, expand=True))
    pixels = decoded(data)
    found = orientation.TURNS.index(turn)
    assert int(np.argmax(engine.look(pixels[None])[0].probabilities)) == found
    second = engine.look_again(pixels)
    assert int(np.argmax(second.probabilities)) == found
    assert {int(np.argmax(view)) for view in second.by_view} == {found}


@pytest.mark.parametrize("view", infer.VIEWS)
def test_cropping_and_turning_commute(view):
    pixels = np.random.default_rng(1).integers(0, 256, (416, 416, 3), np.uint8)
    turned_first = infer._fed(orientation.apply(pixels, view)[None], UPSTREAM)[0].transpose(1, 2, 0)
    cropped_first = infer._fed(pixels[None], UPSTREAM)[0].transpose(1, 2, 0)
    assert np.array_equal(turned_first, orientation.apply(cropped_first, view))


def test_outputs_in_another_order_are_put_right(engine, tmp_path):
    other = ModelSpec("other", 416, crop=384, mean=MEAN, std=STD, classes=(180, 270, 0, 90))
    shuffled = Engine(upstream(tmp_path / "other.onnx", names=("bottom", "right", "top", "left")), preset=other)
    pixels = decoded(stored(picture()))
    assert shuffled.look(pixels[None]) == engine.look(pixels[None])
    assert shuffled.look_again(pixels) == engine.look_again(pixels)


def test_what_stands_in_the_file_is_obeyed_without_a_preset(engine, tmp_path):
    pixels = decoded(stored(picture()))
    told = Engine(upstream(tmp_path / "told.onnx", spec=UPSTREAM))
    assert told.look(pixels[None]) == engine.look(pixels[None])


def test_the_id_changes_with_the_preset(engine, tmp_path):
    path = upstream(tmp_path / "again.onnx")
    assert Engine(path, preset=UPSTREAM).model_id == engine.model_id
    other = Engine(path, preset=replace(UPSTREAM, temperature=0.5))
    assert (other.sha256, other.model_id == engine.model_id) == (engine.sha256, False)


def test_a_graph_that_its_preset_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ModelError, match="not the agreed form"):
        Engine(upstream(tmp_path / "small.onnx", size=224), preset=UPSTREAM)
    with pytest.raises(ModelError, match="not the agreed form"):
        Engine(convolutional(tmp_path / "ours.onnx"), preset=UPSTREAM)
    with pytest.raises(ModelError, match="not the agreed form"):
        Engine(upstream(tmp_path / "theirs.onnx"), preset=SPEC)
    with pytest.raises(ModelError, match="orientd models add FILE --preset"):
        Engine(tmp_path / "theirs.onnx")


def test_a_graph_of_ours_is_fed_the_very_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    assert np.shares_memory(infer._fed(pixels, SPEC), pixels)
    assert np.array_equal(infer._fed(pixels, SPEC), pixels)
