"""DALI itself, without a GPU: the same pipeline on the CPU shows what the CPU decoder shows. Skipped where DALI is missing."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from decode.test_dali_faults import BATCH, LEVELS, at_pointer, levels
from decode.test_gpu_eligible import PLAIN
from PIL import Image
from support.decodable_photos import SIZE, difference, photo, scene
from support.fake_dali import applied, framed, grey, jpeg, noise

from orientd.config import Config
from orientd.decode.cpu import CpuDecoder
from orientd.decode.dali import DaliDecoder, version
from orientd.infer import engine as infer
from orientd.pipeline.stages import chosen_model

pytest.importorskip("nvidia.dali", reason='needs DALI: pip install "orientd[gpu]"')

# DALI sums in floating point and rounds once; Pillow rounds after each direction.
ROUNDING = 2
# The CPU decoder lets the inverse DCT reduce a JPEG before the filter does, and smooths its colours otherwise.
REDUCED = 8


@pytest.fixture(scope="module")
def decoder():
    return DaliDecoder(SIZE, BATCH, None, lanes=1, threads=1)


def truncated(data):
    """Cut short, but with an end, so that the header tells nothing."""
    return data[: len(data) * 2 // 3] + b"\xff\xd9"


def broken(data):
    """With a Huffman table no decoder can use."""
    place = data.index(b"\xff\xc4") + 5
    return data[:place] + b"\xff" * 16 + data[place + 16 :]


def test_the_version_tells_of_cuda():
    found, major = version()
    assert int(found.split(".")[0]) >= 2
    assert major in (12, 13)


@pytest.mark.parametrize("name", PLAIN)
def test_pixels_are_those_of_the_cpu_decoder(decoder, name):
    held = photo(PLAIN[name])
    sheet = decoder.decode([framed(held.data, held.orientation)])
    assert difference(sheet.pixels[0], CpuDecoder(SIZE).decode(held).pixels) <= REDUCED
    assert np.array_equal(at_pointer(sheet)[0], sheet.pixels[0])


@pytest.mark.parametrize(("width", "height"), [(SIZE, SIZE), (60, 40), (1, 1), (200, 3), (640, 480), (1000, 750)])
def test_the_square_is_squeezed_by_the_same_rule(decoder, width, height):
    data = jpeg(noise(width, height), subsampling="4:4:4")
    with Image.open(BytesIO(data)) as image:
        plainly = np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    pixels = decoder.decode([framed(data)]).pixels[0]
    assert difference(pixels, plainly) <= ROUNDING
    assert np.abs(pixels.astype(int) - plainly).mean() < 0.5
    reduced = CpuDecoder(SIZE).decode(photo(data)).pixels
    assert difference(pixels, reduced) <= REDUCED
    assert np.abs(pixels.astype(int) - reduced).mean() < 1.5


def test_the_comparison_notices_another_filter():
    image = Image.fromarray(noise(640, 480))
    right = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    for wrong in (Image.Resampling.NEAREST, Image.Resampling.BOX, Image.Resampling.BICUBIC):
        assert difference(np.asarray(image.resize((SIZE, SIZE), wrong)), right) > ROUNDING
    shifted = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=(4, 0, 640, 480)))
    assert difference(shifted, right) > ROUNDING


@pytest.mark.parametrize("in_file", [False, True])
@pytest.mark.parametrize("stored", [None, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
def test_the_eight_orientations_show_the_same_pixels_turned_to_the_bit(decoder, stored, in_file):
    """DALI's own obedience is off: what the photo says counts, even if the file says something else."""
    upright, turned = framed(jpeg()), framed(jpeg(stored=stored if in_file else 3), stored)
    first, second = decoder.decode([upright, turned]).pixels
    assert np.array_equal(second, applied(first, stored))


@pytest.mark.parametrize("number", range(1, BATCH + 1))
def test_the_last_batch_is_padded(decoder, number):
    sheet = decoder.decode(list(LEVELS.values())[:number])
    assert levels(sheet) == list(LEVELS)[:number]
    assert np.array_equal(at_pointer(sheet)[:number], sheet.pixels)


@pytest.mark.parametrize("place", range(BATCH))
def test_after_an_error_every_picture_is_its_own(place):
    fresh, photos = DaliDecoder(SIZE, BATCH, None, lanes=1, threads=2), list(LEVELS.values())
    assert levels(fresh.decode(photos[:BATCH])) == list(LEVELS)[:BATCH]
    spoilt = [*photos[4:8]]
    spoilt[place] = framed(broken(jpeg()))
    for _ in range(2):
        with pytest.raises(RuntimeError, match="Critical error in pipeline"):
            fresh.decode(spoilt)
        assert levels(fresh.decode(photos[8:11])) == list(LEVELS)[8:11]


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_no_picture_is_ever_given_to_another_photo(lanes):
    """Four threads, as many pipelines as may run side by side, every third batch with a photo that fails."""
    shared = DaliDecoder(8, BATCH, None, lanes=lanes, threads=1)
    order = np.random.default_rng(lanes).permutation(list(LEVELS)).tolist()
    chunks = [order[start : start + 3] for start in range(0, len(order), 3)] * 4
    bad = framed(broken(jpeg()))

    def see(each):
        index, chosen = each
        photos = [LEVELS[level] for level in chosen]
        if index % 3 == 2:
            with pytest.raises(RuntimeError):
                shared.decode([*photos, bad])
            return chosen
        return levels(shared.decode(photos))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(see, enumerate(chunks))) == chunks


def test_what_was_given_out_is_not_changed_by_the_next_run(decoder):
    sheets = [decoder.decode([LEVELS[level]]) for level in LEVELS]
    assert [levels(sheet) for sheet in sheets] == [[level] for level in LEVELS]
    assert [round(float(at_pointer(sheet)[0].mean()) / 10) * 10 for sheet in sheets] == list(LEVELS)


def test_damage_that_the_header_does_not_show_is_an_error_or_grey(decoder):
    """The scan ends early: the decoder may say so, or fill the rest. Before a photo is written the CPU decodes it whole."""
    data = truncated(jpeg(noise(400, 300)))
    try:
        pixels = decoder.decode([framed(data)]).pixels[0]
    except RuntimeError:
        return
    assert pixels[-4:].std() < pixels[:4].std()


def test_the_bundled_model_judges_alike():
    engine = infer.Engine(chosen_model(Config()).path)
    size = engine.spec.input_size
    there = DaliDecoder(size, BATCH, None, lanes=1, threads=1)
    files = [jpeg(noise(1600, 1200, seed), quality=90, subsampling="4:2:0") for seed in range(3)] + [jpeg(scene(900, 600))]
    sheet = there.decode([framed(data) for data in files])
    here = np.stack([CpuDecoder(size).decode(photo(data)).pixels for data in files])
    one, other = (np.array([each.probabilities for each in engine.look(pixels)]) for pixels in (sheet.pixels, here))
    assert np.abs(one - other).max() < 0.05
    assert engine.look_there(sheet.device, sheet.pointer, len(files)) == engine.look(sheet.pixels)


def test_a_grey_photo_stays_grey(decoder):
    assert np.ptp(decoder.decode([framed(grey(77))]).pixels[0]) == 0
