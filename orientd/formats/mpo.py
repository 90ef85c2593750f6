"""MPO: stereo pairs and multi-angle sets, several JPEGs in one file with an index in the first (CIPA DC-007-2009, section 5.2).

Each of these pictures is shown by its own EXIF, so all are turned together. Previews and gain maps belong to the first picture
and stay as they are.
"""

from itertools import pairwise
from typing import Final

from orientd import orientation as group
from orientd.errors import Refused
from orientd.formats import jpeg, mpf
from orientd.formats.jpeg_markers import APP2, SOI
from orientd.reasons import Reason
from orientd.records import Patch, Splice

_MOST_IMAGES: Final = 64


def plan(data: bytes, orientation: int) -> Patch:
    """The patch that makes every picture of the file store `orientation` (1–8).

    Raises:
        Refused: one of them cannot be changed safely, they are stored differently, or they are parts of a panorama.
    """
    splices = list(jpeg.plan(data, orientation).splices)
    start, payload = _index(data)
    images = mpf.images(payload)
    if any(image.kind == mpf.PANORAMA for image in images):
        raise Refused(Reason.NOT_TO_BE_TURNED, "its pictures are parts of a panorama, which a turn would take out of their order")
    if len(images) > _MOST_IMAGES:
        raise Refused(Reason.SEVERAL_PICTURES, "it has more pictures than any camera writes")
    *_, scan = jpeg.segments(data, lenient=True)
    end, growth = jpeg.end_of_image(data, scan.end), dict[int, int]()
    for image in images[1:]:
        if image.is_frame:
            patch = _frame(data, end, start + len(mpf.SIGNATURE) + image.offset, orientation)
            splices += patch
            growth[image.offset] = sum(len(splice.new) - len(splice.old) for splice in patch)
    for image in images[1:]:
        shift = sum(growth[offset] for offset in growth if offset < image.offset)
        changed = mpf.resized(payload, image, growth.get(image.offset, 0), shift)
        splices += [Splice(start + splice.offset, splice.old, splice.new) for splice in changed]
    splices.sort(key=lambda splice: splice.offset)
    if any(before.offset + len(before.old) > after.offset for before, after in pairwise(splices)):
        raise Refused(Reason.DAMAGED, "broken MPO: its pictures overlap")
    return Patch(tuple(splices))


def _index(data: bytes) -> tuple[int, bytes]:
    """Where the payload of the segment with the index starts, and the payload."""
    for segment in jpeg.segments(data, lenient=True):
        if segment.marker == APP2 and data.startswith(mpf.SIGNATURE, segment.start, segment.end):
            return segment.start, data[segment.start : segment.end]
    raise Refused(Reason.BROKEN_METADATA, "the multi-picture index (MPF) lists no images")


def _frame(data: bytes, end: int, start: int, orientation: int) -> list[Splice]:
    """The splices for the picture that starts there, behind the `end` of the first."""
    if start < end or not data.startswith(SOI, start):
        raise Refused(Reason.SEVERAL_PICTURES, "its other picture is not where the multi-picture index (MPF) says")
    frame = data[start:]
    stored, first = jpeg.stored(frame), jpeg.stored(data)
    if group.normalise(stored) != group.normalise(first):
        raise Refused(
            Reason.ORIENTATIONS_DISAGREE, f"its pictures are stored with different orientations ({first or 1} and {stored or 1})"
        )
    return [Splice(start + splice.offset, splice.old, splice.new) for splice in jpeg.plan(frame, orientation).splices]
