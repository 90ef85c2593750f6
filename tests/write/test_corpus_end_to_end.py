"""The hard files, through the real command: written, judged by exiftool, and taken back."""

import csv
import shutil
from pathlib import Path

import pytest
from support import sky_library
from support.referee import HAS_EXIFTOOL, read_tags
from support.referee_heif import tag_changes

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

pytestmark = pytest.mark.skipif(not (CORPUS.is_dir() and HAS_EXIFTOOL), reason="needs the corpus and exiftool")


def turn_everything(report, plan, turn):
    """What a person may write into a plan: fix, whatever was decided."""
    with report.open(newline="") as source, plan.open("w", newline="") as target:
        reader = csv.DictReader(source)
        writer = csv.DictWriter(target, reader.fieldnames)
        writer.writeheader()
        writer.writerows(row | {"decision": "fix", "turn": turn} for row in reader if row["sha256"])


@pytest.mark.parametrize("turn", [90, 180])
def test_every_file_is_fixed_or_refused_and_comes_back(orientd, tmp_path, turn):
    library = tmp_path / "library"
    shutil.copytree(CORPUS, library, ignore=shutil.ignore_patterns("cases"))
    for path in library.iterdir():
        path.chmod(0o644)
    before, tags = (
        sky_library.snapshot(library),
        dict(zip(sorted(library.iterdir()), read_tags(sorted(library.iterdir())), strict=True)),
    )
    assert orientd("scan", library, "--report", tmp_path / "scan.csv") == 3
    turn_everything(tmp_path / "scan.csv", tmp_path / "plan.csv", turn)
    assert orientd("apply", tmp_path / "plan.csv", "--report", tmp_path / "done.csv") == 3
    rows = sky_library.rows(tmp_path / "done.csv")
    fixed = [Path(path) for path, row in rows.items() if row["outcome"] == "fixed"]
    assert len(fixed) >= 22
    assert all(row["reason"] for row in rows.values() if row["outcome"] != "fixed")
    for path, now in zip(fixed, read_tags(fixed), strict=True):
        assert tag_changes(tags[path], now, path.stat().st_size - before[str(path)][2]) == [], path.name
    after = sky_library.snapshot(library)
    assert {path for path in before if after[path][0] != before[path][0]} == set(map(str, fixed))
    assert not {"ultrahdr.jpg", "monkey12.jpg", "beach.jpg"} & {path.name for path in fixed}, "these do not decode whole"
    assert orientd("undo", "--yes") == 0
    assert {path: entry[:3] for path, entry in sky_library.snapshot(library).items()} == {p: e[:3] for p, e in before.items()}
