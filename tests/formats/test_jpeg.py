import io
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image
from support import jpeg_files
from support.jpeg_files import LONG, SHORT, UNDEFINED, Recipe, Tag, app1, build, segment, tiff, with_segments
from support.referee import byte_changes, split

from orientd.errors import Refused
from orientd.formats import plan, stored_orientation
from orientd.records import Format, Patch

ALL = range(1, 9)
PREVIEW = jpeg_files.picture(16, 16)

values = st.sampled_from(ALL)
types = st.sampled_from(sorted(jpeg_files.INTEGER_SIZES))


@st.composite
def recipes(draw, carrying: bool | None = None) -> Recipe:
    """Files that can be patched: with the tag (`carrying`), without, or either. The carriers agree with each other."""
    carrying = draw(st.booleans()) if carrying is None else carrying
    value = draw(st.integers(0, 9)) if carrying else 1
    maker_note = draw(st.booleans())
    trailers = [b"", b"\0" * 100, b"ftypmp42 a film", PREVIEW]
    if maker_note and not carrying:
        trailers = [b""]  # in a file this small some word of the note may by chance be the trailer's offset
    duplicates = tuple((type_, value) for type_ in draw(st.lists(types, min_size=1, max_size=3)))
    return Recipe(
        exif=carrying or draw(st.booleans()),
        order=draw(st.sampled_from(["little", "big"])),
        orientations=duplicates if carrying else (),
        extra=tuple(draw(st.sets(st.sampled_from([0x010E, 0x0131, 0x013B, 0x8298])))),
        thumbnail=draw(st.booleans()),
        thumbnail_orientation=draw(st.none() | st.integers(0, 9)),
        maker_note=maker_note,
        odd=draw(st.booleans()),
        jfif=draw(st.booleans()),
        xmp=draw(st.sampled_from(["", *jpeg_files.XMP_FORMS])),
        xmp_value=value,
        xmp_wrapped=draw(st.booleans()),
        xmp_first=draw(st.booleans()),
        trailer=draw(st.sampled_from(trailers)),
    )


def patched(data: bytes, orientation: int) -> bytes:
    return plan(Format.JPEG, data, orientation).apply(data)


def refusal(data: bytes, orientation: int = 6) -> str:
    with pytest.raises(Refused) as caught:
        plan(Format.JPEG, data, orientation)
    return str(caught.value)


def pillow_reads(data: bytes) -> int | None:
    with Image.open(io.BytesIO(data)) as image:
        exif = image.getexif()
        image.load()
    value = exif.get(0x0112)
    return value[0] if isinstance(value, bytes) else value  # what Pillow makes of the type BYTE


def in_place(recipe: Recipe, orientation: int) -> Recipe:
    """The recipe of the file that a perfect patch in place makes."""
    old = recipe.orientations[0][1]
    return replace(
        recipe,
        orientations=tuple((type_, orientation) for type_, _ in recipe.orientations),
        thumbnail_orientation=orientation if recipe.thumbnail_orientation == old else recipe.thumbnail_orientation,
        xmp_value=orientation,
    )


@given(recipes(carrying=True), values)
def test_a_value_that_is_there_is_overwritten_and_nothing_else(recipe, orientation):
    data = build(recipe)
    patch = plan(Format.JPEG, data, orientation)
    assert patch.keeps_length
    assert patch.apply(data) == build(in_place(recipe, orientation))
    assert pillow_reads(patch.apply(data)) == orientation


@given(recipes(), values)
def test_independent_readers_see_the_new_value_and_no_other_byte_changed(recipe, orientation):
    data = build(recipe)
    after = patched(data, orientation)
    assert stored_orientation(Format.JPEG, after) == pillow_reads(after) == orientation
    assert byte_changes(data, after) == []


@given(recipes(), values, values)
def test_a_patch_of_a_patch_is_a_patch_and_each_goes_back(recipe, first, second):
    assume(recipe.thumbnail_orientation != first)  # else the thumbnail agrees only in between, and follows from there
    data = build(recipe)
    once = plan(Format.JPEG, data, first)
    twice = plan(Format.JPEG, once.apply(data), second)
    assert twice.keeps_length
    assert twice.apply(once.apply(data)) == patched(data, second)
    assert twice.inverse().apply(patched(data, second)) == once.apply(data)
    assert once.inverse().apply(once.apply(data)) == data


@given(recipes(), values)
def test_a_file_that_stores_it_already_needs_no_patch(recipe, orientation):
    assert plan(Format.JPEG, patched(build(recipe), orientation), orientation) == Patch(())


