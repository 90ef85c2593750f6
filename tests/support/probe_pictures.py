"""Sixty drawn pictures that have no right way up, or none that anybody could be sure of."""

from collections.abc import Iterator
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Pixels = NDArray[np.uint8]

WIDTH, HEIGHT = 480, 360
_COLORS = [(0, 0, 0), (255, 255, 255), (128, 128, 128), (200, 30, 30), (30, 160, 60), (40, 80, 190), (240, 200, 90), (90, 60, 40)]
_FLAGS = [
    [(0, 0, 0), (221, 0, 0), (255, 206, 0)],
    [(255, 255, 255), (220, 20, 60)],
    [(0, 87, 183), (255, 215, 0)],
    [(174, 28, 40), (255, 255, 255), (33, 70, 139)],
    [(0, 146, 70), (255, 255, 255), (206, 43, 55)],
    [(255, 255, 255), (0, 57, 166), (213, 43, 30)],
    [(253, 185, 19), (0, 106, 68), (193, 39, 45)],
    [(116, 172, 223), (255, 255, 255), (116, 172, 223)],
]


def pictures() -> Iterator[tuple[str, Pixels]]:
    """Name and pixels, uint8 of shape (360, 480, 3), of each; the same every time."""
    yield from ((f"noise-{i}", noise(i, 0.5 * 2 ** (i / 2))) for i in range(12))
    yield from ((f"flat-{i}", _flat(color)) for i, color in enumerate(_COLORS))
    yield from ((f"gradient-{i}", _gradient(_COLORS[i], _COLORS[(i + 3) % 8], 45 * i)) for i in range(8))
    yield from ((f"checkerboard-{side}", _checkerboard(side)) for side in (6, 12, 24, 40, 60, 120))
    yield from ((f"circles-{i}", _circles(i)) for i in range(8))
    yield from ((f"flag-{i}", _flag(colors, standing=i % 2 == 1)) for i, colors in enumerate(_FLAGS))
    yield from ((f"sky-{i}", _sky(i)) for i in range(10))


def noise(seed: int, blur: float) -> Pixels:
    """Noise in color, blurred by a Gaussian of so many pixels, at full contrast."""
    random = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(random).filter(ImageFilter.GaussianBlur(blur)), np.float64)
    low, high = smooth.min(), smooth.max()
    return np.asarray((smooth - low) * 255 / (high - low), np.uint8)


def as_jpeg(pixels: Pixels, quality: int = 85) -> bytes:
    """The picture as a camera would save it, with its colors at half size."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


def opened(data: bytes) -> Pixels:
    """The pixels of a JPEG as they are stored."""
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"))


def _flat(color: tuple[int, int, int]) -> Pixels:
    return np.full((HEIGHT, WIDTH, 3), color, np.uint8)


def _grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Row and column of each pixel, −1 to 1."""
    down, across = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    return down, across


def _mixed(share: NDArray[np.float64], one: tuple[int, int, int], other: tuple[int, int, int]) -> Pixels:
    part = np.clip(share, 0, 1)[..., None]
    return (np.array(one) * (1 - part) + np.array(other) * part).astype(np.uint8)


def _gradient(one: tuple[int, int, int], other: tuple[int, int, int], degrees: float) -> Pixels:
    down, across = _grid()
    angle = np.deg2rad(degrees)
    return _mixed((down * np.sin(angle) + across * np.cos(angle)) / 2.9 + 0.5, one, other)


def _checkerboard(side: int) -> Pixels:
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH] // side
    return _mixed(((down + across) % 2).astype(float), (30, 30, 30), (230, 225, 215))


def _circles(number: int) -> Pixels:
    """Plates, coins and ripples as they look from straight above."""
    down, across = _grid()
    distance = np.hypot(down * HEIGHT / WIDTH, across)
    share = np.cos(distance * (6 + 5 * number)) / 2 + 0.5 if number % 2 else (distance < 0.3 + 0.05 * number).astype(float)
    return _mixed(share, _COLORS[number], _COLORS[(number + 1) % 8])


def _flag(colors: list[tuple[int, int, int]], *, standing: bool) -> Pixels:
    length = WIDTH if standing else HEIGHT
    stripe = np.array(colors, np.uint8)[np.arange(length) * len(colors) // length]
    return np.ascontiguousarray(np.broadcast_to(stripe[None] if standing else stripe[:, None], (HEIGHT, WIDTH, 3)))


def _sky(number: int) -> Pixels:
    """Blue that fades in some direction, with soft clouds."""
    blue = _gradient((70 + 8 * number, 130, 220), (190, 215, 245), 36 * number).astype(float)
    cloud = noise(100 + number, 14).mean(axis=2, keepdims=True) / 255
    part = np.clip((cloud - 0.55) * 4, 0, 1)
    return np.asarray(blue * (1 - part) + 250 * part).astype(np.uint8)
