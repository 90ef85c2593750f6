"""HEIF and AVIF: what is planned is exactly the file that a perfect patch would give, and others see it so."""

from dataclasses import replace

import heifs
import jpegs
import numpy as np
import pytest
from heifs import EXIF, OTHER, PHOTO, THUMBNAIL, Recipe, box, build, full_box, number, reference
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orientd import orientation
from orientd.errors import Refused
from orientd.formats import heif, plan, sniff, stored_orientation
from orientd.formats.isobmff import Number
from orientd.items import Patch

TURNS = (90, 180, 270)
ROTATED = [(f"irot{angle}",) for angle in range(4)]
MIRRORED = [(f"irot{angle}", f"imir{axis}") for angle in range(4) for axis in range(2)]
EARLY = [turns[::-1] for turns in MIRRORED]

values = st.sampled_from(range(1, 9))


def _first(turns: heifs.Turns) -> str:
    """What comes first, turning or mirroring: pictures that share a rotation must agree in that."""
    return "imir" if turns and turns[0].startswith("imir") else "irot"


@st.composite
def recipes(draw, growing: bool | None = None) -> Recipe:
    """Files that can be patched: without `irot` (`growing`), with one, or either. All carriers agree with each other."""
    brand = draw(st.sampled_from(["heif", "avif"]))
    growing = draw(st.booleans()) if growing is None else growing
    ways = [()] if growing else [("clap", "irot1"), *ROTATED, *MIRRORED, *(EARLY if brand == "heif" else [])]
    turns = draw(st.sampled_from(ways))
    value = heifs.value_of(turns)
    if value == 1:
        turns = draw(st.sampled_from([turns, (*turns, "irot0")])) if not growing and not turns else turns
    shared = draw(st.booleans())
    same = [way for way in [*ways, (), *ROTATED] if heifs.value_of(way) == value and "clap" not in way]
    same = [way for way in same if not shared or _first(way) == _first(turns)]
    offset_size = draw(st.sampled_from([0, 4, 8]))
    exif = draw(st.sampled_from([None, 1, value]))
    in_idat = bool(exif and draw(st.booleans()))
    thumbnail = draw(st.sampled_from([None, turns, *same])) if "clap" not in turns else None
    trailers = [b"", b"\0" * 7, box(b"mpvd", b"a film"), box(b"ftyp", b"mp42") * 2]
    return Recipe(
        brand=brand,
        turns=turns,
        thumbnail=thumbnail,
        alpha=draw(st.sampled_from([None, turns])),
        other=draw(st.sampled_from([None, ()])),
        shared=shared,
        exif=exif,
        exif_header=draw(st.booleans()),
        exif_in_idat=in_idat,
        pieces=1 if in_idat or not offset_size else draw(st.integers(1, 2)),
        xmp=draw(st.sampled_from(["", *jpegs.XMP_FORMS])),
        xmp_value=draw(st.sampled_from([1, value])),
        described=draw(st.booleans()),
        wide_index=draw(st.booleans()),
        wide_items=draw(st.booleans()),
        iloc=draw(st.integers(1 if in_idat else 0, 2)) if not in_idat else 1,
        offset_size=offset_size,
        base_size=draw(st.sampled_from([0, 4, 8] if offset_size else [4, 8])),
        meta_last=draw(st.booleans()),
        large=draw(st.booleans()),
        extra_top=draw(st.sampled_from([b"", box(b"free", bytes(9))])),
        trailer=b"" if growing or thumbnail == () else draw(st.sampled_from(trailers)),  # it must not move
    )


def perfect(recipe: Recipe, value: int) -> Recipe:
    """The recipe of the file that a perfect patch makes."""
    old = heifs.value_of(recipe.turns)
    return replace(
        recipe,
        turns=heifs.aimed(recipe.turns, value),
        thumbnail=None if recipe.thumbnail is None else heifs.aimed(recipe.thumbnail, value),
        alpha=None if recipe.alpha is None else heifs.aimed(recipe.alpha, value),
        exif=value if recipe.exif == old else recipe.exif,
        xmp_value=value if recipe.xmp_value == old else recipe.xmp_value,
    )


def planned(data: bytes, value: int) -> Patch:
    return plan(sniff(data), data, value)


def patched(data: bytes, value: int) -> bytes:
    return planned(data, value).apply(data)


def refusal(data: bytes, value: int | None = None) -> str:
    with pytest.raises(Refused) as caught:
        planned(data, value or orientation.turned(heif.stored(data), 90))
    return str(caught.value)


def turned_by(data: bytes, turn: int) -> int:
    return orientation.turned(heif.stored(data), turn)


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.abs(one.astype(int) - other).max() <= 3


# What is stored


