"""Pixels → Prediction. The only module that knows ONNX Runtime, which is imported when a model is opened.

A graph takes uint8 `pixels` of shape (N, size, size, 3) and gives float32 `logits` of shape (N, 4); see `spec.ModelSpec`. It is
always run on batches of one shape, on a CPU on one photo at a time, so that a photo gets the same answer to the bit in whatever
company it comes. That costs nothing: larger batches fall out of the cache (`benchmarks/stages.py`).
"""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from orientd import orientation
from orientd.errors import EngineUnavailable, ModelError
from orientd.items import Prediction
from orientd.spec import METADATA_KEY, ModelSpec

CPU: Final = "CPUExecutionProvider"
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


_TURNED_BACK: Final = np.array([[_class_in_view(view, turn) for turn in orientation.TURNS] for view in VIEWS])


def available_providers() -> tuple[str, ...]:
    """What the installed ONNX Runtime was built to run on; nothing if there is none."""
    try:
        import onnxruntime as ort
    except ImportError:
        return ()
    return tuple(ort.get_available_providers())


def load_spec(path: str | Path) -> ModelSpec:
    """What a model file says about itself.

    Raises:
        ModelError: the file is missing, damaged or no orientd model.
        EngineUnavailable: ONNX Runtime is not installed.
    """
    return _read_spec(_open(_read_model(path), (CPU,), optimise=False))


class Engine:
    """A loaded model on one thread of the caller. May be used from several threads at once.

    `spec` is what the model says about itself, `model_id` the first 16 hexadecimal digits of its file's SHA-256, `providers` the
    execution providers that really run, in order of preference.
    """

    def __init__(self, path: str | Path, providers: Sequence[str] = (CPU,)) -> None:
        """Load the model at `path`, to run on the first of `providers` that can run a node.

        Raises:
            ModelError: the file is missing, damaged or no orientd model.
            EngineUnavailable: ONNX Runtime or one of the providers is not there.
        """
        model = _read_model(path)
        self._session = _open(model, providers, optimise=True)
        self.spec = _read_spec(self._session)
        _check_graph(self._session, self.spec)
        self.model_id = hashlib.sha256(model).hexdigest()[:16]
        self.providers = tuple(self._session.get_providers())
        self._batch = 1 if self.providers == (CPU,) else _GPU_BATCH

    def look(self, pixels: NDArray[np.uint8]) -> list[Prediction]:
        """One look at each of N pictures, uint8 of shape (N, size, size, 3)."""
        rows = [_softmax(logits, self.spec.temperature) for logits in self._logits(pixels)]
        return [Prediction(row, (row,)) for row in rows]

    def look_again(self, pixels: NDArray[np.uint8]) -> Prediction:
        """All eight views of a picture, uint8 of shape (size, size, 3): as it is, turned, mirrored, in the order of EXIF values.

        Each view's answer is turned back to that for the picture as given; the probabilities come from the mean of their logits.
        """
        seen = self._logits(np.stack([orientation.apply(pixels, view) for view in VIEWS]))
        logits = np.take_along_axis(seen, _TURNED_BACK, axis=1)
        probabilities = _softmax(logits.mean(axis=0), self.spec.temperature_views)
        return Prediction(probabilities, tuple(_softmax(row, self.spec.temperature) for row in logits))

    def _logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        answers = np.empty((len(pixels), len(orientation.TURNS)))
        for start in range(0, len(pixels), self._batch):
            block = pixels[start : start + self._batch]
            batch = np.zeros((self._batch, *pixels.shape[1:]), np.uint8)
            batch[: len(block)] = block
            answers[start : start + self._batch] = self._session.run(["logits"], {"pixels": batch})[0][: len(block)]
        if not np.isfinite(answers).all():
            raise ModelError(f"model {self.spec.name!r} answers with numbers that are not finite: export it again")
        return answers


def _softmax(logits: NDArray[np.float64], temperature: float) -> _Row:
    """Probabilities, by scalar arithmetic: vectorised exponentials may depend on a row's place in its array."""
    values = logits.tolist()
    a, b, c, d = (math.exp((value - max(values)) / temperature) for value in values)
    total = a + b + c + d
    return a / total, b / total, c / total, d / total


def _read_model(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f"the model {path} cannot be read ({error.strerror}): install orientd again, or name another") from error


def _open(model: bytes, providers: Sequence[str], optimise: bool) -> Any:
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise EngineUnavailable(
            'ONNX Runtime is not installed: run pip install "orientd[cpu]", or "orientd[gpu]" for an NVIDIA GPU'
        ) from error
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    _check_providers(providers, ort.get_available_providers())
    try:
        session = ort.InferenceSession(model, options, providers=list(providers))
    except Exception as error:  # ONNX Runtime has an exception for each kind of damage, all derived from Exception alone
        raise ModelError(f"the model cannot be loaded ({error}): install orientd again, or name another") from error
    _check_providers(providers, session.get_providers())
    return session


def _check_providers(wanted: Sequence[str], present: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in present]
    if missing:
        raise EngineUnavailable(
            f"{', '.join(missing)} cannot run here, only {', '.join(present)}: "
            'run pip install "orientd[gpu]" in a fresh environment, or ask for the CPU'
        )


def _read_spec(session: Any) -> ModelSpec:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelError("the model does not say how to use it: it was not exported by orientd-train")
    return ModelSpec.from_json(text)


def _check_graph(session: Any, spec: ModelSpec) -> None:
    inputs = [(node.name, node.type, tuple(node.shape[1:])) for node in session.get_inputs()]
    outputs = [(node.name, node.type, tuple(node.shape[1:])) for node in session.get_outputs()]
    size = spec.input_size
    if inputs != [("pixels", "tensor(uint8)", (size, size, 3))] or outputs != [("logits", "tensor(float)", (4,))]:
        raise ModelError(f"model {spec.name!r} takes {inputs} and gives {outputs}, which is not the agreed form: export it again")
