"""TensorRT, by choice: another process builds its engine, which takes minutes, while ONNX Runtime's kernels go on judging.

That process can be ended at any time, finds the libraries that TensorRT loads late, and takes no lock of this one: ONNX Runtime
holds Python's GIL all the time it opens a model (microsoft/onnxruntime #27063), so a thread would stop all others. It builds into
a folder that gets its name only when it is complete. The name is made of the model, ONNX Runtime, TensorRT, the GPU, the
precision and the shapes, so nothing stale is ever loaded. The next start deletes what a killed process left half built, and all
but the folders used last.

Once an engine is built, and from the start of every later run, TensorRT makes the predictions; each batch is seen by only one of
the two. If TensorRT cannot build the model, a notice says so once and ONNX Runtime goes on; if TensorRT itself is missing, that
is an error, as for anything that was asked for and is not there.
"""

import ctypes
import fcntl
import hashlib
import json
import os
import re
import secrets
import select
import shutil
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from orientd.errors import EngineUnavailable, OrientdError, StateError
from orientd.infer import engine as infer
from orientd.infer import session
from orientd.infer.registry import Model
from orientd.records import Prediction

_LIBRARIES: Final = ("libnvinfer.so", "libnvinfer_plugin.so", "libnvonnxparser.so")  # in this order, as each needs those before
_WHEEL: Final = "tensorrt_libs"  # the package in which the wheels of TensorRT have their libraries
_KERNELS: Final = "libnvinfer_builder_resource_*.so.*"  # one for each kind of GPU; loaded late, by name
_ENDED: Final = 5.0
_KEY: Final = re.compile("[0-9a-f]{32}")
_LOG: Final = "log"
_KEPT: Final = 8  # a large model's engine takes 100 MB

Child = subprocess.Popen[bytes]


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
    for place in _wheel():
        for kernels in sorted(place.glob(_KERNELS)):
            with suppress(OSError):  # its first use reports it
                ctypes.CDLL(str(kernels))
    return str(loaded[0].getInferLibVersion())


class EngineBuilder:
    """Has engines of TensorRT built for a model, one for each kind of GPU, and kept below the folder `keep`."""

    def __init__(self, model: Model, precision: str, keep: Path, notify: Callable[[str], None]) -> None:
        """`precision` is fp32 or fp16.

        Raises:
            EngineUnavailable: TensorRT is not there.
            StateError: `keep` cannot be written.
        """
        self._version = load()
        self._model, self._precision, self._keep, self._notify = model, precision, keep, notify
        self._under_way: dict[Path, BuildProcess] = {}
        try:
            keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            advice = "check its permissions, or name another by XDG_CACHE_HOME"
            raise StateError(f"{keep} cannot be written ({error.strerror}): {advice}") from error
        tidy(keep)

    def improved(self, engine: infer.Engine, card: str, provider: session.Provider) -> "UpgradingEngine":
        """What predicts as `engine` does, on a GPU of that name by that provider, until TensorRT takes over."""
        key = [engine.model_id, session.version(), self._version, card, self._precision, *engine.shapes()]
        folder = self._keep / hashlib.sha256("\0".join(key).encode()).hexdigest()[:32]

        def opened() -> infer.Engine:
            return self._model.open(_providers(provider, engine.shapes(), self._precision, folder, self._keep))

        if folder.is_dir():
            with suppress(OSError):  # marks it as used now, for `tidy`
                os.utime(folder)
            try:
                return UpgradingEngine(opened(), None, opened, self._notify)
            except OrientdError:
                _discard(folder)
        if folder not in self._under_way:

            def order(partial: Path) -> dict[str, Any]:
                providers = _providers(provider, engine.shapes(), self._precision, partial, self._keep)
                return {"model": asdict(self._model) | {"path": str(self._model.path)}, "providers": providers}

            self._under_way[folder] = BuildProcess(order, folder)
            self._notify("TensorRT is building its engine, which takes minutes; until then it goes on without")
        return UpgradingEngine(engine, self._under_way[folder], opened, self._notify)


def tidy(keep: Path) -> None:
    """Remove from the folder `keep` what processes that ended left half built, and all but the engines used last."""
    for partial in keep.glob(".*.partial"):
        with suppress(OSError), (partial / _LOG).open("r+b") as log:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(partial)
    engines = sorted((each for each in keep.iterdir() if _KEY.fullmatch(each.name)), key=_used, reverse=True)
    for folder in engines[_KEPT:]:
        _discard(folder)


class BuildProcess:
    """A process that builds an engine into `folder`, which is there once it has succeeded. It ends with this object."""

    def __init__(
        self,
        order: Callable[[Path], Mapping[str, Any]],
        folder: Path,
        command: tuple[str, ...] = (sys.executable, "-P", "-m", __name__),
    ) -> None:
        """`order` is what the process gets on its standard input, as JSON, to build into the folder it is given."""
        self._folder, self._partial = folder, _half(folder)
        self._said: str | None = None
        self._polling = threading.Lock()
        log = _begin(self._partial)
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=_environment(), start_new_session=True
        )
        assert self._child.stdin
        with suppress(OSError):  # it has ended already, which `poll` reports
            self._child.stdin.write(json.dumps(order(self._partial)).encode() + b"\n")
            self._child.stdin.flush()
        self.close = weakref.finalize(self, _end, self._child, log, self._partial, folder)

    def poll(self) -> str | None:
        """None while it is under way, "" once the engine is there, else why it never will be."""
        with self._polling:
            if self._said is None and (code := self._child.poll()) is not None:
                said = _last_line(self._partial / _LOG) or f"exit code {code}"
                self.close()
                self._said = "" if not code and self._folder.is_dir() else said
        return self._said


