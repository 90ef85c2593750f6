"""Progressive JPEGs without the scans that make no difference at an eighth: the same pixels to the bit, or the whole file."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.decodable_photos import encode, scene
from support.progressive_jpegs import EOI, drawn, header, put_together, same, taken_apart

from orientd.decode.progressive import abridged

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
JPEGTRAN = shutil.which("jpegtran")
SAMPLINGS = ["grey", "CMYK", "4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1"]


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
    for path in sorted(path for path in CORPUS.rglob("*") if path.is_file()):
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
