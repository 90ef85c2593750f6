"""What exiftool sees before and after a patch, on drawn files and on the corpus."""

import io
import itertools
import re
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from support import jpeg_files
from support.jpeg_files import BYTE, LONG, SHORT, SLONG, Recipe
from support.referee import HAS_EXIFTOOL, byte_changes, read_tags, tag_changes

from orientd.errors import Refused
from orientd.formats import plan, sniff, stored_orientation
from orientd.records import Format

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

needs_exiftool = pytest.mark.skipif(not HAS_EXIFTOOL, reason="exiftool is not installed")
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")

IN_PLACE, GROWN = "in place", "grown"
PREVIEW = 0x010001

EXPECTED: dict[str, tuple[int | None, str]] = {
    **{f"{side}-{value}.jpg": (value, IN_PLACE) for side in ("landscape", "portrait") for value in range(1, 9)},
    "landscape-0.jpg": (0, IN_PLACE),
    "canon-eos-20d-1-.jpg": (1, IN_PLACE),
    "htc-one-m8.jpg": (1, IN_PLACE),
    "apple-gainmap-new.jpg": (1, IN_PLACE),
    "ultrahdr.jpg": (1, IN_PLACE),
    "fujitagsdrangeautorating1.jpg": (1, IN_PLACE),
    "panasonic-lz2.jpg": (6, IN_PLACE),
    "reaganlargejpg.jpg": (1, IN_PLACE),
    "pil-sample-cmyk.jpg": (1, IN_PLACE),
    "frozenpond.mpo": (None, GROWN),
    "canon-digital-ixus-400.jpg": (None, GROWN),
    "monkey12.jpg": (None, GROWN),
    "kodak-proback.jpg": (None, "directories overlap or loop"),
    "multiple-exif.jpg": (None, "points outside its block"),
    "truncated-exif-dpi.jpg": (None, "points outside its block"),
    "junk-jpeg-header.jpg": (None, GROWN),
    "beach.jpg": (None, "the frame has no size"),
}
"""Stored orientation, and what becomes of the file: patched in place, grown, or refused with this in the reason."""


def hard_recipes() -> list[Recipe]:
    """Drawn files over all that a patch may meet; each may be written."""
    carriers = [((type_, 1),) for type_ in (BYTE, SHORT, LONG, SLONG)] + [((SHORT, 0), (LONG, 1)), ()]
    made = [
        Recipe(
            order=order,
            orientations=orientations,
            thumbnail=rich,
            thumbnail_orientation=1 if jfif else 3,
            maker_note=rich,
            odd=jfif,
            jfif=jfif,
            xmp=xmp,
            xmp_first=jfif,
            trailer=b"a film" * 20 if rich else b"",
        )
        for order, orientations, rich, jfif, xmp in itertools.product(
            ("little", "big"), carriers, (False, True), (False, True), ("", *jpeg_files.XMP_FORMS)
        )
    ]
    return made + [Recipe(exif=False, jfif=jfif, xmp=xmp) for jfif in (False, True) for xmp in ("", *jpeg_files.XMP_FORMS)]


def judge(folder: Path, files: dict[str, bytes], orientation: int) -> int:
    """Patch every file and let exiftool and the comparator judge the result; the number of files judged."""
    patches = {name: plan(sniff(data), data, orientation) for name, data in files.items()}
    after = {name: patches[name].apply(data) for name, data in files.items()}
    for kind, contents in (("before", files), ("after", after)):
        (folder / kind).mkdir()
        for name, data in contents.items():
            (folder / kind / name).write_bytes(data)
    old_tags, new_tags = (read_tags(folder / kind / name for name in files) for kind in ("before", "after"))
    for name, old, new in zip(files, old_tags, new_tags, strict=True):
        growth = len(after[name]) - len(files[name])
        assert tag_changes(old, new, growth) == [], name
        assert byte_changes(files[name], after[name]) == [], name
        written = [*new["EXIF:IFD0:Orientation"], *new.get("XMP:XMP-tiff:Orientation", [])]
        assert {value.strip('" ') for value in written} == {str(orientation)}, name
        assert ("XMP:XMP-tiff:Orientation" in old) == ("XMP:XMP-tiff:Orientation" in new), name
        old_thumbnail, new_thumbnail = (tags.get("EXIF:IFD1:Orientation") for tags in (old, new))
        follows = old_thumbnail is not None and set(old_thumbnail) <= set(old.get("EXIF:IFD0:Orientation", ()))
        assert new_thumbnail == (Counter({str(orientation): 1}) if follows else old_thumbnail), name
    return len(files)


WRONG = {
    "a text changed": lambda data: data.replace(b"nobody in particular", b"NOBODY in particular"),
    "a maker note lost": lambda data: data.replace(b"Firmware 1.23", b"\0" * 13),
    "a maker note moved": lambda data: data.replace(b"Firmware 1.23\0", b"irmware 1.23\0\0"),
    "a thumbnail damaged": lambda data: data[: data.rindex(b"\xff\xd8") + 30] + b"\0" + data[data.rindex(b"\xff\xd8") + 31 :],
    "XMP changed": lambda data: data.replace(b"image/jpeg", b"image/tiff"),
    "rewritten by Pillow": lambda data: resaved(data),
}


