"""Faults that no change touches are no reason against it; where bytes must move, they are."""

import io
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import jpeg_files
from support.jpeg_files import LONG, SHORT, UNDEFINED, Recipe, Tag, app1, segment, tiff, with_segments
from support.referee import HAS_EXIFTOOL, byte_changes, read_tags, tag_changes

from orientd.errors import Refused
from orientd.formats import plan, stored_orientation, tiff_block, tiff_patch
from orientd.formats.lossless import jpeg as jpeg_core
from orientd.records import Format, Patch

MAKE = Tag(0x010F, 2, b"me\0\0")
ORIENTATION = Tag(0x0112, SHORT, b"\1\0")
NONE, STORED = Recipe(orientations=()), Recipe(orientations=((SHORT, 1),))


def block(*tags: Tag, follows: int = 0, behind: bytes = b"") -> bytes:
    return b"II*\0\x08\0\0\0" + jpeg_files.directory(list(tags), 8, "little", follows) + behind


def entry(tag: int, type_: int, count: int, value: int) -> bytes:
    parts = ((tag, 2), (type_, 2), (count, 4), (value, 4))
    return b"".join(number.to_bytes(size, "little") for number, size in parts)


def raw(*entries: bytes, follows: int = 0, behind: bytes = b"") -> bytes:
    """A block of IFD0 with these entries as they are."""
    count = len(entries).to_bytes(2, "little")
    return b"II*\0\x08\0\0\0" + count + b"".join(entries) + follows.to_bytes(4, "little") + behind


def pillow_reads(data: bytes) -> int | None:
    with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as image:  # it warns of the faults elsewhere
        image.load()
        return image.getexif().get(0x0112)


def refusal(data: bytes) -> str:
    with pytest.raises(Refused) as caught:
        plan(Format.JPEG, data, 6)
    return str(caught.value)


def turned(data: bytes) -> bytes:
    """The patched file, once all that must hold of it does."""
    patch = plan(Format.JPEG, data, 6)
    after = patch.apply(data)
    assert patch.inverse().apply(after) == data
    assert stored_orientation(Format.JPEG, after) == pillow_reads(after) == 6
    assert plan(Format.JPEG, after, 6) == Patch(())
    return after


IN_PLACE = {
    "IFD1 outside the block": block(MAKE, ORIENTATION, follows=9999),
    "IFD1 within the header": block(MAKE, ORIENTATION, follows=3),
    "IFD1 cut short": block(MAKE, ORIENTATION, follows=38, behind=b"\3\0" + bytes(8)),
    "IFD1 is IFD0": block(MAKE, ORIENTATION, follows=8),
    "IFD2 outside the block": block(MAKE, ORIENTATION, follows=38, behind=bytes(2) + b"\xff\xff\0\0"),
    "IFD2 is IFD0": block(MAKE, ORIENTATION, follows=38, behind=bytes(2) + b"\x08\0\0\0"),
    "IFD1 is IFD2": block(MAKE, ORIENTATION, follows=38, behind=bytes(2) + b"\x26\0\0\0"),
    "IFD1 overlaps the end of IFD0": block(ORIENTATION, MAKE, follows=32),
    "IFD1 is text": block(MAKE, ORIENTATION, follows=38, behind=b"a long text, not entries " * 5),
    "IFD1 with a faulty orientation": block(
        MAKE, ORIENTATION, follows=38, behind=jpeg_files.directory([Tag(0x0112, SHORT, b"")], 38, "little")
    ),
    "EXIF directory outside the block": block(MAKE, ORIENTATION, Tag(0x8769, LONG, b"\0\0\1\0")),
    "EXIF directory is IFD0": block(MAKE, ORIENTATION, Tag(0x8769, LONG, b"\x08\0\0\0")),
    "GPS directory of another type": block(MAKE, ORIENTATION, Tag(0x8825, SHORT, b"\1\0")),
    "value outside the block": raw(entry(0x0112, 3, 1, 1), entry(0x0131, 2, 30, 9999)),
    "unknown type": raw(entry(0x010F, 2, 4, 0), entry(0x0110, 99, 4, 9), entry(0x0112, 3, 1, 1)),
    "unknown type first": raw(entry(0x010F, 99, 4, 0), entry(0x0112, 3, 1, 1)),
    "thumbnail outside the block": block(
        MAKE,
        ORIENTATION,
        follows=38,
        behind=jpeg_files.directory([Tag(0x0201, LONG, b"\0\1\0\0"), Tag(0x0202, LONG, b"\0\0\1\0")], 38, "little"),
    ),
    "text of EXIF 3.0": raw(entry(0x0100, 3, 1, 7), entry(0x010F, 129, 4, 0x656D), entry(0x0112, 3, 1, 1)),
}


