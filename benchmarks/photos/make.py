"""Make photos to measure with: as large, as noisy and as stored as those of cameras.

    python -m benchmarks.photos.make --out /tmp/photos --scenes 24 --from ../shared/photos/val-0.zip

What is seen comes from small photos, enlarged (`--from`, a ZIP archive or a folder, is read in place), or is drawn. Over it lies
the noise of a sensor: each pixel of a Bayer mosaic counts photons of one colour, and the other two are interpolated. So a file
has as many bytes to decode as one of a camera, which a smooth drawing has not. Every scene is stored in each of `KINDS`, so that
the kinds of one size differ in nothing but how they are stored.
"""

import argparse
import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Plane = NDArray[np.floating[Any]]  # of 32 bits

QUALITY = 92
THUMBNAIL = 160, 120
SIDES = {12: (4000, 3000), 24: (6000, 4000)}
_SUFFIXES = (".avif", ".jpg", ".jpeg", ".png", ".webp")
_FULL_WELL = 150  # photons at white, few: so 12 MP come to 4 to 5 MB, as of cameras, whose detail an enlargement lacks


class Kind(NamedTuple):
    """How a photo is stored; `megapixels` is a key of SIDES."""

    megapixels: int
    sampling: str = "4:2:0"
    progressive: bool = False
    exif: bool = True  # with an orientation and a thumbnail, as cameras write it

    @property
    def name(self) -> str:
        form = "progressive" if self.progressive else self.sampling
        return f"{self.megapixels} MP {form}{'' if self.exif else ' bare'}"


KINDS = (
    Kind(12),
    Kind(12, exif=False),
    Kind(12, "4:2:2"),
    Kind(12, progressive=True),
    Kind(24),
    Kind(24, "4:2:2"),
    Kind(24, progressive=True),
)


def folder_of(kind: Kind) -> str:
    """The name of its folder, free of blanks and colons."""
    return kind.name.replace(" ", "-").replace(":", "")


