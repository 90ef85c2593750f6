"""What exiftool and a comparator of bytes see before and after a patch of HEIF and AVIF, on drawn files and on the corpus."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from support import heif_files
from support.heif_files import Recipe, box, build
from support.referee import HAS_EXIFTOOL, read_tags
from support.referee_heif import ROTATION, byte_changes, contents, tag_changes

from orientd import orientation
from orientd.formats import plan, sniff, stored_orientation
from orientd.records import Format, Patch

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
DEGREES = {1: "0", 8: "90", 3: "180", 6: "270"}
"""What exiftool calls the four angles: it counts them anticlockwise."""

RICH = Recipe(thumbnail=(), alpha=(), other=(), exif=1, xmp="element")

needs_exiftool = pytest.mark.skipif(not HAS_EXIFTOOL, reason="exiftool is not installed")
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")


def hard_recipes() -> list[Recipe]:
    """Drawn files over all that a patch may meet; each may be written."""
    made = []
    for brand, wide, last, large, turns in itertools.product(
        ("heif", "avif"), *[(False, True)] * 3, ((), ("irot0",), ("irot3",))
    ):
        value = heif_files.value_of(turns)
        made.append(
            Recipe(
                brand=brand,
                turns=turns,
                thumbnail=turns,
                alpha=turns if wide else None,
                other=() if last else None,
                exif=value,
                pieces=2 if last else 1,
                xmp="attribute" if large else "",
                xmp_value=value,
                wide_index=wide,
                wide_items=large and wide,
                iloc=int(wide),
                base_size=4 if large else 0,
                meta_last=last,
                large=large,
            )
        )
    return made


def judge(folder: Path, files: dict[str, bytes], turn: int) -> int:
    """Turn every file and let exiftool and the comparator judge the result; the number of files judged."""
    values = {name: orientation.turned(stored_orientation(sniff(data), data), turn) for name, data in files.items()}
    after = {name: plan(sniff(data), data, values[name]).apply(data) for name, data in files.items()}
    for kind, held in (("before", files), ("after", after)):
        (folder / kind).mkdir()
        for name, data in held.items():
            (folder / kind / name).write_bytes(data)
    old_tags, new_tags = (read_tags(folder / kind / name for name in files) for kind in ("before", "after"))
    for name, old, new in zip(files, old_tags, new_tags, strict=True):
        assert tag_changes(old, new, len(after[name]) - len(files[name])) == [], name
        assert byte_changes(files[name], after[name]) == [], name
        assert set(new[ROTATION]) == {DEGREES[values[name]]}, name
        for key in ("EXIF:IFD0:Orientation", "XMP:XMP-tiff:Orientation"):
            assert {value.strip('"') for value in new.get(key, ())} <= {str(values[name])}, name
            assert (key in old) == (key in new), name
    return len(files)


def stale(data: bytes, patch: Patch) -> bytes:
    """The patch without the places told anew."""
    lists = range(data.index(b"iloc"), data.index(b"iinf"))
    return Patch(tuple(splice for splice in patch.splices if splice.offset not in lists)).apply(data)


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


WRONG = {
    "a coded byte": lambda data: flipped(data, data.index(b"mdat") + 600),
    "the first coded byte": lambda data: flipped(data, data.index(b"mdat") + 4),
    "the last byte": lambda data: flipped(data, len(data) - 1),
    "a size": lambda data: flipped(data, data.index(b"ispe") + 11),
    "a brand": lambda data: data.replace(b"mif1", b"mif2", 1),
    "the photo": lambda data: flipped(data, data.index(b"pitm") + 9),
    "an item": lambda data: flipped(data, data.index(b"infe") + 9),
    "a reference": lambda data: data.replace(b"thmb", b"auxl"),
    "a property": lambda data: flipped(data, data.index(b"ipma") + 15),
    "a maker note": lambda data: data.replace(b"Firmware 1.23", b"Firmware 1.24"),
    "another tag": lambda data: data.replace(b"by hand", b"by foot"),
    "the text of XMP": lambda data: data.replace(b"tiff:Make>x", b"tiff:Make>y"),
    "a box more": lambda data: data + box(b"free"),
    "a byte more": lambda data: data + b"\0",
}


@pytest.mark.parametrize("fault", WRONG)
def test_the_comparator_finds_a_wrong_file(fault):
    good = build(RICH)
    bad = WRONG[fault](good)
    assert bad != good
    assert byte_changes(good, good) == []
    assert byte_changes(good, bad) != []


def test_the_comparator_finds_items_that_lost_their_place():
    data = build(RICH)
    patch = plan(Format.HEIF, data, 6)
    assert byte_changes(data, patch.apply(data)) == []
    assert {f"item {item} changed" for item in contents(data)} <= set(byte_changes(data, stale(data, patch)))


@needs_exiftool
@pytest.mark.parametrize("fault", ["a size", "another tag", "a maker note", "the text of XMP", "a brand"])
def test_exiftool_sees_a_wrong_file(tmp_path, fault):
    good = build(RICH)
    for name, data in (("good.heic", good), ("same.heic", good), ("bad.heic", WRONG[fault](good))):
        (tmp_path / name).write_bytes(data)
    before, same, after = read_tags(tmp_path / name for name in ("good.heic", "same.heic", "bad.heic"))
    assert tag_changes(before, same, 0) == []
    assert tag_changes(before, after, 0) != []


@needs_exiftool
@pytest.mark.parametrize("turn", [90, 180])
def test_no_tag_but_orientation_changes_in_drawn_files(tmp_path, turn):
    files = {f"{number}.{recipe.brand}": build(recipe) for number, recipe in enumerate(hard_recipes())}
    assert judge(tmp_path, files, turn) == 48


@pytest.mark.parametrize("recipe", [*hard_recipes(), replace(RICH, exif_in_idat=True)])
def test_every_item_keeps_its_bytes(recipe):
    data = build(recipe)
    assert contents(data) != {}
    for value in (1, 3, 6, 8):
        assert byte_changes(data, plan(sniff(data), data, value).apply(data)) == []


@needs_exiftool
@needs_corpus
@pytest.mark.parametrize("turn", [90, 180, 270])
def test_no_tag_but_orientation_changes_in_the_corpus(tmp_path, turn):
    assert judge(tmp_path, {"issue-487.heic": (CORPUS / "issue-487.heic").read_bytes()}, turn) == 1


@needs_corpus
def test_the_corpus():
    turned, conflict = ((CORPUS / name).read_bytes() for name in ("issue-487.heic", "iphone-7.heic"))
    assert sniff(turned[:64]) == sniff(conflict[:64]) == Format.HEIF
    patch = plan(Format.HEIF, turned, 1)
    assert (stored_orientation(Format.HEIF, turned), patch.keeps_length, len(patch.splices)) == (6, True, 3)
    assert stored_orientation(Format.HEIF, conflict) is None
    after = plan(Format.HEIF, conflict, 6).apply(conflict)
    assert stored_orientation(Format.HEIF, after) == 6
    assert byte_changes(conflict, after) == []  # EXIF says 6 already