@pytest.mark.parametrize("fault", IN_PLACE)
def test_one_byte_is_changed_where_it_stands_whatever_is_wrong_elsewhere(fault):
    data = with_segments(app1(IN_PLACE[fault]))
    after = turned(data)
    assert sum(one != other for one, other in zip(data, after, strict=True)) == 1


@pytest.mark.skipif(not HAS_EXIFTOOL, reason="needs exiftool")
def test_exiftool_sees_no_other_tag_changed(tmp_path):
    paths = []
    for number, content in enumerate(IN_PLACE.values()):
        data = with_segments(app1(content))
        for name, file in (("before", data), ("after", turned(data))):
            paths.append(tmp_path / f"{number}-{name}.jpg")
            paths[-1].write_bytes(file)
    tags = read_tags(paths)
    for fault, old, new in zip(IN_PLACE, tags[::2], tags[1::2], strict=True):
        assert tag_changes(old, new, 0) == [], fault
        if fault != "unknown type first":  # where exiftool stops
            assert list(new["EXIF:IFD0:Orientation"]) == ["6"], fault


def without_orientation(content: bytes) -> bytes:
    place = content.index(b"\x12\1\3\0")
    return content[:place] + b"\x32\1" + content[place + 2 :]


HARMLESS = {"GPS directory of another type", "unknown type", "text of EXIF 3.0"}
NOWHERE = {"IFD1 outside the block", "IFD2 outside the block", "EXIF directory outside the block"}  # see test_exif_strays.py


@pytest.mark.parametrize("fault", sorted(set(IN_PLACE) - HARMLESS - NOWHERE))
def test_where_the_block_must_grow_they_are_reasons(fault):
    if fault == "IFD1 with a faulty orientation":
        assert turned(with_segments(app1(IN_PLACE[fault].replace(b"\x12\1\3\0\1", b"\x32\1\3\0\1"))))
    else:
        assert refusal(with_segments(app1(without_orientation(IN_PLACE[fault]))))


SHARED = {
    "IFD1 begins in it": raw(entry(0x0112, 3, 1, 1), entry(0x0003, 3, 1, 1), follows=18),
    "an entry of IFD1 lies across it": block(MAKE, ORIENTATION, follows=26, behind=bytes(8)),
    "a value covers it": raw(entry(0x010F, 2, 24, 10), entry(0x0112, 3, 1, 1)),
    "a thumbnail covers it": block(
        ORIENTATION,
        follows=26,
        behind=jpeg_files.directory([Tag(0x0201, LONG, b"\x0a\0\0\0"), Tag(0x0202, LONG, b"\x0c\0\0\0")], 26, "little"),
    ),
}


@pytest.mark.parametrize("what", SHARED)
def test_bytes_that_mean_something_else_too_are_not_changed(what):
    assert "shares bytes" in refusal(with_segments(app1(SHARED[what])))


def test_a_maker_note_whose_length_is_wrong_is_no_reason():
    long_note = raw(entry(0x0112, 3, 1, 1), entry(0x8769, 4, 1, 38), behind=b"\1\0" + entry(0x927C, 7, 40, 8) + bytes(4))
    assert turned(with_segments(app1(long_note)))


def test_a_faulty_or_shared_orientation_of_the_thumbnail_stays():
    second = raw(entry(0x0112, 3, 1, 1))[8:]
    covered = raw(entry(0x010F, 2, 8, 42), entry(0x0112, 3, 1, 1), follows=38, behind=second)
    assert len(plan(Format.JPEG, with_segments(app1(covered)), 6).splices) == 1
    plain = raw(entry(0x010F, 2, 4, 42), entry(0x0112, 3, 1, 1), follows=38, behind=second)
    assert len(plan(Format.JPEG, with_segments(app1(plain)), 6).splices) == 2


