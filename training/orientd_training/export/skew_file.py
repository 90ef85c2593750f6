"""A trained skew model as an ONNX file; proved equal to torch before it gets its name.

The graph takes uint8 `pixels` (N, S, S, 3), RGB, the middle of pages, and gives float32 `logits` (N, 360): class k stands for the
angle k/2 − 90 in degrees clockwise that makes the lines level. orientd itself serves no such model, and refuses it.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from orientd.errors import ConfigError, ModelError
from orientd.infer.session import Graph
from orientd_training.export.onnx_file import TOLERANCE, write_graph, written
from orientd_training.fit.network import Network, Served

KEY: Final = "orientd.skew"


@dataclass(frozen=True)
class SkewSpec:
    """What the file says of itself: `part` is the side of the square seen as a share of the middle square of a page."""

    name: str
    input_size: int
    part: float


def export(network: Network, spec: SkewSpec, out: Path, pictures: NDArray[np.uint8]) -> float:
    """Write `out` and return the largest difference between torch's probabilities and the graph's on `pictures` (N, S, S, 3).

    Raises:
        ConfigError: there are no pictures, or they are of another size than `spec.input_size`.
        ModelError: that difference exceeds TOLERANCE; nothing is left at `out` that was not there.
        StateError: `out` cannot be written.
    """
    if pictures.shape[1:] != (spec.input_size, spec.input_size, 3) or not len(pictures):
        raise ConfigError(f"the network takes pictures of {spec.input_size} px: give some to compare on")
    served, given = Served(network).eval(), torch.from_numpy(np.array(pictures))
    with written(out) as partial:
        write_graph(served, partial, given[:8])
        model = onnx.load(partial)
        model.metadata_props.add(key=KEY, value=json.dumps(asdict(spec), sort_keys=True))
        onnx.save(model, partial)
        with torch.inference_mode():
            expected = torch.softmax(served(given), 1).numpy()
        found = np.exp(logits(Graph(partial), pictures))
        worst = float(np.abs(found / found.sum(1, keepdims=True) - expected).max())
        if not worst <= TOLERANCE:
            raise ModelError(f"the exported graph differs from torch by {worst:.2g} in a probability: it must not be used")
        os.replace(partial, out)
    return worst


def read(path: Path) -> SkewSpec | None:
    """What a file says of itself; None of one that is no skew model.

    Raises:
        ModelError: it cannot be read, or says what this version does not know.
    """
    try:
        entries = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        return SkewSpec(**json.loads(entries[KEY])) if KEY in entries else None
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path} cannot be read as a model ({error}): export it again") from error
    except Exception as error:  # protobuf's own, derived from Exception alone
        raise ModelError(f"{path} is no ONNX file ({type(error).__name__}): name another") from error


def logits(graph: Graph, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 360), less the largest of each row."""
    seen = graph(np.ascontiguousarray(pictures))["logits"]
    return np.asarray(seen - seen.max(1, keepdims=True), np.float32)
