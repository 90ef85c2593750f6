"""The GPU road as a whole, with a stand-in for DALI where that is missing: nothing is lost, whatever fails."""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import onnxruntime
import pytest
import skies
from dalis import FAULTS, FakePipeline, framed, grey, jpeg, noise, photo
from graphs import SIZE, sky_finder, upstream
from scenes import store

from orientd import cards, formats, gpu, infer
from orientd.config import Config
from orientd.decode import dali
from orientd.decode.cpu import CpuDecoder
from orientd.errors import EngineUnavailable, ModelError
from orientd.infer import Engine
from orientd.spec import PRESETS

BATCH = 4
LOST = RuntimeError("CUDA error: unspecified launch failure")
PHOTOS = [photo(grey(level), path=str(level)) for level in range(10, 250, 10)]
CPU = CpuDecoder(SIZE)


class Decoder:
    """A stand-in for a batch decoder whose GPU has `room` bytes, chokes on the `bad` photos and breaks for good when told to."""

    batch, lanes = BATCH, 2

    def __init__(self, room=2**40, bad=(), size=SIZE):
        self.room, self.bad, self.broken, self.runs = room, {each.data for each in bad}, False, []
        self.inner = dali.DaliDecoder(size, BATCH, None, build=lambda: FakePipeline(size))

    def decode(self, photos):
        self.runs.append(len(photos))
        if self.broken:
            raise LOST
        if sum(3 * found.width * found.height for _, found in photos) > self.room:
            raise FAULTS["memory"]
        if any(held.data in self.bad for held, _ in photos):
            raise FAULTS["damage"]
        return self.inner.decode(photos)


class Breaking:
    """An engine that breaks for good when told to."""

    def __init__(self, engine):
        self.inner, self.broken, self.takes_pixels = engine, False, engine.takes_pixels

    def __getattr__(self, name):
        if self.broken:
            raise LOST
        return getattr(self.inner, name)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return Engine(sky_finder(tmp_path_factory.mktemp("models") / "sky.onnx"))


@pytest.fixture
def made(engine):
    """Make a GPU road; what it tells the user is in its `told`."""

    def make(decoder, engine=engine, spare=lambda: engine, **options):
        told = []
        made = cards.Cards([gpu.Gpu(decoder, engine, dali.blank(), told.append, **options)], spare)
        made.told = told
        return made

    return make


def expected(engine, photos):
    return [(CPU.decode(each).pixels, engine.look(CPU.decode(each).pixels[None])[0]) for each in photos]


def check(sights, engine, photos, left=()):
    """Each photo has its own picture and look, and just those in `left` have none."""
    assert len(sights) == len(photos)
    for each, sight, (pixels, look) in zip(photos, sights, expected(engine, photos), strict=True):
        assert (sight is None) == (each.path in left), each.path
        if sight:
            assert np.array_equal(sight[0].pixels, pixels)
            assert sight[1] == look
            assert (sight[0].width, sight[0].height) == (24, 16)


def test_photos_come_in_whole_batches(made, engine):
    decoder = Decoder()
    check(made(decoder)(PHOTOS), engine, PHOTOS)
    assert decoder.runs == [4] * 6


def test_no_photos_at_all(made):
    assert made(Decoder())([]) == []


def test_photos_of_other_kinds_are_left(made, engine):
    others = [store(name) for name in ("png", "progressive", "heif", "gif") if name != "gif"]
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


# The command itself


def on_the_cpu(monkeypatch, pipeline=None):
    """Let the GPU road run without a GPU: `pipeline` in place of DALI's, or DALI's own on the CPU."""
    monkeypatch.setattr(cards, "chosen", lambda gpus: [(None, "no GPU")] * (gpus.count(",") + 1))
    if pipeline:
        monkeypatch.setattr(dali, "_builder", lambda size, batch, device, threads: partial(pipeline, size))


