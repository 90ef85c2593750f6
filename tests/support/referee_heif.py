"""The judge of a patched HEIF or AVIF, which shares no code with what it judges: it takes both files apart and compares them."""

from collections.abc import Iterator

from support import referee
from support.referee import Tags

ROTATION = "QuickTime:Rotation"
PLACES = (
    *("QuickTime:MediaDataOffset", "QuickTime:MediaData"),
    *("QuickTime:MotionPhotoVideo", "MakerNotes:Samsung:EmbeddedVideoFile"),
)
"""Where the coded data is, the data itself, in which EXIF lies, and Samsung's video: the comparator of bytes judges that."""

Piece = tuple[str, bytes]


def tag_changes(before: Tags, after: Tags, growth: int) -> list[str]:
    """What exiftool sees changed and may not be: all but orientations, rotations and the place of the data."""
    old, new = ({key: value for key, value in tags.items() if key not in (ROTATION, *PLACES)} for tags in (before, after))
    return referee.tag_changes(old, new, growth)


def number(data: bytes, start: int, size: int) -> int:
    return int.from_bytes(data[start : start + size], "big")


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Name, start of the content and end of each box; what is no box at the end of a file comes as `appended`."""
    while start < end:
        size, body = number(data, start, 4), start + 8
        if size == 1:
            size, body = number(data, body, 8), body + 8
        stop = end if size == 0 else start + size
        if stop > end or body > stop:
            yield "appended", start, end
            return
        yield data[start + 4 : start + 8].decode("latin-1"), body, stop
        start = stop


def pieces(data: bytes) -> list[Piece]:
    """The boxes of a file, those inside `meta`, `iprp` and `ipco` one by one: path and content."""
    found: list[Piece] = []

    def visit(start: int, end: int, path: str) -> None:
        for name, body, stop in boxes(data, start, end):
            if name in ("meta", "iprp", "ipco"):
                skipped = 4 if name == "meta" else 0
                found.append((path + name, data[body : body + skipped]))
                visit(body + skipped, stop, f"{path}{name}/")
            else:
                found.append((path + name, data[body:stop]))

    visit(0, len(data), "")
    return found


def contents(data: bytes) -> dict[int, list[bytes]]:
    """Item → the bytes of its extents, by `iloc`."""
    held = dict(pieces(data))
    iloc, idat = held["meta/iloc"], held.get("meta/idat", b"")
    version, place = iloc[0], 8 if iloc[0] == 2 else 6
    offset, length, base, index = iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4, iloc[5] & 15 if version else 0
    wide = 4 if version == 2 else 2
    found = {}
    for _ in range(number(iloc, 6, wide)):
        place = place if found else 6 + wide
        item, method = number(iloc, place, wide), number(iloc, place + wide, 2) & 15 if version else 0
        place += wide + (2 if version else 0) + 2
        start, count = number(iloc, place, base), number(iloc, place + base, 2)
        place += base + 2
        found[item] = []
        for _ in range(count):
            at = start + number(iloc, place + index, offset)
            source = idat if method == 1 else data
            found[item].append(source[at : at + number(iloc, place + index + offset, length)])
            place += index + offset + length
    return found


def associations(ipma: bytes) -> dict[int, list[int]]:
    """Item → the numbers that stand for its properties."""
    wide, width, place = (4 if ipma[0] else 2), (2 if ipma[3] & 1 else 1), 8
    found = {}
    for _ in range(number(ipma, 4, 4)):
        item, count = number(ipma, place, wide), ipma[place + wide]
        place += wide + 1
        found[item] = [number(ipma, place + width * at, width) for at in range(count)]
        place += width * count
    return found


def byte_changes(before: bytes, after: bytes) -> list[str]:
    """What differs between two files and may not: a line for each.

    Angles may; one rotation may be new, behind all other properties, and in the lists of some items where the standard has it;
    the places of items and of Samsung's video may change, if their bytes do not but for orientations in EXIF and XMP.
    """
    old, new = pieces(before), pieces(after)
    last = max(at for at, (path, _) in enumerate(new) if path.startswith("meta/iprp/ipco/"))
    kinds = [path.split("/")[-1] for path, _ in new if path.startswith("meta/iprp/ipco/")]
    if len(new) == len(old) + 1 and new[last][0].endswith("irot"):
        new.pop(last)
    if [path for path, _ in old] != [path for path, _ in new]:
        return ["boxes appeared, vanished or changed places"]
    pairs = [(path, a, b) for (path, a), (_, b) in zip(old, new, strict=True) if a != b]
    changes = [f"{path} changed" for path, a, b in pairs if not (_may_become(path, a, b) or _may_list(path, a, b, kinds))]
    if names_video(before) != names_video(after):
        changes.append("Samsung's trailer names another video")
    held, holds = contents(before), contents(after)
    if held.keys() != holds.keys():
        return [*changes, "items appeared or vanished"]
    return changes + [f"item {item} changed" for item in held if not _same_item(held[item], holds[item])]


def names_video(data: bytes) -> bytes | None:
    """The bytes that Samsung's trailer names as the video, by their place in the file."""
    place = data.rfind(b"MotionPhoto_Data" + b"mpv2") + 20
    return data[number(data, place, 4) :][: number(data, place + 4, 4)] if place >= 20 else None


def _only_a_place(old: bytes, new: bytes) -> bool:
    place = old.rfind(b"MotionPhoto_Data" + b"mpv2") + 20
    return place >= 20 and old[:place] == new[:place] and old[place + 4 :] == new[place + 4 :]


def _may_list(path: str, old: bytes, new: bytes, kinds: list[str]) -> bool:
    """The rotation that is new, the last of `kinds`, in place of another, or before a mirror, or behind all."""
    if path.split("/")[-1] != "ipma" or kinds[-1] != "irot" or old[:8] != new[:8]:
        return False
    listed, lists = associations(old), associations(new)
    top = 1 << (15 if old[3] & 1 else 7)
    allowed = {}
    for item, own in listed.items():
        named = [kinds[one % top - 1] if one % top else "" for one in own]
        added, turn = top | len(kinds), named.index("irot") if "irot" in named else len(own)
        mirror = named.index("imir") if "imir" in named else len(own)
        instead = [*own[:turn], own[turn] & top | len(kinds), *own[turn + 1 :]] if "irot" in named else own
        allowed[item] = (own, instead, [*own[:mirror], added, *own[mirror:]] if "irot" not in named else own)
    return listed.keys() == lists.keys() and all(lists[item] in allowed[item] for item in lists)


def _may_become(path: str, old: bytes, new: bytes) -> bool:
    name = path.split("/")[-1]
    if name == "irot":
        return len(old) == len(new) == 1 and old[0] >> 2 == new[0] >> 2
    if name == "iloc":
        return len(old) == len(new)  # where it points is judged by what is there
    if name in ("mpvd", "sefd", "appended"):
        return len(old) == len(new) and _only_a_place(old, new)
    return name in ("mdat", "idat") and _only_orientations(old, new)


def _same_item(old: list[bytes], new: list[bytes]) -> bool:
    return [len(piece) for piece in old] == [len(piece) for piece in new] and _only_orientations(b"".join(old), b"".join(new))


def _only_orientations(old: bytes, new: bytes) -> bool:
    if old == new:
        return True
    places = referee._differing(old, new)
    return len(old) == len(new) and all(referee._in_orientation(old, at) or referee._is_digit(old, new, at) for at in places)
