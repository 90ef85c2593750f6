"""The shared libraries of TensorRT: where pip puts them, and that ONNX Runtime finds them."""

import ctypes
import os
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from orientd.errors import EngineUnavailable
from orientd.infer import session

_LIBRARIES: Final = ("libnvinfer.so", "libnvinfer_plugin.so", "libnvonnxparser.so")  # in this order, as each needs those before
_WHEEL: Final = "tensorrt_libs"  # the package in which the wheels of TensorRT have their libraries
_KERNELS: Final = "libnvinfer_builder_resource_*.so.*"  # one for each kind of GPU; loaded late, by name


def load() -> str:
    """Load the libraries of TensorRT that ONNX Runtime was built for; returns their version.

    ONNX Runtime's `preload_dlls` leaves them out, and where pip puts them nobody looks for them.

    Raises:
        EngineUnavailable: they are not there, or ONNX Runtime knows nothing of TensorRT.
    """
    session.check_provider(session.TENSORRT)
    session.preload()
    major = session.tensorrt_version()
    loaded = [_library(f"{name}.{major}", major) for name in _LIBRARIES]
    for folder in _wheel_folders():
        for kernels in sorted(folder.glob(_KERNELS)):
            with suppress(OSError):  # its first use reports it
                ctypes.CDLL(str(kernels))
    return str(loaded[0].getInferLibVersion())


def environment() -> dict[str, str]:
    """The environment variables of a process that finds whatever TensorRT loads by name.

    They are read when a process starts: for this one it is too late.
    """
    places = [*map(str, _wheel_folders()), os.environ.get("LD_LIBRARY_PATH", "")]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, places))}


def _library(name: str, major: str) -> Any:
    """Load a library; from then on this process finds it by its name alone."""
    places = [folder / name for folder in _wheel_folders()]
    reasons = []
    for place in (*filter(Path.is_file, places), name):
        try:
            return ctypes.CDLL(str(place))
        except OSError as error:
            reasons.append(str(error))
    wheel = f"tensorrt-cu{session.cuda_version().split('.')[0]}-libs=={major}.*"
    raise EngineUnavailable(
        f'TensorRT {major} cannot be loaded ({"; ".join(reasons)}): run pip install "{wheel}", or ask for cuda'
    )


def _wheel_folders() -> list[Path]:
    found = find_spec(_WHEEL)
    return [Path(place) for place in found.submodule_search_locations or []] if found else []
