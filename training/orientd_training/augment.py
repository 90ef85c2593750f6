"""Augmentation on whole batches. Every geometric change is one affine resampling, so nothing is interpolated twice."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from orientd_training.config import TrainConfig

_LUMA = (0.299, 0.587, 0.114)


def turn_away(pixels: Tensor, classes: Tensor) -> Tensor:
    """Upright square pictures (N, 3, S, S) shown so that class k (0–3) needs k quarter turns clockwise to be upright."""
    return torch.stack([torch.rot90(picture, int(k), dims=(1, 2)) for picture, k in zip(pixels, classes, strict=True)])


def geometry(classes: Tensor, config: TrainConfig, random: torch.Generator) -> Tensor:
    """Affine matrices (N, 2, 3) from shown to upright coordinates: turn, mirror, tilt, crop and change of aspect."""
    n = len(classes)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, generator=random) * (high - low) + low

    side = uniform(config.crop_area, 1).sqrt()
    stretch = uniform(-config.aspect, config.aspect).exp().sqrt()
    sx, sy = (side * stretch).clamp(max=1), (side / stretch).clamp(max=1)
    dx, dy = (1 - sx) * uniform(-1, 1), (1 - sy) * uniform(-1, 1)
    flip = torch.where(torch.rand(n, generator=random) < config.mirror, -1.0, 1.0)
    tilt = uniform(-config.tilt, config.tilt) * math.pi / 180
    return _crop(sx * flip, sy, dx, dy) @ _rotation(tilt) @ _rotation(classes * (math.pi / 2))


def resample(pixels: Tensor, matrices: Tensor, size: int) -> Tensor:
    """Pictures (N, 3, S, S) seen through homogeneous matrices (N, 3, 3), as (N, 3, size, size)."""
    grid = functional.affine_grid(matrices[:, :2], [len(pixels), 3, size, size], align_corners=False)
    return functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def photometry(pixels: Tensor, config: TrainConfig, random: torch.Generator) -> Tensor:
    """Brightness, contrast, colour and blur on pictures (N, 3, S, S) of 0–255; the result is clamped to that range."""
    n = len(pixels)

    def chance(share: float) -> Tensor:
        return (torch.rand(n, generator=random) < share).view(n, 1, 1, 1)

    def factor() -> Tensor:
        return (1 + config.light * (2 * torch.rand(n, generator=random) - 1)).view(n, 1, 1, 1)

    grey = (pixels * torch.tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    pixels = grey + (pixels - grey) * torch.where(chance(config.grey), 0.0, factor())
    middle = grey.mean((1, 2, 3), keepdim=True)
    pixels = middle + (pixels - middle) * factor()
    blurred = functional.avg_pool2d(functional.pad(pixels, (1, 1, 1, 1), mode="reflect"), 3, 1)
    return torch.where(chance(config.blur), blurred, pixels).mul(factor()).clamp(0, 255)


def _rotation(angle: Tensor) -> Tensor:
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return _rows([cos, -sin, zero], [sin, cos, zero])


def _crop(sx: Tensor, sy: Tensor, dx: Tensor, dy: Tensor) -> Tensor:
    zero = torch.zeros_like(sx)
    return _rows([sx, zero, dx], [zero, sy, dy])


def _rows(first: list[Tensor], second: list[Tensor]) -> Tensor:
    zero, one = torch.zeros_like(first[0]), torch.ones_like(first[0])
    return torch.stack([torch.stack(row, -1) for row in (first, second, [zero, zero, one])], -2)
