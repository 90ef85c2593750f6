"""A block that ends right behind the last entry of a directory, which then does not say that none follows: it may grow, and what
is added must not be taken for the place of another directory."""

import io

import numpy as np
import pytest
import tifffile
from support import jpeg_files
from support.jpeg_files import ASCII, Tag
from support.png_webp_tiff_files import Png, Webp, png, png_chunk, riff, split_webp, webp, webp_chunk, webp_header
from support.referee import HAS_EXIFTOOL, read_tags, tag_changes

from orientd.formats import plan, sniff, stored_orientation

ORDERS = ("little", "big")


def cut_block(order: str, software: bool) -> bytes:
    """IFD0 and an IFD1 of one entry or of none, whose last four bytes are missing."""
    first = [Tag(0x010F, ASCII, b"Canon\0")]
    start = 8 + len(jpeg_files.directory(first, 8, order))
    second = [Tag(0x0131, ASCII, b"ab\0\0")] if software else []
    header = {"little": b"II*\0", "big": b"MM\0*"}[order] + (8).to_bytes(4, order)
    return header + jpeg_files.directory(first, 8, order, start) + jpeg_files.directory(second, start, order)[:-4]


def carriers(block: bytes) -> dict[str, bytes]:
    with_exif = [*split_webp(webp(Webp()))[0], (b"EXIF", block)]
    return {
        "a.jpg": jpeg_files.with_segments(jpeg_files.app1(block)),
        "a.png": png(Png(others=(png_chunk(b"eXIf", block),))),
        "a.webp": riff(webp_header(8), *(webp_chunk(*chunk) for chunk in with_exif)),
    }


def followers(block: bytes, order: str) -> list[int]:
    """Where each directory of the chain starts."""
    found = [int.from_bytes(block[4:8], order)]
    while found[-1]:
        end = found[-1] + 2 + 12 * int.from_bytes(block[found[-1] : found[-1] + 2], order)
        found.append(int.from_bytes(block[end : end + 4], order))
    return found


@pytest.mark.parametrize("software", [True, False])
@pytest.mark.parametrize("order", ORDERS)
def test_no_third_directory_appears(order, software):
    block = cut_block(order, software)
    data = carriers(block)["a.jpg"]
    after = plan(sniff(data), data, 6).apply(data)
    start = after.index(b"Exif\0\0") + 6
    assert stored_orientation(sniff(after), after) == 6
    assert len(followers(after[start : start + int.from_bytes(after[start - 8 : start - 6], "big") - 8], order)) == 3


@pytest.mark.parametrize("order", ORDERS)
def test_no_further_page_of_a_tiff_appears(order):
    pages = np.zeros((2, 32, 48, 3), np.uint8)
    out = io.BytesIO()
    with tifffile.TiffWriter(out, byteorder={"little": "<", "big": ">"}[order]) as writer:
        writer.write(pages[0], photometric="rgb", metadata=None)
        writer.write(pages[1, ::2, ::2], photometric="rgb", subfiletype=1, metadata=None, extratags=[(0x112, 3, 1, 1, True)])
    data = out.getvalue()
    first, second = followers(data, order)[:2]
    end, last = (start + 2 + 12 * int.from_bytes(data[start : start + 2], order) for start in (first, second))
    moved = len(data) + len(data) % 2
    data = data[:end] + moved.to_bytes(4, order) + data[end + 4 :] + bytes(len(data) % 2) + data[second:last]
    after = plan(sniff(data), data, 6).apply(data)
    assert len(followers(after, order)) == 3
    with tifffile.TiffFile(io.BytesIO(after)) as file:
        assert [page.tags[0x112].value for page in file.pages] == [6, 6]


@pytest.mark.skipif(not HAS_EXIFTOOL, reason="exiftool is not installed")
@pytest.mark.parametrize("software", [True, False])
@pytest.mark.parametrize("order", ORDERS)
def test_exiftool_sees_nothing_new(order, software, tmp_path):
    for name, data in carriers(cut_block(order, software)).items():
        paths = [tmp_path / f"before-{name}", tmp_path / f"after-{name}"]
        paths[0].write_bytes(data)
        paths[1].write_bytes(plan(sniff(data), data, 6).apply(data))
        before, after = read_tags(paths)
        assert tag_changes(before, after, paths[1].stat().st_size - len(data)) == []
        assert after["EXIF:IFD0:Orientation"] == {"6": 1}
