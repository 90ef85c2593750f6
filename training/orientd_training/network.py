"""The network: a timm backbone with four outputs, and the graph that orientd serves. Sole owner of timm."""

from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from orientd.errors import ConfigError
from orientd_training.config import TrainConfig


class Network(nn.Module):
    """Logits (N, 4) from pictures (N, 3, S, S) of 0–255. The stem and the first `freeze` stages stay as they are."""

    def __init__(self, config: TrainConfig, init: bool = True) -> None:
        super().__init__()
        self.mean, self.std = config.mean, config.std
        options = {"pad_type": config.pad_type} if config.pad_type else {}
        self.backbone: Any = timm.create_model(config.backbone, num_classes=config.init_classes, **options)
        if config.init and init:
            _load_weights(self.backbone, config.init)
        self.backbone.reset_classifier(4)
        self.backbone.drop_rate = config.dropout
        self.freeze = 0

    def set_freeze(self, stages: int) -> None:
        self.freeze = stages
        for part, frozen in [(p, True) for p in self._fixed()] + [(p, False) for p in self.backbone.blocks[stages:]]:
            part.requires_grad_(not frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Network":
        super().train(mode)
        if self.freeze:
            for part in self._fixed():
                part.eval()
        return self

    def forward(self, pixels: Tensor) -> Tensor:
        features = (pixels - self.mean) / self.std
        # bfloat16 pays only where no gradient is kept: measured 4 × on the frozen stages, nothing on the others.
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=self.training and self.freeze > 0):
            for part in self._fixed():
                features = part(features)
        for part in self._live():
            features = part(features.float())
        return self.backbone.forward_head(features)

    def _fixed(self) -> list[nn.Module]:
        return [self.backbone.conv_stem, self.backbone.bn1, *self.backbone.blocks[: self.freeze]] if self.freeze else []

    def _live(self) -> list[nn.Module]:
        start = [] if self.freeze else [self.backbone.conv_stem, self.backbone.bn1]
        return [*start, *self.backbone.blocks[self.freeze :], self.backbone.conv_head, self.backbone.bn2]


class Served(nn.Module):
    """The exported graph: uint8 (N, S, S, 3) in, logits (N, 4) out; layout and type are changed inside."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network(pixels.permute(0, 3, 1, 2).float())


def _load_weights(backbone: nn.Module, path: Path) -> None:
    try:
        state = {k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()}
        backbone.load_state_dict(state)
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{path} does not fit the backbone: {error}") from error