def resaved(data: bytes) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.save(out, "JPEG", exif=image.getexif(), quality="keep")
    return out.getvalue()


@needs_exiftool
@pytest.mark.parametrize("fault", WRONG)
def test_the_judges_find_a_wrong_file(tmp_path, fault):
    good = jpeg_files.build(Recipe(maker_note=True, thumbnail=True, xmp="no orientation"))
    bad = WRONG[fault](good)
    assert bad != good
    for name, data in (("good.jpg", good), ("same.jpg", good), ("bad.jpg", bad)):
        (tmp_path / name).write_bytes(data)
    before, same, after = read_tags(tmp_path / name for name in ("good.jpg", "same.jpg", "bad.jpg"))
    assert tag_changes(before, same, 0) == []
    assert tag_changes(before, after, len(bad) - len(good)) != []
    assert byte_changes(good, good) == []
    assert byte_changes(good, bad) != []


@needs_exiftool
def test_the_judges_find_pictures_that_lost_their_place(tmp_path):
    block = jpeg_files.app1(jpeg_files.tiff(Recipe(orientations=())))
    data = jpeg_files.multi_picture(block, kind=PREVIEW)
    patch = plan(Format.JPEG, data, 6)
    stale = type(patch)(patch.splices[:-1]).apply(data)
    shifted = data[: -len(jpeg_files.picture(24, 24))] + bytes(8) + jpeg_files.picture(24, 24)
    for name, content in (("a.jpg", data), ("b.jpg", stale), ("c.jpg", shifted)):
        (tmp_path / name).write_bytes(content)
    before, size_kept, moved = read_tags(tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg"))
    assert any("MPImageLength" in change for change in tag_changes(before, size_kept, len(stale) - len(data)))
    assert any("PreviewImage" in change for change in tag_changes(before, moved, 8))


def test_the_comparator_finds_a_changed_byte_anywhere():
    good = jpeg_files.build(Recipe(xmp="element", trailer=b"a film"))
    for place in (good.index(b"JFIF"), good.index(b"\xff\xdb") + 8, good.index(b"\xff\xda") + 20, len(good) - 1):
        assert byte_changes(good, good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
    for place in (good.index(b"http"), good.index(b"Exif") + 20):
        assert byte_changes(good, good[:place] + bytes(8) + good[place + 8 :])
    assert byte_changes(good, good[:2] + good[20:])
    assert byte_changes(good, good[:20] + jpeg_files.segment(0xFE, b"hello") + good[20:])


@needs_exiftool
@pytest.mark.parametrize("orientation", [6, 7])
def test_exiftool_sees_no_tag_changed_but_orientation_on_drawn_files(tmp_path, orientation):
    files = {f"{number}.jpg": jpeg_files.build(recipe) for number, recipe in enumerate(hard_recipes())}
    growing = jpeg_files.app1(jpeg_files.tiff(Recipe(orientations=(), maker_note=True)))
    files |= {f"preview-{order}.jpg": jpeg_files.multi_picture(growing, order=order, kind=PREVIEW) for order in ("little", "big")}
    files |= {"preview-bare.jpg": jpeg_files.multi_picture(kind=PREVIEW)}
    assert judge(tmp_path, files, orientation) == 24 * 2 * 6 + 12 + 3


@needs_exiftool
@needs_corpus
@pytest.mark.parametrize("orientation", [3, 8])
def test_exiftool_sees_no_tag_changed_but_orientation_in_the_corpus(tmp_path, orientation):
    fates = {name: fate for name, (_, fate) in EXPECTED.items() if not name.endswith(".mpo")}  # see test_formats_mpo
    writable = [name for name, fate in fates.items() if fate in (IN_PLACE, GROWN)]
    files = {name: (CORPUS / name).read_bytes() for name in writable}
    assert judge(tmp_path, files, orientation) == 28


@needs_corpus
def test_the_table_names_every_jpeg_of_the_corpus():
    assert {path.name for path in CORPUS.iterdir() if path.suffix in (".jpg", ".mpo")} == set(EXPECTED)


@needs_corpus
@pytest.mark.parametrize("name", EXPECTED)
def test_corpus(name):
    data = (CORPUS / name).read_bytes()
    stored, fate = EXPECTED[name]
    format_ = sniff(data)
    assert format_ == (Format.MPO if name.endswith("mpo") else Format.JPEG)
    assert stored_orientation(format_, data) == stored
    for orientation in range(1, 9):
        if fate not in (IN_PLACE, GROWN):
            with pytest.raises(Refused, match=re.escape(fate)):
                plan(format_, data, orientation)
            continue
        patch = plan(format_, data, orientation)
        assert fate == (IN_PLACE if patch.keeps_length else GROWN)
        assert patch.inverse().apply(patch.apply(data)) == data
        assert stored_orientation(format_, patch.apply(data)) == orientation
        assert plan(format_, patch.apply(data), orientation).splices == ()
        assert (patch.splices == ()) == (stored == orientation)
