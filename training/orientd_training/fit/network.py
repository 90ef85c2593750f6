"""The network: a timm backbone with one output for each class, and the graph that is served. Sole owner of timm."""

from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import group_parameters
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.nn import functional

from orientd.config import strict
from orientd.errors import ConfigError
from orientd_training.config import TrainConfig
from orientd_training.fit import weights

IMAGENET = Path("imagenet")


class Network(nn.Module):
    """Logits (N, `config.outputs`) from pictures (N, 3, S, S) of 0–255. The stem and the first `freeze` stages stay as they are.

    With a `head_grid` g, a linear map of the features averaged in g × g cells is added to the backbone's own logits: it sees
    where in the picture something is. It starts at zero.
    """

    def __init__(self, config: TrainConfig, init: bool = True) -> None:
        """Build it, with the weights that `config.init` names unless `init` is false.

        Raises:
            ConfigError: timm does not know the backbone, or the weights cannot be fetched.
            ModelError: the file of weights cannot be read, or is of another network; its head may be.
        """
        super().__init__()
        self.backbone: Any = _backbone(config, pretrained=init and config.init == IMAGENET)
        self.grid, self.dropout, self.freeze = config.head_grid, config.dropout, 0
        self.mixed = config.precision != "fp32"
        for name, levels in (("mean", config.mean), ("std", config.std)):
            three = torch.tensor(levels if isinstance(levels, tuple) else (levels,) * 3, dtype=torch.float32)
            self.register_buffer(name, three.view(1, 3, 1, 1), persistent=False)
        if self.grid:
            self.extra = nn.Linear(self.backbone.num_features * self.grid**2, config.outputs, bias=False)
            nn.init.zeros_(self.extra.weight)
        if init and config.init and config.init != IMAGENET:
            weights.fill(self, weights.named(weights.read(config.init)), config.init, optional=self.head_names())

    @property
    def embedding_size(self) -> int:
        """Length of the pooled features."""
        return int(getattr(self.backbone, "head_hidden_size", None) or self.backbone.num_features)

    def head(self) -> list[nn.Parameter]:
        """The parameters that are new: the classifier's and those of the grid."""
        return [*self.backbone.get_classifier().parameters(), *(self.extra.parameters() if self.grid else ())]

    def head_names(self) -> frozenset[str]:
        """The names of these in the state."""
        ids = {id(parameter) for parameter in self.head()}
        return frozenset(name for name, parameter in self.named_parameters() if id(parameter) in ids)

    def set_freeze(self, stages: int) -> None:
        """Fix the stem and the first `stages` stages as timm groups them; none and not the stem with 0.

        Raises:
            ConfigError: the backbone has fewer stages.
        """
        groups = group_parameters(self.backbone, self.backbone.group_matcher(coarse=True))
        if stages >= len(groups):
            raise ConfigError(f"freeze: {stages} stages cannot be fixed, the backbone has {len(groups) - 1} besides its stem")
        fixed = {name for group in range(stages + 1) for name in groups[group]} if stages else set()
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad_(name not in fixed)
        self.freeze = stages
        self.train(self.training)

    def train(self, mode: bool = True) -> "Network":
        super().train(mode)
        for part in self._parts(learning=False) if self.freeze else []:
            part.eval()
        return self

    def forward(self, pixels: Tensor) -> Tensor:
        return self.look(pixels)[0]

    def look(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and pooled features (N, embedding_size)."""
        features = self._features((pixels - self.mean) / self.std)
        pooled = self.backbone.forward_head(features, pre_logits=True)
        logits = self.backbone.get_classifier()(functional.dropout(pooled, self.dropout, self.training))
        if self.grid:
            if features.ndim != 4 or features.shape[1] != self.backbone.num_features:
                raise ConfigError("head_grid: this backbone's features have no rows and columns to part: set 0")
            cells = functional.adaptive_avg_pool2d(features, self.grid).flatten(1)
            logits = logits + self.extra(functional.dropout(cells, self.dropout, self.training))
        return logits, pooled

    def _features(self, pictures: Tensor) -> Tensor:
        """bfloat16 on a CPU pays only where nothing is learnt, so it ends where the first part that learns begins.

        A compiled graph cannot end it there and goes without.
        """
        helps = self.mixed and self.freeze and self.training and pictures.device.type == "cpu"
        if not helps or torch.compiler.is_compiling():
            return self.backbone.forward_features(pictures)
        hooks = [part.register_forward_pre_hook(_end_bfloat16) for part in self._parts(learning=True)]
        try:
            with torch.autocast("cpu", torch.bfloat16):
                return self.backbone.forward_features(pictures).float()
        finally:
            for hook in hooks:
                hook.remove()

    def _parts(self, learning: bool) -> list[nn.Module]:
        """The largest modules of the backbone that learn whole, or not at all."""

        def inside(module: nn.Module) -> list[nn.Module]:
            kinds = {parameter.requires_grad for parameter in module.parameters()}
            return [module] if kinds == {learning} else [found for child in module.children() for found in inside(child)]

        return inside(self.backbone)


class Served(nn.Module):
    """The exported graph: uint8 (N, S, S, 3) in, logits out; layout and type are changed inside."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network(pixels.permute(0, 3, 1, 2).float())


def averaged(network: Network) -> Any:
    """The moving average of all weights and sums of a network, in `module`; `update` leaves `decay` (0–1) of it as it was."""
    average = ModelEmaV3(network)
    average.module.requires_grad_(False)
    return average


def _backbone(config: TrainConfig, pretrained: bool) -> Any:
    options: dict[str, Any] = {"pad_type": config.pad_type} if config.pad_type else {}
    try:
        return timm.create_model(config.backbone, pretrained=pretrained, num_classes=config.outputs, **options)
    except Exception as error:  # timm and its hub have an exception for each kind of failure, derived from Exception alone
        hub = config.backbone.startswith("hf-hub:")
        reason = " ".join(str(error).split())[:300]
        if not hub and not timm.is_model(config.backbone):
            hint = strict.did_you_mean(config.backbone, timm.list_models())
            raise ConfigError(f"backbone: timm has no {config.backbone!r}{hint}") from error
        if pretrained or hub:
            raise ConfigError(
                f"backbone: {config.backbone} cannot be fetched ({reason}): go online, or give init a file of weights"
            ) from error
        raise ConfigError(f"backbone: {config.backbone} cannot be built: {reason}") from error


def _end_bfloat16(part: nn.Module, values: tuple[Any, ...]) -> tuple[Any, ...]:
    torch.set_autocast_enabled("cpu", False)
    return tuple(value.float() if isinstance(value, Tensor) else value for value in values)