@given(recipes(carrying=False), values)
def test_growth_leaves_the_old_block_where_it_was(recipe, orientation):
    data = build(recipe)
    after = patched(data, orientation)
    old, new = (dict(split(file)[0]).get(b"\xe1", b"") for file in (data, after))
    assert split(after)[1] == split(data)[1]
    if recipe.exif and not recipe.xmp:
        assert (new[:10], new[14 : len(old)]) == (old[:10], old[14:])
        assert len(new) - len(old) <= 2 + 12 * 11 + 5
    elif not recipe.exif:
        assert len(after) - len(data) == 36


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("odd", [False, True])
def test_a_moved_directory_starts_on_a_word_and_keeps_its_tags_in_order(order, odd):
    block = tiff(Recipe(order=order, orientations=(), odd=odd))
    assert len(block) % 2 == odd
    after = dict(split(patched(with_segments(app1(block)), 6))[0])[b"\xe1"][6:]
    start = int.from_bytes(after[4:8], order)
    tags = [int.from_bytes(after[at : at + 2], order) for at in range(start + 2, len(after) - 4, 12)]
    assert start % 2 == 0
    assert 0x0112 in tags
    assert tags == sorted(tags)


@given(st.data(), recipes(), values)
def test_damaged_files_are_refused_or_patched_before_the_scan(random, recipe, orientation):
    data = build(recipe)
    scan = data.index(b"\xff\xda", 2)
    damaged = bytearray(data)
    for place in random.draw(st.lists(st.integers(0, min(len(data) - 1, scan + 20)), max_size=6)):
        damaged[place] = random.draw(st.integers(0, 255))
    cut = bytes(damaged[: random.draw(st.just(len(data)) | st.integers(0, len(data)))])
    try:
        patch = plan(Format.JPEG, cut, orientation)
    except Refused:
        return
    after = patch.apply(cut)
    assert byte_changes(cut, after) == []
    assert stored_orientation(Format.JPEG, after) == orientation
    assert plan(Format.JPEG, after, orientation) == Patch(())
    assert patch.inverse().apply(after) == cut


@given(st.binary(max_size=200), values)
def test_garbage_is_refused(noise, orientation):
    assert refusal(noise, orientation)
    assert refusal(b"\xff\xd8" + noise, orientation)


@pytest.mark.parametrize("orientation", [0, 9, -1])
def test_there_are_eight_orientations(orientation):
    with pytest.raises(ValueError, match="1 to 8"):
        plan(Format.JPEG, jpeg_files.picture(), orientation)


def test_progressive_files_are_patched_too():
    data = with_segments(app1(tiff(Recipe(orientations=()))), progressive=True)
    assert pillow_reads(patched(data, 6)) == 6


def test_a_fresh_block_stands_behind_jfif_and_its_extension():
    extension = segment(0xE0, b"JFXX\0\x13\1\1\0\0\0")
    for before, data in ((1, jpeg_files.picture()), (2, with_segments(extension)), (0, with_segments(jfif=False))):
        markers = [marker for marker, _ in split(patched(data, 6))[0]]
        assert markers[: before + 1] == [b"\xe0"] * before + [b"\xe1"]


def test_fill_bytes_before_a_marker_are_no_junk():
    data = build(Recipe())
    filled = data[:20] + b"\xff\xff\xff" + data[20:]
    assert pillow_reads(patched(filled, 6)) == 6
    assert len(patched(filled, 6)) == len(filled)


def test_the_thumbnail_follows_only_where_it_agreed():
    recipe = Recipe(thumbnail=True, thumbnail_orientation=1)
    apart = replace(recipe, orientations=((SHORT, 3),))
    assert len(plan(Format.JPEG, build(recipe), 6).splices) == 2
    assert len(plan(Format.JPEG, build(apart), 6).splices) == 1


@pytest.mark.parametrize("order", ["little", "big"])
def test_pictures_behind_the_first_stay_where_the_index_says(order):
    block = app1(tiff(Recipe(order=order, orientations=())))
    data = jpeg_files.multi_picture(block, order=order, kind=0x010001)
    after = plan(Format.JPEG, data, 6).apply(data)
    assert byte_changes(data, after) == []
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(after)) as image:
        assert image.getexif()[0x0112] == 6
        assert before.mpinfo[0xB002][0]["Size"] + len(after) - len(data) == image.mpinfo[0xB002][0]["Size"]
        assert before.mpinfo[0xB002][1]["Size"] == image.mpinfo[0xB002][1]["Size"] == len(jpeg_files.picture(24, 24))
        before.seek(1)
        image.seek(1)
        assert image.size == (24, 24)
        assert image.tobytes() == before.tobytes()
        assert image.offset == before.offset + len(after) - len(data)


GROWING = Recipe(orientations=(), maker_note=True)


def block_of(*tags: Tag, follows: int = 0) -> bytes:
    return b"II*\0\x08\0\0\0" + jpeg_files.directory(list(tags), 8, "little", follows)


