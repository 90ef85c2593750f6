import io
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image
from support import jpeg_files, png_webp_tiff_files
from support.jpeg_files import BYTE, LONG, SHORT, SLONG, UNDEFINED, Tag
from support.png_webp_tiff_files import Tiff, check_patch, judge_damaged, tiff, tiff_changes

from orientd.errors import Refused
from orientd.formats import plan, stored_orientation, tiff_patch
from orientd.records import Format

LACKING = Tiff(orientations=())

values = st.integers(1, 8)


@st.composite
def recipes(draw) -> Tiff:
    """Files that can be patched."""
    value = draw(st.none() | st.integers(0, 9))
    types = draw(st.lists(st.sampled_from([SHORT, LONG, SLONG]), min_size=1, max_size=2))
    return Tiff(
        order=draw(st.sampled_from(["little", "big"])),
        orientations=() if value is None else tuple((type_, value) for type_ in types),
        strips=draw(st.sampled_from([1, 2, 5])),
        compression=draw(st.sampled_from([1, 8])),
        directory_first=draw(st.booleans()),
        odd=draw(st.booleans()),
        exif=draw(st.booleans()),
        xmp=draw(st.sampled_from(["", *jpeg_files.XMP_FORMS])),
        xmp_value=1 if value is None else value,
        trailer=draw(st.sampled_from([b"", b"\0" * 40])),
    )


def refusal(data: bytes, orientation: int = 6) -> str:
    with pytest.raises(Refused) as caught:
        plan(Format.TIFF, data, orientation)
    return str(caught.value)


def long(tag: int, value: int) -> Tag:
    return Tag(tag, LONG, value.to_bytes(4, "little"))


@pytest.mark.parametrize("recipe", [Tiff(xmp="element"), replace(LACKING, xmp="element", exif=True)], ids=["in place", "grown"])
def test_the_comparator_finds_a_changed_byte_anywhere(recipe):
    good = tiff(recipe)
    after = plan(Format.TIFF, good, 6).apply(good)
    assert tiff_changes(good, good) == []
    assert tiff_changes(good, after) == []
    for place in (100, 200, good.index(b"a camera"), good.index(b"W5M0"), len(good) - 1):
        assert tiff_changes(good, after[:place] + bytes([after[place] ^ 1]) + after[place + 1 :]), place
    if len(after) > len(good):
        tag = after.index(b"\x06\1\3\0", len(good))
        assert tiff_changes(good, after[: tag + 8] + b"\1" + after[tag + 9 :])
        assert tiff_changes(good, after[:5] + bytes([after[5] ^ 1]) + after[6:])
        assert tiff_changes(good, after[: tag + 12] + b"x" * 12 + after[tag + 24 :])
        assert tiff_changes(good, after + b"x")


@given(recipes(), values)
def test_readers_agree_and_no_other_byte_changed(recipe, orientation):
    patch = check_patch(tiff(recipe), orientation)
    after = patch.apply(tiff(recipe))
    assert tifffile.TiffFile(io.BytesIO(after)).pages[0].tags[0x112].value == orientation


@given(recipes(), values)
def test_a_value_that_is_there_is_overwritten_and_nothing_else(recipe, orientation):
    assume(recipe.orientations)
    data = tiff(recipe)
    planned = replace(recipe, orientations=tuple((type_, orientation) for type_, _ in recipe.orientations), xmp_value=orientation)
    assert plan(Format.TIFF, data, orientation).apply(data) == tiff(planned)


@given(recipes(), values)
def test_growth_changes_four_bytes_and_adds_a_directory_at_the_end(recipe, orientation):
    data = tiff(replace(recipe, orientations=(), xmp=""))
    after = plan(Format.TIFF, data, orientation).apply(data)
    start = int.from_bytes(after[4:8], recipe.order)
    assert (after[:4], after[8 : len(data)]) == (data[:4], data[8:])
    assert start in (len(data), len(data) + 1)
    assert start % 2 == 0
    count = int.from_bytes(after[start : start + 2], recipe.order)
    assert len(after) == start + 2 + 12 * count + 4
    tags = [int.from_bytes(after[at : at + 2], recipe.order) for at in range(start + 2, len(after) - 4, 12)]
    assert tags == sorted(tags)


@given(recipes(), values, values)
def test_a_patch_of_a_patch_is_a_patch(recipe, first, second):
    data = tiff(recipe)
    once = plan(Format.TIFF, data, first).apply(data)
    twice = plan(Format.TIFF, once, second)
    assert twice.keeps_length
    assert twice.apply(once) == plan(Format.TIFF, data, second).apply(data)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["little", "big"])
def test_all_eight_values(order, orientation):
    for recipe in (Tiff(order=order), replace(LACKING, order=order)):
        check_patch(tiff(recipe), orientation)
    assert plan(Format.TIFF, tiff(Tiff(orientations=((SHORT, orientation),))), orientation).splices == ()


