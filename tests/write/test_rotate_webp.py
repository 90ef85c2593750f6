"""Lossless WebPs turned by pixels: colour, alpha and what is hidden beneath it stay to the bit; lossy ones are left alone."""

import io
import os
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from support import turnable_jpegs
from support.png_webp_tiff_files import riff, split_webp, webp_chunk

from orientd import formats, orientation
from orientd.errors import Refused
from orientd.formats.lossless import webp
from orientd.records import Format
from orientd.write import rotate

MUTATIONS = int(os.environ.get("ORIENTD_MUTATIONS", "10000")) // 2
WIDTH, HEIGHT = 13, 7


@pytest.fixture(scope="module")
def rotator():
    return rotate.Rotator(jpeg=False)


def drawn(width=WIDTH, height=HEIGHT, seed=0, alpha=True):
    """Noise, a third of it wholly transparent, with colours beneath."""
    random = np.random.default_rng(seed)
    values = random.integers(0, 256, (height, width, 4), np.uint8)
    values[..., 3] = random.choice([0, 128, 255], (height, width)) if alpha else 255
    return values if alpha else values[..., :3]


def packed(values, **how):
    Image.fromarray(values).save(out := io.BytesIO(), "WEBP", **{"lossless": True, "exact": True, "method": 0, **how})
    return out.getvalue()


def exif_of(stored, subject=(3, 2)):
    return turnable_jpegs.exif(turnable_jpegs.Recipe(width=WIDTH, height=HEIGHT, stored=stored, thumbnail=False, subject=subject))


def packet(stored):
    return turnable_jpegs._packet(turnable_jpegs.Recipe(width=WIDTH, height=HEIGHT, stored=stored))


def header(flags, width=WIDTH, height=HEIGHT):
    sides = b"".join((side - 1).to_bytes(3, "little") for side in (width, height))
    return webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sides)


def extended(values, stored=6, more=b"", trailer=b"", flags=0, prefix=b""):
    """A file with a profile, EXIF (after a prefix that some programs write) and XMP."""
    (picture,) = [chunk for chunk in split_webp(packed(values))[0] if chunk[0] == b"VP8L"]
    flags |= 0x2C | (0x10 if values.shape[2] == 4 else 0)
    told = webp_chunk(b"EXIF", prefix + exif_of(stored)) + webp_chunk(b"XMP ", packet(stored))
    return riff(header(flags), webp_chunk(b"ICCP", b"profile"), webp_chunk(*picture), more, told) + trailer


def decoded(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGBA"))


def same_samples(before, after, by):
    return np.array_equal(orientation.apply(decoded(before), by), decoded(after))


def test_the_comparator_finds_a_wrong_turn_and_a_changed_colour_that_nobody_sees():
    values = drawn()
    data, after = packed(values), packed(np.ascontiguousarray(orientation.apply(values, 6)))
    assert same_samples(data, after, 6)
    assert not any(same_samples(data, after, by) for by in (1, 2, 3, 4, 5, 7, 8))
    y, x = np.argwhere(values[..., 3] == 0)[0]
    values[y, x, 0] ^= 1
    assert not same_samples(packed(values), after, 6)


@pytest.mark.parametrize("alpha", [True, False])
@pytest.mark.parametrize("by", range(2, 9))
def test_every_turn_of_a_simple_file(rotator, alpha, by):
    data = packed(drawn(alpha=alpha))
    patch = rotator.plan(Format.WEBP, data, by)
    after = patch.apply(data)
    assert same_samples(data, after, by)
    assert patch.inverse().apply(after) == data
    assert [name for name, _ in split_webp(after)[0]] == [b"VP8L"]


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 8), st.booleans(), st.integers(0, 99))
def test_any_size(width, height, by, alpha, seed):
    rotator, data = rotate.Rotator(jpeg=False), packed(drawn(width, height, seed, alpha))
    after = rotator.plan(Format.WEBP, data, by).apply(data)
    assert same_samples(data, after, by)
    assert same_samples(data, rotator.plan(Format.WEBP, after, orientation.inverse(by)).apply(after), 1)


