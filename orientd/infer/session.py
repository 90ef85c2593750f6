"""ONNX Runtime itself: what it can run on, and opening a graph. Its only owner; it is imported when a graph is opened.

Every graph runs on one thread of its caller, which may have several threads, and its workers never spin.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from orientd import commands
from orientd.errors import EngineUnavailable, ModelError

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
TENSORRT: Final = "TensorrtExecutionProvider"

Provider = str | tuple[str, Mapping[str, str]]
"""The name of an execution provider, or that and its options, as ONNX Runtime takes them."""


def available_providers() -> tuple[str, ...]:
    """What the installed ONNX Runtime was built to run on; nothing if there is none."""
    try:
        import onnxruntime as ort
    except ImportError:
        return ()
    return tuple(ort.get_available_providers())


def cuda_version() -> str:
    """The version of CUDA the installed ONNX Runtime was built for; empty if for none, or if there is no ONNX Runtime."""
    try:
        from onnxruntime.capi import build_and_package_info
    except ImportError:
        return ""
    return str(getattr(build_and_package_info, "cuda_version", ""))


def version() -> str:
    """That of the installed ONNX Runtime; empty if there is none."""
    try:
        import onnxruntime as ort
    except ImportError:
        return ""
    return str(ort.__version__)


def tensorrt_version() -> str:
    """The major version of TensorRT that the installed ONNX Runtime was built for, such as "10"; empty if for none.

    ONNX Runtime has no call for it; its library names the one that must be there.
    """
    try:
        import onnxruntime as ort
    except ImportError:
        return ""
    library = Path(ort.__file__).parent / "capi" / "libonnxruntime_providers_tensorrt.so"
    found = re.search(rb"libnvinfer\.so\.(\d+)\0", library.read_bytes()) if library.is_file() else None
    return found[1].decode() if found else ""


def preload() -> None:
    """Load CUDA and cuDNN as pip brings them, which are on no search path."""
    import onnxruntime as ort

    ort.preload_dlls()


def check_provider(name: str) -> None:
    """Raise EngineUnavailable if ONNX Runtime is not installed, or not made for that execution provider."""
    if name not in available_providers():
        _check_providers([name], available_providers() or ["nothing"])


class Graph:
    """A graph of any kind with one input, on the CPU and one thread of the caller; may be used from several threads at once."""

    def __init__(self, path: str | Path, sha256: str = "") -> None:
        """Open the graph at `path`; `sha256`, where given, is what the file must have.

        Raises:
            ModelError: the file is missing, damaged or not the one expected.
            EngineUnavailable: ONNX Runtime is not there.
        """
        model = read_model(path)
        found = hashlib.sha256(model).hexdigest()
        if sha256 not in ("", found):
            raise ModelError(f"the model {path} is not the one it should be, as its SHA-256 is {found}: install orientd again")
        self._session = open_session(model, (CPU,), optimise=True)
        self._input = self._session.get_inputs()[0].name
        self._outputs = [node.name for node in self._session.get_outputs()]

    def __call__(self, given: NDArray[np.uint8] | NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """All outputs, by their names."""
        return dict(zip(self._outputs, self._session.run(self._outputs, {self._input: given}), strict=True))


def read_model(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f"the model {path} cannot be read ({error.strerror}): install orientd again, or name another") from error


def open_session(model: bytes, providers: Sequence[Provider], optimise: bool) -> Any:
    try:
        import onnxruntime as ort
    except ImportError as error:
        advice = f"{commands.adding('cpu')} (docs/gpu.md says what an NVIDIA card needs)"
        raise EngineUnavailable(f"ONNX Runtime is not installed: {advice}") from error
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    names = [provider if isinstance(provider, str) else provider[0] for provider in providers]
    if names == [CPU]:
        options.enable_mem_pattern = False  # each run would take its memory in one piece, which threads and shapes rarely reuse
    _check_providers(names, ort.get_available_providers())
    if CUDA in names:
        preload()
    try:
        session = ort.InferenceSession(model, options, providers=list(providers), enable_fallback=False)
    except Exception as error:  # ONNX Runtime has an exception for each kind of damage, all derived from Exception alone
        if isinstance(error, RuntimeError | ValueError) and names != [CPU]:  # it would else go on with others, and print that
            raise EngineUnavailable(f"{', '.join(names)} cannot run here ({error}): run {commands.line('doctor')}") from error
        raise ModelError(f"the model cannot be loaded ({error}): install orientd again, or name another") from error
    _check_providers(names, session.get_providers())
    return session


def _check_providers(wanted: Sequence[str], present: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in present]
    if missing:
        advice = f"{commands.adding('gpu')}; or ask for the CPU"
        raise EngineUnavailable(f"{', '.join(missing)} cannot run here, only {', '.join(present)}: {advice}")
