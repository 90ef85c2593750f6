"""Flaws that cost no pixel do not hide damage that does."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support import jpeg_files
from support.decodable_photos import SIZE, encode, photo, scene, store

from orientd.decode import flaws
from orientd.decode.cpu import CpuDecoder, second_reader
from orientd.errors import DecodeError

ICC = b"ICC_PROFILE\0"
NOISY = np.random.default_rng(1).integers(0, 256, (160, 160, 3), np.uint8)
WITHOUT_END = [("jpeg", 0), ("progressive", 0), ("apart", 0), ("jpeg", 1), ("progressive", 1)]


@pytest.fixture
def decoder():
    return CpuDecoder(SIZE)


def profile(*numbers):
    """Segments that claim to be these parts (number, of how many) of a profile."""
    return b"".join(jpeg_files.segment(0xE2, ICC + bytes(pair) + b"a profile" * 9) for pair in numbers)


def behind_start(*added):
    return lambda data: data[:2] + b"".join(added) + data[2:]


def adobe(code):
    """In place of JFIF, which would say what the colors are."""
    return lambda data: data[:2] + jpeg_files.segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes((code,))) + data[20:]


def sequential(data):
    end = data.index(b"\xff\xda") + 14
    return data[: end - 3] + b"\0\0\0" + data[end:]


FLAWS = {
    "profile 0 of 0": behind_start(profile((0, 0))),
    "profile twice": behind_start(profile((1, 1), (1, 1))),
    "profile with a part too many": behind_start(profile((1, 1), (2, 1))),
    "profile without its second part": behind_start(profile((1, 3), (3, 3))),
    "parts of two profiles": behind_start(profile((1, 2), (2, 3))),
    "JFIF 3": lambda data: data.replace(b"JFIF\0\1", b"JFIF\0\3"),
    "unknown colors": adobe(7),
    "strays": lambda data: data[:20] + b"\0\1\2\xff\0\3" * 40 + data[20:],
    "strays and a restart": lambda data: data[:20] + b"\0\1\2\xff\xd3" + data[20:],
    "padding": lambda data: data[:-2] + bytes(9) + data[-2:],
    "spectral selection": sequential,
}
SEVERAL = {
    **FLAWS,
    "all": lambda data: FLAWS["strays"](FLAWS["padding"](sequential(FLAWS["JFIF 3"](FLAWS["profile twice"](data))))),
}


@pytest.mark.parametrize("flaw", SEVERAL)
def test_the_picture_is_the_same_to_the_bit(decoder, flaw):
    data = store("jpeg")
    flawed = decoder.decode(photo(SEVERAL[flaw](data)))
    assert (flawed.pixels == decoder.decode(photo(data)).pixels).all()
    assert second_reader(SEVERAL[flaw](data)) is None


@pytest.mark.parametrize("flaw", SEVERAL)
def test_a_hole_behind_it_is_damage(decoder, flaw):
    data = store("jpeg", NOISY)
    middle = len(data) // 2
    with pytest.raises(DecodeError, match=r"damaged|cut short"):
        decoder.decode(photo(SEVERAL[flaw](data[:middle] + bytes(2000) + data[middle + 2000 :])))


@pytest.mark.parametrize("flaw", SEVERAL)
def test_a_cut_behind_it_is_damage(decoder, flaw):
    with pytest.raises(DecodeError):
        decoder.decode(photo(SEVERAL[flaw](store("jpeg"))[:-300]))


def test_more_than_a_few_bytes_before_the_end_are_damage(decoder):
    with pytest.raises(DecodeError, match=r"\d\d extraneous bytes before marker 0xd9"):
        decoder.decode(photo(store("jpeg")[:-2] + bytes(40) + b"\xff\xd9"))


def test_restarts_that_are_missing_are_damage(decoder):
    data = encode(scene(), "JPEG", restart_marker_blocks=4)
    with pytest.raises(DecodeError, match="RST"):
        decoder.decode(photo(data.replace(b"\xff\xd2", b"\xff\xd5", 1)))


def grays(*values):
    """A JPEG of three components, each in a scan of its own."""
    files = [encode(Image.fromarray(value), "JPEG", quality=90) for value in values]
    frame, scan = files[0].index(b"\xff\xc0"), files[0].index(b"\xff\xda")
    height_width = files[0][frame + 5 : frame + 9]
    components = b"".join(bytes((number, 0x11, 0)) for number in (1, 2, 3))
    head = files[0][:frame] + jpeg_files.segment(0xC0, b"\x08" + height_width + b"\3" + components)
    scans = [jpeg_files.segment(0xDA, bytes((1, n, 0, 0, 63, 0))) + file[scan + 10 : -2] for n, file in enumerate(files, 1)]
    return head + files[0][frame + 13 : scan] + b"".join(scans) + b"\xff\xd9"


def drawn(name):
    if name == "apart":
        return grays(scene()[..., 0], scene()[..., 1], scene()[..., 2])
    return encode(scene(), "JPEG", quality=90, progressive=name == "progressive")


@pytest.mark.parametrize(("name", "more"), WITHOUT_END)
def test_without_an_end_marker_it_is_whole_if_all_pixels_are_there(decoder, name, more):
    data = drawn(name)
    open_ended = decoder.decode(photo(data[: len(data) - 2 + more]))
    assert (open_ended.pixels == decoder.decode(photo(data)).pixels).all()
    assert (decoder.decode(photo(data[: len(data) - 2 + more]), whole=False).pixels == open_ended.pixels).all()


@pytest.mark.parametrize("name", ["jpeg", "progressive", "apart"])
def test_without_an_end_marker_and_some_pixels_it_is_damaged(decoder, name):
    data = drawn(name)
    for length in [len(data) - 2 - cut for cut in (3, 10, 100, 1000)]:
        with pytest.raises(DecodeError, match="damaged"):
            decoder.decode(photo(data[:length]))


@pytest.mark.parametrize("name", ["progressive", "apart"])
def test_cut_between_two_scans_it_is_damaged(decoder, name):
    data = drawn(name)
    starts = [place for place in range(len(data)) if data[place : place + 2] == b"\xff\xda"]
    assert len(starts) >= 3
    for start in starts[1:]:
        tables = data.rindex(b"\xff\xc4", 0, start) if name == "progressive" else start
        for end in {start, tables}:
            with pytest.raises(DecodeError, match="damaged"):
                decoder.decode(photo(data[:end]))


@pytest.mark.parametrize(
    "warning",
    [
        "Corrupt JPEG data: premature end of data segment",
        "Corrupt JPEG data: bad Huffman code",
        "Corrupt JPEG data: bad arithmetic code",
        "Corrupt JPEG data: found marker 0xd3 instead of RST2",
        "Corrupt JPEG data: 10 extraneous bytes before marker 0xd9",
        "Inconsistent progression sequence for component 0 coefficient 1",
        "Bogus marker length",
        "something new",
    ],
)
def test_what_costs_pixels_is_not_mended(warning):
    assert flaws.without(store("jpeg"), warning) is None


WARNINGS = [
    "bad ICC marker",
    "unknown JFIF revision number 3.01",
    "Unknown Adobe color transform code 2",
    "Corrupt JPEG data: 3 extraneous bytes before marker 0xd9",
    "Corrupt JPEG data: 3 extraneous bytes before marker 0xdb",
    "Invalid SOS parameters for sequential JPEG",
    "Premature end of JPEG file",
]


@settings(max_examples=300)
@given(st.sampled_from(WARNINGS), st.sampled_from(["jpeg", "progressive"]), st.data())
def test_damaged_files_are_mended_or_not_but_never_fail(warning, name, data):
    damaged = bytearray(store(name, scene(40, 30)))
    for _ in range(data.draw(st.integers(0, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    mended = flaws.without(cut, warning)
    assert mended is None or mended != cut
    with suppress(DecodeError):
        CpuDecoder(SIZE).decode(photo(cut, photo(store("jpeg")).format))
