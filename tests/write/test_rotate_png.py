"""PNGs turned by pixels: judged by pypng, which keeps all 16 bits, and by what stands in their chunks."""

import io
import os
import struct
import zlib
from collections import Counter

import numpy as np
import png as pypng
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from support import turnable_jpegs
from support.any_depth_png import KINDS, Kind, decoded, drawn, encoded
from support.png_webp_tiff_files import png_chunk, png_xmp, split_png, with_checksums

from orientd import formats, orientation
from orientd.errors import Refused
from orientd.formats.lossless import png, png_filter
from orientd.records import Format, Splice
from orientd.write import rotate

MUTATIONS = int(os.environ.get("ORIENTD_MUTATIONS", "10000"))
RGB = Kind(2, 8)
PICTURE = drawn(RGB, 13, 7)
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.colour}-{kind.depth}")


@pytest.fixture(scope="module")
def rotator():
    return rotate.Rotator(jpeg=False)


def turned(data, by):
    return rotate.Rotator(jpeg=False).plan(Format.PNG, data, by).apply(data)


def same_samples(before, after, by):
    """True if pypng sees in `after` what `by` makes of what it sees in `before`, to the last bit."""
    return np.array_equal(orientation.apply(decoded(before), by), decoded(after))


@kinds
def test_the_judges_agree_on_what_is_drawn(kind):
    values = drawn(kind, 9, 6)
    data = encoded(values, kind)
    assert np.array_equal(decoded(data), values)
    if kind.depth == 8:
        with Image.open(io.BytesIO(data)) as image:
            assert np.array_equal(np.asarray(image).reshape(values.shape), values)


def test_the_comparator_finds_a_wrong_turn_and_the_lowest_bit_of_sixteen():
    kind = Kind(2, 16)
    values = drawn(kind, 9, 6)
    after = encoded(orientation.apply(values, 6), kind)
    assert same_samples(encoded(values, kind), after, 6)
    assert not any(same_samples(encoded(values, kind), after, by) for by in (1, 2, 3, 4, 5, 7, 8))
    values[3, 4, 1] ^= 1
    assert not same_samples(encoded(values, kind), after, 6)


@kinds
@pytest.mark.parametrize("by", range(2, 9))
def test_every_kind_and_turn(rotator, kind, by):
    data = encoded(drawn(kind, 11, 6), kind)
    patch = rotator.plan(Format.PNG, data, by)
    after = patch.apply(data)
    assert same_samples(data, after, by)
    assert patch.inverse().apply(after) == data
    assert [name for name, _ in split_png(after)[0] if name != b"PLTE"] == [b"IHDR", b"IDAT", b"IEND"]


@given(
    st.sampled_from(KINDS),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(1, 8),
    st.lists(st.integers(0, 4), min_size=1, max_size=6),
    st.integers(0, 99),
)
def test_any_size_and_any_filters(kind, width, height, by, filters, seed):
    data = encoded(drawn(kind, width, height, seed), kind, filters)
    after = turned(data, by)
    assert same_samples(data, after, by)
    assert same_samples(data, turned(after, orientation.inverse(by)), 1)


@pytest.mark.parametrize("rows_at_once", [8, 16])
def test_filters_reach_across_the_rows_done_at_once(monkeypatch, rows_at_once):
    monkeypatch.setattr(png_filter, "_ROWS_AT_ONCE", rows_at_once)
    for kind in (RGB, Kind(6, 16)):
        data = encoded(drawn(kind, 5, 50), kind, [4, 3, 1, 2, 4])
        rows = png.samples(data)
        assert np.array_equal(png_filter.undo(png_filter.apply(rows), rows.shape[2]), rows)
        assert same_samples(data, turned(data, 7), 7)


def test_a_photo_does_not_grow(rotator):
    picture = Image.fromarray(turnable_jpegs.pixels(400, 300, 1))
    picture.save(out := io.BytesIO(), "PNG")
    patch = rotator.plan(Format.PNG, out.getvalue(), 6)
    assert len(patch.apply(out.getvalue())) < 1.02 * len(out.getvalue())