def test_no_file_has_many_orientations():
    assert "several orientations" in refusal(with_segments(app1(raw(*[entry(0x0112, 3, 1, 1)] * 9))))


@pytest.mark.parametrize("tag", [0x010E, 0x0131])
def test_an_entry_of_an_unknown_type_is_kept_as_it_is(tag):
    odd = entry(tag, 32, 4, 0xABCD)
    data = with_segments(app1(raw(entry(0x0100, 3, 1, 7), odd)))
    after = turned(data)
    assert after.count(odd) == data.count(odd) + 1 == 2
    assert byte_changes(data, after) == []


@pytest.mark.skipif(not HAS_EXIFTOOL, reason="needs exiftool")
def test_exiftool_sees_an_orientation_added_beside_an_entry_of_an_unknown_type(tmp_path):
    for number, entries in enumerate([(entry(0x010F, 32, 4, 0),), (entry(0x0100, 3, 1, 7), entry(0x010F, 32, 4, 0))]):
        (tmp_path / f"{number}.jpg").write_bytes(turned(with_segments(app1(raw(*entries)))))
    assert all(list(tags["EXIF:IFD0:Orientation"]) == ["6"] for tags in read_tags(sorted(tmp_path.iterdir())))


def test_behind_a_first_entry_of_an_unknown_type_none_is_added():
    data = with_segments(app1(raw(entry(0x010F, 32, 4, 0), entry(0x0131, 3, 1, 7))))
    assert "first entry has an unknown type" in refusal(data)


STRAYS = {
    "bytes": b"junk",
    "an escaped byte": b"\xff\0",
    "a restart": b"\xff\xd0",
    "all": b"\0\xff\0a\xff\xd7\0",
}


@pytest.mark.parametrize("recipe", [NONE, STORED, None], ids=["grown", "in place", "fresh"])
@pytest.mark.parametrize("stray", STRAYS)
def test_stray_bytes_between_segments_are_passed_over(stray, recipe):
    data = with_segments(*([app1(tiff(recipe))] if recipe else []))
    tables = data.index(b"\xff\xdb", 30)
    for place in (20, tables, data.index(b"\xff\xc0", tables)):
        after = turned(data[:place] + STRAYS[stray] + data[place:])
        assert after.count(STRAYS[stray]) >= 1
        assert after.endswith(data[data.rindex(b"\xff\xda") :])


def test_the_orientation_behind_stray_bytes_is_the_one_that_viewers_obey():
    data = with_segments(b"junk", app1(tiff(Recipe(orientations=((SHORT, 6),)))))
    assert stored_orientation(Format.JPEG, data) == pillow_reads(data) == 6


def two(first: bytes, second: bytes, *between: bytes) -> bytes:
    return with_segments(app1(first), *between, app1(second))


def says(value: int) -> bytes:
    return tiff(Recipe(orientations=((SHORT, value),)))


SILENT, BROKEN, GOES_ON = tiff(NONE), b"II+\0\x08\0\0\0", b"more of the first block"
XMP = jpeg_files.xmp_segment(jpeg_files.packet("no orientation", 1))
AGREEING = {
    "the same": (two(says(3), says(3)), True),
    "the same behind XMP": (two(says(3), says(3), XMP), True),
    "both shown as stored": (two(says(0), says(1)), True),
    "the second is silent": (two(says(8), SILENT), True),
    "the second is broken": (two(says(8), BROKEN), True),
    "the second goes on": (two(says(8), GOES_ON), True),
    "the first is silent": (two(SILENT, says(1)), False),
    "both are silent": (two(SILENT, SILENT), False),
    "three": (with_segments(app1(says(3)), app1(SILENT), app1(says(3))), True),
}


@pytest.mark.parametrize("case", AGREEING)
def test_exif_segments_that_do_not_disagree_are_changed_together(case):
    data, keeps_length = AGREEING[case]
    after = turned(data)
    assert (len(after) == len(data)) == keeps_length
    assert byte_changes(data, after) == []