@pytest.mark.parametrize("stored", [1, 6, 7, None])
@pytest.mark.parametrize("alpha", [True, False])
@pytest.mark.parametrize("by", range(2, 9))
def test_chunks_say_what_is_true_of_the_turned_picture_and_nothing_else_changes(rotator, stored, alpha, by):
    data = extended(drawn(alpha=alpha), stored)
    after = rotator.plan(Format.WEBP, data, by).apply(data)
    assert same_samples(data, after, by)
    before, (chunks, end) = split_webp(data)[0], split_webp(after)
    width, height = (HEIGHT, WIDTH) if orientation.swaps_sides(by) else (WIDTH, HEIGHT)
    assert ([name for name, _ in chunks], end) == ([name for name, _ in before], b"")
    assert dict(chunks)[b"ICCP"] == b"profile"
    assert webp_chunk(*chunks[0]) == header(dict(before)[b"VP8X"][0], width, height)
    assert dict(chunks)[b"VP8L"][4] & 0x10 == dict(before)[b"VP8L"][4] & 0x10
    with Image.open(io.BytesIO(after)) as image:
        tags = image.getexif()
        inner = tags.get_ifd(0x8769)
        assert (image.size, inner[0xA002], inner[0xA003]) == ((width, height), width, height)
        assert tags.get(0x0112) == (None if stored is None else 1)
    mark = np.zeros((HEIGHT, WIDTH))
    mark[2, 3] = 1
    y, x = np.argwhere(orientation.apply(mark, by))[0]
    assert inner[0x9214] == (x, y)
    text = dict(chunks)[b"XMP "].decode()
    assert f'tiff:ImageWidth="{width}"' in text
    assert ('tiff:Orientation="1"' in text) == (stored is not None)


@pytest.mark.parametrize("stored", range(1, 9))
def test_viewers_that_obey_the_tag_and_those_that_do_not_see_the_same(rotator, stored):
    data = extended(drawn(), stored)
    by = orientation.turned(stored, 90)
    after = rotator.plan(Format.WEBP, data, by).apply(data) if by != 1 else formats.plan(Format.WEBP, data, 1).apply(data)
    with Image.open(io.BytesIO(data)) as image, Image.open(io.BytesIO(after)) as other:
        wanted = np.rot90(np.asarray(ImageOps.exif_transpose(image)), -1)
        assert np.array_equal(wanted, np.asarray(ImageOps.exif_transpose(other)))
        assert np.array_equal(wanted, np.asarray(other))


def test_exif_behind_the_prefix_of_a_jpeg_is_turned_too(rotator):
    data = extended(drawn(), 6, prefix=b"Exif\0\0")
    after = rotator.plan(Format.WEBP, data, 6).apply(data)
    bare = rotator.plan(Format.WEBP, extended(drawn()), 6).apply(extended(drawn()))
    assert dict(split_webp(after)[0])[b"EXIF"] == b"Exif\0\0" + dict(split_webp(bare)[0])[b"EXIF"]


def test_an_opaque_picture_that_may_be_transparent_still_may():
    """The promise stands in the bitstream, and libwebp does not make it where no pixel needs it."""
    opaque = packed(drawn(alpha=False))
    data = bytearray(opaque)
    data[24] |= 0x10
    after = rotate.Rotator(jpeg=False).plan(Format.WEBP, bytes(data), 3).apply(bytes(data))
    assert same_samples(opaque, after, 3)
    with Image.open(io.BytesIO(after)) as image:
        assert image.mode == "RGBA"


def test_a_photo_hardly_grows(rotator):
    data = packed(turnable_jpegs.pixels(300, 200, 1), method=4)
    assert len(rotator.plan(Format.WEBP, data, 6).apply(data)) < 1.05 * len(data)


