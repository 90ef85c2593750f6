"""An exported model in integers of 8 bits, kept only if it judges as well. Sole owner of ONNX Runtime's quantisation.

Static, by pairs of QuantizeLinear and DequantizeLinear: activations unsigned, weights signed with a scale per channel, which is
what processors multiply fast. The first convolution and the head stay floats: three channels and four outputs cost no time, and
it is there that coarse numbers cost most.
"""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from orientd import orientation
from orientd.errors import ConfigError
from orientd.infer.engine import Engine, load_spec
from orientd.judge.policy import DEFAULT
from orientd_training.data.photoset import PhotoSet
from orientd_training.evaluate.calibrate import calibrated
from orientd_training.evaluate.compare import Comparison, compare
from orientd_training.evaluate.predictions import collect
from orientd_training.export.onnx_file import first_and_last, stamp, written

MOST_LOST: Final = 0.003  # of the accuracy, with one view or eight
SAMPLE: Final = 300
_SEED: Final = 1
_ROUNDS: Final = 6
_LOOKS: Final = 50


@dataclass(frozen=True)
class Trial:
    """How the integers (A) did against the floats (B), each at its own temperatures; `refusal` is empty if they are kept.

    `time` is the processor time of a look as a share of that of the floats, on one thread by ones.
    """

    comparison: Comparison
    refusal: str
    time: float
    bytes: int


def quantise(model: Path, out: Path, sample: PhotoSet, photos: PhotoSet) -> Trial:
    """Write `out`, the model in integers with temperatures of its own; it is deleted if it judges worse than `model`.

    Args:
        sample: photos that trained the model; some hundreds of them say how large its activations get.
        photos: photos that trained nothing, to compare on; also the temperatures are fitted to them.

    Raises:
        ConfigError: there are no photos, or they were prepared at another size.
        ModelError: the model cannot be used.
        StateError: `out` cannot be written.
    """
    spec = load_spec(model)
    if not len(sample) or sample.size != spec.input_size:
        raise ConfigError(f"photos for calibration must be there and of {spec.input_size} px: prepare some at that size")
    with written(out) as partial:
        _write(model, partial, _turned(sample))
        integers, floats = (calibrated(collect(path, photos)) for path in (partial, model))
        comparison = compare(integers, floats, DEFAULT)
        trial = Trial(comparison, _refusal(comparison), _time(partial, model, photos), partial.stat().st_size)
        one, views = integers.temperature, integers.temperature_views
        stamp(partial, partial, replace(spec, name=f"{spec.name}-int8", temperature=one, temperature_views=views))
        if trial.refusal:
            out.unlink(missing_ok=True)  # that of an earlier model would pass for this one's
        else:
            os.replace(partial, out)
    return trial


def in_words(trial: Trial) -> str:
    """What came of it, for people."""
    its, verdict = trial.comparison, f"not kept, since {trial.refusal}" if trial.refusal else "kept"
    one, eight = 100 * its.accuracy_one_view.difference, 100 * its.accuracy_eight_views.difference
    return (
        f"{verdict}. On {its.photos:,} photos: accuracy {one:+.2f} points with one view, {eight:+.2f} with eight; "
        f"false turns per 1,000 {its.false_per_1000.b:.2f} → {its.false_per_1000.a:.2f}; "
        f"fixed {its.mended.b:.1%} → {its.mended.a:.1%}; {trial.time:.2f} of the time a look, {trial.bytes / 2**20:.1f} MiB"
    )


class _Reader(CalibrationDataReader):
    """Hands out photos one by one."""

    def __init__(self, photos: Iterator[NDArray[np.uint8]]) -> None:
        self._photos = photos

    def get_next(self) -> dict[str, Any] | None:
        pixels = next(self._photos, None)
        return None if pixels is None else {"pixels": pixels[None]}


def _turned(sample: PhotoSet) -> Iterator[NDArray[np.uint8]]:
    """`SAMPLE` photos or fewer, the same ones each time, a quarter of them with each turn."""
    chosen = np.sort(np.random.default_rng(_SEED).permutation(len(sample))[:SAMPLE])
    for i, place in enumerate(chosen):
        shown = orientation.apply(np.asarray(sample.pixels[place]), orientation.from_turn(orientation.TURNS[i % 4]))
        yield np.ascontiguousarray(shown)


def _write(model: Path, out: Path, photos: Iterator[NDArray[np.uint8]]) -> None:
    with _quiet():
        quantize_static(
            model,
            out,
            _Reader(photos),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=first_and_last(model),
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """The root logger without the advice to preprocess, which torch's exporter has done."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _refusal(trial: Comparison) -> str:
    lost = {"one view": -trial.accuracy_one_view.difference, "eight views": -trial.accuracy_eight_views.difference}
    reasons = [f"accuracy with {look} falls by {100 * by:.2f} points" for look, by in lost.items() if by > MOST_LOST]
    false = trial.false_per_1000
    if false.difference > 0:
        reasons.append(f"false turns per 1,000 rise from {false.b:.2f} to {false.a:.2f}")
    return " and ".join(reasons)


def _time(model: Path, other: Path, photos: PhotoSet) -> float:
    """Processor time of a look of `model` as a share of `other`'s: the least of several rounds, taken in turns."""
    engines, pixels = [Engine(model), Engine(other)], np.array(photos.pixels[:_LOOKS])
    rounds = [[_spent(engine, pixels) for engine in engines] for _ in range(_ROUNDS)]
    one, two = np.min(rounds, axis=0)
    return float(one / two)


def _spent(engine: Engine, pixels: NDArray[np.uint8]) -> float:
    begun = time.thread_time()
    engine.look(pixels)
    return time.thread_time() - begun
