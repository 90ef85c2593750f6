"""HEIF and AVIF that nobody must turn, each with its reason, and what comes near to that but may be turned."""

from dataclasses import replace

import pytest
from support import jpeg_files
from support.heif_files import (
    EXIF,
    OTHER,
    PHOTO,
    THUMBNAIL,
    XMP,
    Recipe,
    box,
    build,
    full_box,
    number,
    patched,
    properties_of,
    reference,
    refusal,
    with_derived,
)

from orientd.errors import Refused
from orientd.formats import heif
from orientd.formats.isobmff import Number


def with_property(name: bytes, essential: bool) -> bytes:
    """A file whose photo has a property of that name instead of its colour."""
    data = build(Recipe(turns=("irot1",))).replace(b"colr", name)
    place = data.index(b"ipma") + 15
    listed = data[place : place + 5]
    return data[:place] + bytes(one | 0x80 if essential else one for one in listed) + data[place + 5 :]


def signed(kind: bytes) -> bytes:
    content = bytes.fromhex("d8fec3d61b0e483c92975828877ec481") if kind == b"uuid" else b""
    return build(Recipe(turns=("irot1",), extra_top=box(kind, content + b"c2pa")))


def grouped(kind: bytes, *members: int) -> Recipe:
    listed = full_box(kind, number(1, 4), number(len(members), 4), *(number(member, 4) for member in members))
    return Recipe(turns=("irot1",), other=("irot1",), shared=False, extra_meta=box(b"grpl", listed))


ROUND = Recipe(turns=("irot1",))
PLAIN = build(Recipe())
SECOND_META = full_box(b"meta", full_box(b"hdlr", bytes(4), b"pict", bytes(13)))
UPON_THUMBNAIL = replace(ROUND, other=(), thumbnail=("irot1",), extra_references=reference(b"thmb", THUMBNAIL, OTHER))
MADE_OF = replace(ROUND, other=(), extra_references=reference(b"dimg", OTHER, PHOTO))
PIECES = replace(ROUND, other=("irot1",), shared=False, extra_references=reference(b"dimg", PHOTO, OTHER))
MANY = b"".join(reference(b"auxl", source, source - 1) for source in range(100, 200)) + reference(b"auxl", 99, PHOTO)
REFUSED = [
    ("no 'meta' box", PLAIN[:20]),
    ("it has 2 'meta' boxes", build(replace(ROUND, extra_top=SECOND_META))),
    ("cut short", build(Recipe(turns=("irot1",)))[:-5]),
    ("cut short", PLAIN[: PLAIN.index(b"iprp")]),
    ("image sequence", build(replace(ROUND, extra_top=box(b"moov")))),
    ("image sequence", build(ROUND).replace(b"heicmif1", b"hevcmif1", 1)),
    ("image sequence", build(replace(ROUND, brand="avif")).replace(b"avifmif1", b"avismif1", 1)),
    ("content credentials", signed(b"uuid")),
    ("content credentials", signed(b"jumb")),
    ("content credentials", with_derived(b"mime\0application/c2pa", ROUND)),
    ("mirrored before it is turned", build(Recipe("avif", turns=("imir1", "irot1")))),
    ("turned or mirrored twice", build(Recipe(turns=("irot1", "irot2")))),
    ("turned or mirrored twice", build(Recipe(turns=("irot1", "imir0", "imir1")))),
    ("cut to size after it is turned", build(Recipe(turns=("irot1", "clap")))),
    ("cut to size after it is turned", build(Recipe(turns=("imir1", "clap")))),
    ("XMP says 6, the picture itself says 1", build(Recipe(xmp="element", xmp_value=6))),
    ("XMP says 6, the picture itself says 1", build(Recipe(exif=6, xmp="element", xmp_value=6))),
    ("turned otherwise than the photo", build(replace(ROUND, thumbnail=()))),
    ("turned otherwise than the photo", build(replace(ROUND, alpha=("irot3",)))),
    ("turned otherwise than the photo", build(Recipe(thumbnail=("irot1",)))),
    ("share a rotation and not the order", build(Recipe(turns=("imir0", "irot0"), thumbnail=("irot0", "imir0")))),
    ("another picture in it shares its rotation", build(replace(ROUND, other=("irot1",)))),
    ("another picture in it is made of this one", build(MADE_OF)),
    ("the pieces it is made of are turned", build(PIECES)),
    ("belongs to another picture, too", build(UPON_THUMBNAIL)),
    ("to be shown in its place", build(grouped(b"altr", PHOTO, OTHER))),
    ("to be shown in its place", build(grouped(b"ster", PHOTO, OTHER))),
    ("more pictures belong to it", build(replace(ROUND, extra_references=MANY))),
    ("is not listed", build(replace(ROUND, extra_references=reference(b"auxl", 77, PHOTO)))),
    ("property 'xyzw', which is not known", with_property(b"xyzw", True)),
    ("the photo has no size", build(ROUND).replace(b"ispe", b"skip")),
    ("the photo it names is not listed", build(ROUND).replace(b"pitm" + bytes(5) + b"\1", b"pitm" + bytes(5) + b"\2")),
    ("two EXIF blocks", with_derived(b"Exif", replace(ROUND, exif=1))),
    ("cannot be read where it is stored", with_derived(b"Exif", ROUND)),
    ("stored in pieces", build(replace(ROUND, exif=8, pieces=90))),
    ("broken EXIF", build(replace(ROUND, exif=1)).replace(b"Exif\0\0MM", b"Exif\0\0XX")),
    ("broken XMP", build(replace(ROUND, xmp="element")).replace(b"</rdf:RDF>", b"</rdf:XXX>")),
    ("too many properties", build(Recipe(fillers=130))),
    ("'sefd' box in it may count", build(Recipe(extra_top=box(b"sefd", b"x")))),
    ("'uuid' box in it may count", build(Recipe(extra_top=box(b"uuid", bytes(20))))),
    ("what is appended to it may count", build(Recipe(trailer=box(b"ftyp", b"mp42") + box(b"moov")))),
    ("what is appended to it may count", build(Recipe(trailer=b"SEFT"))),
]