def test_a_small_palette_stays_small(rotator):
    data = encoded(np.zeros((200, 300, 1), int), Kind(3, 1))
    assert len(rotator.plan(Format.PNG, data, 6).apply(data)) < 250


def exif_of(stored, order="big"):
    return turnable_jpegs.exif(
        turnable_jpegs.Recipe(width=13, height=7, stored=stored, order=order, thumbnail=False, subject=(3, 2))
    )


def packet(stored):
    return turnable_jpegs._packet(turnable_jpegs.Recipe(width=13, height=7, stored=stored))


OTHERS = [
    png_chunk(b"gAMA", struct.pack(">I", 45455)),
    png_chunk(b"tRNS", bytes(6)),
    png_chunk(b"tEXt", b"Comment\0 6"),
    png_chunk(b"tIME", bytes([7, 230, 1, 2, 3, 4, 5])),
    png_chunk(b"prVt", b"safe to copy"),
]


@pytest.mark.parametrize("stored", [1, 6, 7, None])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("by", range(2, 9))
def test_chunks_say_what_is_true_of_the_turned_picture_and_nothing_else_changes(rotator, stored, late, by):
    told = [png_chunk(b"eXIf", exif_of(stored)), png_xmp(packet(stored)), png_chunk(b"pHYs", struct.pack(">IIB", 72, 96, 1))]
    data = encoded(PICTURE, RGB, before=OTHERS if late else OTHERS + told, after=told[:2] if late else ())
    after = rotator.plan(Format.PNG, data, by).apply(data)
    assert same_samples(data, after, by)
    before, (chunks, _) = split_png(data)[0], split_png(after)
    assert [name for name, _ in chunks if name != b"IDAT"] == [name for name, _ in before if name != b"IDAT"]
    changes = (b"IHDR", b"IDAT", b"pHYs", b"eXIf", b"iTXt")
    assert [chunk for chunk in chunks if chunk[0] not in changes] == [chunk for chunk in before if chunk[0] not in changes]
    width, height = (7, 13) if orientation.swaps_sides(by) else (13, 7)
    with Image.open(io.BytesIO(after)) as image:
        image.load()
        tags, text = image.getexif(), image.info["XML:com.adobe.xmp"]
        inner = tags.get_ifd(0x8769)
        assert (image.size, inner[0xA002], inner[0xA003]) == ((width, height), width, height)
        assert tags.get(0x0112) == (None if stored is None else 1)
        if not late:
            assert struct.pack(">IIB", *((96, 72) if orientation.swaps_sides(by) else (72, 96)), 1) in dict(chunks)[b"pHYs"]
        mark = np.zeros((7, 13))
        mark[2, 3] = 1
        y, x = np.argwhere(orientation.apply(mark, by))[0]
        assert inner[0x9214] == (x, y)
    assert f'tiff:ImageWidth="{width}"' in text
    assert f"<exif:PixelYDimension>{height}<" in text
    assert ('tiff:Orientation="1"' in text) == (stored is not None)


