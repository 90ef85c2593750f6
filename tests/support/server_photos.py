"""Landscapes as the bytes that are uploaded to a photo server, and what its previews show."""

import io

import numpy as np
from PIL import Image
from support import sky_library

from orientd.orientation import from_turn, inverse


def landscape(turn=0, seed=0, by_tag=False, width=480, height=320):
    """A JPEG of a landscape that needs so many degrees clockwise to be shown upright."""
    image, exif = sky_library.landscape(seed, width, height), Image.Exif()
    if by_tag:
        exif[sky_library.ORIENTATION] = inverse(from_turn(turn))
    elif turn:
        image = image.rotate(turn, expand=True)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=92, exif=exif)
    return out.getvalue()


def pixels(data, side=64):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((side, side), Image.Resampling.BILINEAR))