def library(folder):
    """Landscapes of every format in one folder: the turn that each needs."""
    needs = skies.library(folder, 12)
    for number, kind in enumerate(("PNG", "WEBP", "TIFF")):
        needs[str(skies.draw(folder / f"other.{kind.lower()}", 90 * number, seed=50 + number, kind=kind))] = 90 * number
    damaged = folder / "0" / "damaged.jpg"
    data = (folder / "0" / "000.jpg").read_bytes()
    damaged.write_bytes(data[: len(data) * 2 // 3] + b"\xff\xd9")
    (folder / "cut.jpg").write_bytes(data[:300])
    return needs


def scanned(orientd, photos, report, *options):
    code = orientd("scan", photos, "--rescan", "--report", report, *options)
    return code, skies.rows(report)


def told(rows):
    keys = ("decision", "turn", "new_orientation", "orientation", "width", "height", "sha256")
    return {path: [row[key] for key in keys] for path, row in rows.items()}


def test_a_scan_with_a_stand_in_gives_the_rows_of_the_cpu_road(orientd, photos, tmp_path, monkeypatch):
    needs = library(photos)
    code, here = scanned(orientd, photos, tmp_path / "cpu.csv")
    on_the_cpu(monkeypatch, FakePipeline)
    assert (code, here) == scanned(orientd, photos, tmp_path / "gpu.csv", "--provider", "cuda")
    assert code == 3
    assert {path: int(here[path]["turn"]) for path in needs} == needs


def test_a_gpu_lost_in_mid_run_costs_no_photo(orientd, photos, tmp_path, monkeypatch, capsys):
    needs = skies.library(photos, 150)
    expected = scanned(orientd, photos, tmp_path / "cpu.csv")
    runs = iter(range(10**6))
    on_the_cpu(monkeypatch, partial(FakePipeline, conduct=lambda: "well" if next(runs) < 2 else "damage"))
    capsys.readouterr()
    assert scanned(orientd, photos, tmp_path / "gpu.csv", "--provider", "cuda", "--workers", 3) == expected
    assert capsys.readouterr().err.count("the GPU stopped working (nvImageCodec failure: '#3'): going on without it") == 1
    assert len(expected[1]) == len(needs)


@pytest.mark.parametrize("manner", ["damage", "memory", "late", "shuffled"])
def test_a_scan_with_a_stand_in_that_misbehaves_gives_the_same_rows(orientd, photos, tmp_path, monkeypatch, manner):
    library(photos)
    expected = scanned(orientd, photos, tmp_path / "cpu.csv")
    runs = iter(range(10**6))
    on_the_cpu(monkeypatch, partial(FakePipeline, conduct=lambda: manner if next(runs) % 3 == 1 else "well"))
    for _ in range(3):
        assert scanned(orientd, photos, tmp_path / "gpu.csv", "--provider", "cuda", "--workers", 3) == expected


def test_a_scan_with_dali_gives_the_decisions_of_the_cpu_road(orientd, photos, tmp_path, monkeypatch):
    pytest.importorskip("nvidia.dali", reason='needs DALI: pip install "orientd[gpu]"')
    needs = library(photos)
    _, here = scanned(orientd, photos, tmp_path / "cpu.csv")
    on_the_cpu(monkeypatch)
    _, there = scanned(orientd, photos, tmp_path / "gpu.csv", "--provider", "cuda")
    assert {path: int(there[path]["turn"]) for path in needs} == needs
    damaged = str(photos / "0" / "damaged.jpg")
    assert there.pop(damaged)["decision"] != "fix", (
        "DALI may not notice the damage, but nothing is written without the CPU's word"
    )
    here.pop(damaged)
    assert told(here) == told(there)


def test_what_is_missing_is_named(orientd, photos, monkeypatch, capsys):
    skies.library(photos, 2)
    assert orientd("scan", photos, "--provider", "cuda") == 1
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        assert 'pip install "orientd[gpu]"' in capsys.readouterr().err
    on_the_cpu(monkeypatch)
    monkeypatch.setitem(sys.modules, "nvidia.dali", None)
    assert orientd("scan", photos, "--provider", "cuda") == 1
    assert "DALI, which decodes on the GPU, cannot be loaded" in capsys.readouterr().err
    with pytest.raises(EngineUnavailable, match=r'pip install "orientd\[gpu\]"'):
        dali.version()


def test_a_gpu_that_never_worked_is_an_error_and_not_a_silent_cpu_run(orientd, photos, monkeypatch, capsys):
    skies.library(photos, 2)
    on_the_cpu(monkeypatch, partial(FakePipeline, conduct=lambda: "memory"))
    assert orientd("scan", photos, "--provider", "cuda") == 1
    assert "the GPU cannot decode and look at a photo: out of memory: run orientd doctor" in capsys.readouterr().err


def test_the_memory_of_the_gpu_is_shared_out(model, monkeypatch):
    from orientd import catalogue

    on_the_cpu(monkeypatch, FakePipeline)
    chosen = catalogue.Model("sky", model, "file")
    for memory, pixels in ((0, 2 * 2**30), (800, 100 * 2**20), (2**20, 2 * 2**30)):
        road, _ = cards.open_cards(chosen, Config(gpu_memory=memory), print)
        assert road.cards[0]._most == pixels
        _, options = cards._provider(1, memory * 2**20)
        assert options["device_id"] == "1"
        assert options.get("gpu_mem_limit") == (str(memory * 2**18) if memory else None)
    assert Config().gpu_memory == 0


def test_the_doctor_tries_the_gpu_and_compares_the_versions_of_cuda(orientd, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "300")
    on_the_cpu(monkeypatch, FakePipeline)
    monkeypatch.setattr(dali, "version", lambda: ("2.4.0", 13))
    for engine, code, words in (("13.0", 0, "2.4.0 for CUDA 13, as ONNX Runtime (13.0)"), ("12.8", 1, "nvidia-dali-cuda120")):
        monkeypatch.setattr(infer, "cuda_version", lambda engine=engine: engine)
        assert orientd("doctor", "--provider", "cuda") == code
        assert words in capsys.readouterr().out
    assert orientd("doctor") == 0, "without a GPU orientd does without DALI"
    on_the_cpu(monkeypatch, partial(FakePipeline, conduct=lambda: "damage"))
    assert orientd("doctor", "--provider", "cuda") == 1
    assert "the GPU cannot decode" in capsys.readouterr().out


@pytest.mark.gpu
def test_on_a_gpu_pictures_and_looks_are_those_of_the_cpu_road():
    """Also a test for races: many different batches from four threads, bound to the model where DALI left them."""
    from orientd.app import chosen_model

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
