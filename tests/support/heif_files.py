"""Draws small pictures and wraps them as HEIF and AVIF files that are hard to patch; the boxes are written by hand.

The file is built from a `Recipe`, so the file that a perfect patch would give is the same recipe with other turns.
"""

import io
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain, pairwise

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from support import decodable_photos, jpeg_files

from orientd import orientation
from orientd.errors import Refused
from orientd.formats import heif, plan, sniff
from orientd.records import Patch

Turns = tuple[str, ...]
"""Names of transformations, in order: `irot0` to `irot3`, `imir0`, `imir1`, `clap`. One that ends in `+` was added by a patch."""

ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"
CLAP = b"".join(number.to_bytes(4, "big") for number in (80, 1, 48, 1, 0, 1, 0, 1))
CODEC = {"heif": (b"hvc1", b"hvcC"), "avif": (b"av01", b"av1C")}
GAIN_MAP = b"urn:com:samsung:photo:2024:aux:hdrgainmap\0"
PHOTO, THUMBNAIL, COVER, OTHER, EXIF, XMP, TONE_MAPPED = 1, 2, 3, 4, 5, 6, 7


@dataclass(frozen=True)
class Recipe:
    """What a file holds. `thumbnail`, `alpha` and `other` (a second photo) are the turns of these pictures; None: there is none.

    auxiliary: what `alpha` is. tone_mapped: the turns of a picture, of the kind `made`, made of the photo and the item `made_of`,
    which is `alpha`. shared: pictures with the same
    turn refer to one property. pieces: of how many extents the EXIF consists.
    """

    brand: str = "heif"
    turns: Turns = ()
    thumbnail: Turns | None = None
    alpha: Turns | None = None
    auxiliary: bytes = ALPHA
    tone_mapped: Turns | None = None
    made: bytes = b"tmap"
    made_of: int = 3
    other: Turns | None = None
    shared: bool = True
    exif: int | None = None
    exif_header: bool = True
    exif_in_idat: bool = False
    pieces: int = 1
    xmp: str = ""
    xmp_value: int = 1
    described: bool = True
    wide_index: bool = False
    wide_items: bool = False
    fillers: int = 0
    iloc: int = 1
    offset_size: int = 4
    base_size: int = 0
    meta_last: bool = False
    large: bool = False
    extra_top: bytes = b""
    trailer: bytes = b""
    extra_meta: bytes = b""
    extra_references: bytes = b""


def number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


def box(kind: bytes, *content: bytes, large: bool = False) -> bytes:
    body = b"".join(content)
    return number(1, 4) + kind + number(len(body) + 16, 8) + body if large else number(len(body) + 8, 4) + kind + body


def full_box(kind: bytes, *content: bytes, version: int = 0, flags: int = 0, large: bool = False) -> bytes:
    return box(kind, number(version, 1) + number(flags, 3), *content, large=large)


def property_box(name: str) -> bytes:
    return box(b"clap", CLAP) if name == "clap" else box(name[:4].encode(), number(int(name[4]), 1))


@cache
def coded(brand: str, width: int, height: int, mode: str) -> tuple[tuple[bytes, ...], bytes]:
    """The properties and the coded bytes of a drawn picture, as Pillow or libheif writes them."""
    picture = Image.fromarray(decodable_photos.scene(width, height)).convert(mode)
    data = decodable_photos.encode(
        picture, brand.upper(), quality=95, **({"chroma": 444} if brand == "heif" else {"subsampling": "4:4:4"})
    )
    properties = data[data.index(b"ipco") + 4 : data.index(b"ipma") - 4]
    found = []
    while properties:
        size = int.from_bytes(properties[:4], "big")
        found.append(properties[:size])
        properties = properties[size:]
    return tuple(found), data[data.index(b"mdat") + 4 :]


def pictures(recipe: Recipe) -> dict[int, tuple[tuple[bytes, ...], bytes, Turns]]:
    """Item → its own properties, its coded bytes, its turns."""
    found = {PHOTO: (*coded(recipe.brand, 96, 64, "RGB"), recipe.turns)}
    if recipe.thumbnail is not None:
        found[THUMBNAIL] = (*coded(recipe.brand, 48, 32, "RGB"), recipe.thumbnail)
    if recipe.alpha is not None:
        properties, data = coded(recipe.brand, 96, 64, "L")
        found[COVER] = ((*properties, full_box(b"auxC", recipe.auxiliary)), data, recipe.alpha)
    if recipe.other is not None:
        found[OTHER] = (*coded(recipe.brand, 64, 64, "RGB"), recipe.other)
    if recipe.tone_mapped is not None:
        size = tuple(one for one in found[PHOTO][0] if one[4:8] == b"ispe")
        found[TONE_MAPPED] = (size, b"how to map tones", recipe.tone_mapped)
    return found


