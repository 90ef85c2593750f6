"""The small frozen records that stages hand each other.

A path is a `str` as `os.fsdecode` gives it: bytes that are not UTF-8 are carried as surrogates and come back unchanged.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from orientd.reasons import Reason

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


LAST_TIME: Final = 2**63 * 10**9 - 1  # that a file can have, in nanoseconds: the kernel counts seconds in 64 bits
Notify = Callable[[str], None]
ON_SERVERS: Final = ("immich:",)
"""Prefixes of the paths of photos on a server; the paths of files are always shown as absolute ones."""


class Format(StrEnum):
    """Containers, recognized by their content and never by their name."""

    JPEG = "jpeg"
    MPO = "mpo"
    PNG = "png"
    WEBP = "webp"
    TIFF = "tiff"
    HEIF = "heif"
    AVIF = "avif"
    BMP = "bmp"
    GIF = "gif"
    JPEG2000 = "jpeg2000"
    JPEG_XL = "jpegxl"
    RAW = "raw"
    UNKNOWN = "unknown"


class Verdict(StrEnum):
    """What is to be done with a photo."""

    KEEP = "keep"
    FIX = "fix"
    UNSURE = "unsure"
    SKIP = "skip"
    ERROR = "error"


class Method(StrEnum):
    """How a photo is fixed: TAG changes the stored orientation, ROTATE the pixels, AUTO the pixels where tags are ignored.

    SIDECAR writes the orientation to a file next to a photo that is never written itself; every row of such a photo has it.
    IMMICH makes a photo server show the photo turned and touches no file; every row of a photo of such a server has it.
    """

    TAG = "tag"
    ROTATE = "rotate"
    AUTO = "auto"
    SIDECAR = "sidecar"
    IMMICH = "immich"


class Status(StrEnum):
    """What happened on disk; PENDING is a dry run."""

    PENDING = ""
    FIXED = "fixed"
    UNCHANGED = "unchanged"
    FAILED = "failed"


class LeftOut(StrEnum):
    """Why a file or folder is not even looked at."""

    EXCLUDED = "excluded"
    HIDDEN = "hidden"
    DRIVE = "drive"
    BUNDLE = "bundle"


@dataclass(frozen=True, slots=True)
class FileStat:
    """What distinguishes one state of a file from another; times in nanoseconds since the epoch."""

    dev: int
    inode: int
    size: int
    mtime_ns: int
    nlink: int = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A regular file worth opening, or one the walk already knows will not be judged: `skip` or `error` holds the reason, and
    `code` is its kind."""

    path: str
    stat: FileStat
    skip: str = ""
    error: str = ""
    code: Reason = Reason.UNEXPECTED


