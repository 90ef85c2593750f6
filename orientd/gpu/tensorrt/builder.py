"""Has engines built, and puts each in the place of ONNX Runtime's own once it is ready."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orientd.errors import EngineUnavailable, OrientdError, StateError
from orientd.gpu.tensorrt import engine_folders, libraries
from orientd.gpu.tensorrt.build_process import BuildProcess
from orientd.infer import engine as infer
from orientd.infer import session
from orientd.infer.registry import Model
from orientd.records import Prediction


class EngineBuilder:
    """Has engines of TensorRT built for a model, one for each kind of GPU, and kept below the folder `keep`."""

    def __init__(self, model: Model, precision: str, keep: Path, notify: Callable[[str], None]) -> None:
        """`precision` is fp32 or fp16.

        Raises:
            EngineUnavailable: TensorRT is not there.
            StateError: `keep` cannot be written.
        """
        self._tensorrt_version = libraries.load()
        self._model, self._precision, self._keep, self._notify = model, precision, keep, notify
        self._under_way: dict[Path, BuildProcess] = {}
        try:
            keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            advice = "check its permissions, or name another by XDG_CACHE_HOME"
            raise StateError(f"{keep} cannot be written ({error.strerror}): {advice}") from error
        engine_folders.tidy(keep)

    def upgrading(self, engine: infer.Engine, card: str, provider: session.Provider) -> "UpgradingEngine":
        """What predicts as `engine` does, on a GPU of that name by that provider, until TensorRT takes over."""
        key = [engine.model_id, session.version(), self._tensorrt_version, card, self._precision, *engine.shapes()]
        folder = self._keep / hashlib.sha256("\0".join(key).encode()).hexdigest()[:32]

        def opened() -> infer.Engine:
            return self._model.open(_providers(provider, engine.shapes(), self._precision, folder, self._keep))

        if folder.is_dir():
            with suppress(OSError):  # marks it as used now, for `engine_folders.tidy`
                os.utime(folder)
            try:
                return UpgradingEngine(opened(), None, opened, self._notify)
            except OrientdError:
                engine_folders.discard(folder)
        if folder not in self._under_way:

            def order(partial: Path) -> dict[str, Any]:
                providers = _providers(provider, engine.shapes(), self._precision, partial, self._keep)
                return {"model": asdict(self._model) | {"path": str(self._model.path)}, "providers": providers}

            self._under_way[folder] = BuildProcess(order, folder)
            self._notify("TensorRT is building its engine, which takes minutes; until then it goes on without")
        return UpgradingEngine(engine, self._under_way[folder], opened, self._notify)


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
