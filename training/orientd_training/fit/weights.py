"""Files of weights: written whole or not at all, read with a reason if they cannot be, put into a network only if they fit."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from orientd.errors import ModelError, StateError
from orientd_training.files import swapped

_NAMED = 3


def save(state: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint in place of the former one, which stays as it is if that fails.

    Raises:
        StateError: it cannot be written: the disk is full, or the folder read-only.
    """
    try:
        with swapped(path) as partial, partial.open("wb") as file:
            torch.save(state, file)
    except (OSError, RuntimeError) as error:
        former = "the former one is whole" if path.exists() else "there was none before"
        raise StateError(
            f"{path} cannot be written ({error}), {former}: make room on the disk and go on with --resume"
        ) from error


def read(path: Path) -> dict[str, Any]:
    """What `save` wrote, or a `.safetensors` file, on the CPU.

    Raises:
        ModelError: there is no such file, or it is damaged or no checkpoint.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, LookupError) as error:
        raise ModelError(f"{path} cannot be read as a checkpoint ({_first_line(error)}): take another, or train again") from error
    if not isinstance(state, dict):
        raise ModelError(f"{path} holds a {type(state).__name__} and no checkpoint: take another, or train again")
    return state


def fill(module: nn.Module, state: Mapping[str, Tensor], path: Path, optional: frozenset[str] = frozenset()) -> None:
    """Put weights read from `path` into a module; the parameters named in `optional` may be missing or of another shape.

    Raises:
        ModelError: they are of another network; the first differences are named.
    """
    own = module.state_dict()
    fitting = {name: value for name, value in state.items() if name not in optional or _same(own.get(name), value)}
    wrong = [f"{name} is missing" for name in own if name not in fitting and name not in optional]
    wrong += [f"{name} has no place" for name in fitting if name not in own]
    wrong += [
        f"{name} has the shape {tuple(value.shape)}, not {tuple(own[name].shape)}"
        for name, value in fitting.items()
        if name in own and not _same(own[name], value)
    ]
    if wrong:
        more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise ModelError(
            f"{path} is of another network than this recipe's ({'; '.join(wrong[:_NAMED])}{more}): give what made it"
        )
    module.load_state_dict(fitting, strict=False)


def named(state: Mapping[str, Any]) -> dict[str, Any]:
    """Weights by the names they have in a `Network`; a file may use timm's names, or keep them below a key of its own."""
    for key in ("average", "state_dict", "model"):
        if isinstance(state.get(key), dict):
            state = state[key]
    before = "" if any(name.startswith("backbone.") for name in state) else "backbone."
    return {f"{before}{name}": value.float() if _is_float(value) else value for name, value in state.items()}


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _same(own: Tensor | None, value: Any) -> bool:
    return own is not None and isinstance(value, Tensor) and own.shape == value.shape


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