LOSSLESS = extended(drawn())
REFUSED = {
    "lossy": (packed(drawn(alpha=False), lossless=False), "it is lossy"),
    "lossy with alpha": (packed(drawn(), lossless=False), "it is lossy"),
    "unknown chunk": (extended(drawn(), more=webp_chunk(b"MINE", b"x")), r"does not know \(MINE\)"),
    "trailer": (extended(drawn(), trailer=b"more"), "more behind"),
    "animated": (extended(drawn(), flags=2), "animated"),
    "two pictures": (riff(*(webp_chunk(*chunk) for chunk in split_webp(packed(drawn()))[0] * 2)), "missing or broken"),
    "another size": (LOSSLESS.replace(header(0x3C), header(0x3C, 13, 8)), "another size"),
    "no signature": (riff(webp_chunk(b"VP8L", b"\0" * 20)), "missing or broken"),
    "cut short": (packed(drawn())[:-20], "cut short"),
    "damaged": (riff(webp_chunk(b"VP8L", split_webp(packed(drawn()))[0][0][1][:40])), "damaged"),
    "contradiction": (LOSSLESS.replace(b'tiff:Orientation="6"', b'tiff:Orientation="3"'), "viewers disagree"),
    "regions": (extended(drawn(), None).replace(b"tiff:ImageWidth", b"mwg-rs:Regions_"), "regions"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_turn_would_lose_or_leave_behind_is_refused(rotator, what):
    data, reason = REFUSED[what]
    with pytest.raises(Refused, match=reason):
        rotator.plan(Format.WEBP, data, 6)


@pytest.mark.parametrize("how", [{"exact": False}, {"lossless": False, "quality": 100}, {"turn": 8}])
def test_the_proof_finds_an_encoder_that_lies(rotator, monkeypatch, how):
    data = LOSSLESS

    def lie(still, by):
        values = np.ascontiguousarray(orientation.apply(decoded(still), how.get("turn", by)))
        return packed(values, **{name: value for name, value in how.items() if name != "turn"})

    monkeypatch.setattr(rotator, "_turned_webp", lie)
    with pytest.raises(Refused, match=r"not be the same to the sample|lossy"):
        rotator.plan(Format.WEBP, data, 6)


def test_the_proof_finds_other_metadata(rotator, monkeypatch):
    true = webp._body
    monkeypatch.setattr(webp, "_body", lambda data, chunk, *rest: true(data, chunk, *rest) + b"!" * (chunk.name == b"ICCP"))
    with pytest.raises(Refused, match="metadata would change"):
        rotator.plan(Format.WEBP, LOSSLESS, 6)


def survives(rotator, data, by):
    """Plans a turn of anything: it is refused, or proved and exactly undone. True if it was turned."""
    try:
        patch = rotator.plan(formats.sniff(data), data, by)
    except Refused:
        return False
    after = patch.apply(data)
    assert patch.inverse().apply(after) == data
    assert same_samples(data, after, by)
    return True


def mutated(data, random):
    changed = bytearray(data)
    for _ in range(random.integers(1, 4)):
        place = int(random.integers(4, len(changed)))
        changed[place : place + int(random.integers(0, 2))] = random.bytes(int(random.integers(0, 2)))
    return bytes(changed)


@given(st.integers(0, 2**32), st.integers(1, 8))
@settings(max_examples=200)
def test_a_mutated_file_is_refused_or_turned_without_loss(seed, by):
    survives(rotate.Rotator(jpeg=False), mutated(LOSSLESS, np.random.default_rng(seed)), by)


@pytest.mark.slow
def test_thousands_of_mutated_files_are_refused_or_turned_without_loss(rotator):
    random, counts = np.random.default_rng(7), Counter()
    drawings = [LOSSLESS, extended(drawn(alpha=False), None), packed(drawn()), packed(turnable_jpegs.pixels(24, 16, 1))]
    for number in range(MUTATIONS):
        counts[survives(rotator, mutated(drawings[number % 4], random), int(random.integers(2, 9)))] += 1
    assert min(counts.values()) > MUTATIONS // 100
    print(f"{counts[True]} of {MUTATIONS} mutated files were turned, {counts[False]} refused")
