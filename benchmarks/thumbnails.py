"""How far thumbnails can be believed: what `--first-look thumbnail` confirms, what it misses by that, and whether lies pass.

    python -m benchmarks.thumbnails ../shared/photos/val-0.zip --every 3

Each photo is enlarged, given the grain of a sensor, turned in four ways and stored with a thumbnail, which is true, or was not
turned with the photo. Of each file the first bytes are looked at, as many as hold 8 % of what is behind
the metadata: of photos of 12 megapixels 6 % suffice for as many rows, as the last two are not counted.
"""

import argparse
import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.photos.make import camera_exif
from orientd import formats
from orientd.config import Config
from orientd.decode.cpu import CpuDecoder
from orientd.decode.thumbnail import glance
from orientd.formats import jpeg
from orientd.infer.engine import Engine
from orientd.judge.judge import UPRIGHT_AT_A_GLANCE
from orientd.judge.policy import DEFAULT, decide, needs_second_look
from orientd.pipeline.stages import chosen_model
from orientd.records import FileStat, Photo, Verdict

ENLARGED, GRAIN, QUALITY, SHARE = 4, 6.0, 90, 0.08
QUARTERS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


def photos(archive: Path, every: int) -> Iterator[Image.Image]:
    with zipfile.ZipFile(archive) as members:
        for number, name in enumerate(sorted(members.namelist())[::every]):
            with Image.open(io.BytesIO(members.read(name))) as image:
                large = image.convert("RGB").resize((ENLARGED * image.width, ENLARGED * image.height), Image.Resampling.BICUBIC)
            grain = np.random.default_rng(number).normal(0, GRAIN, (large.height, large.width, 1))
            yield Image.fromarray((np.asarray(large) + grain).clip(0, 255).astype(np.uint8))


def stored(image: Image.Image, thumbnail_of: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY, exif=camera_exif(thumbnail_of))
    return file.getvalue()


def as_photo(data: bytes) -> Photo:
    return Photo(
        "", FileStat(0, 0, len(data), 0), formats.sniff(data), data, formats.stored_orientation(formats.sniff(data), data), ""
    )


def front(data: bytes) -> bytes:
    scan = list(jpeg.segments(data))[-1].end
    return data[: scan + round(SHARE * (len(data) - scan))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--every", type=int, default=1, help="Take every n-th photo.")
    options = parser.parse_args()
    engine, policy = Engine(chosen_model(Config()).path), DEFAULT
    size, found = engine.spec.input_size, Counter[str]()
    decoder = CpuDecoder(size)
    for upright in photos(options.archive, options.every):
        turned = {turn: upright.transpose(quarter) for turn, quarter in QUARTERS.items()}
        for turn, image in {0: upright, **turned}.items():
            data, kind = stored(image, image), "wrong" if turn else "upright"
            found[kind] += 1
            if not (picture := glance(as_photo(front(data)), size)):
                continue
            found[f"{kind}, thumbnail believed"] += 1
            if engine.look(picture.pixels[None])[0].probabilities[0] < UPRIGHT_AT_A_GLANCE:
                continue
            found[f"{kind}, confirmed as upright"] += 1
            pixels = decoder.decode(as_photo(data)).pixels
            first = engine.look(pixels[None])[0]
            decision = decide(engine.look_again(pixels) if needs_second_look(first, policy) else first, policy)
            found[f"{kind}, confirmed as upright, by itself {decision.verdict.value}"] += 1
            found["wrong, not fixed for it"] += decision.verdict is Verdict.FIX and decision.turn == turn
        for image in turned.values():
            for lying in (stored(image, upright), stored(upright, image)):
                found["thumbnails that lie"] += 1
                found["thumbnails that lie, believed"] += glance(as_photo(front(lying)), size) is not None
    found["wrong, not fixed for it"] += 0
    found["thumbnails that lie, believed"] += 0
    print("| photos | number |\n|---|---|")
    print("\n".join(f"| {what} | {number:,} |" for what, number in sorted(found.items())))


if __name__ == "__main__":
    main()