def exif_item(recipe: Recipe) -> bytes:
    block = jpeg_files.tiff(
        jpeg_files.Recipe(orientations=((jpeg_files.SHORT, recipe.exif),) if recipe.exif else (), maker_note=True)
    )
    return number(6, 4) + b"Exif\0\0" + block if recipe.exif_header else number(0, 4) + block


def contents(recipe: Recipe) -> dict[int, bytes]:
    """Item → its bytes."""
    found = {item: data for item, (_, data, _) in pictures(recipe).items()}
    if recipe.exif is not None:
        found[EXIF] = exif_item(recipe)
    if recipe.xmp:
        found[XMP] = jpeg_files.packet(recipe.xmp, recipe.xmp_value)
    return found


def _properties(recipe: Recipe) -> bytes:
    """The `iprp` box: what describes first, then fillers, then what turns."""
    drawn = pictures(recipe)
    listed = list(dict.fromkeys(chain.from_iterable(own for own, _, _ in drawn.values())))
    listed += [box(b"free", number(filler, 2)) for filler in range(recipe.fillers)]
    essential = {CODEC[recipe.brand][1]}
    entries = {item: [(listed.index(one) + 1, one[4:8] in essential) for one in own] for item, (own, _, _) in drawn.items()}
    owned = {item: [(name, 0 if recipe.shared or "+" in name else item) for name in own] for item, (_, _, own) in drawn.items()}
    keys = sorted(dict.fromkeys(chain.from_iterable(owned.values())), key=lambda key: "+" in key[0])
    for item, own in owned.items():
        entries[item] += [(len(listed) + keys.index(key) + 1, True) for key in own]
    listed += [property_box(name) for name, _ in keys]
    width, wide = (2 if recipe.wide_index else 1), (4 if recipe.wide_items else 2)
    body = number(len(entries), 4)
    for item, associations in entries.items():
        body += number(item, wide) + number(len(associations), 1)
        body += b"".join(number(place | (last << 8 * width - 1), width) for place, last in associations)
    ipma = full_box(b"ipma", body, version=int(recipe.wide_items), flags=int(recipe.wide_index))
    return box(b"iprp", box(b"ipco", *listed), ipma, large=recipe.large)


def _item_list(recipe: Recipe) -> bytes:
    kinds = dict.fromkeys(pictures(recipe), CODEC[recipe.brand][0] + b"\0") | {EXIF: b"Exif\0", TONE_MAPPED: recipe.made + b"\0"}
    kinds[XMP] = b"mime\0application/rdf+xml\0"
    wide, version = (4, 3) if recipe.wide_items else (2, 2)
    entries = [full_box(b"infe", number(item, wide) + number(0, 2), kinds[item], version=version) for item in contents(recipe)]
    return full_box(b"iinf", number(len(entries), wide), *entries, version=int(recipe.wide_items))


def reference(kind: bytes, source: int, *targets: int, wide: int = 2) -> bytes:
    return box(kind, number(source, wide), number(len(targets), 2), *(number(target, wide) for target in targets))


def _references(recipe: Recipe) -> bytes:
    kinds = {THUMBNAIL: b"thmb", COVER: b"auxl"} | ({EXIF: b"cdsc", XMP: b"cdsc"} if recipe.described else {})
    wide = 4 if recipe.wide_items else 2
    listed = [reference(kinds[item], item, PHOTO, wide=wide) for item in contents(recipe) if item in kinds]
    if recipe.tone_mapped is not None:
        listed.append(reference(b"dimg", TONE_MAPPED, PHOTO, recipe.made_of, wide=wide))
    content = b"".join(listed) + recipe.extra_references
    return full_box(b"iref", content, version=int(recipe.wide_items)) if content else b""


