"""Everything about the GPU path that needs a GPU, in one go: is it right, how fast is each part and the whole, where time goes.

    python -m benchmarks.gpu.run --out gpu                 (at most 8 minutes; writes gpu/gpu.md and gpu/gpu.json)
    python -m benchmarks.gpu.run --device cpu --out gpu    (the same steps on a tiny set without a GPU: shows that they work)

Each step is independent: one that fails is reported with its error, one for which no time is left is reported as such.
"""

import argparse
import gc
import os
import platform
import resource
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu.common import ON_CPU, ON_GPU, Bench, Framed, library, photo
from orientd import app, orientation
from orientd.config import Config, load
from orientd.decode import dali
from orientd.decode.cpu import CpuDecoder
from orientd.decode.gpu_eligible import frame
from orientd.errors import EngineUnavailable
from orientd.gpu import cuda
from orientd.gpu import pool as cards
from orientd.gpu.tensorrt import builder, libraries
from orientd.infer import engine as infer
from orientd.infer import session
from orientd.judge.policy import DEFAULT, decide, needs_second_look
from orientd.library.walk import walk
from orientd.pipeline import stages as composed
from orientd.records import Photo, Verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["gpu", "cpu"], default="gpu")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--seconds", type=float, default=300, help="no step is begun after that long; the longest takes some 3 minutes"
    )
    options = parser.parse_args()
    scale, ends = ON_GPU if options.device == "gpu" else ON_CPU, time.monotonic() + options.seconds
    options.out.mkdir(parents=True, exist_ok=True)
    if scale.device is None:
        cards.chosen = lambda gpus: [(None, "no GPU")]
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"XDG_STATE_HOME": os.path.join(folder, "state"), "XDG_CACHE_HOME": os.path.join(folder, "cache")}
        bench = Bench(scale, library(scale, Path(folder)), Path(folder), ends)
        steps = (machine, right, turned, isolated, silent, released, whole, stages, decoding, looking, half, by_tensorrt)
        for step in steps:
            bench.run(step)
            bench.write(options.out)


