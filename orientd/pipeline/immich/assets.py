"""One photo as the API of Immich lists it, and what is known of it before it is looked at."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from orientd.pipeline.immich.address import path_of
from orientd.pipeline.immich.edits import EditedPhoto
from orientd.reasons import Reason
from orientd.records import Candidate, FileStat

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ANIMATED: Final = "an animation: Immich would show it turned, and play it as it lies"
_NOT_EDITED: Final = "Immich does not let {} be turned: turn the file itself, outside Immich's own folders, if it needs it"


@dataclass(frozen=True, slots=True)
class Asset:
    """A photo of a server. `refusal` is why Immich would not turn it, and its code; `photo.edits` are those it has.

    `edited`: the second since the epoch in which it was last edited, by the clock of the server (0: never).
    """

    id: str
    photo: EditedPhoto
    edited: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed(Candidate):
    """A candidate of a server, with its data from the listing."""

    asset: Asset


def listed(server: str, found: Mapping[str, Any], photo: EditedPhoto, edited: int = 0) -> Listed:
    """The candidate of an entry of a listing. Raises KeyError, TypeError or ValueError for one that Immich does not make."""
    reason, code = refusal(found)
    return Listed(
        path_of(server, found["id"], found["originalFileName"]),
        stat_of(found),
        skip=reason,
        code=code,
        asset=Asset(found["id"], photo, edited),
    )


def refusal(found: Mapping[str, Any]) -> tuple[str, Reason]:
    """Why Immich does not let a photo be turned, as its source says (3.1.0, `AssetService.editAsset`), or would turn a part of it
    alone; empty otherwise."""
    names = [str(found[name]).lower() for name in ("originalFileName", "originalPath")]
    exif = found.get("exifInfo") or {}
    if found["type"] != "IMAGE":
        return _NOT_EDITED.format("videos"), Reason.VIDEO
    if found.get("livePhotoVideoId"):
        return _NOT_EDITED.format("live photos"), Reason.LIVE_PHOTO
    if exif.get("projectionType") == "EQUIRECTANGULAR" or names[0].endswith(".insp"):
        return _NOT_EDITED.format("panoramas"), Reason.NOT_TO_BE_TURNED
    if any(name.endswith((".gif", ".svg")) for name in names):
        return _NOT_EDITED.format("GIF and SVG"), Reason.FORMAT_NEVER_WRITTEN
    if _lasts(found):
        return _ANIMATED, Reason.SEVERAL_PICTURES
    return "", Reason.UNEXPECTED


def _lasts(found: Mapping[str, Any]) -> bool:
    """True for an animation: its length is given in ms (3.1) or as 0:00:01.50000 (before); for a photo it is 0 or null."""
    return any(digit in "123456789" for digit in str(found.get("duration") or ""))


def stat_of(found: Mapping[str, Any]) -> FileStat:
    """The size and the date of the original, as far as the server has noted them."""
    size = (found.get("exifInfo") or {}).get("fileSizeInByte") or 0
    return FileStat(0, 0, int(size), nanoseconds(found["fileModifiedAt"]))


def last_edited(edits: Iterable[Mapping[str, Any]]) -> int:
    """When the last of the edits that the API lists was made: see `Asset.edited`."""
    return max((nanoseconds(each["updatedAt"]) // 10**9 for each in edits), default=0)


def nanoseconds(text: str) -> int:
    """A date such as 2026-11-29T19:00:41.821Z, in nanoseconds since the epoch."""
    passed = datetime.fromisoformat(text) - _EPOCH
    return (passed.days * 86400 + passed.seconds) * 10**9 + passed.microseconds * 1000
