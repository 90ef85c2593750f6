"""A trained model that another learns from: it judges the very pictures the student sees."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from orientd import orientation
from orientd.errors import ConfigError
from orientd.infer.engine import TURNED_BACK, VIEWS, Engine
from orientd.infer.session import CPU, CUDA, available_providers
from orientd_training.config import Teacher
from orientd_training.fit import checkpoint


def opened(config: Teacher, device: torch.device) -> "FromRun | FromOnnx":
    """The teacher on a device.

    Raises:
        ConfigError: it has no embedding to learn from, though that was asked for.
        ModelError: it cannot be loaded.
    """
    if config.model.suffix != ".onnx":
        return FromRun(config, device)
    if config.embedding:
        raise ConfigError(f"teacher.embedding: {config.model} gives no embedding: name the run it came from, or set 0")
    return FromOnnx(config, device)


class FromRun:
    """A checkpoint of a run; calling it gives logits (N, 4) and pooled features (N, embedding_size) for pictures of 0–255."""

    def __init__(self, config: Teacher, device: torch.device) -> None:
        read = checkpoint.load_file if config.model.suffix == ".pt" else checkpoint.load
        recipe, network = read(config.model)
        if recipe.skew:
            raise ConfigError(f"teacher.model: {config.model} tells skew, not which way is up: name another")
        self.network = network.to(device, memory_format=torch.channels_last).requires_grad_(False)
        self.size, self.views, self.embedding_size = recipe.phases[-1].size, config.views, network.embedding_size

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        pictures = resized(pictures, self.size)
        logits, pooled = self.network.look(pictures)
        if self.views == 1:
            return logits, pooled
        total = logits.clone()
        for view, classes in list(zip(VIEWS, TURNED_BACK, strict=True))[1:]:
            total += self.network(_shown(pictures, view))[:, classes]
        return total / len(VIEWS), pooled


class FromOnnx:
    """A model as orientd serves it; calling it gives calibrated logits (N, 4), and no embedding."""

    embedding_size = 0

    def __init__(self, config: Teacher, device: torch.device) -> None:
        cuda = device.type == "cuda" and CUDA in available_providers()
        self.engine, self.views = Engine(config.model, (CUDA,) if cuda else (CPU,)), config.views

    def __call__(self, pictures: Tensor) -> tuple[Tensor, None]:
        shown = resized(pictures, self.engine.spec.input_size).round().clamp(0, 255).byte()
        pixels = shown.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        if self.views == 1:
            looks, temperature = self.engine.look(pixels), self.engine.spec.temperature
        else:
            looks, temperature = [self.engine.look_again(one) for one in pixels], self.engine.spec.temperature_views
        probabilities = torch.tensor([look.probabilities for look in looks], device=pictures.device)
        return probabilities.clamp(min=1e-12).log() * temperature, None


def resized(pictures: Tensor, size: int) -> Tensor:
    """Pictures (N, 3, S, S) as (N, 3, size, size)."""
    if pictures.shape[-1] == size:
        return pictures
    return functional.interpolate(pictures, (size, size), mode="bilinear", antialias=True)


def _shown(pictures: Tensor, view: int) -> Tensor:
    """Square pictures (N, 3, S, S) as the orientation `view` (1–8) shows them."""
    side = pictures.shape[-1]
    places = orientation.apply(np.arange(side * side).reshape(side, side), view)
    index = torch.from_numpy(np.ascontiguousarray(places).ravel()).to(pictures.device)
    return pictures.flatten(2)[..., index].unflatten(2, (side, side))


def loss(config: Teacher, hard: Tensor, logits: Tensor, image: Tensor | None, judged: tuple[Tensor, Any]) -> Tensor:
    """The loss by `config.Teacher`; `hard` is the cross-entropy, `image` the student's features mapped to the teacher's."""
    soft = functional.log_softmax(logits / config.temperature, 1)
    theirs = functional.log_softmax(judged[0] / config.temperature, 1)
    distance = functional.kl_div(soft, theirs, reduction="batchmean", log_target=True) * config.temperature**2
    total = (1 - config.weight) * hard + config.weight * distance
    if image is None:
        return total
    return total + config.embedding * (1 - functional.cosine_similarity(image, judged[1], dim=1)).mean()