def test_a_value_of_one_byte_is_changed_in_place():
    data = tiff(Tiff(orientations=((BYTE, 1),)))
    assert check_patch(data, 6).keeps_length


def test_the_place_of_an_old_style_jpeg_in_a_file_that_is_none_forbids_growth_only():
    assert check_patch(tiff(Tiff(more=(long(0x201, 8), long(0x202, 9)))), 6).keeps_length


@pytest.mark.parametrize("xmp", ["", "element"])
def test_what_is_broken_beside_the_picture_forbids_growth_only(xmp):
    inside_header = (long(0x8769, 5),)
    assert check_patch(tiff(Tiff(more=inside_header, xmp=xmp)), 6).keeps_length
    assert "cut short, or broken" in refusal(tiff(replace(LACKING, more=inside_header)))


@pytest.mark.parametrize("tag", [0x8769, 0x8825])
def test_a_directory_that_lies_nowhere_forbids_nothing(tag):
    assert check_patch(tiff(Tiff(more=(long(tag, 10**6),))), 6).keeps_length
    for place in (0, 10**6, 2**32 - 1):
        data = tiff(replace(LACKING, more=(long(tag, place),)))
        after = check_patch(data, 6).apply(data)
        assert after[8 : len(data)] == data[8:]
        assert tifffile.TiffFile(io.BytesIO(after)).pages[0].tags[0x112].value == 6


@pytest.mark.parametrize("more", range(0, 310, 6))
def test_a_directory_told_just_behind_the_end_forbids_growth(more):
    """It would be found where the new one comes to lie."""
    size = len(tiff(replace(LACKING, more=(long(0x8769, 0),))))
    data = tiff(replace(LACKING, more=(long(0x8769, size + more),)))
    grown = len(plan(Format.TIFF, tiff(replace(LACKING, more=(long(0x8769, 0),))), 6).apply(data)) - size
    assert 100 < grown < 300
    if more < grown:
        assert "just behind its end" in refusal(data)
    else:
        check_patch(data, 6)


def test_a_page_that_lies_nowhere_is_a_page_that_is_lost():
    for follows in (10**6, 2**32 - 1):
        assert "points outside its block" in refusal(tiff(replace(LACKING, follows=follows)))


def test_bytes_that_belong_to_nothing_forbid_growth_only():
    assert "belong to nothing" in refusal(tiff(replace(LACKING, trailer=b"a stack of more pictures")))
    assert check_patch(tiff(Tiff(trailer=b"a stack of more pictures")), 6).keeps_length


def test_a_full_file_does_not_grow(monkeypatch):
    data = tiff(LACKING)
    monkeypatch.setattr(tiff_patch, "_LARGEST", len(data) + 1)
    assert not check_patch(data, 6).keeps_length
    monkeypatch.setattr(tiff_patch, "_LARGEST", len(data))
    assert "too large (4 GB) to grow" in refusal(data)
    assert check_patch(GOOD, 6).keeps_length


def test_a_page_of_a_document_is_a_picture_too():
    check_patch(tiff(Tiff(more=(long(0xFE, 2),))), 6)


WRITTEN = [("1", "raw"), ("1", "tiff_ccitt"), ("1", "group3"), ("1", "group4"), ("L", "raw"), ("P", "packbits"), ("LAB", "raw")]
WRITTEN += [("RGB", "tiff_lzw"), ("RGB", "tiff_adobe_deflate"), ("RGB", "tiff_deflate"), ("YCbCr", "jpeg"), ("CMYK", "tiff_lzw")]


@pytest.mark.parametrize(("mode", "compression"), WRITTEN)
def test_what_pillow_writes_is_a_picture(mode, compression):
    out, image = io.BytesIO(), Image.fromarray(png_webp_tiff_files.PIXELS)
    space = {"LAB": lambda: Image.frombytes("LAB", image.size, image.tobytes())}.get(mode, lambda: image.convert(mode))
    space().save(out, "TIFF", compression=compression)
    data = out.getvalue()
    after = plan(Format.TIFF, data, 6).apply(data)
    assert stored_orientation(Format.TIFF, after) == 6
    assert png_webp_tiff_files.decoded(after) == png_webp_tiff_files.decoded(data) is not None
    assert tiff_changes(data, after) == []


def test_colours_that_lie_apart_are_a_picture():
    out = io.BytesIO()
    planes = np.ascontiguousarray(png_webp_tiff_files.PIXELS.transpose(2, 0, 1))
    tifffile.imwrite(out, planes, photometric="rgb", planarconfig="separate", rowsperstrip=5, metadata=None)
    assert not check_patch(out.getvalue(), 6).keeps_length


