"""Labels to look at by eye: a list of the photos that models doubt most, and contact sheets of them."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from orientd.infer.engine import Engine
from orientd_training.data.photoset import PhotoSet
from orientd_training.evaluate.labels import Doubt, doubts
from orientd_training.evaluate.mistakes import Case
from orientd_training.files import replacing
from orientd_training.report import contact_sheets

LIST: Final = "labels.csv"
_SHEET: Final = "labels-{:02d}.jpg"
_ON_A_SHEET: Final = 48


def look(models: Sequence[Path], photos: PhotoSet, out: Path, share: float, pictures: int) -> list[Doubt]:
    """Write the list of the doubted `share` (0–1) and sheets with `pictures` of them, evenly spread over the order.

    Raises:
        ModelError: a file is no model of orientd.
        StateError: `out` cannot be written.
    """
    found = doubts([Engine(model) for model in models], photos, share, len(os.sched_getaffinity(0)))
    with replacing(out / LIST) as partial, partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(("rank", "name", "group", "upright", "turn", *(model.stem for model in models)))
        for its in found:
            said = (f"{probability:.4f}" for probability in its.by_model)
            writer.writerow((its.rank, its.name, its.group, f"{its.upright:.4f}", its.turn, *said))
    chosen = np.unique(np.linspace(0, len(found) - 1, min(pictures, len(found))).round().astype(int))
    for number, start in enumerate(range(0, len(chosen), _ON_A_SHEET), 1):
        some = [found[place] for place in chosen[start : start + _ON_A_SHEET]]
        tiles = [contact_sheets.tile(photos.pixels[its.photo], 0) for its in some]
        with replacing(out / _SHEET.format(number)) as partial:
            partial.write_bytes(contact_sheets.jpeg(contact_sheets.sheet(tiles, [_case(its) for its in some])))
    return found


def _case(its: Doubt) -> Case:
    """For its caption."""
    what = f"number {its.rank}, upright"
    return Case(its.photo, its.name, its.group, 0, its.turn, its.upright, "", 0.0, 8, what)
