"""What orientd needs on this machine, what is there, and the command that brings what is missing."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from tempfile import TemporaryFile

from orientd import commands
from orientd.config import Config
from orientd.errors import EngineUnavailable, ModelError, OrientdError, StateError
from orientd.gpu import pool as cards
from orientd.pipeline import stages


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `needed` is false for what orientd does without, `check` the word by which scripts know it."""

    subject: str
    fine: bool
    detail: str
    needed: bool = True
    check: str = ""


def examine(config: Config) -> list[Finding]:
    """Look at everything; never raises for what is missing."""
    return [
        Finding("Python", True, sys.version.split()[0], check="python"),
        checked("model and engine", lambda: _engine(config), "model"),
        replace(checked("witnesses", lambda: _witnesses(config), "witnesses"), needed=False),
        checked("decoders", _decoders, "decoders"),
        checked("state folder", lambda: _state(config), "state_dir"),
        replace(checked("turning JPEGs", _turbojpeg, "turbojpeg"), needed=config.method == "rotate"),
        *_optional(),
        replace(checked("DALI", _dali, "dali"), needed=config.provider != "cpu"),
        *([checked("TensorRT", _tensorrt, "tensorrt")] if config.provider.startswith("tensorrt") else []),
    ]


def checked(subject: str, look: Callable[[], str], check: str = "") -> Finding:
    """What `look` finds, or why it found nothing."""
    try:
        return Finding(subject, True, look(), check=check)
    except (OrientdError, ImportError, OSError) as error:
        return Finding(subject, False, str(error), check=check)


def _engine(config: Config) -> str:
    model = stages.chosen_model(config)
    engine = model.open() if config.provider == "cpu" else cards.open_cards(model, config, lambda _: None)[1]
    spec = engine.spec
    return f"{spec.name} ({engine.model_id}), {spec.input_size} px, runs on {', '.join(engine.providers)}"


def _witnesses(config: Config) -> str:
    from orientd.witnesses.opened import MODELS, open_witnesses

    absent: list[str] = []
    found = open_witnesses(stages.chosen_model(config).open(), absent.append)
    if absent:
        raise ModelError("; ".join(absent))
    return ", ".join(name for name in found if name in MODELS)


def _decoders() -> str:
    from orientd.decode.cpu import versions

    return ", ".join(f"{name} {version}" for name, version in versions().items())


def _state(config: Config) -> str:
    try:
        os.makedirs(config.state_dir, mode=0o700, exist_ok=True)
        TemporaryFile(dir=config.state_dir).close()
    except OSError as error:
        advice = "check its rights, or name another with --state-dir"
        raise StateError(f"{config.state_dir} cannot be used ({error.strerror}): {advice}") from error
    return config.state_dir


def _turbojpeg() -> str:
    from orientd.write.turbojpeg import TurboJpeg

    return TurboJpeg().version


def _optional() -> Iterator[Finding]:
    from orientd.infer.session import available_providers

    cuda = "CUDAExecutionProvider" in available_providers()
    there = f"ONNX Runtime is made for it; to try it: {commands.line('doctor', '--provider', 'cuda')}"
    absent = f"not there; on a machine with an NVIDIA card {commands.adding('gpu')}"
    yield Finding("CUDA", cuda, there if cuda else absent, needed=False, check="cuda")


def _tensorrt() -> str:
    from orientd.gpu.tensorrt import libraries

    return f"version {libraries.load()}, for ONNX Runtime"


def _dali() -> str:
    from orientd.decode.dali import version
    from orientd.infer.session import cuda_version

    found, major = version()
    engine = cuda_version()
    if engine and engine.split(".")[0] != str(major):
        advice = f"install nvidia-dali-cuda{engine.split('.')[0]}0 in its place"
        raise EngineUnavailable(f"{found} for CUDA {major}, but ONNX Runtime is for CUDA {engine}: {advice}")
    return f"{found} for CUDA {major}" + (f", as ONNX Runtime ({engine})" if engine else "")
