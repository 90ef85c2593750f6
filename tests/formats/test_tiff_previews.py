"""TIFFs whose further pages are reduced copies of the first: previews and pyramids are turned with it."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import png_webp_tiff_files
from support.referee import HAS_EXIFTOOL, read_tags, tag_changes

from orientd.decode.cpu import second_reader
from orientd.errors import Refused
from orientd.formats import plan, stored_orientation
from orientd.records import Format, Patch

CASE = Path(__file__).parents[3] / "shared" / "corpus" / "cases" / "tiff_preview_page.tif"
SIDES = (48, 32)
values = st.integers(1, 8)


def page(value: int | None = None, kind: int | None = 1, part: int = 2, **more: object) -> dict[str, object]:
    """What one page is like: its orientation, NewSubfileType, and the part of the first page's width and height it has."""
    return {"value": value, "kind": kind, "part": part, "old": None, "tags": (), "sides": None} | more


def tiff(*pages: dict[str, object], mark: str = "<") -> bytes:
    out = io.BytesIO()
    with tifffile.TiffWriter(out, byteorder=mark) as writer:
        for n, each in enumerate(pages):
            width, height = each["sides"] or (side // each["part"] for side in SIDES)
            pixels = np.random.default_rng(n).integers(0, 255, (height, width, 3), np.uint8)
            extra = [*each["tags"], *([] if each["value"] is None else [(0x112, 3, 1, each["value"], True)])]
            extra += [] if each["old"] is None else [(0xFF, 3, 1, each["old"], True)]
            writer.write(pixels, photometric="rgb", subfiletype=1, extratags=extra, metadata=None, software=None)
    return marked(out.getvalue(), pages)


def marked(data: bytes, pages: tuple[dict[str, object], ...]) -> bytes:
    """What tifffile does not write: NewSubfileType as the pages shall have it, or a tag that means nothing instead; SubIFDs."""
    changed = bytearray(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        for each, found in zip(pages, file.pages, strict=True):
            kind = found.tags[0xFE]
            order = {"<": "little", ">": "big"}[file.byteorder]
            changed[kind.valueoffset : kind.valueoffset + 4] = (each["kind"] or 0).to_bytes(4, order)
            if each["kind"] is None:
                changed[kind.offset : kind.offset + 2] = (0xFD).to_bytes(2, order)
            if SUB_IFDS - 1 in found.tags:
                place = found.tags[SUB_IFDS - 1].offset
                changed[place : place + 2] = SUB_IFDS.to_bytes(2, order)
    return bytes(changed)


SUB_IFDS = 0x14A
FULL = page(kind=0, part=1)


def seen(data: bytes) -> list[tuple[int | None, bytes]]:
    """The orientation and the stored pixels of each page, as tifffile tells them; Pillow must tell the same orientations."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        found = [(each.tags[0x112].value.value if 0x112 in each.tags else None, each.asarray().tobytes()) for each in file.pages]
    with Image.open(io.BytesIO(data)) as image:
        for number, (value, _) in enumerate(found):
            image.seek(number)
            assert value in (None, image.getexif().get(0x112))  # Pillow looks in XMP, too
    return found


def turned(data: bytes, value: int) -> bytes:
    patch = plan(Format.TIFF, data, value)
    after = patch.apply(data)
    assert patch.inverse().apply(after) == data
    assert plan(Format.TIFF, after, value) == Patch(())
    assert stored_orientation(Format.TIFF, after) == second_reader(after) == value
    assert [pixels for _, pixels in seen(after)] == [pixels for _, pixels in seen(data)]
    return after


def refusal(data: bytes) -> str:
    with pytest.raises(Refused) as caught:
        plan(Format.TIFF, data, 6)
    return str(caught.value)


@given(st.sampled_from("<>"), st.sampled_from([None, 1, 1, 6]), st.lists(st.sampled_from([None, 1, 6]), max_size=4), values)
def test_pages_shown_as_the_first_stay_so_and_others_are_left_alone(mark, first, others, value):
    data = tiff(FULL | {"value": first}, *(page(other, part=n + 2) for n, other in enumerate(others)), mark=mark)
    shown = [first or 1, *(other or 1 for other in others)]
    expected = [value if each == shown[0] != value else told for each, told in zip(shown, [first, *others], strict=True)]
    expected[0] = value
    assert [told for told, _ in seen(turned(data, value))] == expected


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("told", [None, 1, 8])
def test_all_eight_values(told, value):
    data = tiff(FULL | {"value": told}, page(told), page(told, kind=3, part=4))
    assert [each or 1 for each, _ in seen(turned(data, value))] == [value] * 3


@pytest.mark.parametrize("kind", [None, 1, 3])
def test_the_older_mark_of_a_copy_counts_too(kind):
    data = tiff(FULL, page(kind=kind, old=2))
    assert [each for each, _ in seen(turned(data, 6))] == [6, 6]


def packet(value: int) -> tuple[int, int, int, bytes, bool]:
    text = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
    )
    text += b' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/></rdf:RDF></x:xmpmeta>' % value
    return 0x2BC, 1, len(text), text, True


def test_xmp_of_each_page_is_kept_in_step():
    after = turned(tiff(FULL | {"tags": [packet(1)]}, page(tags=[packet(1)])), 8)
    assert after.count(b'tiff:Orientation="8"') == 2
    assert "XMP says 3" in refusal(tiff(FULL, page(tags=[packet(3)])))


REFUSED = [
    ("several pictures (pages)", [page(kind=0)]),
    ("several pictures (pages)", [page(kind=None)]),
    ("several pictures (pages)", [page(kind=2)]),
    ("several pictures (pages)", [page(kind=4)]),
    ("several pictures (pages)", [page(kind=5)]),
    ("several pictures (pages)", [page(kind=None, old=1)]),
    ("several pictures (pages)", [page(kind=None, old=3)]),
    ("several pictures (pages)", [page(kind=1, old=3)]),
    ("several pictures (pages)", [page(), page(kind=0, part=4)]),
    ("other proportions", [page(sides=(16, 24))]),
    ("other proportions", [page(sides=(20, 8))]),
    ("other proportions", [page(sides=(96, 64))]),
    ("SubIFDs", [page(tags=[(SUB_IFDS - 1, 4, 1, 8, True)])]),
    ("a map", [page(tags=[(0x87AF, 3, 4, (1, 0, 1, 0), True)])]),
]


@pytest.mark.parametrize(("reason", "others"), REFUSED, ids=[f"{n}-{reason}" for n, (reason, _) in enumerate(REFUSED)])
def test_refused(reason, others):
    assert reason in refusal(tiff(FULL, *others))


def test_a_first_page_that_is_itself_a_copy_is_refused():
    assert "preview or mask" in refusal(tiff(page(part=4), page(kind=0, part=1)))


@pytest.mark.skipif(not HAS_EXIFTOOL, reason="exiftool is not installed")
def test_exiftool_sees_no_tag_changed_but_orientations(tmp_path):
    told = [(None, None), (1, 1), (None, 1), (1, None), (6, 6), (3, 1)]
    files = [tiff(FULL | {"value": first}, page(other), mark=mark) for mark in "<>" for first, other in told]
    wrong = files[0].replace(b"\x1a\x01\x05\0", b"\x1b\x01\x05\0", 1)
    after = [*(turned(data, 6) for data in files), wrong]
    files.append(files[0])
    for n, pair in enumerate(zip(files, after, strict=True)):
        for name, data in zip(("old", "new"), pair, strict=True):
            (tmp_path / f"{n}-{name}.tif").write_bytes(data)
    old_tags, new_tags = (read_tags(tmp_path / f"{n}-{name}.tif" for n in range(len(files))) for name in ("old", "new"))
    for n, (old, new) in enumerate(zip(old_tags, new_tags, strict=True)):
        changes = tag_changes(old, new, len(after[n]) - len(files[n]))
        changes = [each for each in changes if "ThumbnailTIFF" not in each]  # which exiftool makes of all tags of the second page
        assert (changes == []) == (n < len(files) - 1), (n, changes)


@given(st.data(), st.sampled_from([None, 1]), values)
def test_damaged_files_are_refused_or_patched_without_a_change_of_pixels(random, told, value):
    data = tiff(FULL | {"value": told}, page(told))
    for _ in range(random.draw(st.integers(1, 3))):
        place = random.draw(st.integers(0, 250) | st.integers(len(data) - 250 - 16 * 24 * 3, len(data) - 1))
        noise = random.draw(st.binary(min_size=1, max_size=2))
        data = data[:place] + noise + data[place + len(noise) :]
    png_webp_tiff_files.judge_damaged(data, value)


def test_tiles_listed_in_the_tags_of_strips_are_a_picture():
    pixels = np.random.default_rng(1).integers(0, 255, (40, 40, 3), np.uint8)
    tifffile.imwrite(out := io.BytesIO(), pixels, photometric="rgb", tile=(16, 16), compression="zlib", metadata=None)
    data = out.getvalue()
    for tile, strip in ((0x144, 0x111), (0x145, 0x117)):
        data = with_tag(data, tile, strip)
    assert turned(data, 6)
    assert "where its picture starts" in refusal(with_tag(data, 0x142, 0x13F))


def with_tag(data: bytes, tag: int, new: int) -> bytes:
    """Another tag instead of one; the directory is sorted again."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        offset = file.pages[0].offset
    count = int.from_bytes(data[offset : offset + 2], "little")
    entries = [data[at : at + 12] for at in range(offset + 2, offset + 2 + 12 * count, 12)]
    entries = [new.to_bytes(2, "little") + each[2:] if each[:2] == tag.to_bytes(2, "little") else each for each in entries]
    entries.sort(key=lambda each: int.from_bytes(each[:2], "little"))
    return data[: offset + 2] + b"".join(entries) + data[offset + 2 + 12 * count :]


@pytest.mark.skipif(not CASE.is_file(), reason="the corpus is not here")
def test_the_case_of_the_corpus_is_turned_on_both_pages():
    data = CASE.read_bytes()
    for value in range(2, 9):
        assert [told for told, _ in seen(turned(data, value))] == [value, value]
