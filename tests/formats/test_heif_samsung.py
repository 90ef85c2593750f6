"""Photos of Galaxy phones: what stands behind the lists may move, and everything in it points where it pointed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from formats.test_heif_referee import judge
from hypothesis import given, settings
from hypothesis import strategies as st
from support import heif_files
from support import samsung_files as samsung
from support.heif_files import Recipe, box, build, patched, planned, refusal
from support.referee import HAS_EXIFTOOL
from support.referee_heif import byte_changes, names_video
from support.samsung_files import Tail, entry, film, named, phone, told_video, trailer
from write.test_heif_end_to_end import draw, shown_turned

from orientd import orientation
from orientd.decode.cpu import second_reader
from orientd.formats import heif
from orientd.formats import samsung as reader
from orientd.records import Patch

TURNS = (90, 180, 270)
LANDSCAPE = Recipe(thumbnail=(), exif=1, meta_last=True)
CASES = Path(__file__).parents[3] / "shared" / "corpus" / "cases"
LANDSCAPES = {
    "S10": Tail(),
    "S20 FE": Tail(free=b"cdif" + bytes(900)),
    "stray bytes": Tail(boxed=False, stray=b'/>\n</x:xmpmeta>\n<?xpacket end="w"?>'),
    "motion": Tail(free=b"cdif" + bytes(900), video=film()),
    "motion, trailer within": Tail(video=film(wide=True), within=True),
    "motion, stray bytes": Tail(video=film(), boxed=False, stray=b"  "),
    "motion, no place told": Tail(video=film(), told=False),
    "what is no video": Tail(video=b"a film"),
}
tails = st.builds(
    Tail,
    free=st.sampled_from([b"", b"cdif" + bytes(30)]),
    video=st.sampled_from([None, b"a film", film(), film(wide=True)]),
    within=st.booleans(),
    boxed=st.booleans(),
    stray=st.sampled_from([b"", b"?>", b"\0" * 5]),
    told=st.booleans(),
    country=st.sampled_from(["262", "1" * 200]),
)


def turned_by(data: bytes, turn: int) -> int:
    return orientation.turned(heif.stored(data), turn)


def aimed(recipe: Recipe, value: int) -> Recipe:
    return replace(recipe, turns=heif_files.aimed((), value), thumbnail=heif_files.aimed((), value), exif=value)


def without_place(data: bytes) -> dict[str, bytes]:
    """What the trailer holds, but for the place of the video."""
    return {key: held[:4] + held[8:] if key == "MotionPhoto_Data" else held for key, held in named(data).items()}


def test_the_helper_reads_what_it_wrote_and_finds_what_is_wrong():
    good = phone(LANDSCAPE, LANDSCAPES["motion"])
    assert list(named(good)) == ["Image_UTC_Data", "MCC_Data", "MotionPhoto_Data"]
    assert told_video(good) == names_video(good) == film()
    wrong = good.replace(b"\x00\x00\xa1\x0a\x08", b"\x00\x00\xa2\x0a\x08")
    assert wrong != good
    with pytest.raises(AssertionError):
        named(wrong)


def test_the_referee_finds_a_video_that_lost_its_place():
    data = phone(LANDSCAPE, LANDSCAPES["motion"])
    patch = planned(data, 6)
    video = data.rindex(b"mpv2")
    stale = Patch(tuple(splice for splice in patch.splices if splice.offset != video + 4))
    assert len(stale.splices) == len(patch.splices) - 1
    assert byte_changes(data, patch.apply(data)) == []
    assert byte_changes(data, stale.apply(data)) == ["Samsung's trailer names another video"]


@pytest.mark.parametrize("value", [3, 6, 8])
@pytest.mark.parametrize("name", LANDSCAPES)
def test_a_landscape_is_turned_and_its_trailer_stays_right(name, value):
    data = phone(LANDSCAPE, LANDSCAPES[name])
    after = patched(data, value)
    assert after == phone(aimed(LANDSCAPE, value), LANDSCAPES[name])
    assert without_place(data) == without_place(after)
    assert names_video(after) == names_video(data)
    assert byte_changes(data, after) == []
    assert heif.stored(after) == second_reader(after) == value


@settings(max_examples=100)
@given(tails, st.booleans(), st.sampled_from(TURNS), st.sampled_from([(), ("imir0",), ("irot1",), ("irot1", "imir1")]))
def test_any_trailer_moves_with_the_photo(behind, meta_last, turn, turns):
    recipe = Recipe(turns=turns, thumbnail=turns, meta_last=meta_last)
    data = phone(recipe, behind)
    value = turned_by(data, turn)
    patch = planned(data, value)
    after = patch.apply(data)
    target = replace(recipe, turns=heif_files.aimed(turns, value), thumbnail=heif_files.aimed(turns, value))
    assert after == phone(target, behind)
    assert patch.inverse().apply(after) == data
    assert planned(after, value) == Patch(())
    assert planned(after, orientation.turned(value, 90)).keeps_length


@pytest.mark.parametrize("name", LANDSCAPES)
def test_libheif_shows_it_turned(name):
    data = phone(LANDSCAPE, LANDSCAPES[name])
    before = heif_files.shown(data).astype(int)
    for turn in TURNS:
        after = heif_files.shown(patched(data, turned_by(data, turn)))
        assert np.abs(orientation.apply(before, orientation.from_turn(turn)) - after).max() <= 3


@pytest.mark.skipif(not HAS_EXIFTOOL, reason="exiftool is not installed")
@pytest.mark.parametrize("turn", [90, 180])
def test_no_tag_but_orientation_changes(tmp_path, turn):
    files = {f"{name}.heic": phone(LANDSCAPE, behind) for name, behind in LANDSCAPES.items()}
    assert judge(tmp_path, files, turn) == len(LANDSCAPES)


def ending(data: bytes) -> str:
    """Why a landscape is refused that ends so, with `meta` behind `mdat`."""
    return refusal(build(replace(LANDSCAPE, trailer=data)), 6)


SOUND = trailer(entry(samsung.UTC, "Image_UTC_Data", b"1600000000000"), entry(samsung.COUNTRY, "MCC_Data", b"262"))
BROKEN = {
    "no directory": SOUND.replace(b"SEFH", b"XXXX"),
    "another end": SOUND[:-1] + b"X",
    "only the end": b"SEFT",
    "an end and a length": b"\xff\xff\xff\xffSEFT",
    "one entry more": SOUND.replace(b"\x02\0\0\0", b"\x03\0\0\0", 1),
    "a kind that is another": SOUND.replace(b"\0\0\x01\x0a\x0e", b"\0\0\x02\x0a\x0e"),
    "a name past its entry": SOUND.replace(b"\x0e\0\0\0Image", b"\xff\0\0\0Image"),
    "audio behind it": SOUND + b"QDIO" + bytes(20) + b"QDIOBS",
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_trailer_that_is_not_sound_forbids_growth(fault):
    assert BROKEN[fault] != SOUND
    assert reader.read(BROKEN[fault]) is None
    assert "what is appended to it may count" in ending(BROKEN[fault])
    assert "'sefd' box in it may count" in ending(box(b"sefd", BROKEN[fault]))


def test_a_sound_trailer_is_told_from_those():
    assert reader.read(SOUND) == reader.Trailer(0, ())
    assert heif.stored(patched(build(replace(LANDSCAPE, trailer=SOUND)), 6)) == 6


def test_entries_that_reach_into_what_does_not_move_forbid_growth():
    data = phone(LANDSCAPE, Tail())
    at = data.rindex(b"SEFH") + 16
    far = len(data)  # up to the coded data, in front of `meta`
    place = data.rindex(b"SEFH") - far + 200
    first = data[at - 4 : at]
    wrong = data[:place] + first + bytes(4) + data[place + 8 : at] + (far - 200).to_bytes(4, "little") + data[at + 4 :]
    assert reader.read(wrong).start == place
    assert "may count bytes from the start of the file" in refusal(wrong, 6)


def test_a_video_whose_place_is_told_in_an_unknown_way_forbids_growth():
    for content, known in ((b"mpv9" + bytes(8), False), (b"mpv2", False), (film(), True), (b"", False)):
        data = build(replace(LANDSCAPE, trailer=box(b"sefd", trailer(entry(samsung.VIDEO, "MotionPhoto_Data", content)))))
        if known:
            assert told_or_held(patched(data, 6)) == content
        else:
            assert "says in an unknown way where its video is" in refusal(data, 6)


@pytest.mark.parametrize("within", [True, False])
def test_a_trailer_that_is_not_sound_and_tells_where_the_video_is_forbids_growth(within):
    data = phone(LANDSCAPE, Tail(video=film(), within=within))
    reasons = {refusal(broken, 6) for broken in (data[:-1] + b"X", data.replace(b"SEFH", b"SEFX"))}
    telling = "which says where the video is, cannot be read" if within else "'sefd' box in it may count"
    assert len(reasons) == 1
    assert telling in reasons.pop()


def told_or_held(data: bytes) -> bytes:
    return named(data)["MotionPhoto_Data"]


def test_a_place_where_no_video_can_be_forbids_growth():
    data = phone(LANDSCAPE, LANDSCAPES["motion"])
    at = data.rindex(b"mpv2") + 4
    for place in (b"\x7f\xff\xff\xff", bytes(3) + b"\x20", (at - 40).to_bytes(4, "big")):  # past the end; over lists, trailer
        assert "is no video" in refusal(data[:at] + place + b"\0\0\xff\xff" + data[at + 8 :], 6)


@pytest.mark.parametrize("wide", [False, True])
def test_a_video_that_counts_from_the_start_of_the_file_forbids_growth(wide):
    own, other = film(wide=wide), film(counting_from=10_000, wide=wide)
    for video, fits in ((own, True), (other, False)):
        data = build(replace(LANDSCAPE, extra_top=box(b"mpvd", video)))
        stray = build(replace(LANDSCAPE, trailer=video + SOUND))
        for held in (data, stray):
            if fits:
                assert heif.stored(patched(held, 6)) == 6
            else:
                assert "the video in it counts bytes from the start of the file" in refusal(held, 6)


def test_a_video_with_broken_lists_is_passed_over():
    for number in (0, 1, 5, 2**32 - 1):
        broken = film().replace(b"stco\0\0\0\0\0\0\0\2", b"stco\0\0\0\0" + number.to_bytes(4, "big"))
        assert heif.stored(patched(build(replace(LANDSCAPE, extra_top=box(b"mpvd", broken))), 6)) == 6
    short = box(b"moov", box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", box(b"stco"))))))
    deep = b"".join(number.to_bytes(4, "big") + b"moov" for number in range(80_000, 8, -8))
    for video in (short, deep, b"\0\0\0\0moov", b""):
        assert heif.stored(patched(build(replace(LANDSCAPE, extra_top=box(b"mpvd", video))), 6)) == 6


@pytest.mark.parametrize("zeros", [1, 7, 8, 4096])
def test_padding_of_zeros_moves_and_anything_else_forbids_growth(zeros):
    padded = replace(LANDSCAPE, trailer=bytes(zeros))
    assert patched(build(padded), 6) == build(aimed(padded, 6))
    assert "what is appended to it may count" in ending(bytes(zeros) + b"\1" + bytes(zeros))


def test_motion_photos_are_put_right_and_taken_back(orientd, photos, tmp_path):
    path = draw(photos / "a.heic", 90, by_tag=False)
    still = path.read_bytes()
    path.write_bytes(still + samsung.tail(LANDSCAPES["motion"], len(still)))
    before = path.read_bytes()
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") == 0
    after = path.read_bytes()
    assert shown_turned(path) == 0
    assert len(after) > len(before)
    assert (without_place(after), told_video(after)) == (without_place(before), film())
    assert orientd("undo", "--yes") == 0
    assert path.read_bytes() == before


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not here")
@pytest.mark.parametrize("turn", TURNS)
def test_the_cases(tmp_path, turn):
    files = {path.name: path.read_bytes() for path in sorted(CASES.glob("heic_samsung_*"))}
    if HAS_EXIFTOOL:
        assert judge(tmp_path, files, turn) == 3
    for data in files.values():
        after = patched(data, turned_by(data, turn))
        assert byte_changes(data, after) == []
        assert named(after) == named(data)
        assert second_reader(after) == turned_by(data, turn)
