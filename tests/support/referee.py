"""The judges of a patched file, which share no code with what they judge: exiftool for meaning, a comparator for bytes."""

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Tags = dict[str, Counter[str]]

HAS_EXIFTOOL = shutil.which("exiftool") is not None

ORIENTATION = ("EXIF:IFD0:Orientation", "EXIF:IFD1:Orientation", "XMP:XMP-tiff:Orientation")
"""The tags a patch may change."""

AFTER_A_TURN = re.compile(
    r"EXIF:IFD\d:Orientation|XMP:XMP-tiff:Orientation|EXIF:IFD1:ThumbnailLength|EXIF:IFD1:ThumbnailImage"
    r"|File:System:FileSize|File:EncodingProcess|EXIF:IFD1:ThumbnailOffset|.*SubjectArea|.*SubjectLocation|Composite:.*"
)
"""The tags that a turn of the pixels may change."""

SIDES = {
    "File:ImageWidth": "File:ImageHeight",
    "PNG:ImageWidth": "PNG:ImageHeight",
    "PNG:PNG-pHYs:PixelsPerUnitX": "PNG:PNG-pHYs:PixelsPerUnitY",
    "RIFF:ImageWidth": "RIFF:ImageHeight",
    "EXIF:ExifIFD:ExifImageWidth": "EXIF:ExifIFD:ExifImageHeight",
    "EXIF:IFD0:XResolution": "EXIF:IFD0:YResolution",
    "EXIF:ExifIFD:FocalPlaneXResolution": "EXIF:ExifIFD:FocalPlaneYResolution",
    "EXIF:InteropIFD:RelatedImageWidth": "EXIF:InteropIFD:RelatedImageHeight",
    "JFIF:XResolution": "JFIF:YResolution",
    "XMP:XMP-tiff:ImageWidth": "XMP:XMP-tiff:ImageHeight",
    "XMP:XMP-exif:ExifImageWidth": "XMP:XMP-exif:ExifImageHeight",
}
"""The tags that must change places where a turn makes a height of a width."""

OF_A_FRAME = re.compile(r"MPF:MPImage\d+:MPImage(\d+|Length|Start)")
"""What exiftool says about a picture behind the first; where that is turned too, its own tags tell (test_formats_mpo)."""

BEHIND_THE_PICTURE = Counter(['"[minor] Text/EXIF chunk(s) found after PNG IDAT (may be ignored by some readers)"'])
"""What exiftool warns of where EXIF stands at the end of a PNG, and no longer once it was brought forward."""

OF_THE_COPY = {
    "SourceFile",
    "ExifTool:ExifToolVersion",
    *(f"File:System:File{name}" for name in ("Name", "ModifyDate", "AccessDate", "InodeChangeDate", "Permissions")),
    "File:System:Directory",
}
"""What exiftool says about the file on disk and not about its content."""


def read_tags(paths: Iterable[Path]) -> list[Tags]:
    """All tags of many files by one call of exiftool: unknown ones, duplicates and binary values too.

    exiftool numbers the copies of a tag over the whole file, so one tag more renames others: a key here has no copy number, and
    counts each value it has.
    """
    names = "\n".join(str(path) for path in paths)
    command = ["exiftool", "-j", "-G0:1:4", "-a", "-u", "-n", "-struct", "-b", "-@", "-"]
    answer = subprocess.run(command, input=names.encode(), capture_output=True, check=False)
    return [_without_copies(row) for row in json.loads(answer.stdout)]


def _without_copies(row: dict[str, Any]) -> Tags:
    tags: Tags = {}
    for key, value in row.items():
        tags.setdefault(re.sub(r"Copy\d+:", "", key), Counter())[json.dumps(value)] += 1
    return tags


def tag_changes(before: Tags, after: Tags, growth: int) -> list[str]:
    """What differs and may not: a line for each tag. `growth` is by how many bytes the patch makes the file longer.

    Absolute positions must move with the bytes they name: those of the pictures that a multi-picture index lists after the
    first, and the size of the first. No other position may change, since nothing inside the EXIF block moves.
    """
    changes = []
    for key in sorted(set(before) | set(after)):
        old, new = before.get(key, Counter()), after.get(key, Counter())
        if key in ORIENTATION or key in OF_THE_COPY or new == _expected(key, old, growth):
            continue
        if key == "ExifTool:Warning" and old - new == BEHIND_THE_PICTURE and not new - old:
            continue
        if OF_A_FRAME.fullmatch(key) and '"MPO"' in before["File:FileType"]:
            continue
        if growth and ((key == "File:ExifByteOrder" and not old) or _announced(key, old, new)):
            continue
        changes.append(f"{key}: {list(old)} became {list(new)}"[:300])
    return changes


