"""HEIF and AVIF: the orientation stated by `irot` and `imir`, and the patch that changes it (ISO/IEC 23008-12, sections 6.5.10
and 6.5.12; ISO/IEC 23000-22, section 7.3.6.7).

Viewers turn the picture as these two properties say and ignore EXIF. So one byte changes, the angle in `irot`; where there is no
`irot` it is added, and the offsets of the items are updated. The pictures that belong to the photo (thumbnails, alpha, depth and
gain maps) are turned with it, except a gain map that the camera did not turn with its photo. Alpha of an AVIF that has no turn,
mirror or crop of its own gets those of its photo: libavif up to version 1.3 wrote it so, meaning that it follows the photo, and
programs that read the file show the alpha turned the wrong way until both say the same.

An orientation in EXIF is changed, too, and one in XMP that said the same as `irot`. Where EXIF said otherwise no decoder obeyed
it (libheif, libavif, libvips, Pillow); a program that did shows the photo upright afterwards, as both then say the same, as in
the photos of most phones. XMP that says otherwise is different: Pillow obeys it in an AVIF.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from orientd import orientation as group
from orientd.errors import Refused, Signed
from orientd.formats import c2pa, heif_growth, heif_items, tiff_block, tiff_patch, xmp
from orientd.formats.heif_family import (
    ANGLES,
    CROPS,
    MADE_AS_SHOWN,
    MIRROR,
    ROTATION,
    composed,
    effect,
    family_of,
    is_bare_alpha,
    orientation_of,
    turns_of,
)
from orientd.formats.heif_items import Catalogue, Content
from orientd.formats.magic import sniff
from orientd.reasons import Reason
from orientd.records import Format, Patch, Splice

_KNOWN: Final = frozenset(
    b"hvcC lhvC avcC av1C vvcC evcC jpgC j2kH uncC cmpd cpat splz sbpm snuc a1op a1lx lsel tols oinf ispe pixi colr pasp auxC"
    b" rloc udes altt clli mdcv cclv amve crtt mdft iscl clap irot imir".split()
)
_SEQUENCES: Final = frozenset({b"hevc", b"hevx", b"hevm", b"hevs", b"avis", b"msf1"})
_LEAST_EXIF: Final = 4 + 8  # the number before it and the header of a TIFF block; anything shorter states nothing


def stored(data: bytes) -> int | None:
    """The orientation (1–8) that `irot` and `imir` of the photo make together; None if it has neither or cannot be read."""
    try:
        listed = heif_items.read(data)
        return orientation_of(listed, listed.primary) if turns_of(listed, listed.primary) else None
    except Refused:
        return None


def exif(data: bytes) -> bytes:
    """The EXIF block that describes the photo; empty if there is none.

    Raises:
        Refused: the file, or what it says of its EXIF, cannot be read.
    """
    blocks = [content.data for kind, content in _metadata(heif_items.read(data)) if kind == b"Exif"]
    return blocks[0][_start(blocks[0]) :] if blocks else b""


def plan(data: bytes, orientation: int) -> Patch:
    """The patch that shows the photo, and what belongs to it, as `orientation` (1–8) says.

    Raises:
        Refused: the file cannot be changed safely; the message says why.
    """
    listed = heif_items.read(data)
    _check_file(listed)
    family = family_of(listed)
    bare = [item for item in family if is_bare_alpha(listed, item)]
    old = orientation_of(listed, listed.primary)
    for item in family:
        _check_item(listed, item)
        if item not in bare and orientation_of(listed, item) != old:
            raise Refused(
                Reason.ORIENTATIONS_DISAGREE, "its thumbnail or an auxiliary picture is turned otherwise than the photo"
            )
    notes = [splice for content in _metadata(listed) for splice in _note(*content, old, orientation)]
    if orientation == old:
        return Patch(())
    if group.then(group.inverse(old), orientation) not in ANGLES:
        raise Refused(Reason.UNUSUAL, f"it cannot get from orientation {old} to {orientation} by turning alone")
    splices = [*notes, *_turned(listed, [item for item in family if item not in bare], bare, orientation)]
    splices.sort(key=lambda splice: (splice.offset, len(splice.old)))
    if any(one.offset + len(one.old) > other.offset for one, other in pairwise(splices)):
        raise Refused(Reason.BROKEN_METADATA, "broken HEIF: its EXIF, XMP and lists overlap")
    return Patch(tuple(splices))


def _check_file(listed: Catalogue) -> None:
    kinds = {box.kind for box in listed.top}
    brands = listed.data[listed.top[0].body : listed.top[0].end]
    if b"moov" in kinds or _SEQUENCES & {brands[at : at + 4] for at in range(0, len(brands), 4)}:
        raise Refused(Reason.SEVERAL_PICTURES, "it holds an image sequence")
    if c2pa.is_listed(listed):
        raise Signed(c2pa.REASON)
    if listed.primary not in listed.entries or listed.primary not in listed.items:
        raise Refused(Reason.DAMAGED, "broken HEIF: the photo it names is not listed")
    if all(box.kind != b"ispe" for _, box in listed.properties_of(listed.primary)):
        raise Refused(Reason.DAMAGED, "broken HEIF: the photo has no size ('ispe')")


def _check_item(listed: Catalogue, item: int) -> None:
    if item not in listed.items or item not in listed.entries:
        raise Refused(Reason.DAMAGED, "broken HEIF: a picture that belongs to the photo is not listed")
    if listed.items[item].packed:
        raise Refused(Reason.UNUSUAL, "it is encrypted")
    listing = listed.properties_of(item)
    unknown = [box.name for one, box in listing if one.essential and box.kind not in _KNOWN]
    if unknown:
        raise Refused(Reason.UNUSUAL, f"it depends on the property '{unknown[0]}', which is not known")
    kinds = [box.kind for _, box in listing]
    if kinds.count(ROTATION) > 1 or kinds.count(MIRROR) > 1:
        raise Refused(Reason.UNUSUAL, "a picture in it is turned or mirrored twice")
    turn = ROTATION if ROTATION in kinds else MIRROR  # a new rotation comes before the mirror
    if turn in kinds and set(CROPS) & set(kinds[kinds.index(turn) :]):
        raise Refused(Reason.UNUSUAL, "it is cut to size after it is turned")
    if MIRROR in kinds and kinds.index(MIRROR) < kinds.index(turn) and sniff(listed.data) is Format.AVIF:
        raise Refused(Reason.ORIENTATIONS_DISAGREE, "it is mirrored before it is turned: viewers disagree about such AVIFs")


def _metadata(listed: Catalogue) -> list[tuple[bytes, Content]]:
    """Kind and bytes of the EXIF and XMP that describe the photo."""
    described: dict[int, set[int]] = {}
    for one in listed.references:
        if one.kind == b"cdsc":
            described.setdefault(one.source, set()).update(one.targets)
    ours = [item for item in listed.items if listed.primary in described.get(item, {listed.primary})]
    exif = [item for item in ours if listed.items[item].kind == b"Exif"]
    if len(exif) > 1:
        raise Refused(Reason.BROKEN_METADATA, "two EXIF blocks")
    packets = [item for item in ours if listed.items[item].content == b"application/rdf+xml"]
    kinds = [listed.items[item].kind for item in exif + packets]
    return list(zip(kinds, listed.packets(exif + packets), strict=True))


def _note(kind: bytes, content: Content, old: int, new: int) -> Iterator[Splice]:
    """What keeps an orientation in EXIF or XMP in step with the one of the photo."""
    if kind == b"Exif":
        if len(content.data) < _LEAST_EXIF:
            return
        start = _start(content.data)
        value = tiff_block.stored(content.data[start:])
        if value is None or not _follows(value, old):
            return
        splices = tiff_patch.patch_within(content.data, start, len(content.data), new)
    else:
        splices = xmp.patch([digit for digit in xmp.find(content.data) if _is_in_step(digit.value, old)], new)
    yield from (content.placed(splice) for splice in splices)


def _start(content: bytes) -> int:
    """Where the block starts in an item that holds EXIF."""
    return tiff_block.start_within(content, 4 + int.from_bytes(content[:4], "big"))


def _follows(value: int, old: int) -> bool:
    """True if a note that says `value` is to state the new orientation; `old` is what the picture's own properties say. A note
    that says upright in a picture that is turned means nothing: some writers reset it so once the properties are set."""
    return group.normalise(value) != group.UPRIGHT or old == group.UPRIGHT


def _is_in_step(value: int, old: int) -> bool:
    """As `_follows`, of XMP.

    Raises:
        Refused: it says otherwise.
    """
    if _follows(value, old) and group.normalise(value) != old:
        raise Refused(
            Reason.ORIENTATIONS_DISAGREE, f"XMP says {value}, the picture itself says {old}: viewers disagree about this photo"
        )
    return _follows(value, old)


def _turned(listed: Catalogue, family: list[int], bare: list[int], orientation: int) -> Iterator[Splice]:
    """New angles for the rotations that are there, of which one may serve several pictures; a new rotation where there is none.

    What is `bare` is to have all transformations of the photo. A rotation that a tone-mapped picture shares, which must not turn,
    is left to it: the others get a new one.
    """
    angles: dict[int, int] = {}
    without: dict[int, int] = {}
    for item in family:
        angle = _angle(listed, item, orientation)
        number = next((one.number for one, box in listed.properties_of(item) if box.kind == ROTATION), 0)
        if not number or _is_shared(listed, number, family):
            without[item] = angle
        elif angles.setdefault(number, angle) != angle:
            raise Refused(Reason.UNUSUAL, "two pictures in it share a rotation and not the order of mirroring and turning")
    if len(set(without.values())) > 1:
        raise Refused(Reason.UNUSUAL, "two pictures in it share a rotation and not the order of mirroring and turning")
    for number, angle in angles.items():
        place = listed.properties[number - 1].body
        byte = listed.data[place]
        yield Splice(place, bytes([byte]), bytes([byte & ~3 | angle]))
    if without or bare:
        yield from heif_growth.added(listed, without, min(without.values(), default=0), bare)


def _is_shared(listed: Catalogue, number: int, family: list[int]) -> bool:
    """True if a tone-mapped picture outside the family has that property, too."""
    users = {item for item, entry in listed.entries.items() if number in (one.number for one in entry.associations)}
    others = users.difference(family)
    if any(item not in listed.items or listed.items[item].kind not in MADE_AS_SHOWN for item in others):
        raise Refused(Reason.UNUSUAL, "another picture in it shares its rotation")
    return bool(others)


def _angle(listed: Catalogue, item: int, orientation: int) -> int:
    """The angle that, with the item's mirror before or behind it, makes `orientation`; a new rotation comes before a mirror."""
    steps = [None if box.kind == ROTATION else effect(listed.data, box) for box in turns_of(listed, item)]
    steps = steps if None in steps else [None, *steps]
    return next(
        angle for angle, turn in enumerate(ANGLES) if composed(turn if step is None else step for step in steps) == orientation
    )
