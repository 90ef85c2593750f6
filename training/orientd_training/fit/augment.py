"""Augmentation on whole batches on any device. Every geometric change is one affine resampling: nothing is interpolated twice.

What is drawn for a picture comes from a generator on the CPU, so that it is the same on every device; only noise is drawn by the
device, from its own.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from orientd_training.config import Augment, Change
from orientd_training.fit import jpeg_artefacts

_LUMA = (0.299, 0.587, 0.114)


def turn_away(pixels: Tensor, classes: Tensor) -> Tensor:
    """Upright square pictures (N, 3, S, S) shown so that class k (0–3) needs k quarter turns clockwise to be upright."""
    return torch.stack([torch.rot90(picture, int(k), dims=(1, 2)) for picture, k in zip(pixels, classes, strict=True)])


def geometry(turns: Tensor, augment: Augment, random: torch.Generator, part: float = 1.0) -> Tensor:
    """Homogeneous matrices (N, 3, 3) from shown to upright coordinates: turn, mirror, tilt, crop and change of aspect.

    turns: (N,), the quarter turns clockwise that a picture is shown needing; parts of one, too. part: how much of the side of
    what the crop leaves is seen, in its middle.
    """
    n = len(turns)
    side = (1 - _amount(n, augment.crop, random)).sqrt()
    stretch = (_signed(n, augment.aspect, random) / 2).exp()
    sx, sy = (side * stretch).clamp(max=1), (side / stretch).clamp(max=1)
    dx, dy = (1 - sx) * _uniform(n, random), (1 - sy) * _uniform(n, random)
    flip = torch.where(_chance(n, augment.mirror, random), -1.0, 1.0)
    tilt = _signed(n, augment.tilt, random) * math.pi / 180
    return _crop(part * sx * flip, part * sy, dx, dy) @ _rotation(tilt) @ _rotation(turns * (math.pi / 2))


def resample(pixels: Tensor, matrices: Tensor, size: int) -> Tensor:
    """Pictures (N, 3, S, S) seen through homogeneous matrices (N, 3, 3), as (N, 3, size, size)."""
    grid = functional.affine_grid(matrices[:, :2], [len(pixels), 3, size, size], align_corners=False)
    return functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def photometry(pixels: Tensor, augment: Augment, random: torch.Generator) -> Tensor:
    """Light, colour, blur, noise and JPEG artefacts on pictures (N, 3, S, S) of 0–255; the result is clamped to that range."""
    n = len(pixels)

    def factor(change: Change) -> Tensor:
        return (1 + _signed(n, change, random)).view(n, 1, 1, 1).to(pixels)

    colour = factor(augment.saturation) * ~_chance(n, augment.grey, random).view(n, 1, 1, 1).to(pixels.device)
    grey = (pixels * torch.tensor(_LUMA).view(1, 3, 1, 1).to(pixels)).sum(1, keepdim=True)
    pixels = grey + (pixels - grey) * colour
    middle = grey.mean((1, 2, 3), keepdim=True)
    pixels = middle + (pixels - middle) * factor(augment.contrast)
    pixels = (pixels * factor(augment.brightness)).clamp(0, 255)
    for change, function in ((augment.blur, _blur), (augment.noise, _noise), (augment.jpeg, _jpeg)):
        amount = _amount(n, change, random)
        chosen = amount.nonzero().flatten()
        if len(chosen):
            where = chosen.to(pixels.device)
            pixels = pixels.index_copy(0, where, function(pixels[where], amount[chosen].to(pixels.device)))
    return pixels


def _blur(pixels: Tensor, deviation: Tensor) -> Tensor:
    """By a Gaussian; `deviation` (N) is in pixels and at most a third of the smallest side."""
    n, _, height, width = pixels.shape
    radius = max(1, min(math.ceil(3 * float(deviation.max())), min(height, width) - 1))
    taps = torch.arange(-radius, radius + 1, device=pixels.device)
    kernel = (-0.5 * (taps / deviation.clamp(min=1e-3).view(n, 1)) ** 2).exp()
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)
    padded = functional.pad(pixels, (radius,) * 4, mode="reflect").reshape(1, 3 * n, height + 2 * radius, width + 2 * radius)
    across = functional.conv2d(padded, kernel.view(3 * n, 1, 1, -1), groups=3 * n)
    return functional.conv2d(across, kernel.view(3 * n, 1, -1, 1), groups=3 * n).reshape(pixels.shape)


def _noise(pixels: Tensor, deviation: Tensor) -> Tensor:
    return (pixels + torch.randn_like(pixels) * deviation.view(-1, 1, 1, 1)).clamp(0, 255)


def _jpeg(pixels: Tensor, loss: Tensor) -> Tensor:
    return jpeg_artefacts.roundtrip(pixels, 100 - loss)


def _uniform(n: int, random: torch.Generator) -> Tensor:
    """Between −1 and 1."""
    return 2 * torch.rand(n, generator=random) - 1


def _chance(n: int, share: float, random: torch.Generator) -> Tensor:
    return torch.rand(n, generator=random) < share


def _amount(n: int, change: Change, random: torch.Generator) -> Tensor:
    """Between 0 and the strength for the chosen ones, 0 for the others."""
    return torch.rand(n, generator=random) * change.strength * _chance(n, change.probability, random)


def _signed(n: int, change: Change, random: torch.Generator) -> Tensor:
    return _uniform(n, random) * change.strength * _chance(n, change.probability, random)


def _rotation(angle: Tensor) -> Tensor:
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return _rows([cos, -sin, zero], [sin, cos, zero])


def _crop(sx: Tensor, sy: Tensor, dx: Tensor, dy: Tensor) -> Tensor:
    zero = torch.zeros_like(sx)
    return _rows([sx, zero, dx], [zero, sy, dy])


def _rows(first: list[Tensor], second: list[Tensor]) -> Tensor:
    zero, one = torch.zeros_like(first[0]), torch.ones_like(first[0])
    return torch.stack([torch.stack(row, -1) for row in (first, second, [zero, zero, one])], -2)
