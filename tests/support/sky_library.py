"""A library of drawn landscapes for a model to which the brightest half is the sky, and the command that scans it."""

import csv
import hashlib
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from support.onnx_graphs import SPEC, sky_finder

from orientd.cli.main import main
from orientd.infer.spec import ModelSpec
from orientd.orientation import from_turn, inverse

ORIENTATION = 0x0112
SURE = ModelSpec("sky", SPEC.input_size, temperature=0.05, temperature_views=0.05)


def model(folder):
    """A model that is sure of itself, as a file."""
    return sky_finder(folder / "sky.onnx", spec=SURE)


def landscape(seed=0, width=96, height=64):
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 60, (height, width, 3), np.uint8)
    pixels[: height // 2] += 180
    return Image.fromarray(pixels)


def draw(path, turn=0, by_tag=True, seed=0, kind="JPEG"):
    """Write a landscape that needs `turn` degrees clockwise to be shown upright."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image, exif = landscape(seed), Image.Exif()
    exif[0x010F] = "a camera"
    if by_tag:
        exif[ORIENTATION] = inverse(from_turn(turn))
    elif turn:
        image = image.rotate(turn, expand=True)
    image.save(path, kind, exif=exif)
    return path


def library(folder, number=8):
    """Landscapes, every second of them sideways or upside down; returns the turn each path needs."""
    needs = {}
    for i in range(number):
        turn = (0, 90, 0, 180, 0, 270)[i % 6]
        needs[str(draw(folder / f"{i % 3}" / f"{i:03}.jpg", turn, by_tag=i % 4 < 2, seed=i))] = turn
    return needs


def run(*arguments, monkeypatch):
    """Run the command in this process; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["orientd", *map(str, arguments)])
    try:
        main()
    except SystemExit as ended:
        return ended.code
    raise AssertionError("main() must exit")


def rows(report):
    with Path(report).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def snapshot(folder):
    """Bytes and times of every file below a folder."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            stat = os.lstat(path)
            found[str(path)] = (hashlib.sha256(path.read_bytes()).hexdigest(), stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return found


def shown_turned(path):
    """How far (degrees clockwise) the landscape must be turned from how Pillow shows it."""
    with Image.open(path) as image:
        stored = 1 if image.format == "TIFF" else image.getexif().get(ORIENTATION, 1)  # Pillow turns TIFFs itself
        pixels = np.asarray(image.convert("L")).astype(int)
    from orientd import orientation

    shown = orientation.apply(pixels, orientation.normalise(stored))
    height, width = shown.shape
    halves = (shown[: height // 2], shown[:, : width // 2], shown[height // 2 :], shown[:, width // 2 :])
    return 90 * int(np.argmax([half.mean() for half in halves]))
