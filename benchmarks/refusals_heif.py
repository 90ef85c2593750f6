"""Changes that might turn a HEIF or AVIF which orientd refuses, made naively and without anything of orientd."""

from collections.abc import Iterator
from itertools import product
from typing import Final

ANGLES: Final = (3, 1)  # quarters counter-clockwise (ISO 23008-12, 6.5.10) that turn a photo by 90° clockwise: plain, mirrored


def by_rotation(data: bytes) -> Iterator[tuple[str, bytes]]:
    """A quarter turn more in all `irot` boxes of a HEIF or AVIF; a new box, listed last or before that, for one item or all."""
    boxes = dict(_boxes(data, 0, len(data)))
    if b"meta" not in boxes:
        return
    start, end = boxes[b"meta"]
    places = list(_all(data, b"\0\0\0\x09irot", start, end))
    for angle in ANGLES:
        changed = bytearray(data)
        for at in places:
            changed[at + 8] = (changed[at + 8] & ~3) | (changed[at + 8] + angle) & 3
        if places:
            yield f"irot by {angle}", bytes(changed)
    for angle, last, everywhere in product(ANGLES, (True, False), (True, False)):
        meta = None if places and any(data[at + 8] & 3 for at in places) else _with_irot(data[start:end], angle, last, everywhere)
        if meta:
            yield (
                f"irot of {angle} added {'last' if last else 'before last'}{' everywhere' * everywhere}",
                _moved(data, start, meta, boxes),
            )


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Name, start and end (header counted) of each box."""
    while start + 8 <= end:
        size = int.from_bytes(data[start : start + 4], "big")
        stop = start + (int.from_bytes(data[start + 8 : start + 16], "big") if size == 1 else size) if size else end
        if not start + 8 <= stop <= end:
            return
        yield data[start + 4 : start + 8], (start, stop)
        start = stop


def _all(data: bytes, what: bytes, start: int, end: int) -> Iterator[int]:
    while (start := data.find(what, start, end)) >= 0:
        yield start
        start += 1


def _moved(data: bytes, start: int, meta: bytes, boxes: dict[bytes, tuple[int, int]]) -> bytes:
    """The new `meta` behind `mdat`, and free space where it was, so that no other byte moves that one counts from the start."""
    behind = max(boxes.get(b"mdat", (0, 0))[1], boxes[b"meta"][1])
    freed = data[: start + 4] + b"free" + data[start + 8 :]
    return freed[:behind] + meta + freed[behind:]


def _with_irot(meta: bytes, angle: int, last: bool, everywhere: bool) -> bytes | None:
    """A `meta` box with one `irot` more, listed for the primary item or for each that has properties."""
    outer = dict(_boxes(meta, 12, len(meta)))
    if not {b"iprp", b"pitm"} <= outer.keys():
        return None
    iprp, pitm = outer[b"iprp"], outer[b"pitm"][0]
    inner = dict(_boxes(meta, iprp[0] + 8, iprp[1]))
    if not {b"ipco", b"ipma"} <= inner.keys():
        return None
    ipco, ipma = meta[slice(*inner[b"ipco"])], meta[slice(*inner[b"ipma"])]
    number = sum(1 for _ in _boxes(ipco, 8, len(ipco))) + 1
    primary = int.from_bytes(meta[pitm + 12 : pitm + (14 if meta[pitm + 8] == 0 else 16)], "big")
    lists = _with_association(ipma, number, last, None if everywhere else primary)
    new = _box(b"iprp", _box(b"ipco", ipco[8:] + _box(b"irot", bytes([angle]))) + lists)
    return _box(b"meta", meta[8 : iprp[0]] + new + meta[iprp[1] :])


def _box(name: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4, "big") + name + content


def _with_association(ipma: bytes, number: int, last: bool, only: int | None) -> bytes:
    """The box with that property listed as essential, last or before the mirror that is last, for one item or for all."""
    wide, width = (4 if ipma[8] else 2), (2 if ipma[11] & 1 else 1)
    entry = (number | 1 << 8 * width - 1).to_bytes(width, "big")
    at, made = 16, ipma[8:16]
    for _ in range(int.from_bytes(ipma[12:16], "big")):
        item, count = ipma[at : at + wide], ipma[at + wide]
        listed = ipma[at + wide + 1 : at + wide + 1 + count * width]
        at += wide + 1 + count * width
        if only in (None, int.from_bytes(item, "big")):
            cut = len(listed) if last else max(len(listed) - width, 0)
            listed, count = listed[:cut] + entry + listed[cut:], count + 1
        made += item + bytes([count]) + listed
    return _box(b"ipma", made)