@pytest.mark.skipif(not HAS_EXIFTOOL, reason="needs exiftool")
@pytest.mark.parametrize("case", AGREEING)
def test_exiftool_sees_all_of_them_say_the_same(tmp_path, case):
    data = AGREEING[case][0]
    after = turned(data)
    for name, file in (("0.jpg", data), ("1.jpg", after)):
        (tmp_path / name).write_bytes(file)
    old, new = read_tags(sorted(tmp_path.iterdir()))
    assert list(new["EXIF:IFD0:Orientation"]) == ["6"]
    assert tag_changes(old, new, len(after) - len(data)) == []


DISAGREEING = {
    "several EXIF segments that say 6, 1": two(says(6), says(1)),
    "several EXIF segments that say nothing, 6": two(SILENT, says(6)),
    "several EXIF segments that say 3, nothing, 6": with_segments(app1(says(3)), app1(SILENT), app1(says(6))),
    "does not start with a TIFF header": two(BROKEN, SILENT),
    "goes on in a second segment": two(SILENT, GOES_ON),
}


@pytest.mark.parametrize("reason", DISAGREEING)
def test_exif_segments_that_disagree_are_refused(reason):
    assert reason in refusal(DISAGREEING[reason])


@given(st.binary(min_size=8, max_size=120), st.integers(1, 8))
def test_any_block_is_refused_or_changed_in_its_orientations_alone(noise, orientation):
    data = b"II*\0" + noise
    try:
        splices = tiff_patch.patch(data, orientation)
    except Refused:
        return
    after = Patch(tuple(splices)).apply(data)
    assert tiff_block.stored(after) == orientation
    assert tiff_patch.patch(after, orientation) == []


@given(st.data(), st.sampled_from(sorted(IN_PLACE)), st.integers(1, 8))
def test_damaged_blocks_are_refused_or_changed_in_their_orientations_alone(random, fault, orientation):
    damaged = bytearray(IN_PLACE[fault])
    for place in random.draw(st.lists(st.integers(8, len(damaged) - 1), max_size=4)):
        damaged[place] = random.draw(st.integers(0, 255))
    data = with_segments(app1(bytes(damaged)), segment(0xE3, bytes((UNDEFINED,))))
    try:
        after = plan(Format.JPEG, data, orientation).apply(data)
    except Refused:
        return
    assert stored_orientation(Format.JPEG, after) == orientation
    assert byte_changes(data, after) == []
    assert plan(Format.JPEG, after, orientation) == Patch(())


def with_xmp(packet: bytes) -> bytes:
    return with_segments(app1(says(1)), jpeg_files.xmp_segment(packet))


def test_broken_xmp_is_a_reason_only_if_it_may_tell_of_the_orientation():
    """DxO Optics Pro writes a name with a slash in it, and an orientation in words under a name of its own."""
    broken = b"""<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
 <rdf:Description xmlns:exif='http://ns.adobe.com/exif/1.0/'><exif:Orientation>Top-left</exif:Orientation>
 <exif:TIFF/EPStandardID>1, 0, 0, 0</exif:TIFF/EPStandardID></rdf:Description></rdf:RDF></x:xmpmeta>"""
    assert len(turned(with_xmp(broken))) == len(with_xmp(broken))
    telling = broken.replace(b"adobe.com/exif/", b"adobe.com/tiff/").replace(b"Top-left", b"1")
    assert "broken XMP" in refusal(with_xmp(telling))
    assert "broken XMP" in refusal(with_xmp(telling.decode().encode("utf-16")))
    assert "broken XMP" in refusal(with_xmp(broken.replace(b"exif:Orientation", b"tiff:Orientation")))


def test_what_is_wrong_with_a_thumbnail_is_said_of_the_thumbnail():
    data = jpeg_files.build(Recipe(thumbnail=True))
    place = data.index(b"\xff\xd8\xff\xe0", 2)
    spoilt = data[:place] + b"BM" + data[place + 2 :]
    with pytest.raises(Refused, match="its thumbnail cannot be turned: not a JPEG"):
        jpeg_core.plan(spoilt, 3, lambda whole, _by: whole)
    assert len(turned(spoilt)) == len(spoilt)