def drawn(seed: int) -> Image.Image:
    """A landscape of 384 x 288 pixels: sky, ridges one behind the other, houses."""
    random = np.random.default_rng(seed)
    width, height = 384, 288
    sky = np.linspace(random.integers(90, 150, 3), random.integers(190, 256, 3), height)
    image = Image.fromarray(np.repeat(sky[:, None], width, 1).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for level, horizon in enumerate((120, 150, 190)):
        ridge = horizon + np.cumsum(random.normal(0, 4, width // 8 + 1)) - 4 * level
        line = [(8.0 * i, float(y)) for i, y in enumerate(ridge)]
        draw.polygon(
            [(0, height), *line, (width, height)], fill=tuple(int(c) // (level + 1) for c in random.integers(60, 160, 3))
        )
    for x, y, side in zip(random.integers(0, 340, 5), random.integers(200, 270, 5), random.integers(14, 40, 5), strict=True):
        x, y, side = int(x), int(y), int(side)
        draw.rectangle((x, y - side, x + side, y), fill=tuple(random.integers(90, 230, 3).tolist()))
        draw.polygon([(x - 3, y - side), (x + side // 2, y - 2 * side), (x + side + 3, y - side)], fill=(140, 50, 40))
    return image


def scenes(source: Path | None, number: int, seed: int = 1) -> list[bytes]:
    """`number` small pictures as files in memory: out of a ZIP archive or a folder, chosen by chance, or drawn.

    A model is sure of the drawn ones; so that it looks twice at 8 %, as at photos, every twelfth lies on its side.
    """
    if source is None:
        return [_packed(drawn(seed + i).rotate(90 * (i % 12 == 11), expand=True)) for i in range(number)]
    random = np.random.default_rng(seed)
    if source.is_dir():
        paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in _SUFFIXES)
        return [paths[i].read_bytes() for i in random.permutation(len(paths))[:number]]
    with zipfile.ZipFile(source) as archive:
        names = sorted(name for name in archive.namelist() if name.lower().endswith(_SUFFIXES))
        return [archive.read(names[i]) for i in random.permutation(len(names))[:number]]


def _packed(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def photograph(scene: Image.Image, sides: tuple[int, int], seed: int) -> Image.Image:
    """`scene` on a sensor of `sides` pixels (width, height, even), turned if it stands; what is too much is cut off."""
    random = np.random.default_rng(seed)
    if scene.height > scene.width:
        sides = sides[1], sides[0]
    scale = max(sides[0] / scene.width, sides[1] / scene.height)
    width, height = sides[0] / scale, sides[1] / scale
    left, top = (scene.width - width) / 2, (scene.height - height) / 2
    light = np.asarray(scene.convert("RGB").resize(sides, Image.Resampling.BICUBIC, (left, top, left + width, top + height)))
    return _developed(light, random)


def _developed(light: NDArray[np.uint8], random: np.random.Generator) -> Image.Image:
    """What a Bayer mosaic (RGGB) makes of `light` of shape (height, width, 3), interpolated bilinearly."""

    def counted(row: int, column: int, channel: int) -> Plane:
        photons = (light[row::2, column::2, channel].astype(np.float32) / 255) ** 2.2 * _FULL_WELL
        photons += np.sqrt(photons + 4) * random.standard_normal(photons.shape, np.float32)
        return 255 * (photons.clip(0, _FULL_WELL) / _FULL_WELL) ** np.float32(1 / 2.2)

    size = light.shape[1], light.shape[0]
    red, blue = (_enlarged(counted(row, row, channel), size) for row, channel in ((0, 0), (1, 2)))
    green = _green(counted(0, 1, 1), counted(1, 0, 1))
    return Image.fromarray(np.stack([red, green, blue], 2).clip(0, 255).astype(np.uint8))


def _enlarged(plane: Plane, size: tuple[int, int]) -> Plane:
    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR))


def _green(upper: Plane, lower: Plane) -> Plane:
    """The green plane: as counted on every other pixel, as on a chessboard, between them the mean of four neighbours."""
    height, width = upper.shape
    plane = np.zeros((2 * height + 2, 2 * width + 2), np.float32)
    plane[1:-1:2, 2:-1:2], plane[2:-1:2, 1:-1:2] = upper, lower
    plane[0], plane[-1], plane[:, 0], plane[:, -1] = plane[2], plane[-3], plane[:, 2], plane[:, -3]
    between = (plane[:-2, 1:-1] + plane[2:, 1:-1] + plane[1:-1, :-2] + plane[1:-1, 2:]) / 4
    return plane[1:-1, 1:-1] + between * _chessboard(2 * height, 2 * width)


def _chessboard(height: int, width: int) -> Plane:
    return np.tile(np.eye(2, dtype=np.float32), (height // 2, width // 2))


def camera_exif(image: Image.Image) -> bytes:
    """EXIF as cameras write it: make, model, orientation 1, and in IFD1 a JPEG of at most 160 x 120 (CIPA DC-008, 4.6)."""
    small = image.reduce(8)
    small.thumbnail(THUMBNAIL)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80)
    thumbnail = file.getvalue()
    texts, first, second = b"orientd\0benchmark\0", 8 + 18, 8 + 18 + 2 + 3 * 12 + 4
    behind = second + 2 + 3 * 12 + 4
    ifd0 = _ifd([(0x010F, 2, 8, 8), (0x0110, 2, 10, 16), (0x0112, 3, 1, 1)], second)
    ifd1 = _ifd([(0x0103, 3, 1, 6), (0x0201, 4, 1, behind), (0x0202, 4, 1, len(thumbnail))], 0)
    return b"Exif\0\0II*\0" + struct.pack("<I", first) + texts + ifd0 + ifd1 + thumbnail


def _ifd(entries: Sequence[tuple[int, int, int, int]], following: int) -> bytes:
    """A directory of (tag, type, count, value or offset), in little-endian."""
    return (
        struct.pack("<H", len(entries))
        + b"".join(struct.pack("<HHII", *entry) for entry in entries)
        + struct.pack("<I", following)
    )


def store(image: Image.Image, kind: Kind, path: Path) -> None:
    """Write it as that kind."""
    exif = camera_exif(image) if kind.exif else b""
    image.save(path, "JPEG", quality=QUALITY, subsampling=kind.sampling, progressive=kind.progressive, exif=exif)


def _make(out: Path, kinds: Sequence[Kind], sides: Mapping[int, tuple[int, int]], number: int, scene: bytes) -> None:
    with Image.open(io.BytesIO(scene)) as opened:
        upright = opened.convert("RGB")
    for megapixels in sorted({kind.megapixels for kind in kinds}):
        image = photograph(upright, sides[megapixels], number)
        for kind in (each for each in kinds if each.megapixels == megapixels):
            store(image, kind, out / folder_of(kind) / f"{number:04}.jpg")


def make(
    out: Path,
    number: int,
    source: Path | None = None,
    kinds: Sequence[Kind] = KINDS,
    sides: Mapping[int, tuple[int, int]] = SIDES,
) -> None:
    """Write `number` scenes in each of `kinds`, a folder for each kind, by all cores; `sides` in pixels by megapixels."""
    for kind in kinds:
        (out / folder_of(kind)).mkdir(parents=True, exist_ok=True)
    pictures = scenes(source, number)
    with ProcessPoolExecutor() as pool:  # what this process holds would count as the peak of its children
        list(pool.map(partial(_make, out, kinds, sides), range(len(pictures)), pictures))


def tiny(out: Path, number: int, folder_size: int) -> None:
    """`number` files in folders of `folder_size`, each a JPEG of 64 x 48 pixels and an inode of its own.

    Further names of one file (hard links) would not do: a walk knows them by their inode and leaves them alone.
    """
    file = io.BytesIO()
    drawn(14).resize((64, 48)).save(file, "JPEG")  # of which the model is sure at the first look
    data = file.getvalue()
    for i in range(number):
        if i % folder_size == 0:
            folder = out / f"{i // folder_size:04}"
            folder.mkdir(parents=True)
        with open(folder / f"{i:07}.jpg", "wb", 0) as written:
            written.write(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--from", dest="source", type=Path, help="a ZIP archive or a folder of small upright photos")
    parser.add_argument("--reduced", type=int, default=1, help="make the sides so many times shorter, to try things out")
    parser.add_argument("--tiny", type=int, default=0, help="so many tiny files besides, for the walk")
    parser.add_argument("--folders-of", type=int, default=1000, help="so many of them in each folder")
    options = parser.parse_args()
    tiny(options.out / "tiny", options.tiny, options.folders_of)
    if not options.scenes:
        return
    sides = {megapixels: (width // options.reduced, height // options.reduced) for megapixels, (width, height) in SIDES.items()}
    make(options.out, options.scenes, options.source, sides=sides)
    for kind in KINDS:
        sizes = [path.stat().st_size / 1e6 for path in (options.out / folder_of(kind)).iterdir()]
        print(f"{kind.name}: {len(sizes)} photos of {min(sizes):.1f} to {max(sizes):.1f} MB, {np.mean(sizes):.1f} in the mean")


if __name__ == "__main__":
    main()
