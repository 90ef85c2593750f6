"""Contact sheets: photos as they were shown to the model, each with a caption."""

from collections.abc import Sequence
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from orientd import orientation
from orientd_training.evaluate.mistakes import Case

SIDE: Final = 176
_COLUMNS: Final = 8
_GAP: Final = 8
_CAPTION: Final = 44


def tile(pixels: NDArray[np.uint8], needs: int, side: int = SIDE) -> Image.Image:
    """An upright photo (S, S, 3) as it looks when it needs a turn of `needs` degrees clockwise."""
    shown = orientation.apply(np.asarray(pixels), orientation.inverse(orientation.from_turn(needs)))
    image = Image.fromarray(np.ascontiguousarray(shown))
    return image if image.width == side else image.resize((side, side), Image.Resampling.LANCZOS)


def jpeg(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=80, optimize=True)
    return file.getvalue()


def sheet(pictures: Sequence[Image.Image], cases: Sequence[Case]) -> Image.Image:
    """Pictures of one size with captions, row by row; needs at least one."""
    side = pictures[0].width
    columns = min(_COLUMNS, len(pictures))
    across, down = side + _GAP, side + _CAPTION + _GAP
    canvas = Image.new("RGB", (columns * across + _GAP, -(-len(pictures) // columns) * down + _GAP), (24, 24, 27))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    for i, (picture, case) in enumerate(zip(pictures, cases, strict=True)):
        x, y = _GAP + i % columns * across, _GAP + i // columns * down
        canvas.paste(picture, (x, y))
        for line, text in enumerate(caption(case)):
            draw.text((x, y + side + 2 + 14 * line), _fitting(text, side, font), fill=(225, 225, 228), font=font)
    return canvas


def caption(case: Case) -> tuple[str, str, str]:
    """Name; what it needed and what was found, how surely; what came of it."""
    name = case.name.encode("utf-8", "backslashreplace").decode()
    return name, f"needs {case.shown}°, found {case.found}°", f"{case.what}, {case.confidence:.3f}"


def _fitting(text: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """The end of a text that is too long: that is where names differ."""
    while font.getlength(text) > width:
        text = "…" + text[2:]
    return text