def _places(recipe: Recipe, start: int) -> bytes:
    """The `iloc` box, if the data of `mdat` starts at `start`."""
    version = 2 if recipe.wide_items else recipe.iloc
    wide = 4 if version == 2 else 2
    sizes = number(recipe.offset_size << 4 | 4, 1) + number(recipe.base_size << 4, 1)
    body, place = b"", start
    for item, data in contents(recipe).items():
        in_idat = item == EXIF and recipe.exif_in_idat
        at = 0 if in_idat else place
        place += 0 if in_idat else len(data)
        base = at if not recipe.offset_size else 7 if recipe.base_size and not in_idat else 0
        cuts = [len(data) * part // recipe.pieces for part in range(recipe.pieces + 1)] if item == EXIF else [0, len(data)]
        body += number(item, wide) + (number(int(in_idat), 2) if version else b"") + number(0, 2)
        body += number(base, recipe.base_size) + number(len(cuts) - 1, 2)
        for cut, after in pairwise(cuts):
            body += number(at + cut - base, recipe.offset_size) + number(after - cut, 4)
    count = number(len(contents(recipe)), wide)
    return full_box(b"iloc", sizes, count, body, version=version)


def build(recipe: Recipe) -> bytes:
    """The file that the recipe describes."""
    brands = [b"heic", b"mif1"] if recipe.brand == "heif" else [b"avif", b"mif1", b"miaf"]
    ftyp = box(b"ftyp", brands[0] + bytes(4), *brands)
    held = contents(recipe)
    in_idat = [held[EXIF]] if recipe.exif_in_idat and EXIF in held else []
    inside = b"".join(data for item, data in held.items() if not (in_idat and item == EXIF))
    mdat = box(b"mdat", inside, large=recipe.large)
    handler = full_box(b"hdlr", bytes(4), b"pict", bytes(13))
    primary = full_box(b"pitm", number(PHOTO, 4 if recipe.wide_items else 2), version=int(recipe.wide_items))

    def meta(start: int) -> bytes:
        lists = [primary, _places(recipe, start), _item_list(recipe), _properties(recipe), _references(recipe)]
        idat = [box(b"idat", *in_idat)] if in_idat else []
        return full_box(b"meta", handler, *lists, *idat, recipe.extra_meta, large=recipe.large)

    before = len(ftyp) + (0 if recipe.meta_last else len(meta(99)))
    parts = [mdat, meta(before + len(mdat) - len(inside))]
    return ftyp + b"".join(parts if recipe.meta_last else parts[::-1]) + recipe.extra_top + recipe.trailer


MARKED = np.arange(6).reshape(2, 3)


def value_of(turns: Turns) -> int:
    """The orientation that turns make together, told by what they do to a few numbers."""
    shown = MARKED
    for name in turns:
        shown = {
            "irot": lambda one, name=name: np.rot90(one, int(name[4])),
            "imir": lambda one, name=name: one[::-1] if name == "imir0" else one[:, ::-1],
            "clap": lambda one: one,
        }[name[:4]](shown)
    return next(value for value in range(1, 9) if np.array_equal(orientation.apply(MARKED, value), shown))


def aimed(turns: Turns, value: int) -> Turns:
    """The same turns with another angle, so that they make `value`; one is added, before a mirror, if there is none."""
    if not any(name.startswith("irot") for name in turns):
        place = len(turns) - any(name.startswith("imir") for name in turns)
        turns = (*turns[:place], "irot0+", *turns[place:]) if value != value_of(turns) else turns
    choices = [tuple(f"irot{angle}{name[5:]}" if name.startswith("irot") else name for name in turns) for angle in range(4)]
    return next(choice for choice in choices if value_of(choice) == value)


def shown(data: bytes) -> np.ndarray:
    """The pixels as Pillow's AVIF reader or libheif shows them, with alpha if there is any."""
    if data[8:12] == b"avif":
        with Image.open(io.BytesIO(data)) as image:
            value = image.getexif().get(decodable_photos.ORIENTATION, 1)
            return orientation.apply(np.asarray(image), value)
    return np.asarray(pillow_heif.open_heif(io.BytesIO(data)).to_pillow())


def with_derived(kind: bytes, recipe: Recipe, item: int = 9) -> bytes:
    """The file with one more item of that kind, without properties or bytes; its `iinf` comes last."""
    data = build(replace(recipe, wide_items=False))
    at = data.index(b"iinf") - 4
    size, count = int.from_bytes(data[at : at + 4], "big"), int.from_bytes(data[at + 12 : at + 14], "big")
    entry = full_box(b"infe", number(item, 2) + number(0, 2) + kind + b"\0", version=2)
    longer = number(size + len(entry), 4) + data[at + 4 : at + 12] + number(count + 1, 2) + data[at + 14 : at + size] + entry
    meta = data.index(b"meta") - 4
    grown = number(int.from_bytes(data[meta : meta + 4], "big") + len(entry), 4)
    return data[:meta] + grown + data[meta + 4 : at] + longer + data[at + size :]


def properties_of(data: bytes) -> int:
    """How many properties a file has."""
    at, number_ = data.index(b"ipco") + 4, 0
    end = at - 8 + int.from_bytes(data[at - 8 : at - 4], "big")
    while at < end:
        at, number_ = at + int.from_bytes(data[at : at + 4], "big"), number_ + 1
    return number_


def planned(data: bytes, value: int) -> Patch:
    return plan(sniff(data), data, value)


def patched(data: bytes, value: int) -> bytes:
    return planned(data, value).apply(data)


def refusal(data: bytes, value: int | None = None) -> str:
    with pytest.raises(Refused) as caught:
        planned(data, value or orientation.turned(heif.stored(data), 90))
    return str(caught.value)
