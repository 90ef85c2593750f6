"""Draws what Galaxy phones put behind the lists of a HEIC: `free`, a video, and the trailer whose directory counts backwards."""

from dataclasses import dataclass, replace

from support.heif_files import Recipe, box, build, full_box, number

VERSION = 107
UTC, COUNTRY, VIDEO = 0x0A01, 0x0AA1, 0x0A30
DIRECTORY = b"SEFH"


@dataclass(frozen=True)
class Tail:
    """What follows `meta`. `video` lies in `mpvd`; within: so does the trailer. boxed: the trailer is in `sefd`, else it is
    appended behind `stray` bytes. told: the trailer names the place of the video, counted from the start of the file."""

    free: bytes = b""
    video: bytes | None = None
    within: bool = False
    boxed: bool = True
    stray: bytes = b""
    told: bool = True
    country: str = "262"


def little(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "little")


def entry(kind: int, name: str, content: bytes) -> bytes:
    return little(kind << 16) + little(len(name)) + name.encode() + content


def trailer(*entries: bytes) -> bytes:
    """The entries and their directory."""
    total, listed = sum(map(len, entries)), b""
    for one in entries:
        listed += one[:4] + little(total) + little(len(one))
        total -= len(one)
    directory = DIRECTORY + little(VERSION) + little(len(entries)) + listed
    return b"".join(entries) + directory + little(len(directory)) + b"SEFT"


def place_of(video: bytes, start: int) -> bytes:
    return b"mpv2" + number(start, 4) + number(len(video), 4)


def film(counting_from: int = 0, wide: bool = False) -> bytes:
    """A video of two chunks whose places count from `counting_from` bytes before its own start."""
    head, held = box(b"ftyp", b"mp42" + bytes(4) + b"mp42"), box(b"mdat", b"first chunk", b"the second")
    places = [counting_from + len(head) + 8 + at for at in (0, len(b"first chunk"))]
    size, name = (8, b"co64") if wide else (4, b"stco")
    table = full_box(name, number(len(places), 4), *(number(place, size) for place in places))
    for kind in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        table = box(kind, table)
    return head + held + table


def tail(tail: Tail, start: int) -> bytes:
    """The bytes, if they start at `start` of the file."""
    free = box(b"free", tail.free) if tail.free else b""
    entries = [entry(UTC, "Image_UTC_Data", b"1600000000000"), entry(COUNTRY, "MCC_Data", tail.country.encode())]
    if tail.video is not None and tail.told:
        entries.append(entry(VIDEO, "MotionPhoto_Data", place_of(tail.video, start + len(free) + 8)))
    behind = box(b"sefd", trailer(*entries)) if tail.boxed else tail.stray + trailer(*entries)
    if tail.video is None:
        return free + behind
    return free + (box(b"mpvd", tail.video, behind) if tail.within else box(b"mpvd", tail.video) + behind)


def phone(recipe: Recipe, behind: Tail) -> bytes:
    """The file that a phone would write, with `meta` behind `mdat` if the recipe says so."""
    data = build(replace(recipe, trailer=b""))
    return data + tail(behind, len(data))


def named(data: bytes) -> dict[str, bytes]:
    """What the directory lists, read from the end of the file: name and content of each entry."""
    assert data[-4:] == b"SEFT"
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    assert data[start : start + 4] == DIRECTORY
    found = {}
    for at in range(start + 12, len(data) - 8, 12):
        distance, length = (int.from_bytes(data[place : place + 4], "little") for place in (at + 4, at + 8))
        one = data[start - distance :][:length]
        assert one[:4] == data[at : at + 4]
        size = int.from_bytes(one[4:8], "little")
        found[one[8 : 8 + size].decode()] = one[8 + size :]
    return found


def told_video(data: bytes) -> bytes:
    """The bytes that the trailer names as the video."""
    place = named(data)["MotionPhoto_Data"]
    assert place[:4] == b"mpv2"
    return data[int.from_bytes(place[4:8], "big") :][: int.from_bytes(place[8:], "big")]
