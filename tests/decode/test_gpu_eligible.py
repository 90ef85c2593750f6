"""Which photos a GPU gets to decode, told from their headers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.decodable_photos import ENCODINGS, scene, store
from support.fake_dali import jpeg, photo, with_frame

from orientd.decode.gpu_eligible import frame
from orientd.records import Format

PLAIN = {
    "4:4:4": jpeg(subsampling="4:4:4"),
    "4:2:2": jpeg(subsampling="4:2:2"),
    "4:2:0": jpeg(subsampling="4:2:0"),
    "grey": jpeg(Image.fromarray(scene()).convert("L")),
    "restarts": jpeg(restart_marker_rows=1),
    "with EXIF": jpeg(stored=6),
    "with a profile": jpeg(icc_profile=bytes(70_000)),
}
LEFT = {
    "progressive": jpeg(progressive=True),
    "cmyk": jpeg(Image.fromarray(scene()).convert("CMYK")),
    "rgb": jpeg(keep_rgb=True),
    "arithmetic": with_frame(jpeg(), 0xC9),
    "lossless": with_frame(jpeg(), 0xC3),
    "extended": with_frame(jpeg(), 0xC1),
    "12 bits": with_frame(jpeg(), precision=12),
    "without an end": jpeg()[:-2],
    "cut in the header": jpeg()[:100],
    "empty": b"",
    "with an empty scan": jpeg()[: jpeg().index(b"\xff\xda")] + b"\xff\xda\0\2",
    "with one channel in the scan": jpeg().replace(b"\xff\xda\0\x0c\3", b"\xff\xda\0\x0c\1"),
    "without sides": with_frame(jpeg()).replace((128).to_bytes(2, "big") + (192).to_bytes(2, "big"), b"\0\0\0\0", 1),
}


@pytest.mark.parametrize("name", PLAIN)
def test_baseline_photos_are_for_the_gpu(name):
    assert frame(photo(PLAIN[name])) == (192, 128, len(PLAIN[name]))


@pytest.mark.parametrize("name", LEFT)
def test_other_jpegs_are_left_to_the_cpu(name):
    assert frame(photo(LEFT[name])) is None


@pytest.mark.parametrize("name", sorted(set(ENCODINGS) - {"jpeg"}))
def test_other_containers_are_left_to_the_cpu(name):
    from orientd import formats

    data = store(name)
    assert frame(photo(data, kind=formats.sniff(data))) is None


def test_what_follows_the_picture_is_left_out():
    data = jpeg()
    assert frame(photo(data + b"a video\xff\xd9", kind=Format.MPO)) == (192, 128, len(data))


def test_a_thumbnail_does_not_end_the_picture():
    data = jpeg(exif=b"Exif\0\0" + jpeg(np.zeros((8, 8, 3), np.uint8)))
    assert frame(photo(data)) == (192, 128, len(data))


def test_rare_samplings_are_left_to_the_cpu():
    data = jpeg(subsampling="4:2:0")
    place = data.index(b"\xff\xc0") + 11
    assert data[place] == 0x22
    assert frame(photo(data[:place] + b"\x41" + data[place + 1 :])) is None


@given(st.binary(max_size=60), st.integers(0, 700), st.integers(0, 60))
def test_no_bytes_confuse_it(spoiled, place, gone):
    data = jpeg()
    found = frame(photo(data[:place] + spoiled + data[place + gone :]))
    assert found is None or (found.width > 0 and found.height > 0)
