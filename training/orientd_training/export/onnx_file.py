"""A trained network as the ONNX file that orientd serves; proved equal to torch before it gets its name.

Owner of onnx, with `edits` and `witnesses`.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from orientd.errors import ConfigError, ModelError, StateError
from orientd.infer.engine import Engine
from orientd.infer.spec import METADATA_KEY, ModelSpec
from orientd_training.export.edits import of_any_side
from orientd_training.fit.network import Network, Served

TOLERANCE = 1e-3


def export(network: Network, spec: ModelSpec, out: Path, photos: NDArray[np.uint8]) -> float:
    """Write `out` and return the largest difference between torch's probabilities and orientd's on `photos` (N, S, S, 3).

    Where the network can, the same graph takes pictures of sides half as long again, too, which its spec says.

    Raises:
        ConfigError: there are no photos, or they are of another size than `spec.input_size`.
        ModelError: that difference exceeds TOLERANCE; nothing is left at `out` that was not there.
        StateError: `out` cannot be written.
    """
    if photos.shape[1:] != (spec.input_size, spec.input_size, 3) or not len(photos):
        raise ConfigError(f"the network takes photos of {spec.input_size} px: prepare some at that size to compare on")
    photos = np.array(photos)  # torch warns of memory that it may not write to
    served = Served(network).eval()
    with written(out) as partial:
        write_graph(served, partial, torch.from_numpy(photos[:8]))
        fixed = onnx.load(partial)
        stamp(partial, partial, spec)
        worst = _difference(served, partial, spec, photos)
        if not worst <= TOLERANCE:
            raise ModelError(f"the exported graph differs from torch by {worst:.2g} in a probability: it must not be served")
        if _takes_more(served, fixed, partial, spec, photos):
            worst = _difference(served, partial, spec, photos)
        else:
            onnx.save(fixed, partial)
            stamp(partial, partial, spec)
        os.replace(partial, out)
    return worst


def _difference(served: Served, path: Path, spec: ModelSpec, photos: NDArray[np.uint8]) -> float:
    with torch.inference_mode():
        expected = torch.softmax(served(torch.from_numpy(photos)) / spec.temperature, 1).numpy()
    found = np.array([look.probabilities for look in Engine(path).look(photos)])
    return float(np.abs(found - expected).max())


def _is_equal(served: Served, path: Path, photos: NDArray[np.uint8]) -> bool:
    """Whether the logits of both are the same; probabilities that are near 0 and 1 would hide a difference."""
    with torch.inference_mode():
        expected = served(torch.from_numpy(photos)).numpy()
    return bool(np.allclose(Engine(path).logits(photos), expected, rtol=TOLERANCE, atol=TOLERANCE))


def _takes_more(served: Served, fixed: onnx.ModelProto, path: Path, spec: ModelSpec, photos: NDArray[np.uint8]) -> bool:
    """Whether the graph can be made to take two sides, and then does as torch does at both; it is at `path` then."""
    larger = spec.input_size * 3 // 2
    enlarged = np.arange(larger) * spec.input_size // larger
    try:
        onnx.save(of_any_side(fixed, served.network.grid), path)
        stamp(path, path, replace(spec, second_size=larger))
        shown = photos, np.ascontiguousarray(photos[:, enlarged][:, :, enlarged])
        return all(_is_equal(served, path, each) for each in shown)
    except Exception:  # torch and ONNX Runtime have their own for each thing that a network may fix
        return False


@contextmanager
def written(out: Path) -> Iterator[Path]:
    """A path next to `out` to write to and to rename; a file left there at the end is deleted.

    Raises:
        StateError: that folder cannot be written, which is tried first, or the disk is full.
    """
    partial = out.with_suffix(".partial.onnx")
    try:
        partial.write_bytes(b"")
        if out.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        yield partial
    except OSError as error:
        raise StateError(f"{out} cannot be written ({error.strerror or error}): name another with --out, or make room") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def stamp(source: Path, out: Path, spec: ModelSpec) -> None:
    """Copy a model with `spec` in its metadata, replacing the one it had."""
    model = onnx.load(source)
    kept = [(entry.key, entry.value) for entry in model.metadata_props if entry.key != METADATA_KEY]
    del model.metadata_props[:]
    for key, value in [*kept, (METADATA_KEY, spec.to_json())]:
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, out)


def first_and_last(model: Path) -> list[str]:
    """The names of a graph's first convolution and of its matrix products, which are its head."""
    nodes = onnx.load(model).graph.node
    first = [node.name for node in nodes if node.op_type == "Conv"][:1]
    return first + [node.name for node in nodes if node.op_type in ("Gemm", "MatMul")]


def parameters(model: Path) -> dict[str, int]:
    """How many numbers of each kind a graph holds, by ONNX's name of the kind in lower case; single ones are no parameters."""
    counts: dict[str, int] = {}
    for tensor in onnx.load(model).graph.initializer:
        kind = onnx.TensorProto.DataType.Name(tensor.data_type).lower()
        count = int(np.prod(tensor.dims))
        counts[kind] = counts.get(kind, 0) + (count if count > 1 else 0)
    return {kind: count for kind, count in counts.items() if count}


def write_graph(served: Served, out: Path, photos: torch.Tensor) -> None:
    """torch's own export: `pixels` in, `logits` out, any number of pictures at once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of its own internals
        torch.onnx.export(
            served,
            (photos,),
            out,
            input_names=["pixels"],
            output_names=["logits"],
            dynamic_shapes={"pixels": {0: torch.export.Dim("batch")}},
            external_data=False,
            verbose=False,
        )
