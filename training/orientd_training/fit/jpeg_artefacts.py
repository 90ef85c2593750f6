"""What saving as JPEG does to pictures, computed on whole batches on any device: ITU-T T.81, and its colours by JFIF 1.02.

Baseline, 4:2:0, with the tables of T.81 Annex K.1 scaled to a quality as libjpeg does (jcparam.c, jpeg_quality_scaling). The
entropy coding loses nothing and is left out.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

# fmt: off
_LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)
_CHROMINANCE = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    *[99] * 32,
)
# fmt: on
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def roundtrip(pixels: Tensor, quality: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) of 0–255 as they come back from files of `quality` (N) 1–100: whole levels of 0–255."""
    height, width = pixels.shape[-2:]
    padded = functional.pad(pixels.round(), (0, -width % 16, 0, -height % 16), mode="replicate")
    ycc = torch.einsum("ij,njhw->nihw", torch.tensor(_TO_YCC).to(pixels), padded).round()
    luma = _quantised(ycc[:, :1] - 128, _table(_LUMINANCE, quality)) + 128
    chroma = _quantised(functional.avg_pool2d(ycc[:, 1:], 2).round(), _table(_CHROMINANCE, quality))
    # libjpeg's "fancy upsampling" is linear interpolation between the centres of the samples.
    chroma = functional.interpolate(chroma.round(), scale_factor=2.0, mode="bilinear", align_corners=False)
    back = torch.cat([luma.round().clamp(0, 255), chroma.clamp(-128, 127)], 1)
    rgb = torch.einsum("ij,njhw->nihw", torch.tensor(_TO_RGB).to(pixels), back)
    return rgb.round().clamp(0, 255)[..., :height, :width]


def _quantised(plane: Tensor, table: Tensor) -> Tensor:
    """Planes (N, C, H, W), their sides multiples of 8, through the forward DCT, quantisation by `table` (N, 8, 8) and back."""
    n, c, height, width = plane.shape
    blocks = plane.reshape(n, c, height // 8, 8, width // 8, 8).transpose(3, 4)
    steps = table.view(n, 1, 1, 1, 8, 8)
    dct = _dct().to(plane)
    kept = (dct @ blocks @ dct.T / steps).round() * steps
    return (dct.T @ kept @ dct).transpose(3, 4).reshape(plane.shape)


def _table(base: tuple[int, ...], quality: Tensor) -> Tensor:
    """Quantisation steps (N, 8, 8), 1–255."""
    whole = quality.round().clamp(1, 100).view(-1, 1, 1)
    scale = torch.where(whole < 50, (5000 / whole).floor(), 200 - 2 * whole)
    return ((torch.tensor(base).view(1, 8, 8).to(quality) * scale + 50) / 100).floor().clamp(1, 255)


def _dct() -> Tensor:
    """The orthonormal 8 × 8 matrix of the DCT-II (T.81 A.3.3)."""
    k = torch.arange(8).view(8, 1)
    matrix = torch.cos((2 * torch.arange(8) + 1) * k * math.pi / 16) / 2
    matrix[0] /= math.sqrt(2)
    return matrix