@pytest.mark.parametrize("turns", [(), *ROTATED, ("imir0",), ("imir1",), *MIRRORED, *EARLY, ("clap", "irot3")])
def test_the_stored_orientation_is_what_the_turns_make_together(turns):
    data = build(Recipe(turns=turns))
    assert stored_orientation(sniff(data), data) == (heifs.value_of(turns) if turns else None)
    upright = heifs.shown(build(Recipe(turns=tuple(turn for turn in turns if turn == "clap"))))
    assert alike(heifs.shown(data), orientation.apply(upright, heifs.value_of(turns)))


@pytest.mark.parametrize("turns", [(), *ROTATED, ("imir0",), ("imir1",), *MIRRORED])
def test_avif_stores_it_alike(turns):
    data = build(Recipe("avif", turns=turns))
    assert stored_orientation(sniff(data), data) == (heifs.value_of(turns) if turns else None)
    assert alike(heifs.shown(data), orientation.apply(heifs.shown(build(Recipe("avif"))), heifs.value_of(turns)))


@given(st.binary(max_size=200), st.integers(0, 2000))
def test_nothing_is_stored_in_garbage(noise, place):
    data = build(Recipe(turns=("irot3",)))
    for garbage in (noise, data[:place], data[:24] + noise):
        assert heif.stored(garbage) in (None, 6)
        with pytest.raises(Refused):
            heif.plan(noise, 6)


# What is planned


@settings(max_examples=150)
@given(recipes(), st.sampled_from(TURNS))
def test_the_patched_file_is_to_the_byte_the_one_that_a_perfect_patch_makes(recipe, turn):
    data = build(recipe)
    value = turned_by(data, turn)
    patch = planned(data, value)
    assert patch.apply(data) == build(perfect(recipe, value))
    assert patch.inverse().apply(patch.apply(data)) == data
    assert stored_orientation(sniff(data), patch.apply(data)) == value
    assert planned(patch.apply(data), value) == Patch(())


@given(recipes(growing=False), st.sampled_from(TURNS))
def test_where_there_is_a_rotation_no_byte_moves(recipe, turn):
    assume(not any(own == () for own in (recipe.thumbnail, recipe.alpha)))
    data = build(recipe)
    assert planned(data, turned_by(data, turn)).keeps_length


@settings(max_examples=60)
@given(recipes(), st.sampled_from(TURNS))
def test_libheif_and_libavif_show_it_turned(recipe, turn):
    assume(not (recipe.alpha is not None and "clap" in recipe.turns))
    data = build(recipe)
    after = patched(data, turned_by(data, turn))
    assert alike(heifs.shown(after), orientation.apply(heifs.shown(data), orientation.from_turn(turn)))


@settings(max_examples=60)
@given(recipes(), st.sampled_from(TURNS), st.sampled_from(TURNS))
def test_a_patch_of_a_patch_is_a_patch_and_each_goes_back(recipe, first, second):
    data = build(recipe)
    once = planned(data, turned_by(data, first))
    middle = once.apply(data)
    twice = planned(middle, turned_by(middle, second))
    assert twice.inverse().apply(twice.apply(middle)) == middle
    if {recipe.exif, recipe.xmp_value} <= {None, heifs.value_of(recipe.turns)}:  # else they agree only in between, and follow
        value = turned_by(middle, second)
        direct = patched(data, value)
        assert twice.keeps_length
        assert heif.stored(twice.apply(middle)) == value
        assert (twice.apply(middle) == direct) == (value != heifs.value_of(recipe.turns) or recipe.turns != ())


@given(recipes(), values)
def test_a_file_gets_any_orientation_that_turning_alone_can_give(recipe, value):
    data = build(recipe)
    mirrored = {2, 4, 5, 7}
    if (value in mirrored) == (heifs.value_of(recipe.turns) in mirrored):
        assert heif.stored(patched(data, value)) in (value, None)
    else:
        assert "by turning alone" in refusal(data, value)


def test_a_file_that_stores_it_already_needs_no_patch():
    assert planned(build(Recipe()), 1) == Patch(())
    assert planned(build(Recipe(turns=("irot3", "imir0"))), 7) == Patch(())


@pytest.mark.parametrize("turns", [("irot1", "imir0"), ("imir0", "irot1")])
def test_a_mirror_behind_the_rotation_reverses_its_direction(turns):
    data = build(Recipe(turns=turns))
    angle = data[data.index(b"irot") + 4]
    after = patched(data, turned_by(data, 90))
    assert (after[data.index(b"irot") + 4] - angle) % 4 == (1 if turns[0] == "irot1" else 3)


def test_reserved_bits_of_the_rotation_stay():
    data = build(Recipe(turns=("irot1",))).replace(b"irot\x01", b"irot\xa9")
    assert heif.stored(data) == 8
    assert patched(data, 6) == data.replace(b"irot\xa9", b"irot\xab")


def test_a_gain_map_that_is_a_source_of_a_tone_mapped_picture_turns_with_the_photo():
    data = with_derived(b"tmap", Recipe(other=(), extra_references=reference(b"dimg", 9, PHOTO, OTHER)))
    after = patched(data, 6)
    assert after.count(b"irot") == 1
    listed = after[after.index(b"ipma") :]
    assert listed.count(bytes([0x80 | properties_of(after)])) >= 2


