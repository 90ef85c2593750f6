"""The JPEGs of the cases, through the real command: judged, written or refused for a reason, and taken back."""

import csv
import shutil
from pathlib import Path

import pytest
from support import sky_library
from support.referee import HAS_EXIFTOOL, read_tags, tag_changes

CASES = Path(__file__).parents[3] / "shared" / "corpus" / "cases"
WRITTEN = [
    "icc_seq_0_of_0.jpg",
    "icc_twice.jpg",
    "ifd0_next_garbage.jpg",
    "ifd1_next_garbage.jpg",
    "ifd1_loops_to_ifd0.jpg",
    "ifd0_bad_type_no_orientation.jpg",
    "two_exif_second_no_orientation.jpg",
    "two_exif_same.jpg",
    "mpo_stereo.mpo",
    "no_eoi.jpg",
]
REFUSED = {"c2pa_remote_manifest.jpg": "C2PA", "sphere_360.jpg": "sphere"}
OF_ANOTHER_FRAME = ("MPF:MPImage2:MPImage2", "ExifTool:Warning")  # a picture as a whole; at which entry exiftool stumbles

pytestmark = pytest.mark.skipif(not (CASES.is_dir() and HAS_EXIFTOOL), reason="needs the cases and exiftool")


def turn_everything(report, plan, turn):
    with report.open(newline="") as source, plan.open("w", newline="") as target:
        reader = csv.DictReader(source)
        writer = csv.DictWriter(target, reader.fieldnames)
        writer.writeheader()
        writer.writerows(row | {"decision": "fix", "turn": turn} for row in reader)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_they_are_written_or_refused_as_wanted(orientd, tmp_path, turn):
    library = tmp_path / "library"
    library.mkdir()
    for name in [*WRITTEN, *REFUSED]:
        shutil.copyfile(CASES / name, library / name)
    paths = [library / name for name in WRITTEN]
    before, tags = sky_library.snapshot(library), read_tags(paths)
    assert orientd("scan", library, "--report", tmp_path / "scan.csv") == 0
    assert not [
        row for row in sky_library.rows(tmp_path / "scan.csv").values() if row["decision"] == "error" or not row["sha256"]
    ]
    turn_everything(tmp_path / "scan.csv", tmp_path / "plan.csv", turn)
    assert orientd("apply", tmp_path / "plan.csv", "--report", tmp_path / "done.csv") == 3
    rows = {Path(path).name: row for path, row in sky_library.rows(tmp_path / "done.csv").items()}
    assert sorted(name for name, row in rows.items() if row["outcome"] == "fixed") == sorted(WRITTEN)
    assert all(reason in rows[name]["reason"] for name, reason in REFUSED.items())
    for path, old, new in zip(paths, tags, read_tags(paths), strict=True):
        changes = tag_changes(old, new, path.stat().st_size - before[str(path)][2])
        assert [change for change in changes if not change.startswith(OF_ANOTHER_FRAME)] == [], path.name
        assert list(new["EXIF:IFD0:Orientation"]) == [{90: "6", 180: "3", 270: "8"}[turn]], path.name
    assert orientd("undo", "--yes") == 0
    assert {path: entry[:3] for path, entry in sky_library.snapshot(library).items()} == {p: e[:3] for p, e in before.items()}