def machine(bench: Bench) -> None:
    bench.note("machine", "date", time.strftime("%Y-%m-%d %H:%M"))
    bench.note("machine", "host", f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    bench.note("machine", "ran on", "a GPU" if bench.scale.device is not None else "no GPU: DALI and ONNX Runtime on the CPU")
    bench.note("machine", "DALI", "{} for CUDA {}".format(*dali.version()))
    bench.note(
        "machine", "ONNX Runtime", f"for CUDA {session.cuda_version() or 'none'}: {', '.join(session.available_providers())}"
    )
    sizes = [len(each.data) / 1e6 for each, _ in bench.photos]
    bench.note("machine", "photos", f"{len(sizes)} drawn, {min(sizes):.2f} to {max(sizes):.2f} MB, {bench.scale.sides}")
    if bench.scale.device is not None:
        named = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        bench.note("machine", "GPU", subprocess.run(named, capture_output=True, text=True).stdout.strip())


def gpu_path(**options: Any) -> tuple[cards.GpuPool, infer.Engine]:
    return cards.open_cards(composed.chosen_model(Config()), Config(**options), print)


def right(bench: Bench) -> None:
    """The GPU path against the CPU path: pixels, probabilities, decisions."""
    gpus, engine = gpu_path()
    here, policy = composed.chosen_model(Config()).open(), DEFAULT
    decoder = CpuDecoder(engine.spec.input_size, 10**9)
    held = [each for each, _ in bench.photos]
    levels, means, apart, differ, turned, left, verdicts = [0], [0.0], [0.0], 0, 0, 0, Counter()
    for each, sight in zip(held, gpus(held), strict=True):
        if sight is None:
            left += 1
            continue
        (picture, first), other = sight, decoder.decode(each)
        second = here.look(other.pixels[None])[0]
        error = np.abs(picture.pixels.astype(int) - other.pixels)
        levels.append(int(error.max()))
        means.append(float(error.mean()))
        apart.append(float(np.abs(np.subtract(first.probabilities, second.probabilities)).max()))
        one = decide(gpus.look_again(picture.pixels) if needs_second_look(first, policy) else first, policy)
        two = decide(here.look_again(other.pixels) if needs_second_look(second, policy) else second, policy)
        verdicts[str(two.verdict)] += 1
        differ += (one.verdict, one.turn) != (two.verdict, two.turn)
        turned += [its.turn for its in (one, two) if its.verdict is Verdict.FIX] not in ([], [one.turn] * 2)
    bench.note("right", "photos compared, left to the CPU", f"{len(held) - left}, {left}")
    bench.note("right", "decisions", dict(verdicts))
    bench.note("right", "pixels apart at most, levels", max(levels))
    bench.note("right", "pixels apart in the mean, levels, worst photo", max(means))
    bench.note("right", "probabilities apart at most", max(apart))
    bench.note("right", "decisions that differ", int(differ))
    bench.note("right", "photos that only one path turns, or otherwise", turned)


def turned(bench: Bench) -> None:
    """The eight orientations, to the bit; the id carried through; looks where pictures lie against looks by way of the host."""
    size = 192
    decoder = dali.DaliDecoder(size, 32, bench.scale.device, 1)
    each, found = bench.photos[0]
    for repeat in range(4):
        upright, *others = (Photo("", each.stat, each.format, each.data, value, "") for value in (1, *range(1, 9)))
        pixels = decoder.decode([(held, found) for held in (upright, *others)]).pixels
        wrong = [v for v in range(1, 9) if not np.array_equal(pixels[v], orientation.apply(pixels[0], v))]
        bench.note("turned", f"orientations not to the bit, round {repeat}", str(wrong))
    gpus, engine = gpu_path()
    sights = [sight for sight in gpus([each for each, _ in bench.photos]) if sight]
    again = engine.look(np.stack([picture.pixels for picture, _ in sights]))
    apart = max(
        np.abs(np.subtract(one.probabilities, two.probabilities)).max() for (_, one), two in zip(sights, again, strict=True)
    )
    bench.note("turned", "bound against by way of the host, at most", float(apart))


def isolated(bench: Bench) -> None:
    """Four threads, every third batch with a photo that fails: whatever is answered must be the answer of that very photo."""
    gpus, _ = gpu_path()
    known = {each.data: sight[0].pixels for each, sight in zip(*_alone(gpus, bench.photos[:48]), strict=True) if sight}
    bad = photo(_broken(bench.photos[0][0].data))
    order = np.random.default_rng(1)
    chunks = []
    for number in range(24):
        chunk = [bench.photos[index][0] for index in order.permutation(min(48, len(bench.photos)))[:12]]
        chunks.append([*chunk[:6], bad, *chunk[6:]] if number % 3 == 2 else chunk)
    wrong = answered = 0
    with ThreadPoolExecutor(4) as pool:
        for chunk, sights in zip(chunks, pool.map(gpus, chunks), strict=True):
            for each, sight in zip(chunk, sights, strict=True):
                answered += sight is not None
                wrong += sight is not None and not np.array_equal(sight[0].pixels, known.get(each.data))
    bench.note("isolated", "pictures answered", answered)
    bench.note("isolated", "pictures of another photo, or not to the bit", int(wrong))


def _alone(gpus: cards.GpuPool, photos: Sequence[Framed]) -> tuple[list[Photo], list[Any]]:
    held = [each for each, _ in photos]
    return held, [gpus([each])[0] for each in held]


def _broken(data: bytes) -> bytes:
    place = data.index(b"\xff\xc4") + 5
    return data[:place] + b"\xff" * 16 + data[place + 16 :]


def silent(bench: Bench) -> None:
    """Damage in the compressed data: who notices it. No photo is turned before the CPU has decoded it whole."""
    decoder = dali.DaliDecoder(192, 1, bench.scale.device, 1)
    here, random = CpuDecoder(192, 10**9), np.random.default_rng(5)
    counts = {"both": 0, "CPU alone": 0, "GPU alone": 0, "neither": 0}
    whole = bench.photos[0][0].data
    for number in range(40):
        place = int(random.integers(len(whole) // 10, len(whole) - 100))
        data = whole[:place] + (b"\xff\xd9" if number % 2 else random.bytes(20) + whole[place + 20 :])
        held = photo(data)
        if found := frame(held):
            there = _fails(decoder.decode, [(held, found)])
            cpu = _fails(here.decode, held)
            counts["both" if there and cpu else "CPU alone" if cpu else "GPU alone" if there else "neither"] += 1
    for who, number in counts.items():
        bench.note("silent", f"damage noticed by {who}", number)


def _fails(task: Callable[[Any], object], argument: Any) -> bool:
    try:
        task(argument)
    except Exception:
        return True
    return False


def released(bench: Bench) -> None:
    """What the path takes of the GPU's memory, and what is left of that when it is dropped, twice."""
    for turn in ("first", "second"):
        gpus, engine = gpu_path()
        gpus([each for each, _ in bench.photos])
        bench.note("released", f"{turn} time, in use", _memory(), "MiB")
        del gpus, engine
        gc.collect()
        bench.note("released", f"{turn} time, dropped", _memory(), "MiB")


def _memory() -> float | str:
    """MiB in use on the first GPU, by all processes."""
    asked = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    try:
        return float(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return "unknown"


def whole(bench: Bench) -> None:
    """`orientd scan` on files in the page cache: the GPU alone and together with the CPU, by number of threads, and all GPUs.

    One photo in 16 is sideways or upside down, so few get a second look, as in real libraries.
    """
    everything, share = bench.folder / "all", cards.LoadBalance.of
    for workers in bench.scale.workers:
        for name, of in (("the GPU alone", lambda *_: 0), ("with the CPU next to it", share)):
            cards.LoadBalance.of = of
            seconds, number = _scan(bench, everything, provider="cuda", workers=workers)
            bench.note("whole", f"{workers} threads, {name}", number / seconds, "photos/s")
    if (several := len(cuda.names())) > 1:
        seconds, number = _scan(bench, everything, provider="cuda", gpus="all", workers=bench.scale.workers[-1])
        bench.note("whole", f"{several} GPUs", number / seconds, "photos/s")
    part = bench.folder / "part"
    part.mkdir()
    for name in sorted(os.listdir(everything))[: max(20, bench.scale.files // 10)]:
        shutil.copyfile(everything / name, part / name)
    seconds, number = _scan(bench, part, provider="cpu", workers=os.cpu_count())
    bench.note("whole", f"the CPU alone, {os.cpu_count()} threads", number / seconds, "photos/s")
    bench.note("whole", "memory of the host, most", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MiB")


def _scan(bench: Bench, folder: Path, **flags: object) -> tuple[float, int]:
    config, started = load(None, {**os.environ, "HOME": str(bench.folder)}, flags), time.monotonic()
    rows = app.scan(config, [str(folder)], fix=False, rescan=True, stop=lambda: False, notify=print, command="benchmarks.gpu.run")
    counted = [row.decision for row in rows]
    if "error" in counted:
        raise RuntimeError(f"{counted.count('error')} photos could not be judged")
    return time.monotonic() - started, len(counted)


def stages(bench: Bench) -> None:
    """Where time goes, one thing after the other in one thread: milliseconds a photo."""
    gpus, engine = gpu_path()
    batch = gpus.batch
    candidates = list(islice(walk([str(bench.folder / "all")]), 2 * batch))
    spent = dict(_spent(gpus, engine, candidates, batch))
    bench.note("stages", "files", len(candidates))
    for name, seconds in spent.items():
        bench.note("stages", name, 1000 * seconds / len(candidates), "ms a photo")


def _spent(gpus: cards.GpuPool, engine: infer.Engine, candidates: Sequence[Any], batch: int) -> Iterator[tuple[str, float]]:
    read = composed.make_judge(Config())[0].read
    marks = [time.monotonic()]

    def lap() -> float:
        marks.append(time.monotonic())
        return marks[-1] - marks[-2]

    photos = [each for candidate in candidates if (each := read(candidate))]
    yield "read, hash, find the orientation", lap()
    framed = [(each, found) for each in photos if (found := frame(each))]
    yield "header probe", lap()
    sheets = [gpus.cards[0]._decoder.decode(framed[start : start + batch]) for start in range(0, len(framed), batch)]
    yield "decode, squeeze, turn (DALI)", lap()
    for sheet in sheets:
        engine.look_there(sheet.device, sheet.pointer, len(sheet.pixels), sheet.index)
    yield "first look", lap()
    for sheet in sheets:
        for pixels in sheet.pixels[: max(1, len(sheet.pixels) // 7)]:
            engine.look_again(pixels)
    yield "second look at one in seven", lap()


def decoding(bench: Bench) -> None:
    """DALI alone: by size of the batch, pipelines side by side, and share of the hardware decoder."""
    large, size, share = bench.photos[: bench.scale.different], 192, dali.HARDWARE_SHARE
    alone = replace(bench, photos=large)
    for batch in bench.scale.batches:
        for lanes in bench.scale.lanes:
            if batch in (64, bench.scale.batches[-1]) or lanes == 2:
                decoder = dali.DaliDecoder(size, batch, bench.scale.device, lanes, threads=8)
                found = alone.rate(decoder.decode, batch, lanes)
                bench.note("decoding", f"batches of {batch}, {lanes} side by side", found, "photos/s")
    for dali.HARDWARE_SHARE in bench.scale.shares:
        decoder = dali.DaliDecoder(size, 64, bench.scale.device, 2, threads=8)
        found = alone.rate(decoder.decode, 64, 2)
        bench.note("decoding", f"hardware's share {dali.HARDWARE_SHARE}", found, "photos/s")
    dali.HARDWARE_SHARE = share


def looking(bench: Bench) -> None:
    """The model alone, on pictures in the memory of the device."""
    _, engine = gpu_path()
    _look(bench, "looking", "fp32", engine)


def half(bench: Bench) -> None:
    """Half precision, and the ten bits of TF32, against full precision."""
    model = composed.chosen_model(Config())
    expected, provider = model.open(), session.CPU if bench.scale.device is None else session.CUDA
    for name, path, options in (("TF32", model.path, {"use_tf32": "1"}), ("fp16", _halved(model.path, bench.folder), {})):
        if path is None:
            bench.note("half", name, "not there: needs onnx")
            continue
        engine = infer.Engine(path, [provider if bench.scale.device is None else (provider, options)])
        bench.note("half", f"{name}: probabilities apart at most", _look(bench, "half", name, engine, expected))


def by_tensorrt(bench: Bench) -> None:
    """TensorRT in full and half precision against CUDA: how long it takes to build, to load what was built, and a look."""
    model = composed.chosen_model(Config())
    try:
        bench.note("by_tensorrt", "version", libraries.load())
    except EngineUnavailable as error:
        bench.note("by_tensorrt", "skipped", str(error))
        return
    provider = cards._provider(0, 0)
    engine = model.open([provider])
    engine._batch = bench.scale.looks[-1]
    for precision in ("fp32", "fp16"):
        began = time.monotonic()
        both = builder.EngineBuilder(model, precision, bench.folder / "tensorrt", print).upgrading(engine, "this GPU", provider)
        both._build._process.wait()
        bench.note("by_tensorrt", f"{precision}, building", time.monotonic() - began, "s")
        began = time.monotonic()
        fast = both._best()
        bench.note("by_tensorrt", f"{precision}, loading what was built", time.monotonic() - began, "s")
        if fast is engine:
            raise RuntimeError("it was not built: see above")
        apart = _look(bench, "by_tensorrt", precision, fast, engine)
        bench.note("by_tensorrt", f"{precision}: probabilities apart at most", apart)


def _look(bench: Bench, step: str, name: str, engine: infer.Engine, expected: infer.Engine | None = None) -> float:
    size, usual = engine.spec.input_size, engine._batch
    for batch in bench.scale.looks:
        engine._batch = batch
        sheet = dali.DaliDecoder(size, batch, bench.scale.device, 1).decode(list(islice(cycle(bench.photos), batch)))
        found = bench.rate(
            lambda chunk, there=sheet: engine.look_there(there.device, there.pointer, len(chunk), there.index), batch
        )
        bench.note(step, f"{name}, batches of {batch}", found, "looks/s")
    engine._batch = usual
    sheet = dali.DaliDecoder(size, 64, bench.scale.device, 1).decode(list(islice(cycle(bench.photos), 64)))
    pairs = zip(engine.look(sheet.pixels), (expected or engine).look(sheet.pixels), strict=True)
    return max(float(np.abs(np.subtract(one.probabilities, two.probabilities)).max()) for one, two in pairs)


def _halved(path: Path, folder: Path) -> Path | None:
    try:
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16
    except ImportError:
        return None
    made = folder / "half.onnx"
    onnx.save(convert_float_to_float16(onnx.load(str(path)), keep_io_types=True), str(made))
    return made


if __name__ == "__main__":
    main()
