"""Drawn pictures of which no two look alike, for the tests that look for copies."""

import numpy as np
from PIL import Image


def scene(seed, side=96):
    """A picture like no other: soft blobs of random colours."""
    rough = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return np.asarray(Image.fromarray(rough).resize((side, side), Image.Resampling.BICUBIC))


def save(path, picture, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(picture)).save(path, **options)


def library(folder, albums=6, each=4):
    for album in range(albums):
        for i in range(each):
            save(folder / f"album-{album}" / f"{i}.jpg", scene(album * each + i))
    return folder
