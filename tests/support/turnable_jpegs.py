"""Draws JPEGs that can be turned without loss, full of metadata, and reads DCT coefficients to judge them by."""

import ctypes
import io
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image, ImageCms
from support import jpeg_files
from support.jpeg_files import ASCII, LONG, RATIONAL, SHORT, Tag

from orientd import orientation as group
from orientd.errors import EngineUnavailable
from orientd.records import Format
from orientd.write import turbojpeg

BLOCKS = {"4:4:4": (8, 8), "4:2:2": (16, 8), "4:2:0": (16, 16), "grey": (8, 8)}
_NOOUTPUT = 16


def _there() -> bool:
    try:
        turbojpeg.TurboJpeg()
    except EngineUnavailable:
        return False
    return True


needs_turbojpeg = pytest.mark.skipif(not _there(), reason="libturbojpeg is not installed")


@dataclass(frozen=True)
class Recipe:
    """What a photo is like; `stored` None leaves the tag out, `exif` False the whole block."""

    width: int = 96
    height: int = 64
    sampling: str = "4:2:0"
    progressive: bool = False
    restart: bool = False
    exif: bool = True
    order: str = "big"
    stored: int | None = 1
    thumbnail: bool = True
    thumbnail_size: tuple[int, int] = (48, 32)
    behind_thumbnail: bytes = b""
    subject: tuple[int, ...] = (10, 20, 6, 4)
    others: bool = True
    density: tuple[int, int] = (72, 96)
    seed: int = 0
    trailer: bytes = b""


