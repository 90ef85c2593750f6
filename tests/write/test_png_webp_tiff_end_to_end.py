"""PNG, WebP and TIFF through the real command, and what exiftool sees before and after."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import jpeg_files, png_webp_tiff_files, sky_library
from support.jpeg_files import LONG, SHORT, Recipe
from support.png_webp_tiff_files import Png, Tiff, Webp
from support.referee import HAS_EXIFTOOL, read_tags, tag_changes

from orientd.formats import plan, sniff

needs_exiftool = pytest.mark.skipif(not HAS_EXIFTOOL, reason="exiftool is not installed")

BLOCKS = [
    Recipe(order=order, orientations=orientations, thumbnail=rich, thumbnail_orientation=1, maker_note=rich, odd=rich)
    for order in ("little", "big")
    for orientations in ((), ((SHORT, 1),), ((SHORT, 0), (LONG, 1)))
    for rich in (False, True)
]
XMP = ("", *jpeg_files.XMP_FORMS)


def drawn() -> dict[str, bytes]:
    """Files over all that a patch may meet; each may be written."""
    rich = [(xmp, block) for block in (None, *BLOCKS) for xmp in (XMP if block in (None, BLOCKS[3], BLOCKS[5]) else XMP[:2])]
    late = [late for late in (False, True) for _ in rich]
    pngs = [
        png_webp_tiff_files.png(Png(block, late=late, xmp=xmp, palette=late))
        for late, (xmp, block) in zip(late, rich * 2, strict=True)
    ]
    kinds = ("lossy", "lossless", "alpha", "lossless alpha")
    webps = [
        png_webp_tiff_files.webp(Webp(kinds[n % 4], block, prefix=n % 3 == 0, xmp=xmp, unknown=b"x" * (n % 2)))
        for n, (xmp, block) in enumerate(rich * 2)
    ]
    tiffs = [
        png_webp_tiff_files.tiff(Tiff(order, orientations, strips, 8, directory_first=first, exif=first, xmp=xmp))
        for order in ("little", "big")
        for orientations in ((), ((SHORT, 1),), ((LONG, 1), (SHORT, 0)))
        for first, strips in ((False, 1), (True, 5))
        for xmp in XMP
    ]
    return {f"{n}.{sniff(data)}": data for n, data in enumerate([*pngs, *webps, *tiffs])}


def written(folder: Path, files: dict[str, bytes]) -> list[Path]:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


WRONG = {
    "png": lambda: png_webp_tiff_files.png(
        Png(Recipe(maker_note=True), others=(png_webp_tiff_files.png_chunk(b"tEXt", b"Comment\0hello"),))
    ),
    "webp": lambda: png_webp_tiff_files.webp(Webp(exif=Recipe(maker_note=True), xmp="no orientation")),
    "tiff": lambda: png_webp_tiff_files.tiff(Tiff(exif=True, xmp="no orientation")),
}


@needs_exiftool
@pytest.mark.parametrize(("kind", "text"), [("png", b"Firmware"), ("webp", b"image/jpeg"), ("tiff", b"2020:01:02")])
def test_the_judge_finds_a_wrong_file(tmp_path, kind, text):
    good = WRONG[kind]()
    bad = good.replace(text, text.swapcase().replace(b"2020", b"2021"))
    assert bad != good
    before, same, after = read_tags(
        written(tmp_path / "files", {f"{n}.{kind}": data for n, data in enumerate([good, good, bad])})
    )
    assert tag_changes(before, same, 0) == []
    assert tag_changes(before, after, 0) != []


@needs_exiftool
def test_exiftool_sees_no_tag_changed_but_orientation(tmp_path):
    files = drawn()
    after = {name: plan(sniff(data), data, 7).apply(data) for name, data in files.items()}
    old_tags, new_tags = (read_tags(written(tmp_path / kind, each)) for kind, each in (("old", files), ("new", after)))
    assert len(files) == 76 + 76 + 72
    for name, old, new in zip(files, old_tags, new_tags, strict=True):
        assert tag_changes(old, new, len(after[name]) - len(files[name])) == [], name
        found = [*new["EXIF:IFD0:Orientation"], *new.get("XMP:XMP-tiff:Orientation", [])]
        assert {value.strip('" ') for value in found} == {"7"}, name


KINDS = {"png": "PNG", "webp": "WEBP", "tiff": "TIFF"}


@pytest.mark.parametrize("kind", KINDS)
def test_scan_fixes_and_undo_brings_back_every_byte(orientd, photos, tmp_path, kind):
    paths = [
        sky_library.draw(photos / f"{turn}-{by_tag}.{kind}", turn, by_tag, seed=turn + by_tag, kind=KINDS[kind])
        for turn in (0, 90, 180, 270)
        for by_tag in (False, True)
    ]
    (photos / "bare").mkdir()
    paths += [photos / "bare" / f"{turn}.{kind}" for turn in (0, 90, 180)]
    for path in paths[-3:]:
        turned = sky_library.landscape(int(path.stem)).rotate(int(path.stem), expand=True)
        turned.save(path, KINDS[kind], **({"lossless": True} if kind == "webp" else {}))
    before = sky_library.snapshot(photos)
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv") == 0
    assert sky_library.snapshot(photos) == before
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "fix.csv") == 0
    rows = sky_library.rows(tmp_path / "fix.csv")
    assert {row["outcome"] for path, row in rows.items() if not Path(path).stem.startswith("0")} == {"fixed"}
    assert {sky_library.shown_turned(path) for path in paths} == {0}
    assert orientd("scan", photos, "--rescan", "--fix", "--report", tmp_path / "again.csv") == 0
    assert {row["decision"] for row in sky_library.rows(tmp_path / "again.csv").values()} == {"keep"}
    assert orientd("undo", "--yes") == 0
    assert {path: entry[:3] for path, entry in sky_library.snapshot(photos).items()} == {p: e[:3] for p, e in before.items()}
    assert orientd("apply", tmp_path / "plan.csv", "--report", tmp_path / "done.csv") == 0
    assert {sky_library.shown_turned(path) for path in paths} == {0}


def test_only_the_formats_asked_for_are_written(orientd, photos, tmp_path):
    paths = {kind: sky_library.draw(photos / f"a.{kind}", 90, kind=name) for kind, name in [*KINDS.items(), ("jpeg", "JPEG")]}
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv") == 0
    assert orientd("scan", photos, "--fix", "--formats", "jpeg,png", "--report", tmp_path / "fix.csv") == 0
    assert {kind: sky_library.shown_turned(path) for kind, path in paths.items()} == {"png": 0, "jpeg": 0, "webp": 90, "tiff": 90}
    row = sky_library.rows(tmp_path / "fix.csv")[str(paths["webp"])]
    assert (row["decision"], "webp is not among the --formats" in row["reason"]) == ("skip", True)
    assert orientd("undo", "--yes", "--state-dir", tmp_path / "nowhere") == 2
    assert orientd("undo", "--yes") == 0
    assert orientd("apply", tmp_path / "plan.csv", "--formats", "tiff", "--report", tmp_path / "done.csv") == 3
    assert {kind: sky_library.shown_turned(path) for kind, path in paths.items()} == {
        "png": 90,
        "jpeg": 90,
        "webp": 90,
        "tiff": 0,
    }


def test_a_format_that_cannot_be_written_is_a_mistake(orientd, photos, capsys):
    assert orientd("scan", photos, "--formats", "jpeg,gif") == 2
    assert "--formats: must be one of jpeg, mpo, png" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.slow
@settings(max_examples=10_000, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_damage_of_many_kinds(data):
    """As the tests of each container, but more of it and on every file drawn here."""
    content = data.draw(st.sampled_from(FILES))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        noise = data.draw(
            st.binary(max_size=4) | st.sampled_from([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x12\1\3\0", b"\1\x12\0\3"])
        )
        content = content[:place] + noise + content[place + data.draw(st.sampled_from([len(noise), 0, 1])) :]
    if content.startswith(b"\x89PNG"):
        content = png_webp_tiff_files.with_checksums(content)
    elif content.startswith(b"RIFF"):
        content = content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:]
    png_webp_tiff_files.judge_damaged(content, data.draw(st.integers(1, 8)))


FILES = list(drawn().values())
