"""Upright photos decoded once to a compact cache: `pixels.npy` (uint8, N × S × S × 3) and `manifest.csv` beside it.

A source is a folder of photos or a zip of folders; the top folder of a photo's name is its *group*: the album or collection it
comes from. Photos are squeezed to a square as `orientd.spec.ModelSpec` says, so that the network is trained on what it is served.
"""

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from orientd.errors import ConfigError

EXTENSIONS = {".avif", ".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}


@dataclass(frozen=True)
class PhotoSet:
    """A prepared cache. `pixels` is memory-mapped uint8 (N, S, S, 3) RGB, upright; `names` and `groups` have N entries."""

    pixels: NDArray[np.uint8]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    digest: str

    @property
    def size(self) -> int:
        return int(self.pixels.shape[1])

    def __len__(self) -> int:
        return len(self.names)


def prepare(sources: list[Path], out: Path, size: int, limit: int | None = None) -> tuple[int, list[str]]:
    """Decode every photo of `sources` into the cache folder `out`; returns how many, and the unreadable ones with reasons.

    Raises:
        ConfigError: a source does not exist or nothing in the sources could be decoded.
    """
    members = list(islice(_members(sources), limit))
    out.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, str]] = []
    bad: list[str] = []
    pixels = np.lib.format.open_memmap(
        out / "pixels.partial.npy", mode="w+", dtype=np.uint8, shape=(max(len(members), 1), size, size, 3)
    )
    with ThreadPoolExecutor() as pool:
        for (name, group, _), square in zip(members, pool.map(lambda m: _square(m[2], size), members), strict=True):
            if isinstance(square, str):
                bad.append(f"{name}: {square}")
                continue
            pixels[len(rows)] = square
            rows.append((name, group))
    if not rows:
        raise ConfigError(f"no photo could be decoded in {', '.join(map(str, sources))}: give folders or zips of upright photos")
    pixels.flush()
    _finish(out, rows, pixels)
    return len(rows), bad


def load(folder: Path) -> PhotoSet:
    """Open a cache that `prepare` made.

    Raises:
        ConfigError: there is no complete cache in `folder`.
    """
    try:
        pixels = np.load(folder / "pixels.npy", mmap_mode="r")
        with (folder / "manifest.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        digest = hashlib.sha256((folder / "manifest.csv").read_bytes()).hexdigest()[:16]
        return PhotoSet(pixels[: len(rows)], tuple(r["name"] for r in rows), tuple(r["group"] for r in rows), digest)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{folder} holds no prepared photos ({error}): run orientd-train prepare first") from error


def _finish(out: Path, rows: list[tuple[str, str]], pixels: NDArray[np.uint8]) -> None:
    """The manifest comes last under its final name: a cache without one is incomplete."""
    (out / "pixels.partial.npy").rename(out / "pixels.npy")
    with (out / "manifest.partial.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "group", "sha256"])
        writer.writerows((*row, hashlib.sha256(pixels[i].tobytes()).hexdigest()[:16]) for i, row in enumerate(rows))
    (out / "manifest.partial.csv").rename(out / "manifest.csv")


def _members(sources: list[Path]) -> Iterator[tuple[str, str, Any]]:
    """Each photo as (name, group, something `Image.open` takes after a call)."""
    for source in sources:
        if source.suffix == ".zip" and source.is_file():
            archive = zipfile.ZipFile(source)
            names = sorted(n for n in archive.namelist() if Path(n).suffix.lower() in EXTENSIONS)
            yield from ((n, n.split("/")[0], lambda a=archive, n=n: io.BytesIO(a.read(n))) for n in names)
        elif source.is_dir():
            paths = sorted(p for p in source.rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file())
            for path in paths:
                inside = path.relative_to(source)
                yield str(inside), inside.parts[0] if len(inside.parts) > 1 else source.name, lambda p=path: p
        else:
            raise ConfigError(f"{source} is neither a folder nor a zip of photos")


def _square(opened: Any, size: int) -> NDArray[np.uint8] | str:
    try:
        with Image.open(opened()) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
            return np.asarray(upright.resize((size, size), Image.Resampling.BILINEAR))
    except (OSError, ValueError, SyntaxError, zipfile.BadZipFile) as error:
        return str(error) or type(error).__name__
