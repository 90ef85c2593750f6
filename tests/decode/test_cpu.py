"""Decoding: what viewers show, the eight orientations, every kind of pixel."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile
from support.decodable_photos import ENCODINGS, SIZE, difference, encode, exif, photo, scene, square, store

from orientd import orientation
from orientd.decode import Decoder
from orientd.decode.cpu import CpuDecoder
from orientd.records import Format, Picture

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
UNUSED_TAG = 0x0113
ORIENTED = [name for name in ENCODINGS if name not in ("bmp", "jpeg2000")]

# Whoever decodes must not change what Pillow does elsewhere.
PILLOW_SETTINGS = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.fixture
def decoder():
    return CpuDecoder(SIZE)


def test_the_comparison_notices_every_wrong_orientation():
    shown = [orientation.apply(square(scene()), value) for value in range(1, 9)]
    for i, one in enumerate(shown):
        for j, other in enumerate(shown):
            assert (difference(one, other) <= 60) == (i == j)


@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_pixels_are_those_of_the_photo(decoder, name):
    picture = decoder.decode(photo(store(name)))
    assert (picture.pixels.shape, picture.pixels.dtype) == ((SIZE, SIZE, 3), np.uint8)
    assert (picture.width, picture.height) == (192, 128)
    assert picture.pixels.flags.c_contiguous
    assert difference(picture.pixels, square(scene())) <= ENCODINGS[name][2]


@pytest.mark.parametrize("stored", range(1, 9))
@pytest.mark.parametrize("name", ORIENTED)
def test_the_eight_orientations_show_the_same_pixels_turned(decoder, name, stored):
    upright = decoder.decode(photo(store(name)))
    picture = decoder.decode(photo(store(name, stored=stored)))
    assert difference(picture.pixels, orientation.apply(upright.pixels, stored)) == 0
    assert (picture.width, picture.height) == (192, 128)


@pytest.mark.parametrize("stored", range(1, 9))
@pytest.mark.parametrize("name", ["png", "webp-lossless", "tiff", "tiff-lzw"])
def test_one_scene_stored_in_eight_ways_looks_the_same(decoder, name, stored):
    pixels = np.ascontiguousarray(orientation.apply(scene(), orientation.inverse(stored)))
    picture = decoder.decode(photo(store(name, pixels, stored)))
    assert difference(picture.pixels, square(scene())) <= 1
    assert (picture.width, picture.height) == ((128, 192) if orientation.swaps_sides(stored) else (192, 128))


@pytest.mark.parametrize("stored", [0, 9, 200])
@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff"])
def test_values_out_of_range_count_as_upright(decoder, name, stored):
    expected = decoder.decode(photo(store(name))).pixels
    assert np.array_equal(decoder.decode(photo(store(name, stored=stored))).pixels, expected)


@pytest.mark.parametrize("name", ["avif", "heif"])
def test_exif_orientation_is_ignored_where_viewers_obey_irot(decoder, name):
    data = store(name, exif=exif(6, UNUSED_TAG))
    tampered = data.replace(b"\x01\x13\0\x03\0\0\0\x01\0\x06", b"\x01\x12\0\x03\0\0\0\x01\0\x06")
    assert tampered != data
    assert np.array_equal(decoder.decode(photo(tampered)).pixels, decoder.decode(photo(data)).pixels)


@pytest.mark.parametrize("name", ["jpeg", "webp", "tiff", "avif", "heif"])
def test_orientation_in_xmp_alone_is_ignored(decoder, name):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="1"/></x:xmpmeta>'
    data = store(name, **({"tiffinfo": {700: xmp}} if name == "tiff" else {"xmp": xmp}))
    tampered = data.replace(b'tiff:Orientation="1"', b'tiff:Orientation="6"')
    assert tampered != data
    assert np.array_equal(decoder.decode(photo(tampered)).pixels, decoder.decode(photo(data)).pixels)


def test_a_jpeg_reduced_while_decoding_looks_like_one_reduced_afterwards(decoder):
    rng = np.random.default_rng(0)
    large = np.asarray(Image.fromarray(scene()).resize((1601, 1203), Image.Resampling.BICUBIC))
    data = encode((large + rng.normal(0, 5, large.shape)).clip(0, 255).astype(np.uint8), "JPEG", quality=90)
    picture = decoder.decode(photo(data))
    whole = square(np.asarray(Image.open(BytesIO(data)).convert("RGB")))
    assert (picture.width, picture.height) == (1601, 1203)
    assert difference(picture.pixels, whole) <= 8
    assert np.abs(picture.pixels.astype(int) - whole).mean() < 1


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 200), (64, 64), (5, 5), (1000, 8)])
@pytest.mark.parametrize("name", ["jpeg", "png"])
def test_any_shape_becomes_the_square(decoder, name, width, height):
    picture = decoder.decode(photo(store(name, scene(width, height))))
    assert picture.pixels.shape == (SIZE, SIZE, 3)
    assert (picture.width, picture.height) == (width, height)
    assert difference(picture.pixels, square(scene(width, height))) <= ENCODINGS[name][2]


def grey_scene():
    return Image.fromarray(scene()).convert("L")


def with_alpha(image):
    """The image, of which the left half is transparent."""
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (0, 0, image.width // 2, image.height))
    image.putalpha(alpha)
    return image


GREY_FILES = {
    "jpeg": lambda: encode(grey_scene(), "JPEG", quality=95),
    "png": lambda: encode(grey_scene(), "PNG"),
    "png-16": lambda: encode(Image.fromarray(np.asarray(grey_scene()).astype(np.uint16) * 257), "PNG"),
    "tiff-16": lambda: encode(Image.fromarray(np.asarray(grey_scene()).astype(np.uint16) * 257), "TIFF"),
    "jpeg2000-16": lambda: encode(Image.fromarray(np.asarray(grey_scene()).astype(np.uint16) * 257), "JPEG2000"),
    "gif": lambda: encode(grey_scene(), "GIF"),
    "avif": lambda: encode(grey_scene(), "AVIF", quality=95),
    "heif": lambda: encode(grey_scene(), "HEIF", quality=95),
}


@pytest.mark.parametrize("name", sorted(GREY_FILES))
def test_grey_photos_become_grey_rgb(decoder, name):
    pixels = decoder.decode(photo(GREY_FILES[name]())).pixels
    grey = np.asarray(grey_scene().convert("RGB"))
    assert difference(pixels, square(grey)) <= 12


COLOUR_FILES = {
    "cmyk-jpeg": lambda: encode(Image.fromarray(scene()).convert("CMYK"), "JPEG", quality=95),
    "cmyk-tiff": lambda: encode(Image.fromarray(scene()).convert("CMYK"), "TIFF"),
    "ycbcr-tiff": lambda: encode(Image.fromarray(scene()).convert("YCbCr"), "TIFF"),
    "palette-png": lambda: encode(Image.fromarray(scene()).quantize(256), "PNG"),
    "palette-gif": lambda: encode(Image.fromarray(scene()).quantize(256), "GIF"),
    "palette-bmp": lambda: encode(Image.fromarray(scene()).quantize(256), "BMP"),
}


@pytest.mark.parametrize("name", sorted(COLOUR_FILES))
def test_other_colour_models_become_rgb(decoder, name):
    assert difference(decoder.decode(photo(COLOUR_FILES[name]())).pixels, square(scene())) <= 40


def test_one_bit_pixels_become_black_and_white(decoder):
    picture = Image.new("1", (100, 100), 1)
    picture.paste(0, (0, 0, 100, 50))
    for kind in ("PNG", "TIFF", "BMP"):
        pixels = decoder.decode(photo(encode(picture, kind))).pixels
        assert (pixels[:30] == 0).all()
        assert (pixels[34:] == 255).all()


TRANSPARENT_FILES = {
    "rgba-png": lambda: encode(with_alpha(Image.new("RGB", (100, 80), "red")), "PNG"),
    "la-png": lambda: encode(with_alpha(Image.new("L", (100, 80), 90)), "PNG"),
    "rgba-webp": lambda: encode(with_alpha(Image.new("RGB", (100, 80), "red")), "WEBP", lossless=True),
    "rgba-tiff": lambda: encode(with_alpha(Image.new("RGB", (100, 80), "red")), "TIFF"),
    "rgba-avif": lambda: encode(with_alpha(Image.new("RGB", (100, 80), "red")), "AVIF", quality=95),
    "palette-png": lambda: encode(with_alpha(Image.new("RGB", (100, 80), "red")).quantize(8), "PNG"),
    "index-png": lambda: encode(half_palette(), "PNG", transparency=0),
    "index-gif": lambda: encode(half_palette(), "GIF", transparency=0),
}


def half_palette():
    picture = Image.new("P", (100, 80), 1)
    picture.putpalette([0, 255, 0, 255, 0, 0])
    picture.paste(0, (0, 0, 50, 80))
    return picture


@pytest.mark.parametrize("name", sorted(TRANSPARENT_FILES))
def test_what_is_transparent_is_shown_on_white(decoder, name):
    pixels = decoder.decode(photo(TRANSPARENT_FILES[name]())).pixels
    assert (pixels[:, :30] >= 253).all()
    assert (pixels[:, 34:, 1] <= 95).all()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_first_picture_of_a_file_counts(decoder, kind):
    frames = [Image.new("RGB", (70, 70), colour) for colour in ("red", "blue", "lime")]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **lossless)
    assert difference(decoder.decode(photo(data)).pixels, np.full((SIZE, SIZE, 3), (255, 0, 0))) <= 4


def test_behind_the_first_picture_of_a_jpeg_anything_may_follow(decoder):
    data = store("jpeg")
    assert np.array_equal(decoder.decode(photo(data + b"trailer" * 99)).pixels, decoder.decode(photo(data)).pixels)
    assert np.array_equal(decoder.decode(photo(data, Format.MPO)).pixels, decoder.decode(photo(data)).pixels)


def test_settings_of_pillow_are_left_alone(decoder):
    decoder.decode(photo(store("png")))
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == PILLOW_SETTINGS


def test_warnings_about_metadata_do_not_leak(decoder):
    """Warnings are errors in these tests: a leak would make this photo one that cannot be decoded."""
    data = store("tiff", exif=exif(1))
    tag = data.index(b"\x12\x01\x03\0\x01\0\0\0")
    broken = data[: tag + 2] + b"\x02\0\xff\xff\xff\x0f\xff\xff\xff\x0f" + data[tag + 12 :]
    with pytest.warns(UserWarning, match="Metadata Warning|larger than file|Corrupt"):
        Image.open(BytesIO(broken)).load()
    assert np.array_equal(CpuDecoder(SIZE).decode(photo(broken)).pixels, square(scene()))


def test_many_threads_may_share_a_decoder(decoder):
    files = [photo(store(name, stored=stored)) for name in ENCODINGS if name != "jpeg2000" for stored in (1, 6, 5)]
    expected = [decoder.decode(file).pixels for file in files]
    with ThreadPoolExecutor(4) as pool:
        for pixels, picture in zip(expected * 3, pool.map(decoder.decode, files * 3), strict=True):
            assert np.array_equal(picture.pixels, pixels)


def test_the_protocol_is_met():
    decode: Decoder = CpuDecoder(SIZE)
    assert isinstance(decode.decode(photo(store("bmp"))), Picture)


@pytest.fixture(scope="module")
def corpus():
    if not CORPUS.is_dir():
        pytest.skip("the corpus is not here")
    return lambda name: photo((CORPUS / name).read_bytes())


def test_the_published_examples_of_all_orientations_look_alike(decoder, corpus):
    for group in ("landscape", "portrait"):
        shown = [decoder.decode(corpus(f"{group}-{value}.jpg")).pixels.astype(int) for value in range(1, 9)]
        for pixels in shown[1:]:
            assert np.abs(pixels - shown[0]).mean() < 3 < np.abs(pixels - shown[0][::-1]).mean()


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("junk-jpeg-header.jpg", (1024, 768)),
        ("pil-sample-cmyk.jpg", (100, 100)),
        ("frozenpond.mpo", (640, 480)),
        ("htc-one-m8.jpg", (2688, 1520)),
        ("panasonic-lz2.jpg", (2560, 1920)),
        ("issue-487.heic", (4032, 3024)),
        ("iphone-7.heic", (4032, 3024)),
    ],
)
def test_odd_files_that_viewers_show_are_decoded(decoder, corpus, name, size):
    picture = decoder.decode(corpus(name))
    assert (picture.width, picture.height) == size
    assert picture.pixels.std() > 10


def test_short_memory_is_not_called_damage(monkeypatch):
    def no_room(*_):
        raise MemoryError

    monkeypatch.setattr("orientd.decode.cpu._squeezed", no_room)
    with pytest.raises(MemoryError):
        CpuDecoder(SIZE).decode(photo(store("jpeg")))
