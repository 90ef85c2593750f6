"""Models by name: those that come with orientd, and those a person has added.

A model `NAME.onnx` has a record `NAME.json` next to it: {"sha256": …, "preset": …}, the latter for a file without metadata of
its own. The record is written last when a model is added and deleted first when it is removed, so a file without a record is no
model. A model loaded by name must have the recorded hash: a flipped bit in a weight would not be noticed otherwise.
"""

import hashlib
import json
import os
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from orientd import commands
from orientd.errors import ConfigError, ModelError, OrientdError, StateError
from orientd.infer.spec import PRESETS, ModelSpec

if TYPE_CHECKING:
    from orientd.infer.engine import Engine
    from orientd.infer.session import Provider

BUNDLED: Final = Path(__file__).parents[1] / "models"
DEFAULT: Final = "orientd"
_CPU: Final = ("CPUExecutionProvider",)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Model:
    """A model file. `origin` is bundled, added or file (one given by its path, of which nothing is on record)."""

    name: str
    path: Path
    origin: str
    sha256: str = ""
    preset: str = ""

    def open(self, providers: "Sequence[Provider]" = _CPU) -> "Engine":
        """Load it, if it is what it was.

        Raises:
            ModelError: the file is missing, damaged, another than the one on record or no orientation model.
            EngineUnavailable: ONNX Runtime or one of the providers is not there.
        """
        from orientd.infer.engine import Engine

        try:
            return Engine(str(self.path), providers, preset=self._spec(), sha256=self.sha256)
        except ModelError as error:
            anew = f"; to add it anew, first run {commands.line('models', 'remove', self.name)}"
            raise ModelError(f"{error}{anew if self.origin == 'added' else ''}") from error

    def spec(self) -> ModelSpec:
        """What is known of its input and answers without making it ready to run; raises as `open` does."""
        from orientd.infer.engine import load_spec

        return self._spec() or load_spec(self.path)

    def verify(self) -> str:
        """Load it and let it look at a drawn landscape; returns what it is, for people.

        Raises:
            ModelError: something is wrong with it.
            EngineUnavailable: ONNX Runtime is not there.
        """
        engine = self.open()
        upright = _landscape(engine.spec.input_size)
        one, again, upside_down = engine.look(np.stack([upright, upright, upright[::-1]]))
        if one != again or one == upside_down:
            raise ModelError(f"model {self.name!r} does not answer to what it is shown: it is no orientation model")
        compared = "" if self.sha256 else ", with nothing on record to compare it with"
        return f"{engine.spec.input_size} px, SHA-256 {engine.sha256}{compared}"

    def _spec(self) -> ModelSpec | None:
        if self.preset and self.preset not in PRESETS:
            raise ModelError(f"{self.path} wants the preset {self.preset!r}, which is unknown here: upgrade orientd")
        return PRESETS[self.preset] if self.preset else None


def models(folder: Path) -> list[Model]:
    """All models: those that come with orientd, then those in `folder`, each by name.

    Raises:
        ModelError: a record cannot be read.
    """
    return [
        _recorded(record, origin)
        for where, origin in ((BUNDLED, "bundled"), (folder, "added"))
        for file in sorted(where.glob("[!.]*.onnx"))
        if (record := file.with_suffix(".json")).is_file()
    ]


def find(wanted: str, folder: Path) -> Model:
    """The model of that name or path; the one used where none is configured if `wanted` is empty. A name comes before a path.

    Raises:
        ModelError: its record cannot be read, or it is neither a name nor a path.
    """
    name = wanted or DEFAULT
    if _NAME.fullmatch(name):
        for where, origin in ((BUNDLED, "bundled"), (folder, "added")):
            record = where / f"{name}.json"
            if record.is_file():
                return _recorded(record, origin)
        if not os.path.exists(name) and not os.path.splitext(name)[1]:
            raise ModelError(
                f"there is no model {name!r}, neither of that name nor as a file; to list them: {commands.line('models')}"
            )
    return Model(name, Path(name), "file")


