"""EXIF that tells of directories that lie nowhere, and may grow all the same: nobody finds one there, before or after."""

import io
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import jpeg_files, mpo_files
from support.jpeg_files import LONG, SHORT, Tag, app1, segment, with_segments
from support.png_webp_tiff_files import Png, judge_damaged, png, png_chunk
from support.referee import HAS_EXIFTOOL, read_tags, tag_changes

from orientd.errors import Refused
from orientd.formats import mpf, plan, sniff, stored_orientation, tiff_block, tiff_patch
from orientd.records import Format, Patch

MAKE = Tag(0x010F, 2, b"somebody\0")
EXIF, GPS, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
FAR = 2**32 - 1


def long(tag: int, value: int) -> Tag:
    return Tag(tag, LONG, value.to_bytes(4, "little"))


def block(*tags: Tag, follows: int = 0) -> bytes:
    return b"II*\0\x08\0\0\0" + jpeg_files.directory(list(tags), 8, "little", follows)


def nested(place: int) -> bytes:
    """An EXIF directory that tells of an interoperability directory at `place`."""
    start = len(block(MAKE, long(EXIF, 0)))
    return block(MAKE, long(EXIF, start)) + jpeg_files.directory([long(INTEROPERABILITY, place)], start, "little")


def photo(content: bytes, behind: bytes = b"") -> bytes:
    return with_segments(app1(content)) + behind


def check(data: bytes) -> bytes:
    """The patched file, once all that must hold of it does."""
    patch = plan(sniff(data), data, 6)
    after = patch.apply(data)
    assert patch.inverse().apply(after) == data
    assert plan(sniff(after), after, 6) == Patch(())
    with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(after)) as image:
        assert stored_orientation(sniff(after), after) == image.getexif().get(0x0112) == 6
        assert image.getexif().get(0x010F) == "somebody"
    return after


def refusal(data: bytes) -> str:
    with pytest.raises(Refused) as caught:
        plan(sniff(data), data, 6)
    return str(caught.value)


NOWHERE = {
    "IFD1": block(MAKE, follows=999_999),
    "IFD1 as far as can be told": block(MAKE, follows=FAR),
    "EXIF": block(MAKE, long(EXIF, 999_999)),
    "GPS": block(MAKE, long(GPS, FAR)),
    "interoperability": nested(999_999),
    "GPS twice, once at 0": block(MAKE, long(GPS, 0), long(GPS, 999_999)),
    "EXIF at 0": block(MAKE, long(EXIF, 0)),
    "the length of a thumbnail that starts nowhere": block(MAKE, long(0x0202, FAR)),
}


@pytest.mark.parametrize("what", NOWHERE)
def test_it_grows_and_nothing_else_changes(what):
    data = photo(NOWHERE[what])
    after = check(data)
    start = data.index(b"Exif\0\0") + 6
    end = start + len(NOWHERE[what])
    assert after[start + 8 : end] == data[start + 8 : end]
    assert after.endswith(data[end:])
    png_file = png(Png(others=(png_chunk(b"eXIf", NOWHERE[what]),)))
    assert check(png_file)


@pytest.mark.skipif(not HAS_EXIFTOOL, reason="needs exiftool")
def test_exiftool_sees_no_other_tag_changed(tmp_path):
    paths = []
    for number, content in enumerate(NOWHERE.values()):
        for name, file in (("before", photo(content)), ("after", check(photo(content)))):
            paths.append(tmp_path / f"{number}-{name}.jpg")
            paths[-1].write_bytes(file)
    tags = read_tags(paths)
    for what, (old, new) in zip(NOWHERE, zip(tags[::2], tags[1::2], strict=True), strict=True):
        assert tag_changes(old, new, len(check(photo(NOWHERE[what]))) - len(photo(NOWHERE[what]))) == [], what
        assert new["EXIF:IFD0:Orientation"] == {"6": 1}


def test_a_directory_that_is_there_behind_the_block_forbids_growth():
    """A program that reads on in the file would find another one in its place, or none."""
    start = len(block(MAKE, long(EXIF, 0)))
    there = jpeg_files.directory([Tag(0x0128, SHORT, b"\2\0")], 0, "little")
    for gap in range(150, 190, 2):
        data = with_segments(app1(block(MAKE, long(EXIF, start + gap))), segment(0xFE, b"\xaa" * 300))
        place = data.index(b"Exif\0\0") + 6 + start + gap
        assert check(data)
        assert "points outside its block" in refusal(data[:place] + there + data[place + len(there) :])