def exif(*tags: Tag, follows: int = 0) -> bytes:
    return with_segments(app1(block_of(*tags, follows=follows)))


def long(tag: int, value: int) -> Tag:
    return Tag(tag, LONG, value.to_bytes(4, "little"))


PLAIN = jpeg_files.picture()
ORIENTATION = Tag(0x0112, SHORT, b"\1\0")
RESOLUTION_UNIT = Tag(0x0128, SHORT, b"\2\0")
ENDLESS = b"".join(n.to_bytes(4, "little") + b"\0\0" for n in range(8, 900, 6))
STRAY_TEXT = b"\1\0" + b"\x31\1" + b"\2\0" + b"\x14\0\0\0" + b"\xff\0\0\0" + bytes(4)
UNKNOWN_TYPE = b"\2\0" + b"\x31\1" + b"\x63\0" + b"\1\0\0\0" + bytes(4) + b"\x32\1" + b"\x03\0" + b"\1\0\0\0" + bytes(8)
SIGNED = b"JP\0\1\0\0\0\1\0\0\0\x20jumb\0\0\0\x1djumdc2pa\0\x11\0\x10"
EXTENDED = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + bytes(8) + b"<a tiff:Orientation='1'/>"

REFUSED = [
    ("not a JPEG", b"\x89PNG\r\n\x1a\n"),
    ("bad segment length at byte 22", PLAIN[:20] + b"\xff\xe5\0\1" + PLAIN[20:]),
    ("bad segment length at byte 22", PLAIN[:20] + b"\xff\xe5\xff\xff" + PLAIN[20:100]),
    ("end of image before the scan", PLAIN[:20] + b"\xff\xd9"),
    ("no scan", PLAIN[:20]),
    ("no scan", PLAIN[:20] + b"\xff\xff"),
    ("unexpected marker 0xd8", PLAIN[:2] + PLAIN),
    ("unexpected marker 0x01", PLAIN[:2] + b"\xff\x01" + PLAIN[2:]),
    ("the EXIF segment has a broken header", with_segments(segment(0xE1, b"Exif\0\xff" + tiff(Recipe())))),
    ("content credentials", with_segments(segment(0xEB, SIGNED))),
    ("does not start with a TIFF header", with_segments(app1(b"II+\0\x08\0\0\0"))),
    ("points outside its block", with_segments(app1(b"II*\0\x08\0\0\0\x09\0" + bytes(50)))),
    ("points outside its block", with_segments(app1(b"II*\0\xff\0\0\0"))),
    ("points outside its block", exif(RESOLUTION_UNIT, follows=40)),
    ("a directory lies inside the header", with_segments(app1(b"II*\0\4\0\0\0" + bytes(8)))),
    ("directories overlap or loop", exif(RESOLUTION_UNIT, follows=8)),
    ("directories overlap or loop", exif(RESOLUTION_UNIT, RESOLUTION_UNIT, follows=20)),
    ("directories overlap or loop", exif(long(0x8769, 8))),
    ("more directories than", with_segments(app1(b"II*\0" + ENDLESS))),
    ("type 3, count 2", exif(Tag(0x0112, SHORT, b"\1\0\1\0"))),
    ("type 3, count 0", exif(Tag(0x0112, SHORT, b""))),
    ("type 7, count 1", exif(Tag(0x0112, UNDEFINED, b"\1"))),
    ("several orientations: 1, 6", build(Recipe(orientations=((SHORT, 1), (LONG, 6))))),
    ("EXIF says 3, XMP says 1", build(Recipe(orientations=((SHORT, 3),), xmp="attribute", xmp_value=1))),
    ("EXIF says nothing, XMP says 6", build(Recipe(orientations=(), xmp="element", xmp_value=6))),
    ("EXIF says nothing, XMP says 8", build(Recipe(exif=False, xmp="element", xmp_value=8))),
    ("XMP holds the orientation 'x'", with_segments(jpeg_files.xmp_segment(jpeg_files.packet("element", "x")))),
    ("broken XMP", with_segments(jpeg_files.xmp_segment(jpeg_files.packet("element", 1)[:-100]))),
    ("in its extended part", with_segments(segment(0xE1, EXTENDED))),
    ("the EXIF segment is full", exif(Tag(0x927C, UNDEFINED, bytes(65_480)))),
    ("tag 0x0131 points outside its block", with_segments(app1(b"II*\0\x08\0\0\0" + STRAY_TEXT))),
    ("first entry has an unknown type", with_segments(app1(b"II*\0\x08\0\0\0" + UNKNOWN_TYPE))),
    ("thumbnail lies outside its block", exif(long(0x0201, 30), long(0x0202, 900))),
    ("an AFCP trailer", build(Recipe(exif=False, trailer=b"AXS!" + bytes(30) + b"AXS!" + bytes(8)))),
    ("an AFCP trailer", build(Recipe(orientations=(), trailer=b"AXS*" + bytes(30) + b"AXS*" + bytes(8)))),
    ("has no end", build(Recipe(orientations=()))[:-2]),
    ("has no end", PLAIN[:-2]),
    ("stands before the EXIF block", jpeg_files.multi_picture(app1(tiff(Recipe(orientations=()))), index_first=True)),
    ("lists no images", with_segments(segment(0xE2, b"MPF\0" + block_of(long(0xB001, 2))))),
]


