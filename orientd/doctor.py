"""What orientd needs on this machine, what is there, and the command that brings what is missing."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile

from orientd import app
from orientd.config import Config
from orientd.errors import OrientdError, StateError


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `needed` is false for what orientd does without."""

    subject: str
    fine: bool
    detail: str
    needed: bool = True


def examine(config: Config) -> list[Finding]:
    """Look at everything; never raises for what is missing."""
    return [
        Finding("Python", True, sys.version.split()[0]),
        _checked("model and engine", lambda: _engine(config)),
        _checked("decoders", _decoders),
        _checked("state folder", lambda: _state(config)),
        *_optional(),
    ]


def _checked(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, True, look())
    except (OrientdError, ImportError, OSError) as error:
        return Finding(subject, False, str(error))


def _engine(config: Config) -> str:
    from orientd.infer import Engine

    engine = Engine(str(app.model_path(config)), app.PROVIDERS[config.provider])
    spec = engine.spec
    return f"{spec.name} ({engine.model_id}), {spec.input_size} px, runs on {', '.join(engine.providers)}"


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


def _optional() -> Iterator[Finding]:
    from orientd.infer import available_providers

    cuda = "CUDAExecutionProvider" in available_providers()
    yield Finding(
        "CUDA", cuda, "there" if cuda else 'not there: pip install "orientd[gpu]" on a machine with an NVIDIA card', False
    )