@dataclass(frozen=True, slots=True)
class Photo:
    """A file read whole. `orientation` is the stored value exactly as found (None: absent), `sha256` is in hexadecimal.

    The `data` of a raw file are its preview, a JPEG. `sha256` is that of the file. `by_sidecar`: the file is never
    written, a turn is noted in its sidecar, and `orientation` is what that stores, if it stores one.
    """

    path: str
    stat: FileStat
    format: Format
    data: bytes
    orientation: int | None
    sha256: str
    by_sidecar: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels as viewers show them, uint8 of shape (h, w, 3) RGB; `width` and `height` are those of the stored pixels.

    Not `whole`: what does not count at this size was left unread, so damage there went unnoticed.
    """

    pixels: "NDArray[np.uint8]"
    width: int
    height: int
    whole: bool = True


Probabilities = tuple[float, float, float, float]
"""That a turn of 0, 90, 180, 270° clockwise makes the photo upright; they sum to 1."""

Scores = tuple[float, float, float, float]
"""One number for each turn of 0, 90, 180 and 270° clockwise; the more, the more likely it makes the photo upright."""


class Frame(NamedTuple):
    """What was seen where in a picture as it is shown: shares of its width and height, 0–1 from its upper left corner; and how
    surely, 0–1."""

    what: str
    left: float
    top: float
    right: float
    bottom: float
    sure: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one witness has to say: scores like logarithms of probabilities, to be weighed; `note` tells a person what it saw.

    `skew`: of what looks like a page, the degrees clockwise, −45 to 45, that make its lines of text level or plumb, where that
    is clear. `frames`: where it saw what, of those witnesses that can tell.
    """

    witness: str
    scores: Scores
    note: str = ""
    skew: float | None = None
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Prediction:
    """Probabilities that a turn of 0, 90, 180 and 270° clockwise makes the photo upright; they sum to 1.

    `by_view` holds one such row per view, each already turned back; a single look has one row.
    """

    probabilities: Probabilities
    by_view: tuple[Probabilities, ...]

    @property
    def views(self) -> int:
        return len(self.by_view)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy makes of a prediction. `turn` is in degrees clockwise; `confidence` is the probability of that turn."""

    verdict: Verdict
    turn: int
    confidence: float
    reason: str = ""
    code: Reason | None = None


@dataclass(frozen=True, slots=True)
class Splice:
    """At `offset` of the original file the bytes `old` become `new`; either may be empty."""

    offset: int
    old: bytes
    new: bytes


@dataclass(frozen=True, slots=True)
class Patch:
    """Every change to one file: splices in ascending order, none overlapping; offsets are those of the original file."""

    splices: tuple[Splice, ...]

    @property
    def keeps_length(self) -> bool:
        """True if no byte after a splice moves."""
        return all(len(splice.old) == len(splice.new) for splice in self.splices)

    def apply(self, data: bytes) -> bytes:
        """The patched file.

        Raises:
            ValueError: `data` does not hold the old bytes, so it is another file than the one the patch was made for.
        """
        parts, end = [], 0
        for splice in self.splices:
            if data[splice.offset : splice.offset + len(splice.old)] != splice.old or splice.offset < end:
                raise ValueError(f"the bytes at offset {splice.offset} are not those the patch was made for")
            parts += [data[end : splice.offset], splice.new]
            end = splice.offset + len(splice.old)
        return b"".join([*parts, data[end:]])

    def inverse(self) -> "Patch":
        """The patch that takes the patched file back to the original."""
        shift, back = 0, []
        for splice in self.splices:
            back.append(Splice(splice.offset + shift, splice.new, splice.old))
            shift += len(splice.new) - len(splice.old)
        return Patch(tuple(back))


class Row(NamedTuple):
    """What is known of one photo, which becomes a line of the report. None is an empty field.

    A row with a `reason` has a `reason_code`, too, except rows judged by an earlier version of orientd that had no codes.
    `decided_by` is "person" where a person decided, else empty. `skew` is that of `Evidence`, for information only: no photo is
    straightened.
    """

    path: str
    format: str = ""
    width: int | None = None
    height: int | None = None
    orientation: int | None = None
    turn: int | None = None
    confidence: float | None = None
    probabilities: Probabilities | None = None
    views: int | None = None
    decision: Verdict = Verdict.SKIP
    new_orientation: int | None = None
    method: Method | None = None
    outcome: Status = Status.PENDING
    reason: str = ""
    size: int | None = None
    mtime_ns: int | None = None
    sha256: str = ""
    reason_code: Reason | None = None
    evidence: str = ""
    decided_by: str = ""
    skew: float | None = None

    @classmethod
    def of(cls, cells: Iterable[Any]) -> Self:
        """From what `cells` gave. Unless all four probabilities are there, none is; a code of another version is none.

        Raises:
            ValueError: there is no such decision, method or outcome.
        """
        path, format_, width, height, stored, turn, confidence, p0, p90, p180, p270, views, *more = cells
        decision, new_orientation, method, outcome, reason, size, mtime_ns, sha256, code, evidence, decided_by, skew = more
        return cls(
            path,
            format_,
            width,
            height,
            stored,
            turn,
            confidence,
            None if None in (p0, p90, p180, p270) else (p0, p90, p180, p270),
            views,
            Verdict(decision),
            new_orientation,
            Method(method) if method else None,
            Status(outcome),
            reason,
            size,
            mtime_ns,
            sha256,
            Reason.known(code),
            evidence,
            decided_by,
            skew,
        )

    def cells(self) -> tuple[str | int | float | None, ...]:
        """As it is stored, in the order of COLUMNS: text for what is one of several words, empty for none."""
        return (
            self.path,
            self.format,
            self.width,
            self.height,
            self.orientation,
            self.turn,
            self.confidence,
            *(self.probabilities or 4 * (None,)),
            self.views,
            self.decision,
            self.new_orientation,
            self.method or "",
            self.outcome,
            self.reason,
            self.size,
            self.mtime_ns,
            self.sha256,
            self.reason_code or "",
            self.evidence,
            self.decided_by,
            self.skew,
        )

    @property
    def beyond_reach(self) -> bool:
        """True if the photo should get another orientation and cannot be written."""
        return self.decision == Verdict.SKIP and self.new_orientation is not None


COLUMNS: Final[Mapping[str, Any]] = {
    "path": str,
    "format": str,
    "width": int | None,
    "height": int | None,
    "orientation": int | None,
    "turn": int | None,
    "confidence": float | None,
    "p0": float | None,
    "p90": float | None,
    "p180": float | None,
    "p270": float | None,
    "views": int | None,
    "decision": str,
    "new_orientation": int | None,
    "method": str,
    "outcome": str,
    "reason": str,
    "size": int | None,
    "mtime_ns": int | None,
    "sha256": str,
    "reason_code": str,
    "evidence": str,
    "decided_by": str,
    "skew": float | None,
}
"""The columns of a report in their order, and the kind of their cells: text, `int | None` or `float | None`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to one file. `stat`, `sha256` and `orientation` are those it has now, where that is known. `code` is the kind
    of the reason.

    A file that was fixed has a reason only if its pixels were to be turned and were not.
    """

    path: str
    status: Status
    reason: str = ""
    stat: FileStat | None = None
    sha256: str = ""
    orientation: int | None = None
    method: Method = Method.TAG
    code: Reason | None = None