@pytest.mark.parametrize("stored", range(1, 9))
@pytest.mark.parametrize("turn", [90, 180, 270])
def test_viewers_that_obey_the_tag_and_those_that_do_not_see_the_same(rotator, stored, turn):
    data = encoded(PICTURE, RGB, before=[png_chunk(b"eXIf", exif_of(stored, "little"))])
    by = orientation.turned(stored, turn)
    after = rotator.plan(Format.PNG, data, by).apply(data) if by != 1 else formats.plan(Format.PNG, data, 1).apply(data)
    with Image.open(io.BytesIO(data)) as image, Image.open(io.BytesIO(after)) as other:
        wanted = np.rot90(np.asarray(ImageOps.exif_transpose(image)), -turn // 90)
        assert np.array_equal(wanted, np.asarray(ImageOps.exif_transpose(other)))
        assert np.array_equal(wanted, np.asarray(other))


def test_exif_behind_the_prefix_of_a_jpeg_is_turned_too(rotator):
    with_prefix, bare = (plain(before=[png_chunk(b"eXIf", prefix + exif_of(6))]) for prefix in (b"Exif\0\0", b""))
    after, other = (dict(split_png(rotator.plan(Format.PNG, data, 6).apply(data))[0])[b"eXIf"] for data in (with_prefix, bare))
    assert after == b"Exif\0\0" + other


def test_compressed_xmp_that_says_nothing_of_sides_stays(rotator):
    chunk = png_xmp(b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>', compressed=True)
    data = encoded(PICTURE, RGB, before=[chunk])
    assert chunk in rotator.plan(Format.PNG, data, 6).apply(data)


def plain(**how):
    return encoded(PICTURE, RGB, **how)


def unpacked_otherwise(packed):
    data = plain()
    start = data.index(b"IDAT") - 4
    return data[:start] + png_chunk(b"IDAT", packed) + png_chunk(b"IEND")


def in_header(place, value):
    data = bytearray(plain())
    data[16 + place] = value
    return with_checksums(bytes(data))


REFUSED = {
    "interlaced": (plain(interlaced=1), "interlaced"),
    "Apple's iDOT": (plain(before=[png_chunk(b"iDOT", bytes(28))]), r"a chunk \(iDOT\) that may not be true"),
    "stereo": (plain(before=[png_chunk(b"sTER", b"\0")]), "sTER"),
    "physical scale": (plain(before=[png_chunk(b"sCAL", b"\0011\x002")]), "sCAL"),
    "digital signature": (plain(before=[png_chunk(b"dSIG", b"x")]), "dSIG"),
    "unknown and unsafe to copy": (plain(before=[png_chunk(b"prVT", b"x")]), "prVT"),
    "no name": (plain(before=[png_chunk(b"te4t", b"x")]), "te4t"),
    "of a later edition": (plain(before=[png_chunk(b"prvt", b"x")]), "prvt"),
    "unknown and critical": (plain(before=[png_chunk(b"NEWs", b"x")]), "NEWs"),
    "offset": (plain(before=[png_chunk(b"oFFs", bytes(9))]), "a place on a page"),
    "ImageMagick's canvas": (plain(before=[png_chunk(b"caNv", bytes(16))]), "a place on a canvas"),
    "ImageMagick's orientation": (plain(before=[png_chunk(b"orNT", b"\6")]), "an orientation of its own"),
    "Android's stretched parts": (plain(before=[png_chunk(b"npTc", bytes(16))]), "stretchable"),
    "animation": (plain(before=[png_chunk(b"acTL", bytes(8))]), "acTL"),
    "old profile": (plain(before=[png_chunk(b"zTXt", b"Raw profile type exif\0\0x")]), "old text chunk"),
    "size in a text": (plain(before=[png_chunk(b"tEXt", b"exif:PixelXDimension\x0013")]), "states its orientation or its size"),
    "regions": (plain(before=[png_xmp(b"<a><mwg-rs:Regions/></a>")]), "regions"),
    "regions, compressed": (plain(before=[png_xmp(b"<a><mwg-rs:Regions/></a>", True)]), "regions"),
    "sides, compressed": (plain(before=[png_xmp(packet(None), True)]), "in compressed form"),
    "one side": (plain(before=[png_xmp(b'<a tiff:ImageWidth="13"/>')]), "a form that cannot be changed"),
    "a thumbnail": (
        plain(before=[png_chunk(b"eXIf", turnable_jpegs.exif(turnable_jpegs.Recipe(subject=())))]),
        "another picture",
    ),
    "a thumbnail of another kind": (
        plain(
            before=[
                png_chunk(
                    b"eXIf", turnable_jpegs.exif(turnable_jpegs.Recipe(subject=())).replace(b"\xff\xd8\xff", b"\xff\xd8\xfe")
                )
            ]
        ),
        "has a thumbnail",
    ),
    "a preview": (plain(before=[png_chunk(b"eXIf", exif_of(1) + b"\xff\xd8\xff\xdb")]), "another picture"),
    "subject outside": (
        plain(before=[png_chunk(b"eXIf", turnable_jpegs.exif(turnable_jpegs.Recipe(thumbnail=False)))]),
        "subject",
    ),
    "trailer": (plain(trailer=b"more"), "more behind"),
    "too large": (in_header(1, 9), "too large"),
    "depth 3": (in_header(8, 3), "header is broken"),
    "colour 5": (in_header(9, 5), "header is broken"),
    "colour of 4 bits": (in_header(8, 4), "header is broken"),
    "a filter for all": (in_header(11, 1), "header is broken"),
    "no width": (in_header(3, 0), "header is broken"),
    "no height": (in_header(7, 0), "header is broken"),
    "packed otherwise": (in_header(10, 1), "header is broken"),
    "a header of 14 bytes": (plain()[:8] + png_chunk(b"IHDR", plain()[16:29] + b"\0") + plain()[33:], "header is broken"),
    "another chunk first": (plain()[:8] + png_chunk(b"tIME", plain()[16:29]) + plain()[8:], "header is broken"),
    "one row more": (in_header(7, 8), "not the size"),
    "one row less": (in_header(7, 6), "not the size"),
    "not packed": (unpacked_otherwise(b"garbage"), "cannot be unpacked"),
    "cut short": (unpacked_otherwise(zlib.compress(bytes(7 * 40))[:-3]), "not the size"),
    "bytes behind": (unpacked_otherwise(zlib.compress(bytes(7 * 40)) + b"x"), "not the size"),
    "filter 5": (unpacked_otherwise(zlib.compress((b"\5" + bytes(39)) * 7)), "a filter that does not exist"),
    "wrong checksum": (plain(before=[png_chunk(b"tEXt", b"Comment\0a")]).replace(b"\0a", b"\0b"), "checksum"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_turn_would_leave_behind_is_refused(rotator, what):
    data, reason = REFUSED[what]
    with pytest.raises(Refused, match=reason):
        rotator.plan(Format.PNG, data, 6)


def test_values_that_share_bytes_are_refused(rotator):
    """X and Y resolution, which change places, overlapped by half."""
    block = exif_of(1)
    entry = block.index(b"\x01\x1a\0\5\0\0\0\1") + 8
    place = int.from_bytes(block[entry : entry + 4], "big") + 4
    overlapped = block[:entry] + place.to_bytes(4, "big") + block[entry + 4 :]
    with pytest.raises(Refused, match="its values overlap"):
        rotator.plan(Format.PNG, plain(before=[png_chunk(b"eXIf", overlapped)]), 6)


def test_physical_pixels_of_any_shape_change_places_only_with_the_sides(rotator):
    data = plain(before=[png_chunk(b"pHYs", struct.pack(">IIB", 3, 4, 0))])
    for by, sides in ((3, (3, 4)), (6, (4, 3))):
        after = dict(split_png(rotator.plan(Format.PNG, data, by).apply(data))[0])
        assert after[b"pHYs"] == struct.pack(">IIB", *sides, 0)


@pytest.mark.parametrize(
    ("name", "lie"),
    [
        ("_packed", lambda true: lambda pixels, header: true(pixels ^ np.uint8(1), header)),
        ("_packed", lambda true: lambda pixels, header: true(pixels[::-1], header)),
        ("_body", lambda true: lambda data, chunk, *rest: true(data, chunk, *rest) + b"!" * (chunk.name == b"tEXt")),
    ],
    ids=["another sample", "another turn", "other metadata"],
)
def test_the_proof_finds_a_turn_that_lies(rotator, monkeypatch, name, lie):
    data = plain(before=OTHERS)
    rotator.plan(Format.PNG, data, 3)
    monkeypatch.setattr(png, name, lie(getattr(png, name)))
    with pytest.raises(Refused, match=r"not be the same to the sample|metadata would change"):
        rotator.plan(Format.PNG, data, 3)


def test_the_proof_asks_another_decoder(rotator, monkeypatch):
    """Were our own reader wrong in the same way before and after, Pillow would still see it."""
    monkeypatch.setattr(png, "samples", lambda data: np.zeros((7, 13, 3), np.uint8))
    with pytest.raises(Refused, match="not be the same to the sample"):
        rotator.plan(Format.PNG, plain(), 3)


def survives(rotator, data, by):
    """Plans a turn of anything: it is refused, or proved and exactly undone. True if it was turned.

    What pypng finds fault with (a palette too long, say) is judged by Pillow.
    """
    try:
        patch = rotator.plan(formats.sniff(data), data, by)
    except Refused:
        return False
    after = patch.apply(data)
    assert patch.inverse().apply(after) == data
    try:
        assert same_samples(data, after, by)
    except pypng.Error:
        with Image.open(io.BytesIO(data)) as image, Image.open(io.BytesIO(after)) as other:
            assert np.array_equal(orientation.apply(np.asarray(image), by), np.asarray(other))
    return True


def full():
    told = [png_chunk(b"eXIf", exif_of(6)), png_xmp(packet(6)), png_chunk(b"pHYs", struct.pack(">IIB", 72, 96, 1))]
    return plain(before=OTHERS + told)


def mutated(data, number, random):
    """Bytes changed, added or taken out: of the file, mostly with checksums that fit, or of the filtered rows within it."""
    if number % 3 == 1:
        chunks, _ = split_png(data)
        lines = bytearray(zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT")))
        for _ in range(random.integers(1, 9)):
            lines[random.integers(0, len(lines))] = random.integers(0, 256) if random.integers(0, 2) else random.integers(0, 5)
        start, end = data.index(b"IDAT") - 4, data.rindex(b"IDAT") + 8 + len(chunks[-2][1])
        return data[:start] + png_chunk(b"IDAT", zlib.compress(lines)) + data[end:]
    changed = bytearray(data)
    for _ in range(random.integers(1, 4)):
        place = int(random.integers(8, len(changed)))
        kind = random.integers(0, 4)
        if kind == 0:
            del changed[place : place + int(random.integers(1, 5))]
        elif kind == 1:
            changed[place:place] = random.bytes(int(random.integers(1, 5)))
        else:
            changed[place] = random.integers(0, 256)
    return with_checksums(bytes(changed)) if number % 4 else bytes(changed)


@given(st.integers(0, 2**32), st.integers(1, 8))
@settings(max_examples=200)
def test_a_mutated_file_is_refused_or_turned_without_loss(seed, by):
    survives(rotate.Rotator(jpeg=False), mutated(full(), seed, np.random.default_rng(seed)), by)


@pytest.mark.slow
def test_thousands_of_mutated_files_are_refused_or_turned_without_loss(rotator):
    random, counts = np.random.default_rng(7), Counter()
    drawings = [encoded(drawn(kind, 6, 5), kind, before=OTHERS[2:]) for kind in KINDS] + [full()] * 4
    for number in range(MUTATIONS):
        data = mutated(drawings[number % len(drawings)], number, random)
        counts[survives(rotator, data, int(random.integers(2, 9)))] += 1
    assert min(counts.values()) > MUTATIONS // 100
    print(f"{counts[True]} of {MUTATIONS} mutated files were turned, {counts[False]} refused")


def test_a_patch_names_only_what_changes(rotator):
    data = plain(before=OTHERS)
    patch = rotator.plan(Format.PNG, data, 3)
    assert all(isinstance(splice, Splice) and splice.old != splice.new for splice in patch.splices)
    assert [data[splice.offset + 4 : splice.offset + 8] for splice in patch.splices] == [b"IDAT", b"IDAT"]
