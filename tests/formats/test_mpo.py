import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL.JpegImagePlugin import JpegImageFile
from support import jpeg_files, mpo_files
from support.jpeg_files import SHORT, Recipe, app1, tiff
from support.mpo_files import ANGLE, PANORAMA, PREVIEW, STEREO
from support.referee import HAS_EXIFTOOL, byte_changes, read_tags, tag_changes

from orientd import orientation as group
from orientd.errors import Refused
from orientd.formats import plan, sniff, stored_orientation
from orientd.records import Format, Patch

values = st.sampled_from(range(1, 9))
orders = st.sampled_from(["little", "big"])
NONE = Recipe(orientations=())


@st.composite
def metadata(draw, value: int | None) -> tuple[bytes, ...]:
    """The segments of a frame that stores `value`; None: no orientation, with EXIF or without."""
    recipe = Recipe(
        order=draw(orders),
        orientations=() if value is None else ((SHORT, value),),
        thumbnail=draw(st.booleans()),
        odd=draw(st.booleans()),
    )
    exif = (app1(tiff(recipe)),) if value is not None or draw(st.booleans()) else ()
    return (*exif, *((mpo_files.attributes(draw(orders)),) if draw(st.booleans()) else ()))


@st.composite
def pairs(draw) -> bytes:
    """A file of two or three frames that are shown the same way, each with the orientation or, where that is 1, without."""
    value = draw(values)
    kind = draw(st.sampled_from([STEREO, ANGLE]))
    drawn = []
    for number in range(draw(st.integers(2, 3))):
        stored = value if value != 1 or draw(st.booleans()) else None
        segments = draw(metadata(stored))
        drawn.append(
            mpo_files.frame(*(segments if number else [one for one in segments if one[1] == 0xE1]), width=24 + 8 * number)
        )
    return mpo_files.file(*drawn, kinds=(kind,) * len(drawn), order=draw(orders))


def by_frame(data: bytes) -> list[tuple[int, bytes]]:
    """What Pillow makes of each frame: the orientation and the pixels."""
    found = []
    for each in mpo_files.frames(data):
        with JpegImageFile(io.BytesIO(each)) as image:
            found.append((image.getexif().get(0x0112, 1), image.convert("RGB").tobytes()))
    return found


def changes(before: bytes, after: bytes) -> list[str]:
    pairs = zip(mpo_files.frames(before), mpo_files.frames(after), strict=True)
    return [f"frame {number}: {change}" for number, pair in enumerate(pairs) for change in byte_changes(*pair)]


@given(pairs(), values)
def test_every_frame_is_turned_and_nothing_else_changes(data, orientation):
    assert sniff(data) is Format.MPO
    patch = plan(Format.MPO, data, orientation)
    after = patch.apply(data)
    assert [value for value, _ in by_frame(after)] == [orientation] * len(by_frame(data))
    assert [pixels for _, pixels in by_frame(after)] == [pixels for _, pixels in by_frame(data)]
    assert changes(data, after) == []
    assert patch.inverse().apply(after) == data
    assert plan(Format.MPO, after, orientation) == Patch(())


def test_the_comparison_notices_a_frame_that_was_left_or_harmed():
    data = mpo_files.file(mpo_files.frame(app1(tiff(NONE))), mpo_files.frame(app1(tiff(NONE))))
    first_only = plan(Format.JPEG, data, 6).apply(data)
    assert [value for value, _ in by_frame(first_only)] == [6, 1]
    assert changes(data, data[:-20] + b"\1" + data[-19:])


@pytest.mark.skipif(not HAS_EXIFTOOL, reason="needs exiftool")
@pytest.mark.parametrize("stored", [None, 1, 6])
def test_exiftool_sees_each_frame_turned_and_no_other_tag_changed(tmp_path, stored):
    recipe = Recipe(orientations=() if stored is None else ((SHORT, stored),), maker_note=True)
    data = mpo_files.file(mpo_files.frame(app1(tiff(recipe))), mpo_files.frame(app1(tiff(recipe)), mpo_files.attributes()))
    new = group.turned(stored, 90)
    after = plan(Format.MPO, data, new).apply(data)
    paths = []
    for name, file in (("before", data), ("after", after)):
        for number, each in enumerate([file, *mpo_files.frames(file)]):
            paths.append(tmp_path / f"{name}{number}.mpo")
            paths[-1].write_bytes(each)
    tags = read_tags(paths)
    old, turned = tags[:3], tags[3:]
    growth = [len(two) - len(one) for one, two in zip(mpo_files.frames(data), mpo_files.frames(after), strict=True)]
    assert all(list(each["EXIF:IFD0:Orientation"]) == [str(new)] for each in turned)
    assert tag_changes(old[2], turned[2], growth[1]) == []
    assert [change for change in tag_changes(old[0], turned[0], sum(growth)) if not change.startswith("MPF:")] == []
    sizes = [old[0][f"MPF:MPImage{number}:MPImageLength"] for number in (1, 2)]
    grown = [turned[0][f"MPF:MPImage{number}:MPImageLength"] for number in (1, 2)]
    assert [int(*two) - int(*one) for one, two in zip(sizes, grown, strict=True)] == growth