@pytest.mark.parametrize(("reason", "data"), REFUSED, ids=[reason for reason, _ in REFUSED])
def test_refused(reason, data):
    assert reason in refusal(data)


def test_frames_without_a_size_are_refused():
    frame = PLAIN.index(b"\xff\xc0")
    height = PLAIN[: frame + 5] + b"\0\0" + PLAIN[frame + 7 :]
    width = PLAIN[: frame + 7] + b"\0\0" + PLAIN[frame + 9 :]
    none = PLAIN[: frame + 1] + b"\xe5" + PLAIN[frame + 2 :]
    assert all("no size" in refusal(data) for data in (height, width, none))
    header, behind = PLAIN[frame + 4 : frame + 10], PLAIN[PLAIN.index(b"\xff\xc4") :]
    assert "bad segment length" in refusal(PLAIN[:frame] + segment(0xC0, header[:5]) + behind)
    assert stored_orientation(Format.JPEG, patched(PLAIN[:frame] + segment(0xC0, header) + behind, 6)) == 6


def noted(base: str, order: str, trailer: bytes, place: int) -> bytes:
    """A maker note that holds the offset of that place in the trailer, counted from `base`."""
    data = build(replace(GROWING, order=order, trailer=trailer))
    note = data.index(b"IMG:Canon") - 42
    start = {"file": 0, "block": data.index(b"Exif\0\0") + 6, "note": note}[base]
    pointer = (data.index(trailer) + place - start).to_bytes(4, order)
    return data[: note + 120] + pointer + data[note + 124 :]


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize(
    ("trailer", "place"),
    [(b"MAKER" + PREVIEW, 5), (b"MAKER\0" + PREVIEW[1:], 5), (b"MAKER", 0)],
    ids=["preview", "spoilt preview", "start"],
)
@pytest.mark.parametrize("base", ["file", "block", "note"])
def test_a_maker_note_that_points_behind_the_picture_forbids_growth_only(base, order, trailer, place):
    data = noted(base, order, trailer, place)
    assert "maker note may point" in refusal(data)
    carrying = build(replace(GROWING, orientations=((SHORT, 1),), trailer=PREVIEW))
    assert pillow_reads(patched(carrying, 6)) == 6


@pytest.mark.parametrize(
    "trailer", [b"", b"\0" * 64, PREVIEW, b"\0\0\0\x18ftypmp42" + bytes(500) + b"SEFH" + bytes(20) + b"SEFT"]
)
def test_trailers_that_count_from_the_end_do_not_forbid_growth(trailer):
    data = build(replace(GROWING, trailer=trailer))
    assert patched(data, 6).endswith(data[data.index(b"\xff\xda") :])


def test_what_forbids_growth_does_not_forbid_a_patch_in_place():
    afcp = build(Recipe(trailer=b"AXS!" + bytes(30) + b"AXS!" + bytes(8)))
    index_first = jpeg_files.multi_picture(app1(tiff(Recipe())), index_first=True)
    full = exif(ORIENTATION, Tag(0x927C, UNDEFINED, bytes(65_480)))
    for data in (afcp, index_first, full, build(Recipe())[:-2]):
        assert plan(Format.JPEG, data, 6).keeps_length
        assert stored_orientation(Format.JPEG, patched(data, 6)) == 6


def test_a_directory_cut_off_behind_its_last_entry_ends_the_chain():
    data = with_segments(app1(block_of(ORIENTATION)[:-4]))
    assert stored_orientation(Format.JPEG, patched(data, 6)) == 6
    grown = patched(with_segments(app1(block_of(RESOLUTION_UNIT)[:-4])), 6)
    assert pillow_reads(grown) == 6


def test_more_segments_than_anybody_writes_keep_nobody_busy():
    picture, empty = jpeg_files.picture(16, 16), b"\xff\xe5\0\x02"
    assert plan(Format.JPEG, picture[:2] + empty * 60_000 + picture[2:], 6).splices
    with pytest.raises(Refused, match="more segments than any camera writes"):
        plan(Format.JPEG, picture[:2] + empty * 70_000 + picture[2:], 6)
