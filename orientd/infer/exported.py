"""A model as an artefact of its own, for programs that run it without orientd."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from orientd import __version__
from orientd.errors import ConfigError, StateError
from orientd.infer.registry import BUNDLED, Model
from orientd.infer.session import read_model
from orientd.orientation import TURNS

_READ_ME: Final = "README.md"
_LICENSE: Final = Path("witnesses", "LICENSE-Apache-2.0.txt")


def export(model: Model, folder: Path) -> list[Path]:
    """Write a model into `folder`, which is made if it is not there: the ONNX file, what must be known to run it, a program that
    does with ONNX Runtime alone, and of a model that comes with orientd its card and licence. Gives the paths.

    Raises:
        ConfigError: the model is of another project, or `folder` holds one of the files with another content.
        ModelError: it cannot be used.
        StateError: `folder` cannot be written.
    """
    if model.preset:
        raise ConfigError(f"the model {model.name!r} is another project's and says nothing of itself: get it from its authors")
    engine = model.open()
    name = f"{model.name if model.origin != 'file' else model.path.stem}.onnx"
    known = _known(name, engine.sha256, asdict(engine.spec))
    files = {
        name: read_model(model.path),
        "model.json": (json.dumps(known, indent=1) + "\n").encode(),
        "reference.py": (BUNDLED / "reference.py.txt").read_bytes(),
    }
    if model.path.parent == BUNDLED:
        files |= {_READ_ME: (BUNDLED / _READ_ME).read_bytes(), "LICENSE": (BUNDLED / _LICENSE).read_bytes()}
    try:
        return _written(files, folder)
    except OSError as error:
        raise StateError(f"{folder} cannot be written ({error.strerror}): check its permissions and the space left") from error


def _known(name: str, sha256: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a program must know that runs the model, in the words of `ModelSpec`; the panel needs orientd's other networks."""
    own = {key: value for key, value in spec.items() if key in ("name", "input_size", "temperature", "temperature_views")}
    return own | {
        "file": name,
        "sha256": sha256,
        "input": "pixels: uint8 (N, input_size, input_size, 3), RGB, as viewers show the photo (by its EXIF orientation), the"
        " whole picture squeezed to a square by an antialiased bilinear filter",
        "output": "logits: float32 (N, 4), one for each of turns; softmax(logits / temperature) gives probabilities for one view,"
        " softmax(mean logits of eight views / temperature_views) for eight, if the four turns are equally likely beforehand",
        "turns": list(TURNS),
        "policy": (spec["panel"] or {}).get("policy"),
        "orientd": __version__,
    }


def _written(files: Mapping[str, bytes], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if (folder / name).exists() and (folder / name).read_bytes() != content:
            raise ConfigError(f"{folder / name} exists, with another content: name an empty folder")
    for name, content in files.items():
        partial = folder / f".{name}.partial"
        partial.write_bytes(content)
        os.replace(partial, folder / name)
    return [folder / name for name in files]
