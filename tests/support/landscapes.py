"""Landscapes with a right way up, for trainings that must learn something: python tests/support/landscapes.py FOLDER [NUMBER]."""

import sys
from math import isqrt
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE = 96


def landscape(seed):
    """Sky, hills, houses and trees; whole numbers throughout, so that every machine draws the same."""
    random = np.random.default_rng(seed)

    def between(low, high):
        return int(random.integers(low, high))

    sky, land = [between(110, 256) for _ in range(3)], [between(10, 130) for _ in range(3)]
    image = Image.new("RGB", (SIDE, SIDE), tuple(sky))
    draw = ImageDraw.Draw(image)
    horizon = between(35, 65)
    for y in range(horizon):
        draw.line((0, y, SIDE, y), fill=tuple(min(255, c + (horizon - y) // 2) for c in sky))
    x, y, r = between(5, 90), between(5, 25), between(3, 8)
    draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 250, between(150, 230)))
    ridge = [(i * 12, horizon + between(-14, 6)) for i in range(9)]
    draw.polygon([(0, SIDE), *ridge, (SIDE, SIDE)], fill=tuple(land))
    for _ in range(between(1, 5)):
        x, y, size = between(0, 85), between(horizon + 8, 90), between(5, 13)
        draw.rectangle((x, y - size, x + size, y), fill=tuple(between(60, 220) for _ in range(3)))
        draw.polygon(
            [(x - 2, y - size), (x + size // 2, y - 2 * size), (x + size + 2, y - size)], fill=(between(90, 190), 30, 20)
        )
    for _ in range(between(0, 6)):
        x, y, size = between(0, 95), between(horizon + 5, 92), between(4, 12)
        draw.line((x, y, x, y - size), fill=(80, 50, 20), width=2)
        draw.polygon(
            [(x - size // 2, y - size // 2), (x, y - 2 * size), (x + size // 2, y - size // 2)], fill=(10, between(70, 150), 20)
        )
    grain = random.integers(-12, 13, (SIDE, SIDE, 3))
    return Image.fromarray((np.asarray(image).astype(int) + grain).clip(0, 255).astype(np.uint8))


def draw(folder, number, first=0):
    """Write them as PNG, which every machine reads alike, into six folders of unequal size."""
    for seed in range(first, first + number):
        path = Path(folder) / f"place-{isqrt(seed % 36)}" / f"{seed:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        landscape(seed).save(path)


if __name__ == "__main__":
    draw(sys.argv[1], int((sys.argv[2:] or ["240"])[0]))