class UpgradingEngine:
    """An engine (see `infer.Engine`) in whose place a faster one steps when that is built; to be used by one thread at a time."""

    def __init__(
        self, engine: infer.Engine, build: BuildProcess | None, opened: Callable[[], infer.Engine], notify: Callable[[str], None]
    ) -> None:
        self._engine, self._build, self._opened, self._notify = engine, build, opened, notify

    @property
    def takes_pixels(self) -> bool:
        return self._engine.takes_pixels

    def look(self, pixels: NDArray[np.uint8]) -> list[Prediction]:
        return self._best().look(pixels)

    def look_again(self, pixels: NDArray[np.uint8]) -> Prediction:
        return self._best().look_again(pixels)

    def look_there(self, device: str, pointer: int, number: int, index: int = 0) -> list[Prediction]:
        return self._best().look_there(device, pointer, number, index)

    def _best(self) -> infer.Engine:
        if self._build and (said := self._build.poll()) is not None:
            self._build = None
            try:
                if said:
                    raise EngineUnavailable(said)
                self._engine = self._opened()
                self._notify("TensorRT has built its engine and takes over")
            except OrientdError as error:
                self._notify(f"TensorRT cannot be used with this model ({error}): going on with CUDA alone")
        return self._engine


def _providers(
    provider: session.Provider, shapes: list[str], precision: str, folder: Path, timings: Path
) -> list[session.Provider]:
    """TensorRT, and `provider` for what it does not know. With all shapes named, the engine is built when the model is opened."""
    given = {} if isinstance(provider, str) else dict(provider[1])
    options = {name: given[name] for name in ("device_id",) if name in given}
    if "gpu_mem_limit" in given:
        options["trt_max_workspace_size"] = given["gpu_mem_limit"]
    options |= {
        "trt_fp16_enable": "1" if precision == "fp16" else "0",
        "trt_profile_min_shapes": shapes[0],
        "trt_profile_opt_shapes": shapes[-1],
        "trt_profile_max_shapes": shapes[-1],
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_engine_cache_prefix": "orientd",
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(timings),  # of kernels, whatever the model; TensorRT refuses one that is not its own
    }
    return [(session.TENSORRT, options), provider]


def _library(name: str, major: str) -> Any:
    """Every process finds it by its name from then on."""
    places = [place / name for place in _wheel()]
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


def _wheel() -> list[Path]:
    found = find_spec(_WHEEL)
    return [Path(place) for place in found.submodule_search_locations or []] if found else []


def _environment() -> dict[str, str]:
    """That of a process which finds whatever TensorRT loads by name; it is too late to say so to a process that runs."""
    places = [*map(str, _wheel()), os.environ.get("LD_LIBRARY_PATH", "")]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, places))}


def _half(folder: Path) -> Path:
    """A name for what is half built or half removed."""
    return folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")


def _begin(partial: Path) -> IO[bytes]:
    """Make the folder, with a log that is locked as long as this process, or one that got the log, runs.

    It gets its name last: under that name none is without a lock.
    """
    new = partial.with_suffix(".new")
    new.mkdir()
    log = (new / _LOG).open("wb")
    with suppress(OSError):  # a file system without locks, where `tidy` gets none either
        fcntl.flock(log, fcntl.LOCK_EX)
    new.rename(partial)
    return log


def _end(child: Child, log: IO[bytes], partial: Path, folder: Path) -> None:
    child.kill()
    if child.stdin:
        with suppress(OSError):
            child.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        child.wait(_ENDED)
    if child.returncode == 0:
        with suppress(OSError):  # another process was faster
            os.rename(partial, folder)
            (folder / _LOG).unlink()
    _remove(partial)
    log.close()


def _discard(folder: Path) -> None:
    """Remove an engine. Half removed it must not keep its name: ONNX Runtime would build it again while it is in use."""
    with suppress(OSError):
        (folder / _LOG).touch()
        os.rename(folder, partial := _half(folder))
        _remove(partial)


def _remove(partial: Path) -> None:
    """The log goes last, as `tidy` leaves alone what has none."""
    for file in partial.glob("*"):
        if file.name != _LOG:
            with suppress(OSError):
                file.unlink()
    shutil.rmtree(partial, ignore_errors=True)


def _used(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _main() -> None:
    order = json.loads(sys.stdin.readline())
    _end_with_orientd()
    load()
    model = Model(**order["model"] | {"path": Path(order["model"]["path"])})
    model.open([each if isinstance(each, str) else (each[0], each[1]) for each in order["providers"]])


def _end_with_orientd() -> None:
    """Have the kernel end this process once orientd, which holds the other end of its standard input, has ended.

    No thread could do it while ONNX Runtime keeps Python's lock; the signal SIGIO ends a process by itself (fcntl(2), signal(7)).
    """
    here = sys.stdin.fileno()
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(here, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(here, fcntl.F_SETFL, fcntl.fcntl(here, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([here], [], [], 0)[0]:  # it had ended already
        sys.exit(1)


if __name__ == "__main__":
    _main()
