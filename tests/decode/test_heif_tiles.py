"""Grids decoded tile by tile: the same picture as the whole, and never one where the whole is refused."""

import io
from contextlib import suppress

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support import decodable_photos, heif_files

from orientd import formats
from orientd.decode import heif_tiles
from orientd.decode.cpu import CpuDecoder
from orientd.errors import DecodeError
from orientd.formats import footprint
from orientd.records import FileStat, Format, Photo, Picture

SIZE, TILE = 32, 128
FAR = 1.0  # mean difference of the levels of two pictures, of 255


@pytest.fixture(autouse=True, scope="module")
def _small_photos_too():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(footprint, "TILED_FROM", 0)
        yield


def grid(width=640, height=384, orientation=1, mode="RGB", tile=TILE, **options):
    """A HEIC of tiles, upright once turned so, as libheif writes it."""
    picture = Image.fromarray(decodable_photos.scene(width, height)).convert(mode)
    exif = Image.Exif()
    exif[decodable_photos.ORIENTATION] = orientation
    file = io.BytesIO()
    heif = pillow_heif.from_pillow(picture)
    heif.save(file, quality=90, tile_size=tile, exif=exif.tobytes(), **options)
    return file.getvalue()


def decode(data: bytes, *, whole: bool, size: int = SIZE) -> Picture:
    stored = formats.stored_orientation(Format.HEIF, data)
    return CpuDecoder(size).decode(Photo("", FileStat(0, 0, 0, 0), Format.HEIF, data, stored, ""), whole=whole)


def apart(one: Picture, other: Picture) -> float:
    return float(np.abs(one.pixels.astype(int) - other.pixels).mean())


def both(data: bytes, size: int = SIZE) -> tuple[Picture, Picture]:
    return decode(data, whole=False, size=size), decode(data, whole=True, size=size)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_tiles_show_the_same_picture_as_the_whole(orientation):
    data = grid(orientation=orientation)
    tiles, whole = both(data)
    assert formats.stored_orientation(Format.HEIF, data) == (orientation if orientation > 1 else None)
    assert (tiles.whole, whole.whole) == (False, True)
    assert (tiles.width, tiles.height) == (whole.width, whole.height) == (640, 384)
    assert apart(tiles, whole) < FAR


@pytest.mark.parametrize("size", [(640, 384), (641, 383), (523, 777), (900, 260)])
@pytest.mark.parametrize(
    "options", [{}, {"chroma": 444}, {"matrix_coefficients": 1, "full_range_flag": 0}, {"save_nclx_profile": False}]
)
def test_edges_and_colors(size, options):
    tiles, whole = both(grid(*size, **options))
    assert not tiles.whole
    assert apart(tiles, whole) < FAR


def test_the_colors_that_the_file_tells_hold_for_tiles():
    data = grid()
    at = data.index(b"nclx") + 8
    other = data[:at] + b"\0\x09\0" + data[at + 3 :]  # BT.2020, limited range
    tiles, whole = both(other)
    assert not tiles.whole
    assert apart(tiles, whole) < FAR
    assert apart(whole, decode(data, whole=True)) > 4 * FAR


def test_the_comparison_sees_tiles_in_another_order(monkeypatch):
    data = grid()
    in_order = heif_tiles._tiles
    monkeypatch.setattr(heif_tiles, "_tiles", lambda listed: in_order(listed)[::-1])
    tiles, whole = both(data)
    assert not tiles.whole
    assert apart(tiles, whole) > 4 * FAR


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(lambda: heif_files.build(heif_files.Recipe()), id="no grid"),
        pytest.param(lambda: grid(mode="RGBA"), id="alpha"),
        pytest.param(lambda: grid(mode="L"), id="grey"),
        pytest.param(lambda: grid(100, 60, tile=64), id="too small to be reduced"),
    ],
)
def test_what_is_no_plain_grid_is_decoded_whole(data):
    tiles, whole = both(data())
    assert tiles.whole
    assert np.array_equal(tiles.pixels, whole.pixels)


def test_small_photos_are_decoded_whole(monkeypatch):
    monkeypatch.setattr(footprint, "TILED_FROM", 640 * 384 + 1)
    assert decode(grid(), whole=False).whole
    monkeypatch.setattr(footprint, "TILED_FROM", 640 * 384)
    assert not decode(grid(), whole=False).whole


def test_whole_is_whole():
    """What proves a write is never put together here."""
    assert decode(grid(), whole=True).whole


def test_short_memory_is_not_the_fault_of_the_photo(monkeypatch):
    def short(*_):
        raise MemoryError

    monkeypatch.setattr(heif_tiles, "_pasted", short)
    with pytest.raises(MemoryError):
        decode(grid(), whole=False)


GOOD = grid(384, 256)


@settings(max_examples=200)
@given(st.data())
def test_nothing_is_judged_by_tiles_that_is_refused_whole(data):
    bad = bytearray(GOOD)
    head = GOOD.index(b"mdat")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, head) | st.integers(0, len(bad) - 1))
        bad[at] = data.draw(st.integers(0, 255))
    file = bytes(bad[: data.draw(st.sampled_from([len(bad), len(bad), len(bad) - 1, head + 300]))])
    try:
        whole = decode(file, whole=True)
    except DecodeError:
        with pytest.raises(DecodeError):
            decode(file, whole=False)
        return
    tiles = decode(file, whole=False)
    assert (tiles.width, tiles.height) == (whole.width, whole.height)
    assert apart(tiles, whole) < FAR


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_damaged_tile_is_noticed_as_by_the_whole(part):
    head = GOOD.index(b"mdat") + 4
    at = head + int((len(GOOD) - head) * part)
    bad = GOOD[:at] + bytes(200) + GOOD[at + 200 :]
    found = []
    for whole in (True, False):
        with suppress(DecodeError):
            found.append(decode(bad, whole=whole))
    assert len(found) in (0, 2)