@pytest.mark.parametrize(("reason", "data"), REFUSED, ids=[f"{at} {reason}" for at, (reason, _) in enumerate(REFUSED)])
def test_refused(reason, data):
    assert reason in refusal(data)


def test_what_forbids_growth_does_not_forbid_a_patch_in_place():
    for more in (box(b"mpvd", b"a film"), box(b"uuid", bytes(20)), box(b"sefd", b"x")):
        recipe = replace(ROUND, extra_top=more)
        assert patched(build(recipe), 6) == build(replace(recipe, turns=("irot3",)))
    film = replace(ROUND, trailer=box(b"ftyp", b"mp42") + box(b"moov"))
    assert patched(build(film), 6) == build(replace(film, turns=("irot3",)))


def test_a_property_that_is_not_known_but_not_essential_is_passed_over():
    assert heif.stored(patched(with_property(b"xyzw", False), 6)) == 6


def test_as_many_properties_as_the_index_can_tell():
    own = properties_of(PLAIN)
    assert heif.stored(patched(build(Recipe(fillers=126 - own)), 6)) == 6
    assert "too many properties" in refusal(build(Recipe(fillers=127 - own)))
    assert heif.stored(patched(build(Recipe(fillers=127 - own, wide_index=True)), 6)) == 6


def test_metadata_that_describes_another_picture_is_let_be():
    recipe = replace(ROUND, other=(), exif=3, described=False, extra_references=reference(b"cdsc", EXIF, OTHER))
    assert patched(build(recipe), 6) == build(replace(recipe, turns=("irot3",)))


def iloc_field(data: bytes, offset: int, old: bytes, new: bytes) -> bytes:
    at = data.index(b"iloc") + offset
    assert data[at : at + len(old)] == old
    return data[:at] + new + data[at + len(old) :]


def test_places_that_cannot_be_told_anew_forbid_growth():
    # In version 1 with one item: kind, version, sizes, count; then item, method, file, number of extents, offset, length.
    for offset, old, new, reason in (
        (14, b"\0\0", b"\0\2", "not stored in this file"),
        (16, b"\0\0", b"\0\1", "not stored in this file"),
        (20, PLAIN[(at := PLAIN.index(b"iloc") + 20) : at + 4], b"\0\0\0\x40", "not clear where an item lies"),
        (24, PLAIN[at + 4 : at + 8], bytes(4), "not clear where an item lies"),
        (24, PLAIN[at + 4 : at + 8], b"\x7f\xff\xff\xff", "not clear where an item lies"),
        (4, b"\1", b"\3", "unknown version 3"),
    ):
        assert reason in refusal(iloc_field(PLAIN, offset, old, new))


def test_metadata_whose_place_is_not_told_for_certain_is_refused():
    # With two items the second entry of the index, as above, starts at 28.
    inside, outside = (build(replace(ROUND, exif=8, exif_in_idat=within)) for within in (True, False))
    assert "cannot be read where" in refusal(iloc_field(inside, 30, b"\0\1", b"\0\2"))
    assert "cannot be read where" in refusal(iloc_field(outside, 30, b"\0\0", b"\0\1"))
    assert "cannot be read where" in refusal(iloc_field(outside, 32, b"\0\0", b"\0\1"))
    assert "cannot be read where" in refusal(outside.replace(b"\0\0Exif\0", b"\0\1Exif\0"))
    place = outside.index(b"iloc") + 36
    where, length = outside[place : place + 4], outside[place + 4 : place + 8]
    lists, past_end = number(outside.index(b"meta"), 4), number(len(outside) - int.from_bytes(where, "big") + 1, 4)
    assert "lies within the lists" in refusal(iloc_field(outside, 36, where, lists))
    assert "lies outside the file" in refusal(iloc_field(outside, 40, length, past_end))
    assert "lies outside the file" in refusal(iloc_field(outside, 40, length, bytes(4)))
    assert "shorter than what it should hold" in refusal(iloc_field(outside, 10, b"\0\2", b"\0\3"), 6)
    assert "the place of an item twice" in refusal(iloc_field(outside, 28, number(EXIF, 2), number(PHOTO, 2)), 6)


