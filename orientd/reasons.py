"""Why a photo was not simply judged or fixed: one stable code for each kind of reason, next to the sentence that explains it.

Scripts may rely on these codes; docs/reasons.md lists them. New ones may be added, so an unknown code is no error.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """The column `reason_code` of a report; empty where there is no reason, or where an earlier version noted none."""

    # what was judged, or done before
    VIEWS_DISAGREE = "views_disagree"
    """It may need a turn, but not enough views of it name the same one."""
    LOW_CONFIDENCE = "low_confidence"
    """It may need a turn, but the probability of that is below --min-confidence."""
    BY_THUMBNAIL = "by_thumbnail"
    """Its thumbnail shows that it is upright (--first-look thumbnail)."""
    BY_SIDECAR = "by_sidecar"
    """It is never written itself: its turn is noted in its sidecar."""
    DONE_BEFORE = "done_before"
    """An earlier run made this change, or took it back, so nothing is left to do."""
    TAKEN_BACK = "taken_back"
    """An earlier run made this change and somebody took it back, or perhaps did: left alone."""
    KEPT = "kept"
    """A person said that it is to stay as it is."""

    NO_TEXT = "no_text"
    """A page without lines of text that tell how it lies (copies of pages)."""
    QUARTER_TURN_ONLY = "quarter_turn_only"
    """A page is turned by quarters and not straightened: its text, or --no-straighten, asks for that (copies of pages)."""

    TEXT_LOST = "text_lost"
    """A page of a PDF becomes a picture to be straightened, so its text and drawings are lost (copies of pages, --render)."""

    EDGES_UNCERTAIN = "edges_uncertain"
    """Where a page ends is not certain, so that its copy is not cropped (copies of pages, --crop)."""

    # what is not judged
    NOT_A_PHOTO = "not_a_photo"
    """Neither its name nor its content is that of a photo; such files are not in a report."""
    NOT_A_FILE = "not_a_file"
    """It is not a regular file."""
    SYMBOLIC_LINK = "symbolic_link"
    """It, or a folder on its path, is a symbolic link, and those are not followed."""
    SAME_FILE = "same_file"
    """It is a further name (hard link) of a file that is judged under its first name."""
    RAW_FILE = "raw_file"
    """Raw files are never changed; with --sidecar write they are judged."""
    NO_PREVIEW = "no_preview"
    """The raw file holds no preview that can be judged."""
    VIDEO = "video"
    """A video on a photo server: it is neither judged nor turned."""
    LIVE_PHOTO = "live_photo"
    """A photo with a video next to it, which the photo server does not let be turned."""
    UNKNOWN_CONTENT = "unknown_content"
    """Its name is that of a photo, its content that of no format known here."""
    UNSUPPORTED = "unsupported"
    """Its format, or this kind of it, cannot be decoded; it need not be damaged."""
    DAMAGED = "damaged"
    """It is empty, cut short or damaged: compare it with a backup."""
    UNDECODABLE = "undecodable"
    """It cannot be decoded, and whether it is damaged or unusual is not clear."""
    TOO_LARGE = "too_large"
    """It has more bytes, pixels or scans than the limits allow."""
    ENCRYPTED = "encrypted"
    """The PDF opens with a password only (copies of pages)."""
    OUT_OF_MEMORY = "out_of_memory"
    """It needs more memory than there is for one photo."""
    OUT_OF_TIME = "out_of_time"
    """It takes more time than there is for one photo."""
    CRASHES = "crashes"
    """It makes the decoder, or orientd, crash."""
    UNEXPECTED = "unexpected"
    """A fault of orientd or of a library: please report it."""

    # what is not written
    EXCLUDED = "excluded"
    """The configuration excludes it, or a file .orientd-ignore in its folder or above does."""
    OTHERS_LIBRARY = "others_library"
    """It lies in a library that another program keeps for itself, such as Immich's own or a bundle of Apple Photos."""
    SIGNED = "signed"
    """Its content is signed (a photo by C2PA, or a PDF), and any change would break the signature."""
    HARD_LINKS = "hard_links"
    """It has several names (hard links), and all of them would change."""
    FORMAT_NEVER_WRITTEN = "format_never_written"
    """Photos of its format are judged and never written."""
    FORMAT_NOT_CHOSEN = "format_not_chosen"
    """Its format is not among the --formats to be written."""
    ORIENTATIONS_DISAGREE = "orientations_disagree"
    """It stores several orientations that differ, or in a way that programs read differently."""
    SIDECAR_CONTRADICTS = "sidecar_contradicts"
    """Its sidecar stores an orientation, which would contradict the photo once that is changed."""
    SIDECAR_UNCLEAR = "sidecar_unclear"
    """Its sidecar cannot be read or changed safely, or it is not clear whose sidecar it is."""
    SEVERAL_PICTURES = "several_pictures"
    """It is an animation or a sequence, or holds further pictures that a turn would leave as they are."""
    NOT_TO_BE_TURNED = "not_to_be_turned"
    """A panorama on a sphere, a part of one, or a map: a turn would make it wrong."""
    BROKEN_METADATA = "broken_metadata"
    """Its EXIF, XMP or multi-picture index is broken or stored twice."""
    UNUSUAL = "unusual"
    """It is made in a way in which it cannot be changed safely."""
    CANNOT_GROW = "cannot_grow"
    """The orientation would need more room, and something in the file would not survive that."""
    NOT_LOSSLESS = "not_lossless"
    """Its pixels cannot be turned without losing something: turned by its tag instead."""
    NOT_PROVED = "not_proved"
    """The change that was planned failed a test, so it was not made."""

    # what the disk, or the plan, did not allow
    CHANGED = "changed"
    """It, or its sidecar, is not what it was when it was judged or written."""
    VANISHED = "vanished"
    """It is not there any more, or its folder is not mounted."""
    IN_USE = "in_use"
    """Another program, or another orientd, has it open."""
    NO_PERMISSION = "no_permission"
    """This user may not read or write it, or keep its owner, dates or attributes."""
    READ_ONLY = "read_only"
    """Its file system is mounted read-only."""
    NO_ROOM = "no_room"
    """No space, or no quota, is left on the disk."""
    DISK_TROUBLE = "disk_trouble"
    """The disk reports a fault, or does not give back what was written to it."""
    NOT_PUT_BACK = "not_put_back"
    """Writing failed, and so did putting the old bytes back: the next run tries that once more."""
    NOT_MOUNTED = "not_mounted"
    """Its file system has gone away."""
    UNSAFE_FILE_SYSTEM = "unsafe_file_system"
    """Its file system writes when it likes, so nothing can be promised."""
    SYSTEM_ERROR = "system_error"
    """The system said no for another reason."""
    COPY_EXISTS = "copy_exists"
    """A file is there where the copy of a page would go, and is not to be replaced (copies of pages)."""
    NOT_ALLOWED = "not_allowed"
    """The plan names a path outside the folders that may be written, or a server that is not known here, or what is no path."""
    NOT_REACHABLE = "not_reachable"
    """The photo server does not answer, or cannot be asked."""
    NOT_YET_SHOWN = "not_yet_shown"
    """The photo server was sent a turn, or another edit, and does not show it yet."""

    # what concerns earlier writes
    INTERRUPTED = "interrupted"
    """An earlier run was interrupted at this photo."""
    ORIGINAL_LOST = "original_lost"
    """What is needed to take a change back was deleted, changed or damaged."""
    JOURNAL_DOUBTED = "journal_doubted"
    """The journal contains a change that orientd could not have made."""

    @staticmethod
    def known(code: object) -> "Reason | None":
        """The one of this name; None if there is none, here or in this version."""
        return _BY_NAME.get(code)


_BY_NAME: Final[Mapping[object, Reason]] = {reason.value: reason for reason in Reason}


def words(code: Reason | None) -> str:
    """For people; "other" where there is none."""
    return code.replace("_", " ") if code else "other"
