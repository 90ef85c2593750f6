"""Draws progressive JPEGs, takes them apart into their scans, and compares them as TurboJPEG reduces them."""

import re
from itertools import pairwise

import numpy as np
import simplejpeg
from PIL import Image
from support.decodable_photos import encode, scene

EOI = b"\xff\xd9"


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


def same(one, other):
    return np.array_equal(at_an_eighth(one), at_an_eighth(other))
