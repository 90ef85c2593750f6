"""The memory that decoding large photos takes, each in a process of its own, next to the estimate made before decoding.

    python -m benchmarks.cpu.large_photos --megapixels 48 [--kinds heic-grid png …]

Memory is the growth of the largest resident size (VmHWM) of a process that has its libraries loaded.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image

SIZE = 384
MEBIBYTE = 2**20
DECODE = """
import re, sys, time
from orientd import formats
from orientd.decode.cpu import CpuDecoder
from orientd.formats.footprint import footprint
from orientd.records import FileStat, Photo

path, whole, size = sys.argv[1], sys.argv[2] == "whole", int(sys.argv[3])
data = open(path, "rb").read()
kind = formats.sniff(data)
photo = Photo(path, FileStat(0, 0, 0, 0), kind, data, formats.stored_orientation(kind, data), "")
decoder = CpuDecoder(size, 2**31)
used = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
before, start = used(), time.process_time()
decoder.decode(photo, whole=whole)
print(used() - before, footprint(kind, data, whole=whole), time.process_time() - start)
"""

Save = Callable[[Image.Image, Path], None]


def by_pillow(**options: object) -> Save:
    return lambda image, path: image.save(path, **options)


def by_libheif(**options: object) -> Save:
    return lambda image, path: pillow_heif.from_pillow(image).save(path, quality=70, **options)


KINDS: dict[str, tuple[str, Save]] = {
    "jpeg": (".jpg", by_pillow(quality=85)),
    "jpeg-progressive": (".jpg", by_pillow(quality=85, progressive=True)),
    "png": (".png", by_pillow(compress_level=1)),
    "tiff": (".tif", by_pillow(compression="tiff_lzw")),
    "bmp": (".bmp", by_pillow()),
    "webp": (".webp", by_pillow(quality=80, method=0)),
    "avif": (".avif", by_pillow(speed=10)),
    "jpeg2000": (".jp2", by_pillow(quality_mode="rates", quality_layers=[20])),
    "heic": (".heic", by_libheif()),
    "heic-grid": (".heic", by_libheif(tile_size=512)),
}


def drawn(megapixels: float) -> Image.Image:
    """Soft colors with some structure, 4:3."""
    height = int((megapixels * 1e6 * 3 / 4) ** 0.5) // 8 * 8
    small = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    return Image.fromarray(small).resize((height * 4 // 3, height), Image.Resampling.BICUBIC)


def measured(path: Path, how: str, size: int) -> tuple[int, int, float]:
    """Bytes taken, bytes counted before, seconds of processor time."""
    run = subprocess.run([sys.executable, "-c", DECODE, path, how, str(size)], capture_output=True, text=True, check=True)
    taken, counted, seconds = run.stdout.split()
    return int(taken), int(counted), float(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=48)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--size", type=int, default=SIZE)
    given = parser.parse_args()
    Image.MAX_IMAGE_PIXELS = None
    image = drawn(given.megapixels)
    print(f"| {image.width} × {image.height} | look | MiB taken | bytes a pixel | MiB counted | s of processor |")
    print("|---|---|---|---|---|---|", flush=True)
    for kind in given.kinds:
        suffix, save = KINDS[kind]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"photo{suffix}"
            save(image, path)
            for how in ("first", "whole"):
                taken, counted, seconds = measured(path, how, given.size)
                each = taken / image.width / image.height
                print(
                    f"| {kind} | {how} | {taken / MEBIBYTE:.0f} | {each:.1f} | {counted / MEBIBYTE:.0f} | {seconds:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