def add(source: str, folder: Path, name: str, preset: str = "", sha256: str = "") -> Model:
    """Copy a model file into `folder` under a name, once it has proved to be one.

    Args:
        name: empty for that of the file.
        preset: a key of `spec.PRESETS` for a file that says nothing of itself.
        sha256: what its author says it has; empty if not known.

    Raises:
        ConfigError: the name cannot be used, or `source` is an address on the network.
        ModelError: the file cannot be read or is no such model.
        StateError: the folder cannot be written. Nothing is left behind, whatever it was.
    """
    if "://" in source:
        raise ConfigError(
            f"orientd never opens the network: download {source} yourself, compare its SHA-256 with what its author publishes, "
            f"and add the file: {commands.line('models', 'add')} FILE --sha256 …"
        )
    name = name or Path(source).stem
    _check_name(name, folder)
    data = _read(source, sha256.lower())
    made = Model(name, folder / f"{name}.onnx", "added", hashlib.sha256(data).hexdigest(), preset)
    partial = folder / f".{name}.{secrets.token_hex(4)}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(partial, data)
        replace(made, path=partial, origin="file").verify()
        os.replace(partial, made.path)
        _write(partial, json.dumps({"sha256": made.sha256, "preset": preset}).encode())
        os.replace(partial, made.path.with_suffix(".json"))
    except OSError as error:
        raise StateError(f"{folder} cannot be written ({error.strerror}): check its permissions and the space left") from error
    finally:
        with suppress(OSError):
            partial.unlink()
    return made


def remove(name: str, folder: Path) -> None:
    """Forget an added model and delete its copy.

    Raises:
        ConfigError: no such model was added.
        StateError: the folder cannot be written.
    """
    record = folder / f"{name}.json"
    if not _NAME.fullmatch(name) or not record.is_file():
        raise ConfigError(f"no model of the name {name!r} was added; to list them: {commands.line('models')}")
    try:
        record.unlink()
        (folder / f"{name}.onnx").unlink(missing_ok=True)
    except OSError as error:
        raise StateError(f"{folder} cannot be written ({error.strerror}): check its permissions") from error


def facts(model: Model, in_use: Model) -> dict[str, Any]:
    """What a listing says of a model; `problem` is empty if it can be loaded."""
    said: dict[str, Any] = {"input_size": None, "calibrated": None, "bytes": None, "problem": ""}
    try:
        spec = model.spec()
        said |= {"input_size": spec.input_size, "calibrated": spec.calibrated, "bytes": model.path.stat().st_size}
    except (OSError, OrientdError) as error:
        said["problem"] = str(error)
    known = {"name": model.name, "origin": model.origin, "path": str(model.path), "sha256": model.sha256, "preset": model.preset}
    return known | said | {"in_use": model == in_use}


def _check_name(name: str, folder: Path) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"a model cannot be called {name!r}: choose letters, digits, dots, dashes with --name")
    if (BUNDLED / f"{name}.json").exists():
        raise ConfigError(f"the model {name!r} comes with orientd: choose another --name")
    if (folder / f"{name}.json").exists():
        first = commands.line("models", "remove", name)
        raise ConfigError(f"there is a model {name!r} already: choose another --name, or run {first}")


def _read(source: str, sha256: str) -> bytes:
    try:
        data = Path(source).read_bytes()
    except OSError as error:
        raise ModelError(f"{source} cannot be read ({error.strerror}): name a model file (.onnx)") from error
    found = hashlib.sha256(data).hexdigest()
    if sha256 not in ("", found):
        raise ModelError(f"{source} is not the file it should be, as its SHA-256 is {found}: download it again")
    return data


def _recorded(record: Path, origin: str) -> Model:
    try:
        said = json.loads(record.read_bytes())
        sha256, preset = said["sha256"], said.get("preset", "")
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise ValueError("no SHA-256")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"the record {record} cannot be read ({error}): delete it and add the model again") from error
    return Model(record.stem, record.with_suffix(".onnx"), origin, sha256, preset)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _landscape(size: int) -> NDArray[np.uint8]:
    """A bright sky above dark ground that is nowhere quite the same, (size, size, 3)."""
    y, x = np.mgrid[0:size, 0:size]
    plane = np.where(y < size // 2, 220, 60) + (x * 7 + y * 3) % 32
    return np.repeat(plane[..., None], 3, 2).astype(np.uint8)
