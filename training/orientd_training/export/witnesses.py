"""The models of the witnesses that come with orientd, made from those that their authors publish.

    python -m orientd_training.export.witnesses FOLDER [OUT] [--print MODEL] [--letters MODEL] …

`FOLDER` holds the files that the card names (`orientd/models/witnesses/README.md`); `OUT` is where orientd keeps its own. `MODEL`
is what `orientd-train export` wrote of a run of the recipe in `configs/train` (`--print`: `pages.yaml`), or for `--layout` what
`orientd_training.fit.layout` wrote; without it that network stays as it is.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import onnx
from onnx import helper

from orientd.witnesses.layout import MAPS
from orientd.witnesses.opened import FOLDER
from orientd_training.export import page_likeness
from orientd_training.export.edits import with_half_weights

SOURCES: Final[Mapping[str, tuple[str, bool]]] = {
    "pages": ("pp-lcnet_x1_0_doc_ori.onnx", True),
    "faces": ("yunet.onnx", False),  # 0.2 MB as it is
    "people": ("pose_detection.onnx", False),  # its weights are halved already
    "things": ("yolox_nano.onnx", True),
}
"""The file that each model is made from, and whether its weights are halved."""
TRAINED: Final = ("print", "letters", "surroundings", "layout")
"""Those trained here."""
NECK: Final = ("956", "990", "1024")
"""What the published detector of things calls its `MAPS`: the outputs of its neck (PAFPN: Ge et al. 2021, section 2.1)."""


def make(name: str, folder: Path) -> bytes:
    """The model of a witness from the file in `folder`."""
    file, halved = SOURCES[name]
    published = (folder / file).read_bytes()
    if not halved:
        return published
    model = onnx.load_from_string(published)
    if name == "pages":
        model = page_likeness.with_likeness(model, page_likeness.kept())
    if name == "things":
        model = with_maps(model)
    return _halved(model)


def with_maps(model: onnx.ModelProto) -> onnx.ModelProto:
    """The detector of things with its `MAPS` as further outputs."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for name, inner in zip(MAPS, NECK, strict=True):
        made.graph.node.append(helper.make_node("Identity", [inner], [name]))
        made.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, None, None, None]))
    return made


def _halved(model: onnx.ModelProto) -> bytes:
    made: bytes = with_half_weights(model).SerializeToString(deterministic=True)
    return made


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m orientd_training.export.witnesses")
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=FOLDER)
    for trained in TRAINED:
        parser.add_argument(f"--{trained}", type=Path)
    given = parser.parse_args(words)
    for name in SOURCES:
        (given.out / f"{name}.onnx").write_bytes(make(name, given.folder))
    for trained in TRAINED:
        if model := getattr(given, trained):
            (given.out / f"{trained}.onnx").write_bytes(_halved(onnx.load(model)))


if __name__ == "__main__":
    main(sys.argv[1:])
