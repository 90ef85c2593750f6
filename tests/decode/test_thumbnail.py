"""A glance at the thumbnail: the photo as it is shown, or nothing. Thumbnails that lie are not believed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from support import jpeg_files
from support.landscapes import landscape
from support.thumbnail_jpegs import encoded, exif, photo, reduced

from orientd.decode.cpu import CpuDecoder
from orientd.decode.thumbnail import _is_true, glance
from orientd.formats import sniff, stored_orientation
from orientd.records import FileStat, Photo

SIZE = 96
STAT = FileStat(0, 0, 0, 0)
QUARTERS = [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270]
FRONT = 60_000


def drawn(width=960, height=720, seed=3):
    """A landscape with the grain of a sensor."""
    smooth = np.asarray(landscape(seed).resize((width, height), Image.Resampling.BICUBIC), np.float32)
    return Image.fromarray((smooth + np.random.default_rng(seed).normal(0, 8, smooth.shape)).clip(0, 255).astype(np.uint8))


def seen(data, front=FRONT):
    orientation = stored_orientation(sniff(data), data[:front])
    return glance(Photo("", STAT, sniff(data), data[:front], orientation, ""), SIZE)


def whole(data):
    return CpuDecoder(SIZE).decode(Photo("", STAT, sniff(data), data, stored_orientation(sniff(data), data), ""))


def alike(one, other):
    return np.abs(one.pixels.astype(int) - other.pixels).mean() < 8


def test_pictures_that_are_turned_are_not_alike():
    upright = whole(encoded(drawn()))
    assert alike(upright, whole(encoded(drawn(), quality=60)))
    assert not any(alike(upright, whole(encoded(drawn().transpose(quarter)))) for quarter in QUARTERS)


@pytest.mark.parametrize("stored", range(1, 9))
@pytest.mark.parametrize("progressive", [False, True])
def test_the_photo_is_seen_as_it_is_shown(stored, progressive):
    data = photo(drawn(), reduced(drawn()), stored, progressive=progressive)
    assert len(data) > 2 * FRONT
    picture = seen(data)
    assert alike(picture, whole(data))
    assert (picture.width, picture.height, picture.whole) == (960, 720, False)


@pytest.mark.parametrize("sides", [(960, 720), (720, 960), (720, 720), (960, 640), (640, 960), (960, 540)])
def test_bars_are_no_part_of_the_photo(sides):
    image = drawn(*sides)
    assert alike(seen(photo(image, reduced(image))), whole(encoded(image)))


@pytest.mark.parametrize("sides", [(960, 720), (720, 720), (960, 640)])
@pytest.mark.parametrize("quarter", QUARTERS)
@pytest.mark.parametrize("seed", range(4))
def test_a_thumbnail_that_was_not_turned_with_the_photo_is_not_believed(sides, quarter, seed):
    image = drawn(*sides, seed)
    assert seen(photo(image, reduced(image))) is not None
    assert seen(photo(image.transpose(quarter), reduced(image))) is None
    assert seen(photo(image, reduced(image.transpose(quarter)))) is None


def test_a_thumbnail_of_another_photo_or_of_more_of_it_is_not_believed():
    image = drawn(seed=5)
    assert seen(photo(image, reduced(drawn(seed=6)))) is None
    assert seen(photo(image.crop((240, 300, 720, 660)), reduced(image))) is None


def test_a_thumbnail_of_another_brightness_is_not_believed():
    image = drawn()
    for more, believed in ((4, True), (24, False)):
        lighter = Image.fromarray((np.asarray(image).astype(int) + more).clip(0, 255).astype(np.uint8))
        assert (seen(photo(image, reduced(lighter))) is not None) == believed


def test_a_few_rows_prove_nothing():
    shown, upper = reduced(drawn()), drawn().crop((0, 0, 960, 8))
    assert _is_true(shown, (upper, 0.0125))
    assert not _is_true(shown, (upper, 0.0099))


def test_bright_bars_are_part_of_a_photo():
    image = drawn(960, 640)
    assert seen(photo(image, reduced(image, bars=(90, 90, 90)))) is None


@pytest.mark.parametrize("thumbnail", [b"", b"no picture", encoded(drawn(80, 60)), encoded(drawn(160, 120))[:900]])
def test_a_thumbnail_that_is_none_is_not_believed(thumbnail):
    assert seen(photo(drawn(), thumbnail)) is None


def test_a_thumbnail_with_an_orientation_of_its_own_is_not_believed():
    image, small = drawn(), reduced(drawn())
    assert seen(photo(image, small, 6, 6)) is not None
    assert seen(photo(image, small, 6, 1)) is None
    assert seen(photo(image, small, None, 1)) is not None


def test_xmp_beside_it_does_not_matter():
    data, packet = photo(drawn(), reduced(drawn())), b"http://ns.adobe.com/xap/1.0/\0" + jpeg_files.packet("element", 1)
    assert seen(data[:2] + jpeg_files.segment(0xE1, packet) + data[2:]) is not None


def test_of_two_exif_blocks_none_is_believed():
    data = photo(drawn(), reduced(drawn()))
    other = jpeg_files.app1(exif(encoded(reduced(drawn(seed=6)))))
    assert seen(data) is not None
    assert seen(data[:2] + other + data[2:]) is None
    end = 4 + int.from_bytes(data[4:6], "big")
    assert seen(data[:end] + other + data[end:]) is None


def test_a_photo_above_the_limit_is_not_seen():
    shown = Photo("", STAT, sniff(DATA), DATA[:FRONT], 6, "")
    assert glance(shown, SIZE, 960 * 720) is not None
    assert glance(shown, SIZE, 960 * 720 - 1) is None


@pytest.mark.parametrize(("sides", "believed"), [((1024, 768), True), ((1032, 774), False)])
def test_a_thumbnail_that_claims_to_be_huge_is_not_even_decoded(sides, believed, monkeypatch):
    decoded = []
    convert = JpegImageFile.convert
    monkeypatch.setattr(JpegImageFile, "convert", lambda self, mode: (decoded.append(self.size), convert(self, mode))[1])
    image = Image.fromarray(np.asarray(landscape(3).resize((960, 720), Image.Resampling.BICUBIC)))
    small = encoded(image.resize(sides), quality=10)
    assert (seen(photo(drawn(), small)) is not None) == believed == (sides in decoded)


def test_what_has_no_thumbnail_is_not_believed():
    assert seen(encoded(drawn())) is None


def test_an_upper_edge_that_tells_nothing_proves_nothing():
    fog = Image.fromarray(np.full((720, 960, 3), 200, np.uint8))
    assert seen(photo(fog, reduced(fog))) is None


DATA = photo(drawn(), reduced(drawn()), 6)


@given(st.integers(0, len(DATA)))
def test_a_front_that_ends_anywhere_shows_the_photo_or_nothing(end):
    picture = seen(DATA, end)
    assert picture is None or alike(picture, whole(DATA))


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, FRONT), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4))
def test_damage_anywhere_is_never_an_error(changes):
    damaged = bytearray(DATA)
    for place, new in changes:
        damaged[place : place + len(new)] = new
    picture = glance(Photo("", STAT, sniff(DATA), bytes(damaged[:FRONT]), 6, ""), SIZE)
    assert picture is None or picture.pixels.shape == (SIZE, SIZE, 3)
