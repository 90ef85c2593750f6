"""Distinguishes pages from photos: a logistic regression on the features of the pages witness, a second output of its graph.

    python -m orientd_training.export.page_likeness FOLDER --photos CACHE --without GROUP… --pages CACHE

`FOLDER` holds the published networks (see `witnesses`); the caches are those of `orientd-train prepare`. Name the groups of
photos that hold pages, too: they teach nothing. The weights are kept in `WEIGHTS`, from which `witnesses` makes the bundled file.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from orientd.infer.session import Graph
from orientd.witnesses.pages import LIKENESS, Pages
from orientd_training.data.photoset import load
from orientd_training.evaluate.statistics import telling_apart

WEIGHTS: Final = Path(__file__).with_suffix(".json")
FEATURES: Final = "p2o.pd_op.flatten.0.0"
"""The 1,280 features from which the published network predicts the orientation of a page."""

_PHOTOS: Final = 6000
_DRAWN: Final = 2500
_RIDGE: Final = 0.03
_THRESHOLD: Final = 0.5  # log odds, of photos and pages counted alike, from which a picture is taken for a page

Numbers = NDArray[np.float64]


def with_likeness(model: onnx.ModelProto, weights: Numbers) -> onnx.ModelProto:
    """The same graph with an answer more, `LIKENESS` (N, 1): above 0 for what looks like a page.

    weights: (1281,), those of `FEATURES` and at last the constant.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    column, constant = weights[:-1, None].astype(np.float32), weights[-1:].astype(np.float32)
    made.graph.initializer.extend(
        [numpy_helper.from_array(column, f"{LIKENESS}.weights"), numpy_helper.from_array(constant, f"{LIKENESS}.constant")]
    )
    made.graph.node.append(
        helper.make_node("Gemm", [FEATURES, *(f"{LIKENESS}.{part}" for part in ("weights", "constant"))], [LIKENESS])
    )
    made.graph.output.append(helper.make_tensor_value_info(LIKENESS, onnx.TensorProto.FLOAT, ["batch", 1]))
    return made


def features(model: onnx.ModelProto, pictures: Sequence[NDArray[np.uint8]]) -> Numbers:
    """(N, 1280) of N pictures (H, W, 3): the means of what the network sees at the four turns."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    made.graph.output.append(helper.make_tensor_value_info(FEATURES, onnx.TensorProto.FLOAT, ["batch", "features"]))
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(made.SerializeToString())
        file.flush()
        graph = Graph(file.name)
    return np.array([np.mean([graph(shown)[FEATURES][0] for shown in Pages.shown(picture)], axis=0) for picture in pictures])


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m orientd_training.export.page_likeness")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--without", nargs="*", default=[])
    parser.add_argument("--pages", type=Path, required=True)
    given = parser.parse_args(words)
    model, random = onnx.load(given.folder / "pp-lcnet_x1_0_doc_ori.onnx"), np.random.default_rng(1)
    photos = features(model, list(_drawn(given.photos, set(given.without), _PHOTOS, random)))
    pages = features(model, list(_drawn(given.pages, set(), _DRAWN, random)))
    weights = telling_apart(photos, pages, _RIDGE, _THRESHOLD)
    first, second = (float(((its @ weights[:-1] + weights[-1]) > 0).mean()) for its in (photos, pages))
    print(f"taken for a page: {first:.1%} of {len(photos):,} photos, {second:.1%} of {len(pages):,} pages, all of them fitted on")
    WEIGHTS.write_text(json.dumps([round(float(weight), 6) for weight in weights]) + "\n", encoding="utf-8")


def kept() -> Numbers:
    """The weights that `main` wrote last."""
    values: Any = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return np.array(values)


def _drawn(cache: Path, without: set[str], number: int, random: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """So many photos of a cache, drawn from those of other groups."""
    photos = load(cache)
    usable = [index for index, group in enumerate(photos.groups) if group not in without]
    yield from (
        np.asarray(photos.pixels[index]) for index in sorted(random.choice(usable, min(number, len(usable)), replace=False))
    )


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