def pixels(width: int, height: int, seed: int, grey: bool = False) -> np.ndarray:
    """A smooth picture without symmetry, and some noise."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 17 + k) * 60 + np.cos(y / 11 - 2 * k) * 40 + x * 40 / width + 100 for k in range(3)]
    noise = np.random.default_rng(seed).integers(-12, 12, (height, width, 3))
    drawn = np.clip(np.stack(waves, -1) + noise, 0, 255).astype(np.uint8)
    drawn[height // 8 : height // 4, width // 8 : width // 3] = (230, 30, 40)
    return drawn[..., 0] if grey else drawn


def draw(recipe: Recipe) -> bytes:
    """The JPEG that the recipe describes."""
    plain = _encoded(pixels(recipe.width, recipe.height, recipe.seed, recipe.sampling == "grey"), recipe)
    added = [jpeg_files.app1(exif(recipe))] if recipe.exif else []
    if recipe.others:
        added += [
            jpeg_files.xmp_segment(_packet(recipe)),
            jpeg_files.segment(0xE2, b"ICC_PROFILE\0\1\1" + ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()),
            jpeg_files.segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0a" + b"\x1c\x02\x05\0\5title"),
            jpeg_files.segment(0xFE, b"a comment"),
        ]
    end = 4 + int.from_bytes(plain[4:6], "big")
    return plain[:end] + b"".join(added) + plain[end:] + recipe.trailer


def _encoded(drawn: np.ndarray, recipe: Recipe) -> bytes:
    out = io.BytesIO()
    more = {} if recipe.sampling == "grey" else {"subsampling": recipe.sampling}
    if recipe.restart:
        more["restart_marker_blocks"] = 3
    image = Image.fromarray(drawn)
    image.save(out, "JPEG", quality=88, progressive=recipe.progressive, dpi=recipe.density, **more)
    return out.getvalue()


def _packet(recipe: Recipe) -> bytes:
    stored = f'tiff:Orientation="{recipe.stored}"' if recipe.stored and recipe.exif else ""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" {stored} '
        f'tiff:ImageWidth="{recipe.width}" exif:PixelXDimension="{recipe.width}" tiff:ImageLength="{recipe.height}">'
        f"<exif:PixelYDimension>{recipe.height}</exif:PixelYDimension></rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def small(recipe: Recipe) -> bytes:
    """The thumbnail, as cameras write it: without JFIF."""
    out = io.BytesIO()
    Image.fromarray(pixels(*recipe.thumbnail_size, 9)).save(out, "JPEG", quality=60, subsampling="4:2:2", optimize=True)
    data = out.getvalue()
    return data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]


def exif(recipe: Recipe) -> bytes:
    """IFD0, the EXIF directory, IFD1 and a thumbnail. One side is a SHORT, the other a LONG, as some cameras do it."""
    order, thumbnail = recipe.order, small(recipe) if recipe.thumbnail else b""
    exif_at = second_at = thumbnail_at = 0
    for _ in range(2):  # the first pass tells where everything will stand, the second points there
        block = {"little": b"II*\0", "big": b"MM\0*"}[order] + (8).to_bytes(4, order)
        tags = [Tag(0x010F, ASCII, b"A camera\0")]
        tags += [Tag(0x0112, SHORT, recipe.stored.to_bytes(2, order))] if recipe.stored is not None else []
        tags += [Tag(tag, RATIONAL, _ratio(value, order)) for tag, value in zip((0x011A, 0x011B), recipe.density, strict=True)]
        tags += [Tag(0x8769, LONG, exif_at.to_bytes(4, order))]
        block += jpeg_files.directory(tags, 8, order, second_at)
        exif_at = len(block)
        block += jpeg_files.directory(_picture_tags(recipe), exif_at, order)
        if recipe.thumbnail:
            second_at = len(block)
            block += jpeg_files.directory(_second_tags(recipe, thumbnail_at, len(thumbnail)), second_at, order)
            thumbnail_at = len(block)
            block += thumbnail + recipe.behind_thumbnail
    return block


def _ratio(value: int, order: str) -> bytes:
    return value.to_bytes(4, order) + (1).to_bytes(4, order)


def _picture_tags(recipe: Recipe) -> list[Tag]:
    order = recipe.order
    tags = [Tag(0x9003, ASCII, b"2020:01:02 03:04:05\0")]
    if recipe.subject:
        tags.append(Tag(0x9214, SHORT, b"".join(number.to_bytes(2, order) for number in recipe.subject)))
    return [
        *tags,
        Tag(0xA002, SHORT, recipe.width.to_bytes(2, order)),
        Tag(0xA003, LONG, recipe.height.to_bytes(4, order)),
    ]


def _second_tags(recipe: Recipe, at: int, size: int) -> list[Tag]:
    order = recipe.order
    tags = [Tag(0x0103, SHORT, (6).to_bytes(2, order))]
    tags += [Tag(0x0112, SHORT, recipe.stored.to_bytes(2, order))] if recipe.stored is not None else []
    return [*tags, Tag(0x0201, LONG, at.to_bytes(4, order)), Tag(0x0202, LONG, size.to_bytes(4, order))]


class _Region(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_int) for name in "xywh")


_FILTER = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), _Region, _Region, ctypes.c_int, ctypes.c_int, ctypes.c_void_p
)


def coefficients(jpeg: bytes) -> list[np.ndarray]:
    """The quantised DCT coefficients of each component, of shape (rows of blocks, blocks, 8, 8), vertical frequency first."""
    rows: dict[int, list[np.ndarray]] = {}

    def note(numbers, row, plane, component, _index, _transform):
        found = np.ctypeslib.as_array(numbers, (row.w // 8, 8, 8)).copy()
        if row.y < plane.h:  # what fills up a coding unit is no part of the picture
            rows.setdefault(component, []).append(found)
        return 0

    library = ctypes.CDLL(turbojpeg._load()._name)
    library.tjInitTransform.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(library.tjInitTransform())
    filter_ = _FILTER(note)
    transform = turbojpeg._Transform(options=_NOOUTPUT, custom_filter=ctypes.cast(filter_, ctypes.c_void_p))
    out, size = ctypes.c_void_p(), ctypes.c_ulong()
    failed = library.tjTransform(
        handle, jpeg, ctypes.c_ulong(len(jpeg)), 1, ctypes.byref(out), ctypes.byref(size), ctypes.byref(transform), 0
    )
    library.tjDestroy(handle)
    assert not failed
    return [np.stack(rows[component]) for component in sorted(rows)]


def turned_coefficients(blocks: np.ndarray, orientation: int) -> np.ndarray:
    """The coefficients of the picture that `orientation` shows: a mirrored cosine of odd frequency changes its sign."""
    signs = np.where(np.arange(8) % 2, -1, 1).astype(np.int16)

    def mirrored(blocks):
        return blocks[:, ::-1] * signs

    def quarter(blocks):
        return mirrored(blocks.transpose(1, 0, 3, 2))

    mirror, quarters = {1: (0, 0), 2: (1, 0), 3: (0, 2), 4: (1, 2), 5: (1, 3), 6: (0, 1), 7: (1, 1), 8: (0, 3)}[orientation]
    blocks = mirrored(blocks) if mirror else blocks
    for _ in range(quarters):
        blocks = quarter(blocks)
    return blocks


def quantisers(jpeg: bytes) -> list[np.ndarray]:
    """The quantisation tables, each as numbers of shape (8, 8)."""
    with Image.open(io.BytesIO(jpeg)) as image:
        return [np.array(table).reshape(8, 8) for _, table in sorted(image.quantization.items())]


def rotated(rotator, data, by):
    return rotator.plan(Format.JPEG, data, by).apply(data)


def same_coefficients(before, after, by):
    """True if every component of `after` holds what `by` makes of that of `before`, its quantisers included."""
    old, new = coefficients(before), coefficients(after)
    swaps = group.swaps_sides(by)
    tables = [table.T if swaps else table for table in quantisers(before)]
    return (
        len(old) == len(new)
        and all(np.array_equal(turned_coefficients(one, by), other) for one, other in zip(old, new, strict=True))
        and all(np.array_equal(one, other) for one, other in zip(tables, quantisers(after), strict=True))
    )
