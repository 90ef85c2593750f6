"""Progressive JPEGs decoded in part: no picture of a file cut short, no photo turned on a part's word."""

import csv
import re

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from support import sky_library
from support.decodable_photos import encode, exif, photo, scene
from support.progressive_jpegs import EOI, drawn, put_together, taken_apart, with_half_a_scan

from orientd.decode.cpu import CpuDecoder, second_reader
from orientd.decode.isolated import IsolatedDecoder
from orientd.errors import DecodeError

SIZE = 32


def is_sound(data):
    """TurboJPEG decodes it in small without a word of warning."""
    try:
        return simplejpeg.decode_jpeg(data, min_height=SIZE, min_width=SIZE) is not None
    except ValueError:
        return False


@settings(max_examples=300)
@given(st.sampled_from(["4:2:0", "4:4:4", "grey"]), st.data())
def test_damage_is_never_told_otherwise_than_by_the_whole_road(sampling, data):
    decoder, damaged = CpuDecoder(SIZE, max_pixels=10_000_000), bytearray(drawn(sampling, 263, 257, quality=5))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    case = photo(bytes(damaged[: data.draw(st.sampled_from([None, None, len(damaged) * 2 // 3]))]), photo(drawn()).format)
    try:
        part = decoder.decode(case, whole=False)
    except DecodeError as error:
        with pytest.raises(DecodeError, match=re.escape(str(error))):
            decoder.decode(case)
        return
    if part.whole or is_sound(case.data):
        whole = decoder.decode(case)
        assert np.array_equal(part.pixels, whole.pixels)
        assert (part.width, part.height) == (whole.width, whole.height)
    else:
        assert EOI in case.data, "a file cut short"


@pytest.mark.parametrize("number", [1000, 1001])
@pytest.mark.parametrize("whole", [True, False])
def test_a_photo_of_scans_without_end_is_told_before_they_are_gone_through(number, whole):
    head, groups = taken_apart(drawn("grey", 300, 300))
    endless = put_together(head, [*groups, *[groups[-1]] * (number - len(groups))])
    with pytest.raises(DecodeError) as told:
        CpuDecoder(SIZE).decode(photo(endless), whole=whole)
    assert ("more than 1,000 scans" in str(told.value)) == (number > 1000)


def test_what_is_behind_the_picture_counts_for_no_scans():
    data = drawn("grey", 300, 300)
    behind = np.random.default_rng(1).integers(0, 256, 50_000, np.uint8).tobytes() + b"\xff\xda" * 2000
    assert np.array_equal(CpuDecoder(SIZE).decode(photo(data + behind)).pixels, CpuDecoder(SIZE).decode(photo(data)).pixels)


@pytest.mark.parametrize("height", [248, 249, 256, 300])
@pytest.mark.parametrize("width", [31, 247, 248, 249, 255, 256, 257])
def test_the_part_is_read_where_turbojpeg_reduces_to_an_eighth(width, height):
    data = drawn("4:2:0", width, height)
    reduced = simplejpeg.decode_jpeg_header(data, SIZE, SIZE)[:2]
    decoder = CpuDecoder(SIZE)
    part, whole = decoder.decode(photo(data), whole=False), decoder.decode(photo(data))
    assert whole.whole
    assert part.whole == (reduced != (-(-height // 8), -(-width // 8)))
    assert np.array_equal(part.pixels, whole.pixels)
    assert (part.width, part.height) == (whole.width, whole.height) == (width, height)


@pytest.mark.parametrize("stored", range(1, 9))
def test_every_orientation_is_obeyed(stored):
    data = drawn(exif=exif(stored))
    part, whole = (CpuDecoder(SIZE).decode(photo(data), whole=whole) for whole in (False, True))
    assert not part.whole
    assert np.array_equal(part.pixels, whole.pixels)


def test_a_decoder_in_a_child_says_the_same():
    decoder = IsolatedDecoder(SIZE)
    for data, whole in ((drawn(), False), (with_half_a_scan(drawn()), False), (encode(scene(300, 300), "JPEG"), True)):
        here, there = CpuDecoder(SIZE).decode(photo(data), whole=False), decoder.decode(photo(data), whole=False)
        assert np.array_equal(here.pixels, there.pixels)
        assert here.whole == there.whole == whole
    with pytest.raises(DecodeError, match="premature end"):
        decoder.decode(photo(with_half_a_scan(drawn())))


def test_damage_in_what_is_left_out_is_noticed_before_a_write():
    data = with_half_a_scan(drawn())
    assert not CpuDecoder(SIZE).decode(photo(data), whole=False).whole
    with pytest.raises(DecodeError, match="premature end"):
        CpuDecoder(SIZE).decode(photo(data))
    with pytest.raises(DecodeError, match="premature end"):
        second_reader(data)


def damaged_library(folder):
    """Landscapes that are large enough to be read in part: two upright, two wrong, one of either damaged; by path what a
    scan says of them."""
    said = {}
    folder.mkdir()
    for turn in (0, 90):
        picture = sky_library.landscape(turn, 8 * 64, 8 * 64).rotate(turn)
        for name, change in (("good", bytes), ("damaged", with_half_a_scan)):
            path = folder / f"{name}-{turn}.jpg"
            path.write_bytes(change(encode(picture, "JPEG", progressive=True, quality=80)))
            said[str(path)] = "keep" if not turn else "fix" if name == "good" else "error"
    return said


@pytest.mark.parametrize("isolate", [(), ("--no-isolate",)])
@pytest.mark.parametrize("fix", [(), ("--fix",)])
def test_no_damaged_photo_is_turned_nor_said_to_be(orientd, photos, tmp_path, fix, isolate):
    said = damaged_library(photos)
    before = sky_library.snapshot(photos)
    assert orientd("scan", photos, "--workers", "1", *fix, *isolate, "--report", tmp_path / "1.csv") == 3
    rows = sky_library.rows(tmp_path / "1.csv")
    assert {path: row["decision"] for path, row in rows.items()} == said
    reasons = [row["reason"] for row in rows.values() if row["decision"] == "error"]
    assert len(reasons) == 1
    assert "premature end of data segment" in reasons[0]
    changed = {path for path, state in sky_library.snapshot(photos).items() if state != before[path]}
    assert changed == {path for path, decision in said.items() if decision == "fix" and fix}


def test_a_plan_that_says_fix_does_not_turn_a_damaged_photo(orientd, photos, tmp_path):
    said = damaged_library(photos)
    assert orientd("scan", photos, "--report", tmp_path / "1.csv") == 3
    rows = sky_library.rows(tmp_path / "1.csv")
    with (tmp_path / "2.csv").open("w", newline="", encoding="utf-8") as file:
        plan = csv.DictWriter(file, next(iter(rows.values())))
        plan.writeheader()
        plan.writerows(row | {"decision": "fix", "turn": "90"} for row in rows.values())
    before = sky_library.snapshot(photos)
    assert orientd("apply", tmp_path / "2.csv", photos, "--report", tmp_path / "3.csv") == 3
    changed = {path for path, state in sky_library.snapshot(photos).items() if state != before[path]}
    assert changed == {path for path in said if "good" in path}