def test_where_a_directory_would_come_to_be_found_the_block_grows_a_little_further():
    """What stands 42 bytes before the place is what is found there if the block grows by 42."""
    content = block(MAKE, long(EXIF, 0))
    growth = len(tiff_patch.patch(content, 6, memoryview(b"\xff" * 999))[1].new)
    place = len(content) + 300
    there = jpeg_files.directory([Tag(0x0128, SHORT, b"\2\0")], 0, "little")
    behind = bytearray(b"\xff" * 999)
    behind[300 - growth : 300 - growth + len(there)] = there
    told = block(MAKE, long(EXIF, place))
    grown = Patch(tuple(tiff_patch.patch(told, 6, memoryview(bytes(behind))))).apply(told)
    assert len(grown) > len(content) + growth
    assert (grown + behind)[place : place + len(there)] != there


@pytest.mark.parametrize("place", range(36, 96, 2))
def test_a_directory_told_where_the_block_grows_to_forbids_growth(place):
    content = block(MAKE, long(EXIF, place))
    assert len(content) < 60
    if place >= len(content):
        assert "points outside its block" in refusal(photo(content))


@pytest.mark.parametrize("place", range(1, 8))
def test_a_directory_within_the_header_forbids_growth(place):
    assert "inside the header" in refusal(photo(block(MAKE, long(EXIF, place))))


def test_values_and_thumbnails_that_lie_behind_the_block_still_forbid_growth():
    assert "lies outside its block" in refusal(photo(block(MAKE, long(0x0201, 9000), long(0x0202, 900))))
    far = block(Tag(0x010F, 2, b"somebody" * 3)).replace(len(block(MAKE)).to_bytes(4, "little"), b"\0\0\1\0")
    assert "points outside its block" in refusal(photo(block(MAKE)[:10] + far[10:22] + block(MAKE)[22:]))


@given(st.data(), st.integers(1, 8))
def test_noise_is_refused_or_harms_nothing(random, value):
    content = random.draw(st.sampled_from(list(NOWHERE.values())))
    for _ in range(random.draw(st.integers(0, 3))):
        place = random.draw(st.integers(8, len(content) - 1))
        content = content[:place] + random.draw(st.binary(min_size=1, max_size=4)) + content[place + 1 :]
    data = photo(content, random.draw(st.binary(max_size=40)))
    judge_damaged(data, value)
    try:
        after = plan(Format.JPEG, data, value).apply(data)
    except Refused:
        return
    assert found(data) == found(after)


def found(data: bytes) -> list[bytes]:
    """What a program finds that goes on in the file where a place lies behind the block, but for the first directory."""
    whole = tiff_block.TiffBlock(data[data.index(b"Exif\0\0") + 6 :])
    return sorted(whole.data[each.start : each.end] for each in whole.readable() if each.start != whole.start)


@pytest.mark.parametrize("order", ["little", "big"])
def test_a_broken_mark_of_the_byte_order_of_the_index_is_passed_over(order):
    mark = {"little": b"II", "big": b"MM"}[order]
    for kind, content in ((0x010001, Format.JPEG), (0x020002, Format.MPO)):
        good = jpeg_files.multi_picture(app1(block(MAKE)), order=order, kind=kind)
        at = good.index(b"MPF\0") + 4
        assert good[at : at + 2] == mark
        assert sniff(good) is content
        for broken in (b" " + mark[1:], mark[:1] + b"\0", b"xx"):
            data = good[:at] + broken + good[at + 2 :]
            assert sniff(data) is content
            after, wanted = (plan(content, each, 6).apply(each) for each in (data, good))
            place = after.index(b"MPF\0") + 4
            assert after == wanted[:place] + broken + wanted[place + 2 :]
            sizes = [[image.size for image in mpf.images(each[place - 4 :])] for each in (after, wanted)]
            assert sizes[0] == sizes[1]
    with pytest.raises(Refused, match="is broken"):
        mpf.images(b"MPF\0MM\0\0" + mpo_files.attributes(order)[8:])