def test_a_property_that_other_pictures_share_with_nobody_is_theirs():
    recipe = Recipe(turns=("irot1",), other=("irot1",), shared=False)
    data = build(recipe)
    assert patched(data, 6) == build(replace(recipe, turns=("irot3",)))


# What is refused


def with_derived(kind: bytes, recipe: Recipe, item: int = 9) -> bytes:
    """The file with one more item of that kind, without properties or bytes; its `iinf` comes last."""
    data = build(replace(recipe, wide_items=False))
    at = data.index(b"iinf") - 4
    size, count = int.from_bytes(data[at : at + 4], "big"), int.from_bytes(data[at + 12 : at + 14], "big")
    entry = full_box(b"infe", number(item, 2) + number(0, 2) + kind + b"\0", version=2)
    longer = number(size + len(entry), 4) + data[at + 4 : at + 12] + number(count + 1, 2) + data[at + 14 : at + size] + entry
    meta = data.index(b"meta") - 4
    grown = number(int.from_bytes(data[meta : meta + 4], "big") + len(entry), 4)
    return data[:meta] + grown + data[meta + 4 : at] + longer + data[at + size :]


def properties_of(data: bytes) -> int:
    """How many properties a file has."""
    at, number_ = data.index(b"ipco") + 4, 0
    end = at - 8 + int.from_bytes(data[at - 8 : at - 4], "big")
    while at < end:
        at, number_ = at + int.from_bytes(data[at : at + 4], "big"), number_ + 1
    return number_


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
    ("without being turned", build(Recipe(turns=("imir0",)))),
    ("without being turned", build(Recipe("avif", turns=("imir1",)))),
    ("mirrored before it is turned", build(Recipe("avif", turns=("imir1", "irot1")))),
    ("turned or mirrored twice", build(Recipe(turns=("irot1", "irot2")))),
    ("turned or mirrored twice", build(Recipe(turns=("irot1", "imir0", "imir1")))),
    ("cut to size after it is turned", build(Recipe(turns=("irot1", "clap")))),
    ("EXIF says 6, the picture itself says 1", build(Recipe(exif=6))),
    ("EXIF says 3, the picture itself says 8", build(replace(ROUND, exif=3))),
    ("XMP says 6, the picture itself says 1", build(Recipe(xmp="element", xmp_value=6))),
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
    ("'mpvd' box in it may count", build(Recipe(extra_top=box(b"mpvd", b"a film")))),
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
        (14, b"\0\0", b"\0\2", "not told by its place"),
        (16, b"\0\0", b"\0\1", "not told by its place"),
        (20, PLAIN[(at := PLAIN.index(b"iloc") + 20) : at + 4], b"\0\0\0\x40", "not clear where an item lies"),
        (24, PLAIN[at + 4 : at + 8], bytes(4), "not clear where an item lies"),
        (24, PLAIN[at + 4 : at + 8], b"\x7f\xff\xff\xff", "not clear where an item lies"),
        (4, b"\1", b"\3", "unknown version 3"),
    ):
        assert reason in refusal(iloc_field(PLAIN, offset, old, new))


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


# Whatever the bytes


@settings(max_examples=200)
@given(st.data(), recipes(), st.sampled_from(TURNS))
def test_damaged_files_are_refused_or_patched_as_ever(random, recipe, turn):
    data = bytearray(build(recipe))
    lists = data.index(b"meta"), len(data) if recipe.meta_last else data.index(b"mdat")
    for place in random.draw(st.lists(st.integers(*lists), max_size=5)):
        data[min(place, len(data) - 1)] = random.draw(st.integers(0, 255))
    cut = bytes(data[: random.draw(st.just(len(data)) | st.integers(0, len(data)))])
    value = orientation.turned(heif.stored(cut), turn)
    try:
        patch = heif.plan(cut, value)
    except Refused:
        return
    after = patch.apply(cut)
    assert heif.stored(after) == value
    assert heif.plan(after, value) == Patch(())
    assert patch.inverse().apply(after) == cut


def test_lists_that_would_take_forever_are_refused():
    nowhere = full_box(b"iloc", bytes(2), number(60_000, 2), (number(1, 2) + bytes(2) + b"\xff\xff") * 60_000)
    data = PLAIN.replace(b"iloc", b"free")
    meta = data.index(b"meta") - 4
    size = int.from_bytes(data[meta : meta + 4], "big")
    data = data[:meta] + number(size + len(nowhere), 4) + data[meta + 4 : meta + size] + nowhere + data[meta + size :]
    assert "in several places" in refusal(data, 6)


def test_the_helper_tells_the_angles_apart():
    assert [heifs.value_of(turns) for turns in ROTATED] == [1, 8, 3, 6]
    assert (heifs.value_of(("imir0",)), heifs.value_of(("imir1",))) == (4, 2)