def test_a_packet_that_two_items_share_is_refused():
    """Each would change the same digit."""
    recipe = replace(ROUND, other=(), xmp="element", xmp_value=8)
    data = with_derived(b"mime\0application/rdf+xml", recipe)
    at, size = data.index(b"iloc") + 12, 16
    photo, _, packet = (data[at + size * place :][:size] for place in range(3))
    assert packet.startswith(number(XMP, 2))
    where = number(data.index(jpeg_files.packet("element", 8)), 4)
    both = b"".join(number(item, 2) + packet[2:8] + where + packet[12:] for item in (9, XMP))
    shared = data[:at] + photo + both + data[at + 3 * size :]
    assert "its EXIF, XMP and lists overlap" in refusal(shared)


def test_lists_that_contradict_themselves_are_refused():
    data = build(replace(ROUND, other=("irot1",)))
    at = data.index(b"ipma") + 12  # item, number of properties, a byte for each; the next item
    second = at + 3 + data[at + 2]
    assert data[second : second + 2] == number(OTHER, 2)
    twice = data[:second] + number(PHOTO, 2) + data[second + 2 :]
    beyond = data[: at + 3] + b"\x7f" + data[at + 4 :]
    assert all("the properties of an item twice, or some" in refusal(broken, 6) for broken in (twice, beyond))
    assert "it lists an item twice" in refusal(with_derived(b"hvc1", ROUND, PHOTO), 6)
    old = data.index(b"infe") + 4
    assert "items without a type" in refusal(data[:old] + b"\1" + data[old + 1 :], 6)
    assert "longer than any photo needs" in refusal(build(replace(ROUND, extra_meta=box(b"free", bytes(2**22)))), 6)


@pytest.mark.parametrize("item", [PHOTO, THUMBNAIL])
def test_a_picture_that_is_in_one_list_and_not_in_the_other_is_refused(item):
    data = build(replace(ROUND, thumbnail=("irot1",)))
    nameless = data.replace(b"infe\2\0\0\0" + number(item, 2), b"infe\2\0\0\0" + number(77, 2))
    at = data.index(b"ipma") + 12
    at += (item == THUMBNAIL) * (3 + data[at + 2])
    plain = data[:at] + number(77, 2) + data[at + 2 :]
    assert data[at : at + 2] == number(item, 2)
    assert nameless != data
    for broken in (nameless, plain):
        assert "is not listed" in refusal(broken, 6)


def test_a_last_box_may_reach_to_the_end_of_the_file():
    data = build(ROUND)
    at = data.index(b"mdat") - 4
    endless = data[:at] + bytes(4) + data[at + 4 :]
    after = build(replace(ROUND, turns=("irot3",)))
    assert patched(endless, 6) == after[:at] + bytes(4) + after[at + 4 :]


def test_a_number_that_overflows_forbids_growth():
    assert Number(0, 2, 5).splice(65535).new == b"\xff\xff"
    with pytest.raises(Refused, match="too large for its field"):
        Number(0, 2, 5).splice(65536)


def test_encrypted_pictures_are_refused():
    data = build(ROUND)
    at = data.index(b"infe") + 10
    assert "encrypted" in refusal(data[:at] + b"\0\1" + data[at + 2 :])


def test_a_rotation_without_an_angle_is_refused():
    data = build(ROUND)
    at = data.index(b"irot")
    short = data[: at - 4] + b"\0\0\0\x08irot\0\0\0\x08free" + data[at + 5 :]
    for kind in (b"ipco", b"iprp", b"meta"):
        place = data.index(kind) - 4
        short = short[:place] + number(int.from_bytes(short[place : place + 4], "big") + 7, 4) + short[place + 4 :]
    assert "'irot' has 0 bytes" in refusal(short, 6)


def test_lists_that_would_take_forever_are_refused():
    nowhere = full_box(b"iloc", bytes(2), number(60_000, 2), (number(1, 2) + bytes(2) + b"\xff\xff") * 60_000)
    data = PLAIN.replace(b"iloc", b"free")
    meta = data.index(b"meta") - 4
    size = int.from_bytes(data[meta : meta + 4], "big")
    data = data[:meta] + number(size + len(nowhere), 4) + data[meta + 4 : meta + size] + nowhere + data[meta + size :]
    assert "in several places" in refusal(data, 6)
