"""Progressive JPEGs in part: the same pixels to the bit, no picture of a file cut short, no photo turned on a part's word."""

import csv
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import skies
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scenes import encode, exif, photo, scene

from orientd.decode.cpu import CpuDecoder, witness
from orientd.decode.isolated import IsolatedDecoder
from orientd.decode.progressive import abridged
from orientd.errors import DecodeError

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"
JPEGTRAN = shutil.which("jpegtran")
SIZE = 32
EOI = b"\xff\xd9"
SAMPLINGS = ["grey", "CMYK", "4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1"]


def drawn(sampling="4:2:0", width=273, height=262, seed=0, **options):
    """A progressive JPEG of a noisy scene; of samplings that Pillow does not write, the blocks of it in another order."""
    if sampling == "4:4:0":
        return relabelled(drawn("4:2:2", height, width, seed, **options), 0x12, width, height)
    if sampling == "4:1:1":
        width, height = -(-width // 32) * 32, -(-height // 8) * 8
        return relabelled(drawn("4:2:0", width // 2, height * 2, seed, **options), 0x41, width, height)
    noise = np.random.default_rng(seed).normal(0, 25, (height, width, 3))
    image = Image.fromarray((scene(width, height) + noise).clip(0, 255).astype(np.uint8))
    if sampling in ("grey", "CMYK"):
        return encode(image.convert("L" if sampling == "grey" else sampling), "JPEG", progressive=True, **options)
    return encode(image, "JPEG", progressive=True, subsampling=sampling, **options)


def relabelled(data, luminance, width, height):
    """The file with another frame, of as many blocks."""
    frame = data.index(b"\xff\xc2")
    sides = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return data[: frame + 5] + sides + data[frame + 9 : frame + 11] + bytes([luminance]) + data[frame + 12 :]


def taken_apart(data):
    """What stands before the first table of codes, and the scans, each with the tables before it."""
    starts = [found.start() for found in re.finditer(rb"\xff[\xc4\xda](?=\0)", data)]
    parts = [data[start:end] for start, end in pairwise([*starts, data.index(EOI, starts[-1])])]
    groups, tables = [], b""
    for part in parts:
        tables += part
        if part[1] == 0xDA:
            groups.append(tables)
            tables = b""
    return data[: starts[0]], groups


def header(group):
    """Components, first and last coefficient, and bit positions of a scan."""
    start = group.index(b"\xff\xda")
    found = group[start + 4 : start + 2 + int.from_bytes(group[start + 2 : start + 4], "big")]
    return found[1:-3:2], *found[-3:]


def put_together(head, groups):
    return head + b"".join(groups) + EOI


def with_half_a_scan(data):
    """The last scan, which tells the last bits of luminance, lacks its second half."""
    head, groups = taken_apart(data)
    return put_together(head, [*groups[:-1], groups[-1][: len(groups[-1]) // 2].rstrip(b"\xff")])


def at_an_eighth(data):
    """Pixels as TurboJPEG reduces them to 1/8, without a word of warning."""
    height, width = (-(-side // 8) for side in simplejpeg.decode_jpeg_header(data)[:2])
    pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=height, min_width=width)
    assert pixels.shape == (height, width, 3)
    return pixels


def is_sound(data):
    """TurboJPEG decodes it in small without a word of warning."""
    try:
        return simplejpeg.decode_jpeg(data, min_height=SIZE, min_width=SIZE) is not None
    except ValueError:
        return False


def same(one, other):
    return np.array_equal(at_an_eighth(one), at_an_eighth(other))


def test_the_comparison_notices_what_is_left_out_without_more_ado():
    """Without its AC scans libjpeg smooths a picture; chroma that is reduced to a quarter needs its own."""
    for sampling in ("grey", "4:4:4", "4:2:0"):
        data = drawn(sampling)
        head, groups = taken_apart(data)
        assert same(put_together(head, groups), data)
        assert not same(put_together(head, [group for group in groups if header(group)[1] == 0]), data)
        assert not same(drawn(sampling, seed=1), data)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@settings(max_examples=25)
@given(
    st.integers(5, 90), st.integers(5, 90), st.integers(1, 100), st.sampled_from([{}, {"restart_marker_blocks": 3}]), st.data()
)
def test_the_pixels_are_the_same_to_the_bit(sampling, width, height, quality, more, data):
    whole = drawn(sampling, width, height, data.draw(st.integers(0, 9)), quality=quality, **more)
    part = abridged(whole)
    assert part is not None
    assert same(part, whole)


def test_restart_markers_are_there():
    assert b"\xff\xd1" in drawn(restart_marker_blocks=3)


def test_a_picture_of_many_blocks_has_several_runs():
    whole = drawn("4:4:4", 2100, 1500, quality=30)
    assert same(abridged(whole), whole)
    assert 5 * len(abridged(whole)) < len(whole)


@settings(max_examples=60)
@given(st.sampled_from(["4:4:4", "4:2:0", "4:2:2", "CMYK"]), st.data())
def test_scans_may_come_in_any_order_that_makes_sense(sampling, data):
    whole = drawn(sampling, 90, 70)
    head, groups = taken_apart(whole)
    waiting, order, told = list(groups), [], set()
    while waiting:
        ready = [each for each in waiting if needs(each) <= told]
        chosen = data.draw(st.sampled_from(ready))
        waiting.remove(chosen)
        order.append(chosen)
        told |= gives(chosen)
    shuffled = put_together(head, order)
    assert same(shuffled, whole)
    assert same(abridged(shuffled), whole)


def gives(group):
    names, first, last, bits = header(group)
    return {(name, index, bits & 15) for name in names for index in range(first, last + 1)}


def needs(group):
    names, first, last, bits = header(group)
    refined = {(name, index, bits >> 4) for name in names for index in range(first, last + 1) if bits >> 4}
    return refined | {(name, 0, 1) for name in names if first}


SCRIPTS = {
    "each channel by itself, its DC in three scans": "0: 0 0 0 2; 1: 0 0 0 1; 2: 0 0 0 0; 0: 1 2 0 0; 0: 0 0 2 1; 1: 1 63 0 0;"
    "0: 3 63 0 1; 0: 0 0 1 0; 2: 1 63 0 0; 1: 0 0 1 0; 0: 3 63 1 0;",
    "luminance last": "0 1 2: 0 0 0 0; 2: 1 63 0 0; 1: 1 63 0 0; 0: 1 63 0 0;",
}


@pytest.mark.skipif(not JPEGTRAN, reason="jpegtran (libjpeg-turbo-progs) is not there")
@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_scan_scripts_of_others(tmp_path, script, sampling):
    (tmp_path / "script").write_text(SCRIPTS[script])
    (tmp_path / "whole.jpg").write_bytes(drawn(sampling))
    command = [JPEGTRAN, "-scans", tmp_path / "script", "-restart", "5b", tmp_path / "whole.jpg"]
    whole = subprocess.run(list(map(str, command)), capture_output=True, check=True).stdout
    assert same(whole, drawn(sampling))
    assert same(abridged(whole), whole)


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus is not there")
def test_the_progressive_photos_of_the_corpus():
    compared = 0
    for path in sorted(CORPUS.iterdir()):
        data = path.read_bytes()
        part = abridged(data)
        if part is not None:
            assert same(part, data), path
            compared += 1
    assert compared


@pytest.mark.parametrize("whole", [drawn("4:2:0", 40, 30), drawn("grey", 17, 9, restart_marker_blocks=2)])
def test_a_file_cut_short_anywhere_is_left_to_the_whole_road(whole):
    assert abridged(whole) is not None
    assert [length for length in range(len(whole)) if abridged(whole[:length]) is not None] == []


def test_a_file_that_lacks_a_scan_is_left_to_the_whole_road():
    head, groups = taken_apart(drawn())
    for missing in range(len(groups)):
        assert abridged(put_together(head, groups[:missing] + groups[missing + 1 :])) is None
    for length in range(len(groups)):
        assert abridged(put_together(head, groups[:length])) is None


def between_scans(marker, payload=b"\0\0"):
    def change(data):
        head, groups = taken_apart(data)
        return put_together(
            head, [groups[0], b"\xff" + bytes([marker]) + (2 + len(payload)).to_bytes(2, "big") + payload, *groups[1:]]
        )

    return change


def in_frame(offset, *values):
    def change(data):
        start = data.index(b"\xff\xc2") + 4 + offset
        return data[:start] + bytes(values) + data[start + len(values) :]

    return change


def in_scan(number, offset, value):
    """The byte so far from the end of the header of a scan, or from its start, is another."""

    def change(data):
        head, groups = taken_apart(data)
        start = groups[number].index(b"\xff\xda")
        at = start + offset if offset > 0 else start + 2 + groups[number][start + 3] + offset
        groups[number] = groups[number][:at] + bytes([value]) + groups[number][at + 1 :]
        return put_together(head, groups)

    return change


ODD = {
    "a comment between scans": between_scans(0xFE),
    "metadata between scans": between_scans(0xE1),
    "arithmetic conditions between scans": between_scans(0xCC),
    "lines told after the scan": between_scans(0xDC),
    "a frame between scans": between_scans(0xC2, bytes(15)),
    "SOI between scans": between_scans(0xD8),
    "a marker without a meaning": between_scans(0x01),
    "sequential": lambda data: data.replace(b"\xff\xc2", b"\xff\xc1"),
    "arithmetic": lambda data: data.replace(b"\xff\xc2", b"\xff\xca"),
    "hierarchical": lambda data: data.replace(b"\xff\xc2", b"\xff\xc6"),
    "12 bits": in_frame(0, 12),
    "no height": in_frame(1, 0, 0),
    "no width": in_frame(3, 0, 0),
    "more channels than told of": in_frame(5, 4),
    "two channels of one name": in_frame(9, 1),
    "no sampling": in_frame(7, 0x02),
    "sampling out of range": in_frame(7, 0x52),
    "two frames": lambda data: data.replace(
        b"\xff\xc2", b"\xff\xc2\0\x11" + data[data.index(b"\xff\xc2") + 4 :][:15] + b"\xff\xc2"
    ),
    "a scan of unknown channels": in_scan(1, 5, 9),
    "a scan of more channels than it names": in_scan(0, 4, 4),
    "a scan of DC and AC": in_scan(1, -3, 0),
    "a scan that ends before it begins": in_scan(1, -2, 0),
    "a scan past the last coefficient": in_scan(-1, -2, 64),
    "a refinement of nothing": in_scan(1, -1, 0x21),
    "a refinement by two bits": in_scan(-1, -1, 0x20),
    "a bit that is never told": in_scan(-1, -1, 0x21),
    "more bits than there are": in_scan(1, -1, 0x0E),
    "junk before the first table": lambda data: data.replace(b"\xff\xdb", b"\0\0\xff\xdb", 1),
    "junk behind a table": lambda data: data.replace(b"\xff\xda", b"\0\xff\xda", 2),
    "no end": lambda data: data.removesuffix(EOI),
    "another kind of file": lambda data: b"II*\0" + data,
    "nothing": lambda data: b"",
}


@pytest.mark.parametrize("oddity", ODD)
def test_what_is_not_plainly_understood_is_left_to_the_whole_road(oddity):
    data = drawn()
    assert abridged(data) is not None
    assert ODD[oddity](data) != data
    assert abridged(ODD[oddity](data)) is None


def test_only_progressive_files_are_read_in_part():
    assert abridged(encode(scene(), "JPEG")) is None
    assert abridged(encode(scene(), "PNG")) is None


def test_tables_may_change_between_scans():
    """Quantisation counts as it was at the first scan of a channel; restarts from where they are told."""
    data = drawn("4:2:0")
    head, groups = taken_apart(data)
    table = b"\xff\xdb\0\x43\0" + bytes([99] * 64)
    changed = put_together(head, [groups[0], table, *groups[1:]])
    assert same(changed, data)
    assert same(abridged(changed), data)
    before = put_together(head, [table, *groups])
    assert not same(before, data)
    assert same(abridged(before), before)
    restarts = drawn("4:2:0", restart_marker_blocks=4)
    head, groups = taken_apart(restarts)
    assert abridged(restarts).count(b"\xff\xdd\0\4") == 2


def test_what_is_behind_the_picture_is_of_no_account():
    data = drawn()
    for trailer in (drawn(seed=1), b"trailer", bytes(99), b"\xff\xda\xff\xc2" * 9):
        assert abridged(data + trailer) == abridged(data)


def test_padding_between_segments_is_of_no_account():
    head, groups = taken_apart(drawn())
    padded = put_together(head, [group + b"\xff\xff" for group in groups])
    assert same(padded, drawn())
    assert same(abridged(padded), drawn())


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
    decoder.close()


def test_damage_in_what_is_left_out_is_noticed_before_a_write():
    data = with_half_a_scan(drawn())
    assert not CpuDecoder(SIZE).decode(photo(data), whole=False).whole
    with pytest.raises(DecodeError, match="premature end"):
        CpuDecoder(SIZE).decode(photo(data))
    with pytest.raises(DecodeError, match="premature end"):
        witness(data)


def damaged_library(folder):
    """Landscapes that are large enough to be read in part: two shown right, two wrong, one of either damaged; by path what a
    scan says of them."""
    said = {}
    folder.mkdir()
    for turn in (0, 90):
        picture = skies.landscape(turn, 8 * 64, 8 * 64).rotate(turn)
        for name, change in (("good", bytes), ("damaged", with_half_a_scan)):
            path = folder / f"{name}-{turn}.jpg"
            path.write_bytes(change(encode(picture, "JPEG", progressive=True, quality=80)))
            said[str(path)] = "keep" if not turn else "fix" if name == "good" else "error"
    return said


@pytest.mark.parametrize("isolate", [(), ("--isolate",)])
@pytest.mark.parametrize("fix", [(), ("--fix",)])
def test_no_damaged_photo_is_turned_nor_said_to_be(orientd, photos, tmp_path, fix, isolate):
    said = damaged_library(photos)
    before = skies.snapshot(photos)
    assert orientd("scan", photos, "--workers", "1", *fix, *isolate, "--report", tmp_path / "1.csv") == 3
    rows = skies.rows(tmp_path / "1.csv")
    assert {path: row["decision"] for path, row in rows.items()} == said
    reasons = [row["reason"] for row in rows.values() if row["decision"] == "error"]
    assert len(reasons) == 1
    assert "premature end of data segment" in reasons[0]
    changed = {path for path, state in skies.snapshot(photos).items() if state != before[path]}
    assert changed == {path for path, decision in said.items() if decision == "fix" and fix}


def test_a_plan_that_says_fix_does_not_turn_a_damaged_photo(orientd, photos, tmp_path):
    said = damaged_library(photos)
    assert orientd("scan", photos, "--report", tmp_path / "1.csv") == 3
    rows = skies.rows(tmp_path / "1.csv")
    with (tmp_path / "2.csv").open("w", newline="", encoding="utf-8") as file:
        plan = csv.DictWriter(file, next(iter(rows.values())))
        plan.writeheader()
        plan.writerows(row | {"decision": "fix", "turn": "90"} for row in rows.values())
    before = skies.snapshot(photos)
    assert orientd("apply", tmp_path / "2.csv", photos) == 3
    changed = {path for path, state in skies.snapshot(photos).items() if state != before[path]}
    assert changed == {path for path in said if "good" in path}
