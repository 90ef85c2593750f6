"""A trained network as the ONNX file that orientd serves; proved equal to torch before it gets its name. Sole owner of onnx."""

import os
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from orientd.errors import ModelError
from orientd.infer import Engine
from orientd.spec import METADATA_KEY, ModelSpec
from orientd_training.network import Network, Served

TOLERANCE = 1e-3


def export(network: Network, spec: ModelSpec, out: Path, photos: NDArray[np.uint8]) -> float:
    """Write `out` and return the largest difference between torch's probabilities and orientd's on `photos` (N, S, S, 3).

    Raises:
        ModelError: that difference exceeds TOLERANCE; nothing is left at `out`.
    """
    served = Served(network).eval()
    partial = out.with_suffix(".partial.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of its own internals
        torch.onnx.export(
            served,
            (torch.from_numpy(photos[:8]),),
            partial,
            input_names=["pixels"],
            output_names=["logits"],
            dynamic_shapes={"pixels": {0: torch.export.Dim("batch")}},
            external_data=False,
            verbose=False,
        )
    stamp(partial, partial, spec)
    with torch.inference_mode():
        expected = torch.softmax(served(torch.from_numpy(photos)) / spec.temperature, 1).numpy()
    found = np.array([look.probabilities for look in Engine(partial).look(photos)])
    worst = float(np.abs(found - expected).max())
    if worst > TOLERANCE:
        partial.unlink()
        raise ModelError(f"the exported graph differs from torch by {worst:.2g} in a probability: it must not be served")
    os.replace(partial, out)
    return worst


def stamp(source: Path, out: Path, spec: ModelSpec) -> None:
    """Copy a model with `spec` in its metadata, replacing the one it had."""
    model = onnx.load(source)
    kept = [(entry.key, entry.value) for entry in model.metadata_props if entry.key != METADATA_KEY]
    del model.metadata_props[:]
    for key, value in [*kept, (METADATA_KEY, spec.to_json())]:
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, out)
