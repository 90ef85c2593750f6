"""The scene once more, by a larger network than the model in use, which learned from sharper photos.

EfficientNet-Lite2 (Liu and others 2020, in tensorflow/tpu), see `configs/train/surroundings.yaml`.
"""

from typing import Final

from orientd.infer.session import Graph
from orientd.witnesses.scene import Scene

SIDE: Final = 256
"""Of the squares that the network is shown, in pixels."""


class Surroundings(Scene):
    """See `Witness`."""

    def __init__(self, graph: Graph) -> None:
        super().__init__("surroundings", SIDE, lambda shown: graph(shown)["logits"])
