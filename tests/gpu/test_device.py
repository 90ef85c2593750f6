"""The GPU road by itself, with a stand-in for DALI: nothing is lost, whatever fails."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.decodable_photos import store
from support.fake_dali import framed, jpeg, noise, photo
from support.gpu_scan import CPU, LOST, PHOTOS, Breaking, Decoder, check
from support.onnx_graphs import sky_finder, upstream

from orientd import formats
from orientd.config import Config
from orientd.decode import dali
from orientd.decode.cpu import CpuDecoder
from orientd.errors import ModelError
from orientd.gpu import device
from orientd.gpu import pool as cards
from orientd.infer.engine import Engine
from orientd.infer.spec import PRESETS
from orientd.pipeline.stages import chosen_model


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return Engine(sky_finder(tmp_path_factory.mktemp("models") / "sky.onnx"))


@pytest.fixture
def made(engine):
    """Make a GPU road; what it tells the user is in its `told`."""

    def make(decoder, engine=engine, spare=lambda: engine, **options):
        told = []
        made = cards.GpuPool([device.Gpu(decoder, engine, dali.blank(), told.append, **options)], spare)
        made.told = told
        return made

    return make


def test_photos_come_in_whole_batches(made, engine):
    decoder = Decoder()
    check(made(decoder)(PHOTOS), engine, PHOTOS)
    assert decoder.runs == [4] * 6


def test_no_photos_at_all(made):
    assert made(Decoder())([]) == []


def test_photos_of_other_kinds_are_left(made, engine):
    others = [store(name) for name in ("png", "progressive", "heif")]
    mixed = [PHOTOS[0], *[photo(data, kind=formats.sniff(data), path="other") for data in others], PHOTOS[1]]
    sights = made(Decoder())(mixed)
    assert [sight is None for sight in sights] == [False, True, True, True, False]
    check([sights[0], sights[-1]], engine, PHOTOS[:2])


def test_a_damaged_photo_costs_its_batch_alone(made, engine):
    decoder = Decoder(bad=[PHOTOS[5]])
    road = made(decoder)
    check(road(PHOTOS), engine, PHOTOS, left=[each.path for each in PHOTOS[4:8]])
    assert road.told == []
    assert decoder.runs == [4, 4, 1, 4, 4, 4, 4]  # a look whether the GPU still works


def test_a_library_full_of_damaged_photos_does_not_cost_the_gpu(made, engine):
    road = made(Decoder(bad=PHOTOS[::4]))
    for _ in range(10):
        assert not any(road(PHOTOS))
    assert road.told == []
    check(road(PHOTOS[1:4]), engine, PHOTOS[1:4])


@pytest.mark.parametrize("room", [24 * 16 * 3, 24 * 16 * 3 * 2, 24 * 16 * 3 * 3])
def test_where_memory_is_short_batches_become_smaller(made, engine, room):
    decoder = Decoder(room=room)
    road = made(decoder)
    check(road(PHOTOS), engine, PHOTOS)
    assert road.told == []
    decoder.runs.clear()
    check(road(PHOTOS), engine, PHOTOS)
    assert max(decoder.runs) <= room // (24 * 16 * 3), "it is not tried again and again"


def test_a_photo_too_large_for_the_gpu_is_left(made, engine):
    large = photo(jpeg(noise(300, 200)), path="large")
    decoder = Decoder(room=10_000)
    road = made(decoder)
    mixed = [*PHOTOS[:2], large, *PHOTOS[2:5]]
    sights = road(mixed)
    assert sights[2] is None
    check([each for each in sights if each], engine, PHOTOS[:5])
    assert road.told == []
    runs = len(decoder.runs)
    assert road([large]) == [None]
    assert len(decoder.runs) == runs, "it is not tried again"


def test_the_limit_on_decoded_bytes_is_kept(made, engine):
    decoder = Decoder()
    check(made(decoder, pixels=2 * 24 * 16 * 3)(PHOTOS), engine, PHOTOS)
    assert set(decoder.runs) == {2}
    assert made(decoder, pixels=24 * 16 * 3 - 1)(PHOTOS[:1]) == [None]
    assert made(decoder, max_pixels=24 * 16 - 1)(PHOTOS[:1]) == [None]


def test_a_gpu_lost_while_decoding_is_given_up_with_one_notice(made, engine):
    decoder = Decoder()
    road = made(decoder)
    check(road(PHOTOS[:8]), engine, PHOTOS[:8])
    decoder.broken = True
    for _ in range(3):
        check(road(PHOTOS), engine, PHOTOS, left=[each.path for each in PHOTOS])
    runs = len(decoder.runs)
    assert road.told == [f"the GPU stopped working ({LOST}): going on without it, more slowly; no photo is left out"]
    road(PHOTOS)
    assert len(decoder.runs) == runs, "a GPU given up is left alone"
    pixels = CPU.decode(PHOTOS[0]).pixels
    assert (road.look(pixels[None]), road.look_again(pixels)) == (engine.look(pixels[None]), engine.look_again(pixels))


def test_a_gpu_lost_while_looking_is_given_up_with_one_notice(made, engine):
    breaking = Breaking(engine)
    road, pixels = made(Decoder(), breaking, lambda: engine), CPU.decode(PHOTOS[0]).pixels
    assert road.look_again(pixels) == engine.look_again(pixels)
    breaking.broken = True
    assert road.look_again(pixels) == engine.look_again(pixels)
    assert road.look(pixels[None]) == engine.look(pixels[None])
    assert road(PHOTOS) == [None] * len(PHOTOS)
    assert len(road.told) == 1


def test_memory_that_stays_short_ends_on_the_cpu(made):
    decoder = Decoder(room=0)
    road = made(decoder)
    assert road(PHOTOS) == [None] * len(PHOTOS)
    assert len(road.told) == 1
    assert "out of memory" in road.told[0]


def test_threads_that_fail_together_give_one_notice(made, engine):
    decoder = Decoder()
    road = made(decoder)
    decoder.broken = True
    with ThreadPoolExecutor(8) as pool:
        assert all(sights == [None] * 8 for sights in pool.map(road, [PHOTOS[:8]] * 16))
    assert len(road.told) == 1


def test_threads_at_once_get_their_own_answers(made, engine):
    road = made(Decoder(bad=[PHOTOS[5]]))
    order = np.random.default_rng(3)
    chunks = [[PHOTOS[index] for index in order.permutation(len(PHOTOS))[:7]] for _ in range(24)]
    with ThreadPoolExecutor(4) as pool:
        for chunk, sights in zip(chunks, pool.map(road, chunks), strict=True):
            left = [each.path for each, sight in zip(chunk, sights, strict=True) if sight is None]
            check(sights, engine, chunk, left=left)
            assert bool(left) == (PHOTOS[5] in chunk)


def test_a_model_that_is_at_fault_stops_the_run(made, tmp_path):
    nan = Engine(sky_finder(tmp_path / "nan.onnx", bias=(np.nan, 0, 0, 0)))
    with pytest.raises(ModelError, match="not finite"):
        made(Decoder(), nan)(PHOTOS)


def test_a_model_of_another_form_is_fed_by_way_of_the_host(made, tmp_path):
    preset = PRESETS["upstream-efficientnetv2-s"]
    other = Engine(upstream(tmp_path / "other.onnx"), preset=preset)
    assert not other.takes_pixels
    data = jpeg(noise(600, 400))
    ((picture, look),) = made(Decoder(size=preset.input_size), other)([photo(data)])
    pixels = CpuDecoder(preset.input_size).decode(photo(data)).pixels
    assert np.array_equal(picture.pixels, pixels)
    assert look == other.look(pixels[None])[0]


def test_looking_where_pictures_lie_is_looking_at_them(engine, monkeypatch):
    pictures = np.stack([CPU.decode(each).pixels for each in PHOTOS[:8]])
    for batch, number in ((1, 8), (4, 8), (4, 7), (4, 1), (8, 3)):
        monkeypatch.setattr(engine, "_batch", batch)
        assert engine.padded(number) % batch == 0
        assert engine.padded(number) >= number
        assert engine.look_there("cpu", pictures.ctypes.data, number) == engine.look(pictures[:number])


@pytest.mark.gpu
def test_on_a_gpu_pictures_and_looks_are_those_of_the_cpu_road():
    """Also a test for races: many different batches from four threads, bound to the model where DALI left them."""
    model = chosen_model(Config())
    here = model.open()
    road, there = cards.open_cards(model, Config(), print)
    size = here.spec.input_size
    files = [framed(jpeg(noise(640 + 16 * seed, 480, seed), quality=90)) for seed in range(200)]
    order = np.random.default_rng(0)
    chunks = [[files[index][0] for index in order.permutation(len(files))[:70]] for _ in range(40)]
    cpu = {held.data: CpuDecoder(size).decode(held).pixels for held, _ in files}
    looks = {data: here.look(pixels[None])[0].probabilities for data, pixels in cpu.items()}
    with ThreadPoolExecutor(4) as pool:
        for chunk, sights in zip(chunks, pool.map(road, chunks), strict=True):
            for held, sight in zip(chunk, sights, strict=True):
                assert sight is not None
                assert np.abs(sight[0].pixels.astype(int) - cpu[held.data]).mean() < 1.5
                assert sight[1].probabilities == pytest.approx(looks[held.data], abs=0.05)
                assert sight[1].probabilities == pytest.approx(there.look(sight[0].pixels[None])[0].probabilities, abs=1e-3)
