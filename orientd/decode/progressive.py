"""A progressive JPEG without what is lost anyway when its sides are reduced to an eighth (ITU-T T.81, annexes B and G).

At that scale libjpeg-turbo makes one pixel of a block, and only the DC coefficient counts: the scans that tell the others are
left out. Chroma that is stored at half the sides is reduced to a quarter, so its scans stay. The pixels are the same to the bit.

In place of what is left out there are scans of a few bytes which say that all those coefficients are zero. Were they missing,
libjpeg would take the file for one still on its way, and guess each block from its neighbours (`do_block_smoothing`).
"""

from collections.abc import Iterator
from itertools import chain
from typing import Final, NamedTuple

from orientd.errors import Refused
from orientd.formats import jpeg, jpeg_frame
from orientd.formats.jpeg_markers import AFTER_SCAN, DHT, DQT, DRI, EOI, PROGRESSIVE, SOS
from orientd.reasons import Reason

_TABLES: Final = (DHT, DQT, DRI)
_COEFFICIENTS: Final = 64
_LONGEST_RUN: Final = 0x7FFF
_NOT_PLAIN: Final = "not a plain, complete progressive JPEG"

# AC table 0 with a code of 4 bits for each length of a run of empty blocks, EOB0 to EOB14, so that the code is that number.
_RUNS: Final = bytes((0xFF, DHT, 0, 34, 0x10, 0, 0, 0, 15, *[0] * 12, *range(0, 0xF0, 0x10)))
_NO_RESTARTS: Final = bytes((0xFF, DRI, 0, 4, 0, 0))


class _Channel(NamedTuple):
    """A component: its identifier, its blocks in a scan of its own, and whether a block of it becomes one pixel at 1/8."""

    name: int
    blocks: int
    is_eighth: bool


class _Scan(NamedTuple):
    """Which coefficients of which components a scan holds, from `first` to `last`; `high` and `low` are the successive
    approximation bit positions before and after it (Ah and Al)."""

    channels: bytes
    first: int
    last: int
    high: int
    low: int


def abridged(data: bytes) -> bytes | None:
    """A JPEG that looks the same at a scale of 1/8 and is read faster, or None, for all but plain, complete progressive files.

    Of the data left out only the bounds are looked at: damage within them is not noticed, a file cut short is. What is behind
    the picture is left out, too.
    """
    try:
        channels, kept = _kept(data)
    except Refused:
        return None
    empty = (_zeros(channel) for channel in channels if channel.is_eighth)
    return b"".join([*kept, _NO_RESTARTS, _RUNS, *empty, EOI])


def _kept(data: bytes) -> tuple[list[_Channel], list[bytes]]:
    """The components, and the parts of the file up to EOI that count."""
    *head, scan = jpeg.segments(data)
    frame = jpeg_frame.only(data, head)
    if not frame or frame.marker != PROGRESSIVE:
        raise Refused(Reason.UNUSUAL, _NOT_PLAIN)
    channels = _channels(frame)
    eighths = {channel.name for channel in channels if channel.is_eighth}
    place = scan.start - 4
    kept, bits_left = [data[:place]], {channel.name: [-1] * _COEFFICIENTS for channel in channels}
    for marker, start, end in _rest(data, place):
        if marker == SOS:
            found = _scan(data, start)
            _note(found, bits_left)
            if found.first and eighths.issuperset(found.channels):
                continue
        kept.append(data[start:end])
    _demand(not any(chain.from_iterable(bits_left.values())))
    return channels, kept


def _rest(data: bytes, place: int) -> Iterator[tuple[int, int, int]]:
    """The tables and scans from the first scan at `place` to EOI: marker, start and end, the data of a scan included."""
    marker = SOS
    while marker != EOI[1]:
        _demand(marker == SOS or marker in _TABLES)
        size = int.from_bytes(data[place + 2 : place + 4], "big")
        _demand(size >= 2)
        following = AFTER_SCAN.search(data, place + 2 + size)
        _demand(following is not None)
        assert following
        _demand(marker == SOS or following.start() == place + 2 + size)
        yield marker, place, following.start()
        marker, place = following[1][0], following.start()


def _channels(frame: jpeg_frame.Frame) -> list[_Channel]:
    """The components by a frame header (T.81, B.2.2)."""
    found = frame.components
    _demand(frame.is_reducible and len({each.name for each in found}) == len(found))
    widest, highest = max(each.across for each in found), max(each.down for each in found)
    channels = []
    for name, across, down in found:
        blocks = _up(_up(frame.width * across, widest), 8) * _up(_up(frame.height * down, highest), 8)
        is_quarter = widest % (2 * across) == 0 and highest % (2 * down) == 0  # `jpeg_calc_output_dimensions`
        channels.append(_Channel(name, blocks, not is_quarter))
    return channels


def _scan(data: bytes, start: int) -> _Scan:
    """The scan at `start` by its header (T.81, B.2.3)."""
    size = int.from_bytes(data[start + 2 : start + 4], "big")
    header = data[start + 4 : start + 2 + size]
    _demand(len(header) >= 6 and len(header) == 4 + 2 * header[0] == size - 2)
    first, last, bits = header[-3:]
    return _Scan(header[1:-3:2], first, last, bits >> 4, bits & 15)


def _note(scan: _Scan, bits_left: dict[int, list[int]]) -> None:
    """Note in `bits_left` how many bits of each coefficient are still to come (-1: all) after a scan; the scan must fit those
    before it (T.81, G.1.1.1)."""
    names, first, last, high, low = scan
    _demand(set(names) <= bits_left.keys() and len(set(names)) == len(names))
    _demand((first == last == 0 or (1 <= first <= last < _COEFFICIENTS and len(names) == 1)) and low <= 13)
    _demand(high in (0, low + 1))
    for name in names:
        before = bits_left[name][first : last + 1]
        _demand(all(max(bits, 0) == high for bits in before) and (first == 0 or bits_left[name][0] >= 0))
        bits_left[name][first : last + 1] = [low] * len(before)


def _zeros(channel: _Channel) -> bytes:
    """A scan that sets all AC coefficients of a component to zero, by runs of empty blocks (T.81, G.1.2.2)."""
    full, rest = divmod(channel.blocks, _LONGEST_RUN)
    codes = "".join(_run(blocks) for blocks in [_LONGEST_RUN] * full + [rest] * (rest > 0))
    codes += "1" * (-len(codes) % 8)
    data = int(codes, 2).to_bytes(len(codes) // 8, "big").replace(b"\xff", b"\xff\0")
    return bytes((0xFF, SOS, 0, 8, 1, channel.name, 0, 1, _COEFFICIENTS - 1, 0)) + data


def _run(blocks: int) -> str:
    """The bits that encode so many empty blocks: the length of the number less one in 4 bits, and the number without its
    first bit."""
    number = f"{blocks:b}"
    return f"{len(number) - 1:04b}" + number[1:]


def _up(number: int, by: int) -> int:
    return -(-number // by)


def _demand(condition: object) -> None:
    if not condition:
        raise Refused(Reason.UNUSUAL, _NOT_PLAIN)
