"""What exiftool says of a changed photo or a new sidecar: nothing of orientd judges here."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import ROOT
from benchmarks.refusals.tiff import turned

sys.path.append(str(ROOT / "tests"))
from support import referee, referee_heif

_TOGETHER = 60  # pairs for one call of exiftool: all their tags are in memory, thumbnails too
_PLACE = re.compile(r".*(Offset|Start): \['(?P<old>\d+)'\] became \['(?P<new>\d+)'\]")
_FLAGS = {f"RIFF:WebP_Flags: [] became ['{flags}']" for flags in (8, 24)}
_SECOND_BLOCK = re.compile(r"File:ExifByteOrder: |ExifTool:Warning: .* became .*IFD0 pointer references previous IFD0 directory")
_MAY_DIFFER = re.compile(r".*(Offsets?|Start|Length)|EXIF:IFD\d+:Orientation|QuickTime:Free")


def read_tags(paths: Sequence[Path]) -> dict[str, referee.Tags]:
    """All tags of each file, by its path; empty where exiftool says nothing of it."""
    command = ["exiftool", "-j", "-G0:1:4", "-a", "-u", "-n", "-struct", "-b", "-@", "-"]
    names = "\n".join(map(str, paths)).encode()
    answer = subprocess.run(command, input=names, capture_output=True, check=False, timeout=600).stdout
    rows: list[dict[str, Any]] = json.loads(answer.decode("utf-8", "replace")) if answer.strip() else []
    found = {row["SourceFile"]: referee._without_copies(row) for row in rows}
    return {str(path): found.get(str(path), {}) for path in paths}


def changed_tags(pairs: Sequence[tuple[Path, Path]]) -> dict[str, list[str]]:
    """For each file that was changed, by its path, what differs from the one it was made of and may not."""
    found = {}
    for start in range(0, len(pairs), _TOGETHER):
        some = pairs[start : start + _TOGETHER]
        tags = read_tags(list(dict.fromkeys(path for pair in some for path in pair)))
        found.update({str(after): _changes(before, after, tags) for before, after in some})
    return found


def _changes(before: Path, after: Path, tags: dict[str, referee.Tags]) -> list[str]:
    if not tags[str(before)] or not tags[str(after)]:
        return ["exiftool says nothing of it"]
    judge = referee_heif if before.read_bytes()[4:8] == b"ftyp" else referee
    growth = after.stat().st_size - before.stat().st_size
    return [each for each in judge.tag_changes(tags[str(before)], tags[str(after)], growth) if not _follows(each, growth)]


def _follows(change: str, growth: int) -> bool:
    """True of what is no tag of the photo but follows from the change of one.

    These are a position in the file that lies behind what grew, the new flags of a WebP (EXIF, or EXIF and alpha), and what
    exiftool says where a PNG has one EXIF block more: its byte order, and a warning that both have an IFD0 at the same place.
    """
    found = _PLACE.fullmatch(change)
    return (
        _SECOND_BLOCK.match(change) is not None
        or change in _FLAGS
        or (bool(found) and int(found["old"]) + growth == int(found["new"]))
    )


def harm(before: Path, after: Path) -> list[str]:
    """As `changed_tags`, but positions do not count, as what lies there is compared, orientations of pages, and free space."""
    changes = changed_tags([(before, after)])[str(after)]
    return [change for change in changes if not _MAY_DIFFER.fullmatch(change.split(": ")[0])]


def sidecar_faults(photo: Path, sidecar: Path, turn: int) -> list[str]:
    """What is wrong with a new sidecar: it must state the orientation of the photo, turned by so many degrees clockwise."""
    old, new = _orientation(photo), _orientation(sidecar)
    return [] if new == turned(old or 1, turn) else [f"the photo has orientation {old}, its sidecar {new}"]


def _orientation(path: Path) -> int | None:
    command = ["exiftool", "-s3", "-n", "-Orientation", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout.strip()
    return int(said) if said.isdigit() else None
