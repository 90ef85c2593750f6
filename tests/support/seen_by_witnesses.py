"""Pictures for the tests of witnesses: drawn ones and, where they are there, photos to read in place."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

SHARED = Path(__file__).parents[3] / "shared"
WITNESSES = ("scene-288", "pages", "faces", "people", "surroundings", "things")


def page():
    """A letter with a heading, upright."""
    image = Image.new("RGB", (480, 640), "white")
    draw = ImageDraw.Draw(image)
    draw.text((40, 30), "Minutes of the meeting", font=ImageFont.load_default(30), fill="black")
    for line in range(20):
        text = "The committee thanked all who had come to the spring"
        draw.text((40, 90 + 26 * line), text, font=ImageFont.load_default(16), fill="black")
    return np.asarray(image)


def noise(seed, height, width, cell):
    """Cells of color that are nowhere alike."""
    cells = np.random.default_rng(seed).integers(0, 256, (-(-height // cell), -(-width // cell), 3), np.uint8)
    return cells.repeat(cell, 0).repeat(cell, 1)[:height, :width]


def people():
    """Three people, upright, (192, 256, 3); skips the test where the photos are not there."""
    photos = SHARED / "photos" / "val-0.zip"
    if not photos.is_file():
        pytest.skip("the photos are not here")
    with zipfile.ZipFile(photos) as archive:
        return np.asarray(Image.open(io.BytesIO(archive.read("album-07/00001.avif"))).convert("RGB"))


def hiker():
    """A person who stands in a landscape, upright, (640, 427, 3); skips the test where the photo is not there."""
    photo = SHARED / "corpus" / "portrait-1.jpg"
    if not photo.is_file():
        pytest.skip("the corpus is not here")
    image = Image.open(photo).convert("RGB")
    image.thumbnail((640, 640))
    return np.asarray(image)
