"""The batch decoder with a stand-in for DALI that misbehaves: no picture is ever given to another photo."""

import ctypes
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.decodable_photos import SIZE, photo
from support.fake_dali import FAULTS, MANNERS, FakePipeline, applied, framed, grey, jpeg

from orientd.decode.cpu import CpuDecoder
from orientd.decode.dali import DaliDecoder, _matrix, blank

BATCH = 4
LEVELS = {level: framed(grey(level)) for level in range(10, 250, 10)}


def decoder(conduct=lambda: "well", size=SIZE, **options):
    return DaliDecoder(size, BATCH, None, build=lambda: FakePipeline(size, conduct), **options)


def at_pointer(sheet, batch=BATCH, size=SIZE):
    """What whoever is handed the pointer finds there."""
    buffer = (ctypes.c_uint8 * (batch * size * size * 3)).from_address(sheet.pointer)
    return np.frombuffer(buffer, np.uint8).reshape(batch, size, size, 3)


def levels(sheet):
    return [round(float(each.mean()) / 10) * 10 for each in sheet.pixels]


@pytest.mark.parametrize("stored", [None, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
def test_pictures_are_those_of_the_cpu_decoder(stored):
    data = jpeg()
    sheet = decoder().decode([framed(data, stored)])
    upright = CpuDecoder(SIZE).decode(photo(data)).pixels
    assert np.array_equal(sheet.pixels[0], applied(upright, stored))


@pytest.mark.parametrize("value", range(1, 9))
def test_the_matrix_maps_each_pixel_to_where_it_is_stored(value):
    pixels = np.arange(SIZE * SIZE).reshape(SIZE, SIZE)
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    places = _matrix(value, SIZE) @ np.stack([x.ravel() + 0.5, y.ravel() + 0.5, np.ones(SIZE * SIZE)])
    across, down = np.floor(places).astype(int)
    assert np.array_equal(pixels[down, across].reshape(SIZE, SIZE), applied(pixels, value))


@pytest.mark.parametrize("number", range(1, BATCH + 1))
def test_the_last_batch_is_padded(number):
    chosen = list(LEVELS.values())[:number]
    sheet = decoder().decode(chosen)
    assert levels(sheet) == list(LEVELS)[:number]
    there = at_pointer(sheet)
    assert np.array_equal(there[:number], sheet.pixels)
    assert {round(float(each.mean())) for each in there[number:]} <= {128}


def test_the_padding_is_a_photo_any_gpu_decodes():
    held, found = blank()
    assert framed(held.data)[1] == found == (16, 16, len(held.data))
    assert (CpuDecoder(SIZE).decode(held).pixels == 128).all()


@pytest.mark.parametrize("manner", [manner for manner in MANNERS if manner != "well"])
def test_a_batch_that_went_wrong_is_an_error_and_the_next_one_is_right(manner):
    manners = iter(["well", manner, "well", "well"])
    decode, photos = decoder(lambda: next(manners), lanes=1).decode, list(LEVELS.values())
    assert levels(decode(photos[:4])) == list(LEVELS)[:4]
    with pytest.raises(RuntimeError):
        decode(photos[4:8])
    assert levels(decode(photos[8:12])) == list(LEVELS)[8:12]
    assert levels(decode(photos[12:13])) == list(LEVELS)[12:13]


def test_a_pipeline_that_failed_is_never_used_again():
    built = []

    def build():
        built.append(FakePipeline(SIZE, lambda: "damage" if len(built) < 3 else "well"))
        return built[-1]

    failing = DaliDecoder(SIZE, BATCH, None, lanes=1, build=build)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="nvImageCodec"):
            failing.decode(list(LEVELS.values())[:2])
    for _ in range(3):
        failing.decode(list(LEVELS.values())[:2])
    assert len(built) == 3


def test_a_pipeline_that_cannot_be_built_blocks_nobody():
    def build():
        raise FAULTS["memory"]

    failing = DaliDecoder(SIZE, BATCH, None, lanes=1, build=build)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="out of memory"):
            failing.decode(list(LEVELS.values())[:1])


@pytest.mark.parametrize("lanes", [1, 2, 4])
@settings(max_examples=15)
@given(st.lists(st.sampled_from(MANNERS), min_size=1, max_size=12), st.integers(0, 2**32 - 1))
def test_no_picture_is_ever_given_to_another_photo(lanes, manners, seed):
    """Four threads, as many pipelines as may run side by side, and faults in any order: what is answered is right."""
    order = np.random.default_rng(seed).permutation(list(LEVELS)).tolist()
    turns = iter(manners * 12)
    shared = decoder(lambda: next(turns), size=8, lanes=lanes)

    def see(chosen):
        try:
            return chosen, levels(shared.decode([LEVELS[level] for level in chosen]))
        except RuntimeError:
            return chosen, chosen  # it is an error: nothing was given to anybody

    with ThreadPoolExecutor(4) as pool:
        for asked, answered in pool.map(see, [order[start : start + 3] for start in range(0, len(order), 3)]):
            assert asked == answered


def test_the_comparison_notices_another_photos_picture(monkeypatch):
    """Without the check of the numbers the test above fails."""
    from orientd.decode import dali

    monkeypatch.setattr(dali, "_on_host", lambda tensors: Agreeing(tensors.as_array()))
    manners = iter(["well", "late"])
    shared = decoder(lambda: next(manners), lanes=1)
    shared.decode([LEVELS[10], LEVELS[20]])
    assert levels(shared.decode([LEVELS[30], LEVELS[40]])) == [10, 20]


class Agreeing(np.ndarray):
    """Numbers and shapes that are always as expected."""

    def __new__(cls, values):
        return np.array(values).view(cls)

    def tolist(self):
        return AlwaysEqual(super().tolist())


class AlwaysEqual(list):
    __hash__ = None

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False
