"""Pixels → Prediction.

A graph of orientd takes uint8 `pixels` of shape (N, size, size, 3) and returns float32 `logits` of shape (N, 4); the graph of
another project gets its input as its `spec.ModelSpec` says. All batches have the same shape, on a CPU one photo, so that a photo
gets the same answer to the bit whatever else is in the batch. That costs nothing: larger batches do not fit in the cache
(`benchmarks/cpu/batch_size.py`).
"""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from orientd import commands, orientation
from orientd.errors import ModelError
from orientd.infer.session import CPU, Provider, open_session, read_model
from orientd.infer.spec import METADATA_KEY, PRESETS, ModelSpec
from orientd.records import Prediction

VIEWS: Final = tuple(range(1, 9))
_GPU_BATCH: Final = 32
_MIRRORED: Final = 2

_Row = tuple[float, float, float, float]


def _class_in_view(view: int, turn: int) -> int:
    """Which class a photo that needs `turn` belongs to once it is seen as the orientation `view` shows it.

    It is the turn that makes the view upright, or where the view is mirrored the mirror image of upright.
    """
    upright = orientation.from_turn(turn)
    goals = upright, orientation.then(upright, _MIRRORED)
    return next(k for k, t in enumerate(orientation.TURNS) if orientation.then(view, orientation.from_turn(t)) in goals)


TURNED_BACK: Final = np.array([[_class_in_view(view, turn) for turn in orientation.TURNS] for view in VIEWS])
"""Shape (8, 4): which class of each of the VIEWS is each class of the picture as given."""


def load_spec(path: str | Path) -> ModelSpec:
    """What a model file says about itself.

    Raises:
        ModelError: the file is missing, damaged or no orientd model.
        EngineUnavailable: ONNX Runtime is not installed.
    """
    return _read_spec(open_session(read_model(path), (CPU,), optimise=False))