def test_a_preview_among_the_frames_stays_and_is_found_where_it_moved():
    pictures = [
        mpo_files.frame(app1(tiff(NONE))),
        mpo_files.frame(width=8),
        mpo_files.frame(app1(tiff(NONE))),
        mpo_files.frame(width=16),
    ]
    data = mpo_files.file(*pictures, kinds=(STEREO, PREVIEW, STEREO, 0))
    after = plan(Format.MPO, data, 3).apply(data)
    assert [value for value, _ in by_frame(after)] == [3, 1, 3, 1]
    assert mpo_files.frames(after)[1] == pictures[1]
    assert mpo_files.frames(after)[3] == pictures[3]


def test_a_frame_cut_out_of_such_a_file_is_a_photo_like_others():
    alone = mpo_files.frame(app1(tiff(NONE)), mpo_files.attributes())
    assert stored_orientation(Format.JPEG, plan(Format.JPEG, alone, 8).apply(alone)) == 8


def too_large(data: bytes) -> bytes:
    """With a size of the first picture that cannot become larger."""
    place = data.index(STEREO.to_bytes(3, "big")) + 3
    return data[:place] + b"\xff\xff\xff\xff" + data[place + 4 :]


STORED = Recipe(orientations=((SHORT, 1),))
TWO = (mpo_files.frame(app1(tiff(STORED))), mpo_files.frame(app1(tiff(STORED))))
GROWING = mpo_files.file(mpo_files.frame(app1(tiff(NONE))), mpo_files.frame(app1(tiff(NONE))))
REFUSED = [
    ("(MPF) is broken", too_large(GROWING)),
    (
        "different orientations (1 and 6)",
        mpo_files.file(TWO[0], mpo_files.frame(app1(tiff(replace(STORED, orientations=((SHORT, 6),)))))),
    ),
    (
        "different orientations (6 and 1)",
        mpo_files.file(mpo_files.frame(app1(tiff(replace(STORED, orientations=((SHORT, 6),))))), TWO[1]),
    ),
    ("parts of a panorama", mpo_files.file(*TWO, kinds=(PANORAMA, PANORAMA))),
    ("not where", mpo_files.file(*TWO, offsets=(0, 1))),
    ("not where", mpo_files.file(*TWO, offsets=(0, 10**6))),
    ("not where", mpo_files.file(*TWO)[: -len(TWO[1])]),
    ("overlap", mpo_files.file(TWO[0], TWO[1], TWO[1], offsets=(0, 0, -len(TWO[1]) - 1))),
    (
        "XMP says 3",
        mpo_files.file(TWO[0], mpo_files.frame(app1(tiff(STORED)), jpeg_files.xmp_segment(jpeg_files.packet("element", 3)))),
    ),
    ("more pictures than", mpo_files.file(*[TWO[1]] * 65)),
    ("broken EXIF", mpo_files.file(TWO[0], mpo_files.frame(app1(b"II*\0\xff\0\0\0")))),
]


@pytest.mark.parametrize(("reason", "data"), REFUSED, ids=[reason for reason, _ in REFUSED])
def test_none_is_turned_where_not_all_can_be(reason, data):
    with pytest.raises(Refused) as caught:
        plan(Format.MPO, data, 8)
    assert reason in str(caught.value)


@given(st.data(), pairs(), values)
def test_damaged_files_are_refused_or_patched_whole(random, data, orientation):
    damaged = bytearray(data)
    for place in random.draw(st.lists(st.integers(0, len(data) - 1), max_size=6)):
        damaged[place] = random.draw(st.integers(0, 255))
    try:
        patch = plan(Format.MPO, bytes(damaged), orientation)
    except Refused:
        return
    after = patch.apply(bytes(damaged))
    assert patch.inverse().apply(after) == damaged
    assert stored_orientation(Format.MPO, after) == orientation
    assert plan(Format.MPO, after, orientation) == Patch(())
