"""Drawn files, each of a kind that an earlier orientd refused, spoiled or died of: every one does what their README wants."""

import re
import shutil
from pathlib import Path

import pytest
from support import sky_library
from support.referee import HAS_EXIFTOOL, read_tags
from support.referee_heif import tag_changes
from write.test_corpus_end_to_end import turn_everything

CASES = Path(__file__).parents[3] / "shared" / "corpus" / "cases"
# exiftool numbers the entries of which it warns, and the orientation is a new first one. Of a page that is a preview it makes a
# TIFF, orientation and all, whose other tags are compared one by one as those of IFD1.
NO_CHANGE = {
    "ifd0_bad_type_no_orientation.jpg": re.compile(
        r"ExifTool:Warning: \W+Bad format \(32\) for IFD0 entry 0\W+ became \W+.* entry 1\W+"
    ),
    "tiff_preview_page.tif": re.compile("EXIF:IFD1:ThumbnailTIFF: .*"),
}
NEVER = re.compile("(?!)")
pytestmark = pytest.mark.skipif(not (CASES.is_dir() and HAS_EXIFTOOL), reason="needs the corpus and exiftool")

TURNED = {
    "avif_mirror_only.avif",
    "heic_samsung_landscape_free_sefd.heic",
    "heic_samsung_landscape_sefd.heic",
    "heic_samsung_stray_bytes_sef.heic",
    "icc_seq_0_of_0.jpg",
    "icc_twice.jpg",
    "ifd0_bad_type_no_orientation.jpg",
    "ifd0_next_garbage.jpg",
    "ifd1_loops_to_ifd0.jpg",
    "ifd1_next_garbage.jpg",
    "mpo_stereo.mpo",
    "png_big_ztxt.png",
    "png_rawprofile_1.png",
    "png_rawprofile_no_orientation.png",
    "s24_portrait.heic",
    "s25_landscape.heic",
    "tiff_preview_page.tif",
    "two_exif_same.jpg",
    "two_exif_second_no_orientation.jpg",
}
REFUSED = {
    "beside.jpg": "sidecar",
    "c2pa_remote_manifest.jpg": "C2PA",
    "sphere_360.jpg": "sphere",
}
JUDGED = {"lossless_rgb_640x480.jpg", "no_eoi.jpg"}  # and may be left unwritten


@pytest.fixture
def library(tmp_path):
    folder = tmp_path / "library"
    shutil.copytree(CASES, folder, ignore=shutil.ignore_patterns("README.md"))
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder


def named(report: Path) -> dict[str, dict[str, str]]:
    return {Path(path).name: row for path, row in sky_library.rows(report).items()}


def test_every_case_is_known(library):
    assert {path.name for path in library.iterdir() if path.suffix != ".xmp"} == TURNED | REFUSED.keys() | JUDGED


@pytest.mark.parametrize("turn", [90, 180])
def test_each_case_is_judged_and_turned_or_refused_as_wanted(orientd, tmp_path, library, turn):
    before = sky_library.snapshot(library)
    tags = {path: read_tags([path])[0] for path in map(Path, before)}
    orientd("scan", library, "--report", tmp_path / "scan.csv")
    scanned = named(tmp_path / "scan.csv")
    assert {name: row["reason"] for name, row in scanned.items() if row["decision"] == "error"} == {}
    assert not any("damaged" in row["reason"] for row in scanned.values())
    assert all(scanned[name]["p0"] for name in TURNED | REFUSED.keys() | JUDGED), "every case is judged"

    turn_everything(tmp_path / "scan.csv", tmp_path / "plan.csv", turn)
    orientd("apply", tmp_path / "plan.csv", "--report", tmp_path / "done.csv")
    rows = named(tmp_path / "done.csv")
    fixed = {name for name, row in rows.items() if row["outcome"] == "fixed"}
    assert TURNED <= fixed <= TURNED | JUDGED, {name: rows[name]["reason"] for name in (TURNED - fixed) | (fixed - TURNED)}
    assert {name: word in rows[name]["reason"] for name, word in REFUSED.items()} == dict.fromkeys(REFUSED, True)

    after = sky_library.snapshot(library)
    assert {Path(path).name for path in before if after[path][0] != before[path][0]} == fixed
    for path in (library / name for name in sorted(fixed)):
        grown = path.stat().st_size - before[str(path)][2]
        changes = tag_changes(tags[path], read_tags([path])[0], grown)
        assert [each for each in changes if not NO_CHANGE.get(path.name, NEVER).fullmatch(each)] == [], path.name
    assert orientd("verify") == 0
    assert orientd("undo", "--yes") == 0
    assert {path: entry[:3] for path, entry in sky_library.snapshot(library).items()} == {p: e[:3] for p, e in before.items()}