class Engine:
    """A loaded model on one thread of the caller. May be used from several threads at once.

    `spec` is what the model says about itself, `sha256` its file's, `model_id` 16 hexadecimal digits that change with the file or
    with what a preset says of it, `providers` the execution providers that really run, in order of preference.
    """

    def __init__(
        self, path: str | Path, providers: Sequence[Provider] = (CPU,), *, preset: ModelSpec | None = None, sha256: str = ""
    ) -> None:
        """Load the model at `path`, to run on the first of `providers` that can run a node.

        `preset` speaks for a file that says nothing of itself; `sha256`, where given, is what the file must have.

        Raises:
            ModelError: the file is missing, damaged, not the one expected or no orientd model.
            EngineUnavailable: ONNX Runtime or one of the providers is not there.
        """
        model = read_model(path)
        digest = hashlib.sha256(model)
        self.sha256 = digest.hexdigest()
        if sha256 not in ("", self.sha256):
            raise ModelError(f"the model {path} is not the file it was: its SHA-256 is {self.sha256}, not {sha256}: get it again")
        self._session = open_session(model, providers, optimise=True)
        self.spec = preset or _read_spec(self._session)
        _check_graph(self._session, self.spec)
        digest.update(preset.to_json().encode() if preset else b"")
        self.model_id = digest.hexdigest()[:16]
        self.providers = tuple(self._session.get_providers())
        on_cpu = self.providers == (CPU,)
        self._batch, self._views = (1, 1) if on_cpu else (_GPU_BATCH, len(VIEWS))
        self._input, self._output = self._session.get_inputs()[0].name, self._session.get_outputs()[0].name
        self._order = [self.spec.classes.index(turn) for turn in orientation.TURNS]

    @property
    def takes_pixels(self) -> bool:
        """True if the graph takes pictures as they are decoded, so that `look_there` can be used."""
        return self.spec.mean is None and not self.spec.crop

    def look(self, pixels: NDArray[np.uint8]) -> list[Prediction]:
        """One look at each of N pictures, uint8 of shape (N, size, size, 3)."""
        return self._predictions(self.logits(pixels))

    def look_there(self, device: str, pointer: int, number: int, index: int = 0) -> list[Prediction]:
        """One look at each of `number` pictures that are side by side at an address in the memory of `device` ("cpu" or "cuda").

        `index` is the number of the GPU they are on, which must be that of this engine. They are not copied (`IOBinding` of ONNX
        Runtime). All work on them must have ended. The memory must go on for a whole batch of `padded(number)` pictures, of which
        those behind the last are seen, but not answered.
        """
        shape = (self._batch, self.spec.input_size, self.spec.input_size, 3)
        answers = np.empty((number, len(orientation.TURNS)))
        binding = self._session.io_binding()
        for start in range(0, number, self._batch):
            place = pointer + start * math.prod(shape[1:])
            binding.bind_input(self._input, device, index, np.uint8, shape, place)
            binding.bind_output(self._output)
            self._session.run_with_iobinding(binding)
            seen = binding.copy_outputs_to_cpu()[0]
            answers[start : start + self._batch] = seen[: number - start, self._order]
        return self._predictions(self._finite(answers))

    def padded(self, number: int) -> int:
        """The least whole number of batches that hold `number` pictures, in pictures."""
        return -(-number // self._batch) * self._batch

    def shapes(self) -> list[str]:
        """The input with the shapes it is run on, the smallest first, as TensorRT wants them: "pixels:8x192x192x3"."""
        sides = (3, self.spec.side, self.spec.side) if self.spec.mean else (self.spec.side, self.spec.side, 3)
        return [f"{self._input}:{number}x{'x'.join(map(str, sides))}" for number in sorted((self._views, self._batch))]

    def look_again(self, pixels: NDArray[np.uint8]) -> Prediction:
        """All eight views of a picture, uint8 of shape (size, size, 3): as it is, turned, mirrored, in the order of EXIF values.

        Each view's answer is turned back to that for the picture as given; the probabilities come from the mean of their logits.
        """
        logits = self.by_view(np.stack([orientation.apply(pixels, view) for view in VIEWS]))
        mean = np.array([math.fsum(column) / len(VIEWS) for column in logits.T.tolist()])  # the same in whatever order they come
        probabilities = _softmax(mean, self.spec.temperature_views)
        return Prediction(probabilities, tuple(_softmax(row, self.spec.temperature) for row in logits))

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Logits (N, 4), not calibrated, of N pictures, uint8 of shape (N, side, side, 3); the side is one of `spec.sides`."""
        return self._logits(pixels, self._batch)

    def by_view(self, views: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Logits (8, 4), not calibrated, of the eight views of one picture, each turned back to that for the picture as given.

        views: uint8 of shape (8, side, side, 3) in the order of `VIEWS`; the side is one of `spec.sides`.
        """
        return np.take_along_axis(self._logits(views, self._views), TURNED_BACK, axis=1)

    def _predictions(self, logits: NDArray[np.float64]) -> list[Prediction]:
        rows = [_softmax(each, self.spec.temperature) for each in logits]
        return [Prediction(row, (row,)) for row in rows]

    def _logits(self, pixels: NDArray[np.uint8], size: int) -> NDArray[np.float64]:
        """(N, 4), by batches of `size` pictures."""
        answers = np.empty((len(pixels), len(orientation.TURNS)))
        for start in range(0, len(pixels), size):
            block = pixels[start : start + size]
            batch = np.zeros((size, *pixels.shape[1:]), np.uint8)
            batch[: len(block)] = block
            seen = self._session.run([self._output], {self._input: _fed(batch, self.spec)})[0]
            answers[start : start + size] = seen[: len(block), self._order]
        return self._finite(answers)

    def _finite(self, answers: NDArray[np.float64]) -> NDArray[np.float64]:
        if not np.isfinite(answers).all():
            raise ModelError(f"model {self.spec.name!r} answers with numbers that are not finite: export it again")
        return answers


def _fed(batch: NDArray[np.uint8], spec: ModelSpec) -> NDArray[np.uint8] | NDArray[np.float32]:
    """What the graph takes: `batch` itself of shape (N, size, size, 3), or its middle, or that as normalised planes."""
    rim = (spec.input_size - spec.crop) // 2 if spec.crop else 0
    middle = batch[:, rim : rim + spec.side, rim : rim + spec.side] if rim else batch
    if spec.mean is None or spec.std is None:
        return np.ascontiguousarray(middle)
    planes = (middle.astype(np.float32) / 255 - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    return np.ascontiguousarray(planes.transpose(0, 3, 1, 2), np.float32)


def _softmax(logits: NDArray[np.float64], temperature: float) -> _Row:
    """Probabilities, by scalar arithmetic: vectorised exponentials may depend on a row's place in its array."""
    values = logits.tolist()
    a, b, c, d = (math.exp((value - max(values)) / temperature) for value in values)
    total = math.fsum((a, b, c, d))
    return a / total, b / total, c / total, d / total


def _read_spec(session: Any) -> ModelSpec:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelError(
            "the model does not say how to use it: it was not exported by orientd-train. If it is one of "
            f"{', '.join(PRESETS)}, add it: {commands.line('models', 'add')} FILE --preset …"
        )
    return ModelSpec.from_json(text)


def _check_graph(session: Any, spec: ModelSpec) -> None:
    inputs = [(node.name, node.type, tuple(node.shape[1:])) for node in session.get_inputs()]
    outputs = [(node.name, node.type, tuple(node.shape[1:])) for node in session.get_outputs()]
    side = spec.side
    if spec.mean is None:
        fits = inputs == [("pixels", "tensor(uint8)", (*_sides(session, spec), 3))]
        fits = fits and outputs == [("logits", "tensor(float)", (4,))]
    else:  # whatever its author called them
        forms = [[form for _, *form in nodes] for nodes in (inputs, outputs)]
        fits = forms == [[["tensor(float)", (3, side, side)]], [["tensor(float)", (4,)]]]
    if not fits:
        raise ModelError(f"model {spec.name!r} takes {inputs} and gives {outputs}, which is not the agreed form: export it again")


def _sides(session: Any, spec: ModelSpec) -> tuple[int | str, int | str]:
    """Height and width as the input must state them: one name for both where they may have several values."""
    if not spec.second_size:
        return spec.side, spec.side
    stated = next((side for node in session.get_inputs() for side in node.shape[1:2] if isinstance(side, str)), "side")
    return stated, stated
