"""Which pictures in a HEIF or AVIF are turned with its photo, and how each is turned by `irot` and `imir`."""

from collections.abc import Iterable
from typing import Final

from orientd import orientation as group
from orientd.errors import Refused
from orientd.formats import heif_growth
from orientd.formats.heif_items import Catalogue, Reference
from orientd.formats.isobmff import Box
from orientd.formats.magic import sniff
from orientd.reasons import Reason
from orientd.records import Format

ROTATION, MIRROR = b"irot", b"imir"
_MIRRORS: Final = (4, 2)  # axis 0 swaps top and bottom, 1 left and right
ANGLES: Final = tuple(group.from_turn(-90 * angle % 360) for angle in range(4))  # counted anticlockwise
CROPS: Final = (b"clap", b"iscl")
_MOST_PICTURES: Final = 64
_THUMBNAIL: Final = b"thmb"
_SUBORDINATE: Final = (_THUMBNAIL, b"auxl")
_INSTEAD: Final = (b"altr", b"ster")
_TONE_MAPPED: Final = b"tmap"
MADE_AS_SHOWN: Final = (_TONE_MAPPED, b"sato")
_ALPHA: Final = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"


def family_of(listed: Catalogue) -> list[int]:
    """The photo and the pictures that must turn with it: thumbnails, auxiliary pictures, and theirs.

    A photo that is said to be a thumbnail is one of the same picture: then that one belongs to it.

    A tone-mapped picture (`tmap`) is made of the photo and a gain map as they are shown: it turns by itself if both do, and so
    does one of more bits that is made of the photo and another one (`sato`). Where the camera turns the photo and not its gain
    map (Samsung), viewers turn this as they turn the photo: so it stays as it is, and a tone-mapped picture that is turned as
    the photo turns with it.

    Raises:
        Refused: another picture depends on one of them, too, or one of them is made of pieces that are turned themselves.
    """
    maps = {item for item, entry in listed.items.items() if entry.kind in MADE_AS_SHOWN}
    apart = _unturned_gain_maps(listed)
    family, mapped, known = {listed.primary}, set[int](), 0
    family.update(*(one.targets for one in listed.references if one.kind == _THUMBNAIL and one.source == listed.primary))
    while known < len(family) <= _MOST_PICTURES:
        known = len(family)
        touching = [one for one in listed.references if family & one.targets and one.source not in apart]
        family.update(one.source for one in touching if one.kind in _SUBORDINATE)
        mapped.update(one.source for one in touching if one.kind == b"dimg" and one.source in maps)
        family.update(*(one.targets - apart for one in listed.references if one.kind == b"dimg" and one.source in mapped))
    if len(family) > _MOST_PICTURES:
        raise Refused(Reason.SEVERAL_PICTURES, "more pictures belong to it than to any photo")
    _check_family(listed, family, mapped)
    turning = {item for item in mapped if orientation_of(listed, item) != group.UPRIGHT}
    made_of = [one.targets for one in listed.references if one.kind == b"dimg" and one.source in turning]
    if not all({listed.primary} < inputs <= apart | {listed.primary} for inputs in made_of):
        raise Refused(Reason.UNUSUAL, "the pieces it is made of are turned themselves")
    return sorted(family | turning)


def is_bare_alpha(listed: Catalogue, item: int) -> bool:
    """True for the alpha of an AVIF that has no turn, mirror or crop, while its photo has one and the same size."""
    own, photo = ({box.kind: box for _, box in listed.properties_of(each)} for each in (item, listed.primary))
    is_alpha = any(kind.split(b"\0")[0] == _ALPHA for kind in _auxiliary_kinds(listed, item))
    if not is_alpha or sniff(listed.data) is not Format.AVIF:
        return False
    sizes = [listed.data[each[b"ispe"].body : each[b"ispe"].end] for each in (own, photo) if b"ispe" in each]
    moved = {*heif_growth.TRANSFORMATIONS, *CROPS}
    if len(sizes) < 2 or sizes[0] != sizes[1] or own.keys() & moved:
        return False
    kinds = photo.keys() & moved
    return bool(kinds) and kinds <= set(heif_growth.TRANSFORMATIONS)


def orientation_of(listed: Catalogue, item: int) -> int:
    """What the rotations and mirrors of an item make together (1–8). Raises Refused if one of them is broken."""
    return composed(effect(listed.data, box) for box in turns_of(listed, item))


def turns_of(listed: Catalogue, item: int) -> list[Box]:
    """The rotations and mirrors of an item, in the order in which they apply."""
    return [box for _, box in listed.properties_of(item) if box.kind in (ROTATION, MIRROR)]


def composed(steps: Iterable[int]) -> int:
    """The orientation (1–8) that others make, one applied after the other."""
    value = group.UPRIGHT
    for step in steps:
        value = group.then(value, step)
    return value


def effect(data: bytes, box: Box) -> int:
    """The orientation (1–8) that one rotation or mirror makes. Raises Refused if it is broken."""
    if box.end - box.body != 1:
        raise Refused(Reason.DAMAGED, f"broken HEIF: '{box.name}' has {box.end - box.body} bytes")
    return ANGLES[data[box.body] & 3] if box.kind == ROTATION else _MIRRORS[data[box.body] & 1]


def _unturned_gain_maps(listed: Catalogue) -> set[int]:
    """The gain maps that are not turned though the photo is; a rotation by 0 is none, unless the photo has no other."""
    maps = {item for item, entry in listed.items.items() if entry.kind == _TONE_MAPPED}
    inputs = set[int]().union(*(one.targets for one in listed.references if one.kind == b"dimg" and one.source in maps))
    found = (inputs | {item for item in listed.entries if _is_gain_map(listed, item)}) - {listed.primary}
    if orientation_of(listed, listed.primary) != group.UPRIGHT:
        return {item for item in found if orientation_of(listed, item) == group.UPRIGHT}
    return {item for item in found if turns_of(listed, listed.primary) and not turns_of(listed, item)}


def _is_gain_map(listed: Catalogue, item: int) -> bool:
    return any(b"gainmap" in kind for kind in _auxiliary_kinds(listed, item))


def _auxiliary_kinds(listed: Catalogue, item: int) -> list[bytes]:
    """What sort of auxiliary picture an item is; more may follow behind a zero."""
    return [listed.data[box.body + 4 : box.end] for _, box in listed.properties_of(item) if box.kind == b"auxC"]


def _check_family(listed: Catalogue, family: set[int], mapped: set[int]) -> None:
    for one in listed.references:
        if one.kind == b"dimg" and family & one.targets and one.source not in mapped:
            raise Refused(Reason.UNUSUAL, "another picture in it is made of this one")
        if one.kind in _SUBORDINATE and one.source in family and not one.targets <= family | mapped:
            raise Refused(Reason.UNUSUAL, "its thumbnail or auxiliary picture belongs to another picture, too")
    for kind, members in listed.groups:
        if kind in _INSTEAD and family & set(members) and not set(members) <= family | mapped:
            raise Refused(Reason.SEVERAL_PICTURES, "it holds another picture to be shown in its place, or next to it")
    if any(orientation_of(listed, item) != group.UPRIGHT for item in _sources(listed.references, family)):
        raise Refused(Reason.UNUSUAL, "the pieces it is made of are turned themselves")


def _sources(references: Iterable[Reference], items: set[int]) -> set[int]:
    """What the items are made of, and what that is made of."""
    made: dict[int, set[int]] = {}
    for one in references:
        if one.kind == b"dimg":
            made.setdefault(one.source, set()).update(one.targets)
    found, waiting = set[int](), list(items)
    while waiting:
        new = made.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found