def _announced(key: str, old: "Counter[str]", new: "Counter[str]") -> bool:
    """What a WebP says of itself once it has a header that announces EXIF: a flag more, and its size twice."""
    if key == "RIFF:WebP_Flags":
        (before,), (after,) = old or ("0",), new
        return int(before) | 8 == int(after)
    if key == "File:FileType":
        return (set(old), set(new)) == ({'"WEBP"'}, {'"Extended WEBP"'})
    return key in ("RIFF:ImageWidth", "RIFF:ImageHeight") and set(old) == set(new)


def _expected(key: str, old: "Counter[str]", growth: int) -> "Counter[str]":
    grows = key in ("File:System:FileSize", "MPF:MPImage1:MPImageLength")
    if grows or re.fullmatch(r"MPF:MPImage([2-9]|\d\d+):MPImageStart", key):
        return Counter({str(int(value) + growth): count for value, count in old.items()})
    return old


def wrong_tags(before: Tags, after: Tags, by: int) -> list[str]:
    """The tags that differ and may not where the pixels were turned as the orientation `by` (1–8) says."""
    swaps, wrong = by >= 5, []
    partner = SIDES | {other: one for one, other in SIDES.items()} if swaps else {}
    for key in sorted(set(before) | set(after)):
        old, new = before.get(partner.get(key, key), Counter()), after.get(key, Counter())
        may = AFTER_A_TURN.fullmatch(key) or key in OF_THE_COPY or (swaps and "YCbCrSubSampling" in key)
        if not may and new != old:
            wrong.append(f"{key}: {list(before.get(key, ()))} became {list(new)}"[:200])
    return wrong


def byte_changes(before: bytes, after: bytes) -> list[str]:
    """What differs between two JPEGs and may not: a line for each.

    From the first scan on nothing may. Before it an Exif segment may be new, or longer at its end; within it the values of
    orientations and the pointer to IFD0 may differ, in XMP their digits, in a multi-picture index the size of the first picture.
    """
    old, old_scan = split(before)
    new, new_scan = split(after)
    if len(new) == len(old) + 1:
        fresh = next(index for index, pair in enumerate(zip([*old, None], new, strict=True)) if pair[0] != pair[1])
        if len(new.pop(fresh)[1]) != 32:
            return ["a segment appeared that is not a fresh Exif block"]
    changes = [] if old_scan == new_scan else ["scan or trailer changed"]
    if [marker for marker, _ in old] != [marker for marker, _ in new]:
        return [*changes, "segments appeared, vanished or changed places"]
    pairs = zip(old, new, strict=True)
    return changes + [f"segment {marker.hex()} changed" for (marker, a), (_, b) in pairs if a != b and not may_become(a, b)]


def split(data: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Marker (with any fill bytes before it) and payload of each segment before the first scan; everything from there on."""
    place, found = 2, []
    while True:
        start = place + 1
        while data[start : start + 1] == b"\xff":
            start += 1
        marker, start = data[place + 1 : start + 1], start + 1
        end = start + int.from_bytes(data[start : start + 2], "big")
        if marker[-1:] == b"\xda" or end == start:
            return found, data[place:]
        found.append((marker, data[start + 2 : end]))
        place = end


def may_become(old: bytes, new: bytes) -> bool:
    """True if a patch may make the payload `old` of a segment (with its signature) into `new`."""
    if old.startswith(b"Exif\0\0"):
        header = range(10, 14) if len(new) > len(old) else ()  # a moved IFD0: the rest of the old block stands where it stood
        return all(place in header or _in_orientation(old, place) for place in _differing(old, new))
    if old.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
        return may_become_xmp(old, new)
    return old.startswith(b"MPF\0") and len(old) == len(new) and len(_differing(old, new)) <= 4


def may_become_xmp(old: bytes, new: bytes) -> bool:
    """True if a patch may make what holds the packet `old` into `new`."""
    return len(old) == len(new) and all(_is_digit(old, new, place) for place in _differing(old, new))


def strays(old: bytes, new: bytes) -> list[int]:
    """The places of `old` that changed and are neither part of an orientation nor a digit of one."""
    return [place for place in _differing(old, new) if not (_in_orientation(old, place) or _is_digit(old, new, place))]


def _differing(old: bytes, new: bytes) -> list[int]:
    """The places of `old` that are not so in `new`; those that `new` lacks among them."""
    return [place for place in range(len(old)) if old[place : place + 1] != new[place : place + 1]]


def _in_orientation(block: bytes, place: int) -> bool:
    """True if 8 to 11 bytes before `place` there is the tag of an orientation: the value of its entry."""
    return any(block[place - back : place - back + 2] in (b"\1\x12", b"\x12\1") for back in range(8, 12))


def _is_digit(old: bytes, new: bytes, place: int) -> bool:
    """True if a digit stands there in both, with an orientation's name (and perhaps its namespace) just before it."""
    return (old[place : place + 1] + new[place : place + 1]).isdigit() and b":Orientation" in old[place - 60 : place]
