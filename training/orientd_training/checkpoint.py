"""A run folder back as its recipe and its best network."""

from pathlib import Path

import torch

from orientd.errors import ModelError
from orientd_training import config as recipes
from orientd_training.config import TrainConfig
from orientd_training.fit import BEST, CONFIG
from orientd_training.network import Network


def load(run: Path) -> tuple[TrainConfig, Network]:
    """The recipe and the averaged weights that validated best, on the CPU, ready to be used.

    Raises:
        ConfigError: the recipe in the folder cannot be read.
        ModelError: there are no weights in the folder, or they are of another network.
    """
    config = recipes.load(run / CONFIG)
    network = Network(config, init=False)
    try:
        network.load_state_dict(torch.load(run / BEST, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{run / BEST} cannot be used ({error}): train again") from error
    return config, network.eval()
