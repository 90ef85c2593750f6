"""Teaches the witness of things how upright photos are laid out: small networks that score a description of one look.

    python -m orientd_training.fit.layout SOURCE… --detector FILE --kept FOLDER --out MODEL

`SOURCE` are folders or zips of upright photos of 400 pixels and more, `FILE` is things.onnx as orientd brings it, `FOLDER` keeps
what that says of them, `MODEL` is for `orientd_training.export.witnesses`. A look is scored by the mean of the networks, the four
looks at a photo are four answers of which the first is right (softmax).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from orientd.infer.session import Graph
from orientd_training.data.layouts import Layouts, collected

_HIDDEN: Final = 96
_NETWORKS: Final = 2
_ROUNDS: Final = 14
_BATCH: Final = 64
_RATE: Final = 0.002
_SMOOTHING: Final = 0.02  # one label in a hundred is wrong

Numbers = NDArray[np.float32]


def learned(layouts: Layouts, networks: int = _NETWORKS, rounds: int = _ROUNDS) -> onnx.ModelProto:
    """Networks trained on layouts whose first turn is upright, as one graph: `features` (1, F) to `score` (1, 1)."""
    shown = torch.from_numpy(layouts.astype(np.float32))
    mean = shown.reshape(-1, shown.shape[-1]).mean(0)
    spread = shown.reshape(-1, shown.shape[-1]).std(0) + 1e-3
    shown = (shown - mean) / spread
    trained = [_trained(shown, seed, rounds) for seed in range(networks)]
    first, second = ([network[place] for network in trained] for place in (1, 4))
    inner = torch.cat([layer.weight for layer in first]) / spread
    constant = torch.cat([layer.bias for layer in first]) - inner @ mean
    outer = torch.cat([layer.weight for layer in second], 1) / networks
    return _graph(*(weights.detach().numpy() for weights in (inner, constant, outer)))


def right(layouts: Layouts, model: onnx.ModelProto) -> float:
    """The share of layouts whose first turn gets the highest score."""
    inner, constant, outer = (numpy_helper.to_array(weights).astype(np.float64) for weights in model.graph.initializer)
    hidden = layouts.astype(np.float64) @ inner + constant
    scores = (hidden / (1 + np.exp(-hidden))) @ outer
    return float((scores[..., 0].argmax(1) == 0).mean())


def _trained(shown: Tensor, seed: int, rounds: int) -> nn.Sequential:
    torch.manual_seed(seed)
    inner, outer = nn.Linear(shown.shape[-1], _HIDDEN), nn.Linear(_HIDDEN, 1)
    network = nn.Sequential(nn.Dropout(0.3), inner, nn.SiLU(), nn.Dropout(0.5), outer)
    steps = rounds * -(-len(shown) // _BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=0.05)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
    for _ in range(rounds):
        for some in torch.randperm(len(shown)).split(_BATCH):
            scores = network(shown[some]).squeeze(-1)
            loss = functional.cross_entropy(scores, torch.zeros(len(some), dtype=torch.long), label_smoothing=_SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
    return network.eval()


def _graph(inner: Numbers, constant: Numbers, outer: Numbers) -> onnx.ModelProto:
    """x → outer · SiLU(inner · x + constant); SiLU is x · sigmoid(x) (Elfwing et al. 2018, arXiv:1702.03118)."""
    weights = [
        numpy_helper.from_array(values, name)
        for name, values in (("inner", inner.T.copy()), ("constant", constant), ("outer", outer.T.copy()))
    ]
    nodes = [
        helper.make_node("Gemm", ["features", "inner", "constant"], ["hidden"]),
        helper.make_node("Sigmoid", ["hidden"], ["gate"]),
        helper.make_node("Mul", ["hidden", "gate"], ["active"]),
        helper.make_node("MatMul", ["active", "outer"], ["score"]),
    ]
    shapes = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])
        for name, size in (("features", inner.shape[1]), ("score", 1))
    ]
    graph = helper.make_graph(nodes, "layout", shapes[:1], shapes[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m orientd_training.fit.layout")
    parser.add_argument("sources", type=Path, nargs="+")
    for option in ("detector", "kept", "out"):
        parser.add_argument(f"--{option}", type=Path, required=True)
    given = parser.parse_args(words)
    layouts = collected(given.sources, Graph(given.detector), given.kept)
    model = learned(layouts)
    print(f"right: {right(layouts, model):.1%} of the {len(layouts):,} photos learned from")
    onnx.save(model, given.out)


if __name__ == "__main__":
    main(sys.argv[1:])