@pytest.mark.parametrize(("mark", "order"), [("<", "little"), (">", "big")])
def test_tiles_are_a_picture_too(mark, order):
    out = io.BytesIO()
    tifffile.imwrite(out, png_webp_tiff_files.PIXELS, byteorder=mark, photometric="rgb", tile=(16, 16), metadata=None)
    data = out.getvalue()
    assert not check_patch(data, 6).keeps_length
    place = data.index((0x145).to_bytes(2, order) + SHORT.to_bytes(2, order)) + 8
    assert data[place : place + 4] == (16 * 16 * 3).to_bytes(2, order) * 2
    assert "where its picture starts" in refusal(data[:place] + (16 * 16 * 3 - 1).to_bytes(2, order) + data[place + 2 :])


@pytest.mark.parametrize("order", ["little", "big"])
def test_more_tiles_than_the_picture_has_are_no_reason(order):
    out, pixels = io.BytesIO(), np.tile(png_webp_tiff_files.PIXELS, (2, 1, 1))
    byteorder = {"little": "<", "big": ">"}[order]
    tifffile.imwrite(out, pixels, byteorder=byteorder, photometric="rgb", tile=(16, 16), metadata=None)
    data = out.getvalue()
    place = data.index((0x101).to_bytes(2, order)) + 2
    size = {SHORT: 2, LONG: 4}[int.from_bytes(data[place : place + 2], order)]
    place += 6
    assert int.from_bytes(data[place : place + size], order) == len(pixels)
    for fewer, enough in ((len(pixels) // 2, True), (len(pixels) + 16, False)):
        changed = data[:place] + fewer.to_bytes(size, order) + data[place + size :]
        if enough:
            assert not check_patch(changed, 6).keeps_length
        else:
            assert "where its picture starts" in refusal(changed)


@given(st.data(), values)
def test_damaged_tiles_and_directories_that_lie_nowhere_are_refused_or_harm_nothing(random, value):
    out = io.BytesIO()
    extra = [(0x8769, 4, 1, random.draw(st.sampled_from([0, 10**6, 2000])), True)]
    tile = {"photometric": "rgb", "tile": (16, 16), "metadata": None, "extratags": extra}
    tifffile.imwrite(out, png_webp_tiff_files.PIXELS, **tile)
    data = out.getvalue()
    for _ in range(random.draw(st.integers(1, 3))):
        place = random.draw(st.integers(0, 300))
        noise = random.draw(st.binary(min_size=1, max_size=2))
        data = data[:place] + noise + data[place + len(noise) :]
    judge_damaged(data, value)


GOOD = tiff(Tiff())
STRIP = Tiff(directory_first=True)
BESIDE = replace(STRIP, more=(long(0x8769, 10**6),))
UNKNOWN_PIXELS = replace(STRIP, without=(0x106,), more=(Tag(0x106, SHORT, b"\x23\x80"),))
OLD_JPEG = replace(STRIP, without=(0x103,), more=(Tag(0x103, SHORT, b"\6\0"),))
MAKER_COMPRESSION = replace(STRIP, without=(0x103,), more=(Tag(0x103, SHORT, b"\x69\x87"),))
ENTRY = GOOD.index(b"\x12\1\3\0\1\0\0\0")
EARLY_ENTRY = tiff(STRIP).index(b"\x12\1\3\0\1\0\0\0")


def sharing(recipe: Tiff, tag: bytes, place: int) -> bytes:
    """The TIFF whose entry that starts with `tag` points at `place`."""
    data = tiff(recipe)
    at = data.index(tag) + 8
    return data[:at] + place.to_bytes(4, "little") + data[at + 4 :]


REFUSED = [
    ("does not start with a TIFF header", b"\xff\xd8\xff"),
    ("points outside its block", GOOD[:6]),
    ("points outside its block", GOOD[: ENTRY + 20]),
    ("cut short, or broken", tiff(STRIP)[:-100]),
    ("several pictures (pages)", tiff(Tiff(follows=len(GOOD))) + jpeg_files.directory([long(0x100, 1)], len(GOOD), "little")),
    ("overlap or loop", tiff(Tiff(follows=int.from_bytes(GOOD[4:8], "little")))),
    ("several pictures (SubIFDs)", tiff(Tiff(more=(long(0x14A, 8),)))),
    ("a raw file", tiff(Tiff(more=(Tag(0xC612, BYTE, b"\1\4\0\0"),)))),
    ("a raw file", tiff(Tiff(more=(Tag(0x9216, BYTE, b"\1\0\0\0"),)))),
    ("a raw file", tiff(Tiff(more=(Tag(0x828E, BYTE, b"\0\1\1\2"),)))),
    ("a raw file", tiff(Tiff(more=(Tag(0x8606, UNDEFINED, b"PKTS"),)))),
    ("perhaps a raw file", tiff(UNKNOWN_PIXELS)),
    ("perhaps a raw file", tiff(MAKER_COMPRESSION)),
    ("old-style JPEG", tiff(OLD_JPEG)),
    ("perhaps a raw file", tiff(replace(STRIP, without=(0x106,)))),
    ("old-style JPEG", tiff(replace(LACKING, more=(long(0x201, 8),)))),
    ("a map", tiff(Tiff(more=(Tag(0x87AF, SHORT, b"\1\0\1\0\0\0\0\0"),)))),
    ("content credentials", tiff(Tiff(more=(Tag(0xCD41, UNDEFINED, b"jumb"),)))),
    ("preview or mask", tiff(Tiff(more=(long(0xFE, 1),)))),
    ("preview or mask", tiff(Tiff(more=(long(0xFE, 4),)))),
    ("preview or mask", tiff(Tiff(more=(Tag(0xFF, SHORT, b"\2\0"),)))),
    ("where its picture starts", tiff(Tiff(without=(0x117,)))),
    ("where its picture starts", tiff(Tiff(without=(0x111,)))),
    ("where its picture starts", sharing(STRIP, b"\x17\1\4\0\1\0\0\0", 0)),
    ("where its picture starts", tiff(Tiff(strips=2, without=(0x117,), more=(long(0x117, 99),)))),
    ("where its picture starts", tiff(Tiff(strips=2, without=(0x116,)))),
    ("where its picture starts", tiff(Tiff(without=(0x101,), more=(Tag(0x101, SHORT, b"\x20\0"),)))),
    ("where its picture starts", tiff(Tiff(without=(0x100,), more=(Tag(0x100, SHORT, b"\x20\0"),)))),
    ("where its picture starts", tiff(Tiff(without=(0x100,)))),
    ("where its picture starts", tiff(Tiff(without=(0x115,), more=(Tag(0x115, SHORT, b"\4\0"),)))),
    ("where its picture starts", tiff(Tiff(more=(long(0x144, 8), long(0x145, 99))))),
    ("a tag twice", tiff(Tiff(more=(long(0x100, 5),)))),
    ("shares bytes with something else", sharing(STRIP, b"\x11\1\4\0\1\0\0\0", 8)),
    ("shares bytes with something else", sharing(BESIDE, b"\x11\1\4\0\1\0\0\0", 8)),
    ("shares bytes with something else", sharing(BESIDE, b"\x0f\1\2\0\x11\0\0\0", EARLY_ENTRY + 8)),
    ("shares bytes with something else", sharing(STRIP, b"\x0f\1\2\0\x11\0\0\0", EARLY_ENTRY + 8)),
    ("shares bytes with something else", sharing(replace(LACKING, directory_first=True), b"\x11\1\4\0\1\0\0\0", 1)),
    ("type 3, count 2", tiff(replace(LACKING, more=(Tag(0x112, SHORT, b"\1\0\1\0"),)))),
    ("several orientations: 1, 6", tiff(Tiff(orientations=((SHORT, 1), (LONG, 6))))),
    ("EXIF says 3, XMP says 1", tiff(Tiff(orientations=((SHORT, 3),), xmp="element"))),
    ("EXIF says nothing, XMP says 8", tiff(replace(LACKING, xmp="attribute", xmp_value=8))),
    ("broken XMP", tiff(Tiff(more=(Tag(0x2BC, BYTE, jpeg_files.packet("element", 1)[:-100]),)))),
]


@pytest.mark.parametrize(("reason", "data"), REFUSED, ids=[reason for reason, _ in REFUSED])
def test_refused(reason, data):
    assert reason in refusal(data)


def test_a_digit_that_another_tag_shares_is_left_alone():
    data = tiff(Tiff(xmp="element"))
    place = data.index(b"Orientation>1") + 10
    assert "shares bytes" in refusal(sharing(Tiff(xmp="element"), b"\x1a\1\5\0", place))


@given(st.data(), recipes(), values)
def test_damaged_files_are_refused_or_patched_without_a_change_of_pixels(random, recipe, orientation):
    data = tiff(recipe)
    start = int.from_bytes(data[4:8], recipe.order)
    for _ in range(random.draw(st.integers(1, 3))):
        place = random.draw(st.integers(0, len(data) - 1) | st.integers(start, min(start + 170, len(data) - 1)))
        noise = random.draw(st.binary(min_size=1, max_size=2))
        data = data[:place] + noise + data[place + len(noise) :]
    data = data[: random.draw(st.just(len(data)) | st.integers(0, len(data)))]
    judge_damaged(data, orientation)


def test_what_is_not_read_is_none():
    assert stored_orientation(Format.TIFF, GOOD[: ENTRY + 4]) is None
    assert stored_orientation(Format.TIFF, tiff(LACKING)) is None
    assert png_webp_tiff_files.pillow_reads(tiff(LACKING)) is None
