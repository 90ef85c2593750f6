"""The whole photo at its own aspect: what viewers show, in the eight orientations, through every decoder."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from support import signed_files
from support.decodable_photos import ENCODINGS, difference, encode, exif, photo, scene, store

from orientd import orientation
from orientd.decode import admitted
from orientd.decode.by_sidecar import as_noted
from orientd.decode.cpu import CpuDecoder
from orientd.decode.isolated import IsolatedDecoder
from orientd.decode.resize import fitting
from orientd.errors import DecodeError
from orientd.formats import footprint
from orientd.records import Format, Picture

SIDE = 96
ORIENTED = [name for name in ENCODINGS if name not in ("bmp", "jpeg2000")]
DECODERS = {
    "cpu": lambda: CpuDecoder(32),
    "isolated": lambda: IsolatedDecoder(32),
    "admitted": lambda: admitted.decoder(32, 400_000_000, 64, isolate=True),
}


def shrunk(pixels, width, height):
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))


@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_pixels_are_those_of_the_photo(name):
    picture = CpuDecoder(32).fitted(photo(store(name)), SIDE)
    assert (picture.pixels.shape, picture.pixels.dtype) == ((64, 96, 3), np.uint8)
    assert (picture.width, picture.height) == (192, 128)
    assert picture.pixels.flags.c_contiguous
    assert difference(picture.pixels, shrunk(scene(), 96, 64)) <= ENCODINGS[name][2]


@pytest.mark.parametrize("stored", range(1, 9))
@pytest.mark.parametrize("name", ORIENTED)
@pytest.mark.parametrize("decoder", DECODERS)
def test_the_eight_orientations_show_the_same_pixels_turned(decoder, name, stored):
    decode = DECODERS[decoder]()
    upright = decode.fitted(photo(store(name)), SIDE)
    picture = decode.fitted(photo(store(name, stored=stored)), SIDE)
    assert upright.pixels.shape == (64, 96, 3)
    assert np.array_equal(picture.pixels, orientation.apply(upright.pixels, stored))
    assert len({orientation.apply(upright.pixels, value).tobytes() for value in range(1, 9)}) == 8
    assert (picture.width, picture.height) == (192, 128)


@pytest.mark.parametrize("stored", range(1, 9))
@pytest.mark.parametrize("name", ["png", "webp-lossless", "tiff"])
def test_one_scene_stored_in_eight_ways_looks_the_same(name, stored):
    pixels = np.ascontiguousarray(orientation.apply(scene(), orientation.inverse(stored)))
    picture = CpuDecoder(32).fitted(photo(store(name, pixels, stored)), SIDE)
    assert difference(picture.pixels, shrunk(scene(), 96, 64)) <= 1


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [
        (1, 1, (1, 1)),
        (96, 96, (96, 96)),
        (97, 96, (96, 95)),
        (5, 3, (5, 3)),
        (1000, 8, (96, 1)),
        (8, 1000, (1, 96)),
        (95, 7, (95, 7)),
    ],
)
@pytest.mark.parametrize("name", ["jpeg", "png"])
def test_the_aspect_is_kept_and_nothing_is_made_larger(name, width, height, size):
    picture = CpuDecoder(32).fitted(photo(store(name, scene(width, height))), SIDE)
    assert fitting(width, height, SIDE) == size == picture.pixels.shape[1::-1]
    assert (picture.width, picture.height) == (width, height)
    assert difference(picture.pixels, shrunk(scene(width, height), *size)) <= ENCODINGS[name][2]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_is_reduced_while_it_is_decoded(monkeypatch, progressive):
    large = np.asarray(Image.fromarray(scene()).resize((1603, 1201), Image.Resampling.BICUBIC))
    data = encode(large, "JPEG", quality=90, progressive=progressive)
    asked = []
    from orientd.decode import cpu

    intact = cpu.simplejpeg.decode_jpeg

    def noted(*args, **options):
        asked.append(intact(*args, **options).shape[:2])
        return intact(*args, **options)

    monkeypatch.setattr(cpu.simplejpeg, "decode_jpeg", noted)
    picture = CpuDecoder(32).fitted(photo(data), 200)
    assert asked == [(151, 201)]
    assert picture.pixels.shape == (150, 200, 3)
    assert picture.whole is not progressive
    assert difference(picture.pixels, shrunk(large, 200, 150)) <= 12


@pytest.mark.parametrize("stored", range(1, 9))
def test_a_heif_grid_is_put_together_of_reduced_tiles(monkeypatch, stored):
    monkeypatch.setattr(footprint, "TILED_FROM", 0)
    file = BytesIO()
    picture = pillow_heif.from_pillow(Image.fromarray(scene(640, 384)))
    picture.save(file, quality=90, tile_size=128, exif=exif(stored))
    small = CpuDecoder(32).fitted(photo(file.getvalue()), SIDE)
    expected = orientation.apply(shrunk(scene(640, 384), 96, 58), stored)
    assert (small.whole, small.width, small.height, small.pixels.shape) == (False, 640, 384, expected.shape)
    assert difference(small.pixels, expected) <= 12


def test_a_raw_file_is_shown_by_its_preview():
    shown = CpuDecoder(32).fitted(replace(photo(store("jpeg", stored=6)), format=Format.RAW, orientation=6), SIDE)
    assert shown.pixels.shape == (96, 64, 3)


@pytest.mark.parametrize("noted", [None, *range(1, 9)])
@pytest.mark.parametrize("kind", signed_files.KINDS)
def test_it_is_shown_as_a_sidecar_says(kind, noted):
    fitted = CpuDecoder(32).fitted
    data = signed_files.photo(kind, "embedded", stored=6)
    upright = fitted(photo(signed_files.photo(kind, "embedded", stored=1)), 24)
    shown = as_noted(fitted)(replace(photo(data), orientation=noted, by_sidecar=True), 24)
    assert np.array_equal(shown.pixels, orientation.apply(upright.pixels, orientation.normalise(noted)))


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_damaged_photo_is_an_error(decoder):
    data = store("png")
    with pytest.raises(DecodeError):
        DECODERS[decoder]().fitted(photo(data[: len(data) // 2], Format.PNG), SIDE)


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_square_is_decoded_as_before_beside_it(decoder):
    made = DECODERS[decoder]()
    before = made.decode(photo(store("jpeg")))
    made.fitted(photo(store("jpeg")), SIDE)
    after = made.decode(photo(store("jpeg")))
    assert before.pixels.shape == (32, 32, 3)
    assert np.array_equal(before.pixels, after.pixels)
    assert isinstance(before, Picture)
